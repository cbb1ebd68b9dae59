"""In: the text of a flow. Out: what Metaflow's own `create --only-json` prints of it, with S3 and AWS Batch in this process; and what flowc says to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowc.comparison import argo, step_functions
from flowc.comparison.compare import Comparison, compare
from flowc.comparison.records import Reading
from flowc.compiler import check, compile_flow
from flowc.diagnostics import has_errors
from flowc.settings import Settings
from flowc.source import SourceFile

ROOT = "s3://flows/metaflow"
ROLE = "arn:aws:iam::123456789012:role/flows"
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}
ARGO, STATES = "argo", "step-functions"
MATCHING: dict[str, dict[str, Any]] = {
    ARGO: {"datastore": "s3", "datastore_root": ROOT, "namespace": "default"},
    STATES: {"datastore_root": ROOT, "format": "asl", "use_distributed_map": False},
}
"""Settings that say what Metaflow's configuration in these tests says."""
MAIN = '\n\nif __name__ == "__main__":\n    {}()\n'


class RefusedError(RuntimeError):
    """Metaflow compiled nothing; the message is what it said."""


@dataclass(slots=True)
class Metaflow:
    """Metaflow's compilers, on a machine whose configuration is `environment`. What they print is kept, since it takes seconds."""

    folder: Path
    environment: Mapping[str, str]
    python: str = sys.executable
    kept: dict[str, Any] = field(default_factory=dict)

    def only_json(self, text: str, engine: str, *options: str, top: tuple[str, ...] = (), files: Mapping[str, str] | None = None, **more: str) -> Any:
        """The JSON for a flow; `options` are those of `create`, `top` stand before the engine's name, `more` are variables."""
        key = json.dumps([text, engine, options, top, dict(files or {}), more])
        if key not in self.kept:
            self.kept[key] = self._compiled(text, engine, options, top, files or {}, more)
        return json.loads(self.kept[key])

    def _compiled(self, text: str, engine: str, options: tuple[str, ...], top: tuple[str, ...], files: Mapping[str, str], more: Mapping[str, str]) -> str:
        folder = self.folder / f"flow-{len(self.kept)}-{len(list(self.folder.iterdir()))}"
        folder.mkdir(parents=True)
        for name, content in {"flow.py": text, **files}.items():
            (folder / name).write_text(content)
        added = top or (("--with", "kubernetes") if engine == ARGO else ())
        command = [self.python, "flow.py", "--quiet", "--no-pylint", *added, "argo-workflows" if engine == ARGO else engine]
        env = {**self.environment, "METAFLOW_HOME": str(folder), "HOME": str(folder), **more}
        done = subprocess.run([*command, "create", "--only-json", *options], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode or not done.stdout.strip():
            raise RefusedError((done.stdout + done.stderr)[-3000:])
        return done.stdout


@contextmanager
def metaflow(folder: Path, python: str = sys.executable) -> Iterator[Metaflow]:
    """Metaflow with a bucket and a job queue that moto serves."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"

    def client(service: str) -> Any:
        session = boto3.session.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name="us-east-1")
        return session.client(service, endpoint_url=url)

    client("s3").create_bucket(Bucket="flows")
    ec2, batch = client("ec2"), client("batch")
    role = client("iam").create_role(RoleName="flows", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    place = {
        "type": "FARGATE",
        "maxvCpus": 8,
        "subnets": [ec2.create_subnet(VpcId=network, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]],
        "securityGroupIds": [ec2.create_security_group(GroupName="flows", Description="flows", VpcId=network)["GroupId"]],
    }
    made = batch.create_compute_environment(
        computeEnvironmentName="flows", type="MANAGED", state="ENABLED", computeResources=place, serviceRole=role
    )
    order = [{"order": 1, "computeEnvironment": made["computeEnvironmentArn"]}]
    batch.create_job_queue(jobQueueName="flows-queue", state="ENABLED", priority=1, computeEnvironmentOrder=order)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW_", "AWS_", "PYTHONPATH"))}
    configured = {
        "METAFLOW_USER": "tests",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_DATASTORE_SYSROOT_S3": ROOT,
        "METAFLOW_BATCH_JOB_QUEUE": "flows-queue",
        "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": ROLE,
        "METAFLOW_ECS_FARGATE_EXECUTION_ROLE": ROLE,
        "METAFLOW_SFN_IAM_ROLE": ROLE,
        "METAFLOW_EVENTS_SFN_ACCESS_IAM_ROLE": ROLE,
        "METAFLOW_SFN_DYNAMO_DB_TABLE": "flows",
    }
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield Metaflow(folder, {**kept, **KEYS, "AWS_ENDPOINT_URL": url, **configured}, python)
    finally:
        server.stop()


def ours(text: str, engine: str, settings: Mapping[str, Any], files: Mapping[str, str] | None = None) -> tuple[Reading, Settings]:
    """What flowc's own objects for the flow mean, and the settings."""
    record = Settings(**{**MATCHING[engine], **settings})
    modules = {name: content.encode() for name, content in (files or {}).items()}
    checked = check(SourceFile("flow.py", text), modules.get, record)
    assert not has_errors(list(checked.diagnostics)), checked.diagnostics
    flow, graph = checked.flows[-1]
    compiled = compile_flow(flow, graph, engine, record)
    assert compiled.artifacts, compiled.diagnostics
    objects = [artifact.object for artifact in compiled.artifacts]
    return (argo.read(objects) if engine == ARGO else step_functions.read_flowc(objects, flow)), record


def compared(old: Any, text: str, engine: str = ARGO, files: Mapping[str, str] | None = None, **settings: Any) -> Comparison:
    """Metaflow's output held against flowc's, with settings that match the configuration of these tests, and more."""
    reading = argo.read([old]) if engine == ARGO else step_functions.read(old, {})
    new, record = ours(text, engine, settings, files)
    return compare(reading, new, record)


def told(found: Comparison) -> dict[str, tuple[Any, Any]]:
    """The changes by path, for a test to compare with."""
    return {" ".join(change.path): (change.before, change.after) for change in found.changes}
