"""Job definitions of AWS Batch: every attribute of @batch beside what Metaflow's own client registers and submits for it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from stepfunctions.batch_cases import FLOW, GANG, ROLE, bodies, container_of, flow_of, start_body

from flowc.deployment import batch

if TYPE_CHECKING:
    from collections.abc import Mapping

# --- the oracle --------------------------------------------------------------------------------------------------------


class Client:
    """AWS Batch, as far as Metaflow asks it before it submits: keeps what is registered."""

    def __init__(self, platform: str) -> None:
        self.platform, self.registered = platform, {}

    def describe_job_queues(self, **_: Any) -> Any:
        return {"jobQueues": [{"computeEnvironmentOrder": [{"computeEnvironment": "ce"}]}]}

    def describe_compute_environments(self, **_: Any) -> Any:
        return {"computeEnvironments": [{"computeResources": {"type": self.platform}}]}

    def describe_job_definitions(self, **_: Any) -> Any:
        return {"jobDefinitions": []}

    def register_job_definition(self, **definition: Any) -> Any:
        self.registered = definition
        return {"jobDefinitionArn": "arn"}


NAMES = (
    "image iam_role queue execution_role shared_memory max_swap swappiness inferentia efa memory host_volumes efs_volumes use_tmpfs "
    "tmpfs_tempdir tmpfs_size tmpfs_path num_parallel ephemeral_storage log_driver log_options privileged"
).split()


def metaflows(attributes: Mapping[str, Any], resources: Mapping[str, Any] | None, platform: str, nodes: int = 0) -> dict[str, Any]:
    """What Metaflow registers for the attributes, with the resources that it puts into the job's overrides."""
    from metaflow.plugins.aws.batch.batch_client import BatchJob
    from metaflow.plugins.aws.batch.batch_decorator import BatchDecorator
    from metaflow.plugins.resources_decorator import ResourcesDecorator

    decorator = BatchDecorator(attributes={"image": "python:3.11", "iam_role": ROLE, "execution_role": ROLE, **attributes})
    decorator.init()
    decorators = [decorator, *([ResourcesDecorator(attributes=dict(resources))] if resources is not None else [])]
    decorator.step_init(None, None, "start", decorators, None, SimpleNamespace(TYPE="s3"), None)
    got, client = decorator.attributes, Client(platform)
    job = BatchJob(client).image(got["image"]).iam_role(got["iam_role"]).cpu(got["cpu"]).gpu(got["gpu"]).memory(got["memory"])
    job.job_def(*({**got, "num_parallel": nodes}[name] for name in NAMES))
    one = container_of(client.registered)
    one["resourceRequirements"] = job.payload["containerOverrides"]["resourceRequirements"]
    return {**client.registered, "container": one}


def comparable(one: Mapping[str, Any]) -> dict[str, Any]:
    """Without what differs by design: the command, the environment, the log group, and fields that say nothing."""
    kept = {k: v for k, v in one.items() if k not in ("command", "environment") and v not in ({}, [])}
    kept["resourceRequirements"] = sorted(kept["resourceRequirements"], key=lambda each: each["type"])
    return kept


ATTRIBUTES: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({}, None),
    ({"cpu": 2, "memory": 8000, "gpu": 1}, None),
    ({"cpu": "4", "memory": "16000", "gpu": "2"}, None),
    ({"cpu": 2.5}, None),
    ({"gpu": 0}, None),
    ({}, {"cpu": 8, "memory": 30000, "gpu": 4}),
    ({"cpu": 16, "memory": 1000}, {"cpu": 8, "memory": 30000}),
    ({"gpu": 1}, {}),
    ({"shared_memory": 64}, {"shared_memory": 128}),
    ({}, {"shared_memory": 128}),
    ({"image": "registry.example.com/team/image:1"}, None),
    ({"iam_role": "arn:aws:iam::123456789012:role/other"}, None),
    ({"shared_memory": 64}, None),
    ({"max_swap": 0, "swappiness": 0}, None),
    ({"max_swap": 512, "swappiness": 60}, None),
    ({"inferentia": 2}, None),
    ({"trainium": 1}, None),
    ({"efa": 1}, None),
    ({"inferentia": 1, "efa": 1}, None),
    ({"host_volumes": "/data"}, None),
    ({"host_volumes": ["/data/a.b:/mnt/a", "/x"]}, None),
    ({"efs_volumes": "fs-0123456789abcdef0"}, None),
    ({"efs_volumes": ["fs-0123456789abcdef0:/models"], "host_volumes": ["/x"]}, None),
    ({"use_tmpfs": True}, None),
    ({"use_tmpfs": True}, {"memory": 9001}),
    ({"tmpfs_size": 100, "tmpfs_path": "/scratch"}, None),
    ({"use_tmpfs": True, "tmpfs_size": 100, "tmpfs_tempdir": False}, None),
    ({"log_driver": "awslogs", "log_options": ["awslogs-group:mine", "awslogs-stream-prefix:a:b"]}, None),
    ({"log_driver": "json-file"}, None),
    ({"privileged": True}, None),
]


def written(attributes: Mapping[str, Any], resources: Mapping[str, Any] | None) -> str:
    def call(name: str, values: Mapping[str, Any]) -> str:
        return f"@{name}({', '.join(f'{key}={value!r}' for key, value in values.items())})"

    return "\n".join([call("batch", attributes), *([call("resources", resources)] if resources is not None else [])])


@pytest.mark.parametrize(("attributes", "resources"), ATTRIBUTES, ids=json.dumps)
def test_attributes_on_ec2_are_metaflows(attributes: dict[str, Any], resources: dict[str, Any] | None) -> None:
    """The container is the one that Metaflow's definition and overrides make together."""
    body = start_body(written(attributes, resources))
    theirs = metaflows(attributes, resources, "EC2")
    theirs["container"].pop("executionRoleArn", None)
    assert comparable(container_of(body)) == comparable(theirs["container"])
    assert (body["type"], body["propagateTags"]) == (theirs["type"], theirs["propagateTags"])
    assert body["platformCapabilities"] == ["EC2"]


@pytest.mark.parametrize(
    ("attributes", "resources"),
    [
        ({}, None),
        ({"cpu": 0.25, "memory": 512}, None),
        ({"ephemeral_storage": 40}, {"cpu": 2, "memory": 16384}),
        ({"efs_volumes": "fs-0123456789abcdef0"}, None),
        ({"execution_role": "arn:aws:iam::123456789012:role/starter"}, None),
    ],
    ids=json.dumps,
)
def test_attributes_on_fargate_are_metaflows(attributes: dict[str, Any], resources: dict[str, Any] | None) -> None:
    """So it is on Fargate."""
    body = start_body(written(attributes, resources), batch_platform="fargate")
    theirs = metaflows(attributes, resources, "FARGATE")
    assert comparable(container_of(body)) == comparable(theirs["container"])
    assert body["platformCapabilities"] == theirs["platformCapabilities"]


@pytest.mark.parametrize("attributes", [{}, {"efa": 2, "gpu": 8}])
def test_nodes_of_a_gang_are_metaflows(attributes: dict[str, Any]) -> None:
    """All nodes have the container that Metaflow's have; one range serves them, where Metaflow writes the same twice."""
    body = bodies(GANG.format("    " + written(attributes, None), 4))["JobDefinitionWork"]
    theirs = metaflows(attributes, None, "EC2", 4)
    theirs["container"].pop("executionRoleArn", None)
    assert comparable(container_of(body)) == comparable(theirs["container"])
    assert {k: body["nodeProperties"][k] for k in ("numNodes", "mainNode")} == {"numNodes": 4, "mainNode": 0}
    assert theirs["nodeProperties"]["numNodes"] == 4
    assert [each["targetNodes"] for each in body["nodeProperties"]["nodeRangeProperties"]] == ["0:"]


def test_every_attribute_is_known() -> None:
    """Metaflow's @batch has no attribute that flowc would pass over."""
    from metaflow.plugins.aws.batch.batch_decorator import BatchDecorator

    from flowc.merging import BATCH_DEFAULTS

    assert {
        **BatchDecorator.defaults,
        **dict.fromkeys(("queue", "iam_role", "execution_role")),  # Metaflow's come from the configuration of this machine
    } == {**BATCH_DEFAULTS, "trainium": None}


# --- what flowc makes of it --------------------------------------------------------------------------------------------


def test_equal_containers_share_a_definition() -> None:
    """Steps that ask for the same have one job definition, whatever their queue, attempts and time limit are."""
    text = FLOW.format("    @batch(queue='gpu', executable='/opt/python')\n    @retry\n    @timeout(hours=1)")
    assert list(bodies(text)) == ["JobDefinition"]
    flow = flow_of(text)
    assert batch.launcher(flow.steps["start"])[:2] == ["/opt/python", "-c"]
    assert batch.launcher(flow.steps["end"])[:2] == ["python", "-c"]
    found = bodies(FLOW.format("    @resources(cpu=2)"))
    assert list(found) == ["JobDefinitionStart", "JobDefinition"]
    assert [each["jobDefinitionName"] for each in found.values()] == ["Hello-start", "Hello"]


def test_names_of_definitions_do_not_collide() -> None:
    """Steps whose names differ by underscores alone have job definitions of their own."""
    steps = "".join(f"    @batch(cpu={n})\n    @step\n    def {name}(self):\n        self.next(self.{after})\n\n" for n, name, after in
                    ((2, "a_b", "ab"), (3, "ab", "a__b"), (4, "a__b", "end")))  # fmt: skip
    text = FLOW.format("").replace("self.next(self.end)", "self.next(self.a_b)").replace("    @step\n    def end", f"{steps}    @step\n    def end")
    names = list(bodies(text))
    assert names[:3] == ["JobDefinition", "JobDefinitionAB", "JobDefinitionAb"]
    assert len(set(names)) == 4


def test_the_environment_is_static() -> None:
    """What is the same in all jobs stands in the definition: the datastore, the marks of AWS Batch, @environment, the folder of a tmpfs."""
    body = start_body("@batch(use_tmpfs=True)\n@environment(vars={'A': '$(x) ${y}', 'N': 1, 'METAFLOW_USER': 'me'})", tags=("t",))
    found = {each["name"]: each["value"] for each in container_of(body)["environment"]}
    expected = {
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_RUNTIME_ENVIRONMENT": "aws-batch",
        "METAFLOW_USER": "step-functions",
        "METAFLOW_TEMPDIR": "/metaflow_temp",
        "FLOWC_TAGS": '["t"]',
        "A": "$(x) ${y}",
        "N": "1",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "METAFLOW_TEMPDIR" not in {e["name"] for e in container_of(start_body("@batch(use_tmpfs=True, tmpfs_tempdir=False)"))["environment"]}
    given = start_body("", datastore="s3", datastore_root="s3://lake/m", metadata="service@https://x")
    found = {each["name"]: each["value"] for each in container_of(given)["environment"]}
    assert found["METAFLOW_DATASTORE_SYSROOT_S3"] == "s3://lake/m"
    assert found["METAFLOW_DEFAULT_METADATA"] == "service@https://x"


def test_tags_go_to_the_tasks() -> None:
    """aws_batch_tags are those of the definition, which AWS Batch propagates to its tasks."""
    body = start_body("@batch(aws_batch_tags={'team': 'data'})")
    assert body["tags"] == {"team": "data"}
    assert body["propagateTags"] is True


def test_every_definition_is_one_of_aws() -> None:
    """botocore's own model accepts each definition above as a call of RegisterJobDefinition."""
    import botocore.session
    from botocore.validate import ParamValidator

    shape = botocore.session.get_session().get_service_model("batch").operation_model("RegisterJobDefinition").input_shape
    texts = [FLOW.format("    " + written(*case).replace("\n", "\n    ")) for case in ATTRIBUTES]
    for text in [*texts, GANG.format("    @batch(efa=1)", 2)]:
        for body in bodies(text).values():
            assert not ParamValidator().validate(body, shape).generate_report()
            assert len(body["jobDefinitionName"]) <= 128
