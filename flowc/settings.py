"""In: command-line flags and `[tool.flowc]`. Out: Settings, one frozen record that every phase after the command line reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

ARGO_VERSIONS = ("3.5", "3.6", "3.7", "4.0", "4.1")
METAFLOW_VERSION = "2.19.39"
EMPTY: Mapping[str, Any] = MappingProxyType({})

STEP_KINDS = ("Pod", "Job", "JobSet", "JobDefinition")
"""Kinds of what is made for one step, so that an overlay may name steps."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A patch of every object or pod of a kind, of the flows (globs over names; none: all) and steps (the same) that it names.

    `place` says where it stands (`flowc.toml:12`), and is no part of what it means.
    """

    kind: str
    patch: Mapping[str, Any]
    flows: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    place: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that is not in the flow. Every default gives output that runs; nothing is read from the machine that compiles.

    Where `datastore` (s3, gs, azure, local) is None, pods take it, its root and all other METAFLOW_* keys from the ConfigMap
    (and optional Secret) named `config_map` in their namespace.
    """

    # what a pod runs
    image: str = "python:3.11"
    image_pull_policy: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    code: str = "embedded"
    code_path: str | None = None
    install: bool = True
    metaflow_version: str = METAFLOW_VERSION
    datastore: str | None = None
    datastore_root: str | None = None
    datastore_claim: str | None = None
    metadata: str | None = None
    config_map: str = "metaflow-config"
    environment: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    secrets: tuple[str, ...] = ()
    service_account: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    annotations: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    profile: str | None = None
    # @project and naming, as Metaflow's top-level options
    name: str | None = None
    namespace: str | None = None
    owner: str = "flowc"
    branch: str | None = None
    production: bool = False
    production_token: str | None = None
    tags: tuple[str, ...] = ()
    title: str | None = None
    description: str | None = None
    # what `argo-workflows create` takes
    argo_version: str = "3.7"
    max_workers: int | None = 100
    workflow_timeout: int | None = None
    workflow_priority: int | None = None
    auto_emit_events: bool = True
    notify_on_error: bool = False
    notify_on_success: bool = False
    notify_slack_webhook_url: str | None = None
    notify_pager_duty_integration_key: str | None = None
    notify_incident_io_api_key: str | None = None
    incident_io_alert_source_config_id: str | None = None
    incident_io_metadata: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    events_event: str | None = None
    events_event_bus: str = "default"
    events_event_source: str | None = None
    events_service_account: str | None = None
    events_namespace: str | None = None
    # what `step-functions create` takes beside
    use_distributed_map: bool = True
    format: str = "cloudformation"
    batch_platform: str = "ec2"
    batch_queue: str | None = None
    batch_job_role: str | None = None
    batch_execution_role: str | None = None
    stack_bucket: bool = False
    aws_partition: str = "aws"
    # what Jobs of Kubernetes and their coordinator take beside
    coordinator_image: str | None = None
    kueue_queue: str | None = None
    job_ttl: int | None = None
    rbac: bool = False
    suspend_schedule: bool = False
    # any field of what is written
    overlays: Mapping[str, Overlay] = field(default_factory=lambda: EMPTY)
    # the shape of outputs: a team's templates, text by path below templates/
    templates: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    # whether a file has to launch its flow
    require_guard: bool = False
    # what the flow's text leaves open
    values: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    decorators: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    configs: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    config_files: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    with_decorators: tuple[str, ...] = field(default=())

    def has_datastore(self) -> bool:
        """Whether the manifest itself names the datastore, instead of the namespace's ConfigMap."""
        return self.datastore is not None

    def for_reading(self) -> Settings:
        """Those with which a flow's text is read, all others as by default: targets whose settings differ in others read the same."""
        return Settings(**{name: getattr(self, name) for name in FOR_READING})


FOR_READING = ("code", "environment", "require_guard", "values", "decorators", "configs", "config_files", "with_decorators")
