"""In: nothing. Out: the decorators of Metaflow 2.19 with their attributes and defaults, and the public names of the metaflow package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Known:
    """A decorator of Metaflow: its attributes with Metaflow's defaults; `many` may stand more than once on a step or flow."""

    name: str
    defaults: Mapping[str, Any]
    many: bool = False


# A test holds both tables against the installed metaflow: names, attributes, defaults and `many`.
_STEP = (
    Known("airflow_internal", {}),
    Known("argo_workflows_internal", {"auto-emit-argo-events": True}),
    Known(
        "batch",
        {
            "cpu": None,
            "gpu": None,
            "memory": None,
            "image": None,
            "queue": None,
            "iam_role": None,
            "execution_role": None,
            "shared_memory": None,
            "max_swap": None,
            "swappiness": None,
            "inferentia": None,
            "trainium": None,
            "efa": None,
            "host_volumes": None,
            "efs_volumes": None,
            "use_tmpfs": False,
            "aws_batch_tags": None,
            "tmpfs_tempdir": True,
            "tmpfs_size": None,
            "tmpfs_path": "/metaflow_temp",
            "ephemeral_storage": None,
            "log_driver": None,
            "log_options": None,
            "executable": None,
            "privileged": False,
        },
    ),
    Known(
        "card",
        {
            "type": "default",
            "options": {},
            "scope": "task",
            "rank": None,
            "timeout": 45,
            "id": None,
            "save_errors": True,
            "customize": False,
            "refresh_interval": 5,
        },
        many=True,
    ),
    Known("catch", {"var": None, "print_exception": True}),
    Known("conda", {"packages": {}, "libraries": {}, "python": None, "disabled": None}),
    Known("environment", {"vars": {}}),
    Known(
        "kubernetes",
        {
            "cpu": "1",
            "memory": "4096",
            "disk": "10240",
            "image": None,
            "image_pull_policy": None,
            "image_pull_secrets": None,
            "service_account": None,
            "secrets": None,
            "node_selector": None,
            "namespace": None,
            "gpu": None,
            "gpu_vendor": None,
            "tolerations": None,
            "labels": None,
            "annotations": None,
            "use_tmpfs": None,
            "tmpfs_tempdir": True,
            "tmpfs_size": None,
            "tmpfs_path": "/metaflow_temp",
            "persistent_volume_claims": None,
            "shared_memory": None,
            "port": None,
            "compute_pool": None,
            "executable": None,
            "hostname_resolution_timeout": 600,
            "qos": "burstable",
            "extended_resources": {},
            "security_context": None,
        },
    ),
    Known("parallel", {}),
    Known("pypi", {"packages": {}, "python": None, "disabled": None}),
    Known("pytorch_parallel", {"master_port": None}),
    Known("resources", {"cpu": "1", "gpu": None, "disk": None, "memory": "4096", "shared_memory": None}),
    Known("retry", {"times": "3", "minutes_between_retries": "2"}),
    Known("secrets", {"sources": [], "role": None, "allow_override": False}),
    Known("step_functions_internal", {}),
    Known("timeout", {"seconds": 0, "minutes": 0, "hours": 0}),
    Known("unbounded_test_foreach_internal", {}),
)
_FLOW = (
    Known(
        "airflow_external_task_sensor",
        {
            "timeout": 3600,
            "poke_interval": 60,
            "mode": "reschedule",
            "exponential_backoff": True,
            "pool": None,
            "soft_fail": False,
            "name": None,
            "description": None,
            "external_dag_id": None,
            "external_task_ids": None,
            "allowed_states": ["success"],
            "failed_states": None,
            "execution_delta": None,
            "check_existence": True,
        },
        many=True,
    ),
    Known(
        "airflow_s3_key_sensor",
        {
            "timeout": 3600,
            "poke_interval": 60,
            "mode": "reschedule",
            "exponential_backoff": True,
            "pool": None,
            "soft_fail": False,
            "name": None,
            "description": None,
            "bucket_key": None,
            "bucket_name": None,
            "wildcard_match": False,
            "aws_conn_id": None,
            "verify": None,
        },
        many=True,
    ),
    Known("conda_base", {"packages": {}, "libraries": {}, "python": None, "disabled": None}),
    Known("exit_hook", {"on_success": [], "on_error": [], "options": {}}, many=True),
    Known("project", {"name": None, "production": False, "branch": None}),
    Known("pypi_base", {"packages": {}, "python": None, "disabled": None}),
    Known("schedule", {"cron": None, "weekly": False, "daily": True, "hourly": False, "timezone": None}),
    Known("trigger", {"event": None, "events": [], "options": {}}),
    Known("trigger_on_finish", {"flow": None, "flows": [], "options": {}}),
)
STEP_DECORATORS: Mapping[str, Known] = {known.name: known for known in _STEP}
FLOW_DECORATORS: Mapping[str, Known] = {known.name: known for known in _FLOW}

CORE_NAMES = (
    frozenset(
        """
    Config ConfigValue DataArtifact DeployedFlow Deployer EXT_PKG Flow FlowMutator FlowSpec IncludeFile JSONType
    JSONTypeClass Metaflow NBDeployer NBRunner Parameter Run Runner S3 Step StepMutator Task USER_SKIP_STEP
    UserStepDecorator conda_environment_yml_parser config_expr current default_metadata default_namespace get_metadata
    get_namespace inspect_spin metadata namespace namespaced_event_name package_sources parallel_imap_unordered parallel_map
    profile pyproject_toml_parser requirements_txt_parser step user_step_decorator yaml_parser
    """.split()
    )
    | set(STEP_DECORATORS)
    | set(FLOW_DECORATORS)
)
"""What `from metaflow import NAME` gives without an extension installed."""

_USER_STEP = ("UserStepDecorator", "StepMutator", "user_step_decorator", "USER_SKIP_STEP", "UserStepDecoratorBase")
RE_EXPORTS: Mapping[str, frozenset[str]] = {
    "metaflow.decorators": frozenset({"step"}),
    "metaflow.flowspec": frozenset({"FlowSpec"}),
    "metaflow.parameters": frozenset({"Parameter", "JSONType", "JSONTypeClass"}),
    "metaflow.includefile": frozenset({"IncludeFile"}),
    "metaflow.metaflow_current": frozenset({"current"}),
    "metaflow.user_configs.config_parameters": frozenset({"Config", "ConfigValue", "config_expr"}),
    "metaflow.user_decorators.user_step_decorator": frozenset(_USER_STEP),
    "metaflow.user_decorators.user_flow_decorator": frozenset({"FlowMutator"}),
    "metaflow.user_decorators.mutable_step": frozenset({"MutableStep"}),
    "metaflow.user_decorators.mutable_flow": frozenset({"MutableFlow"}),
}
"""Where else Metaflow's public names can be imported from."""
