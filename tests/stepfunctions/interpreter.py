"""In: a state machine or a CloudFormation stack, and an execution's input. Out: how it ended on tests/engines/stepfunctions, its history and the run's artifacts.

    with interpreter.started(tmp_path) as aws:
        outcome = aws.execute(definition, {"Parameters": "{}"}, name="run-1")
        aws.artifacts("MyFlow", f"sfn-{outcome.name}")

Everything is on loopback. AWS Batch's jobs are processes of this machine, with the environment that a container would have.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SERVER = HERE.parent / "engines" / "stepfunctions" / "sfnlocal.py"
COLLECT = HERE.parent / "e2e" / "collect.py"

BUCKET, QUEUE, TABLE = "mfbucket", "local-queue", "mf"
DATASTORE = f"s3://{BUCKET}/metaflow"
ROLE = "arn:aws:iam::123456789012:role/sfn"
REGION = "us-east-1"
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class Unready(RuntimeError):
    """The server did not start, a stack was refused, or an execution did not end in time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An execution that ended: its name, Step Functions' status (SUCCEEDED, FAILED, TIMED_OUT, ABORTED), output, error, and events."""

    name: str
    status: str
    output: Any
    error: str
    cause: str
    history: tuple[Mapping[str, Any], ...] = field(repr=False)

    def entered(self) -> list[str]:
        """The names of the states that were entered, in the order of the history (not those inside a distributed Map)."""
        return [e["stateEnteredEventDetails"]["name"] for e in self.history if "stateEnteredEventDetails" in e]


@dataclass(frozen=True)
class Interpreter:
    """A server that runs. `folder` holds its log and those of the jobs."""

    port: int
    folder: Path

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.session.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name=REGION)

    def client(self, service: str) -> Any:
        """A boto3 client of one of moto's services."""
        return self._session.client(service, endpoint_url=self.endpoint)

    # --- what is deployed ---

    def register(self, definition: Mapping[str, Any]) -> str:
        """Register a Batch job definition (RegisterJobDefinition's own parameters); returns its ARN."""
        return str(self.client("batch").register_job_definition(**definition)["jobDefinitionArn"])

    def create(self, definition: str | Mapping[str, Any], name: str) -> str:
        """Create a state machine, or replace its definition; returns its ARN."""
        text = definition if isinstance(definition, str) else json.dumps(definition)
        sfn = self.client("stepfunctions")
        known = {m["name"]: m["stateMachineArn"] for m in sfn.list_state_machines()["stateMachines"]}
        if name in known:
            sfn.update_state_machine(stateMachineArn=known[name], definition=text)
            return str(known[name])
        return str(sfn.create_state_machine(name=name, definition=text, roleArn=ROLE)["stateMachineArn"])

    def deploy(self, template: str | Mapping[str, Any], stack: str, parameters: Mapping[str, str] | None = None) -> dict[str, str]:
        """Create a CloudFormation stack; returns the physical id of each resource by its logical id.

        moto knows no AWS::Scheduler::Schedule: leave schedules out of the template.
        """
        text = template if isinstance(template, str) else json.dumps(template)
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()]
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(StackName=stack, TemplateBody=text, Parameters=given, Capabilities=["CAPABILITY_NAMED_IAM"])
        status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if status != "CREATE_COMPLETE":
            raise Unready(f"the stack {stack} is {status}\n{self.log()}")
        found = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found}

    # --- what runs ---

    def start(self, machine: str, given: Mapping[str, Any], name: str | None = None) -> str:
        """Start an execution of the state machine with that ARN; returns the execution's ARN."""
        named = {"name": name} if name else {}
        return str(self.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(given), **named)["executionArn"])

    def wait(self, execution: str, seconds: float = 600) -> Outcome:
        """The execution when it has ended."""
        sfn = self.client("stepfunctions")
        end = time.monotonic() + seconds
        while (found := sfn.describe_execution(executionArn=execution))["status"] not in ENDED:
            if time.monotonic() > end:
                raise Unready(f"{execution} runs after {seconds} s\n{self.log()}")
            time.sleep(0.2)
        events: list[Mapping[str, Any]] = []
        page: dict[str, str] = {}
        while True:
            answer = sfn.get_execution_history(executionArn=execution, maxResults=1000, **page)
            events += answer["events"]
            if "nextToken" not in answer:
                break
            page = {"nextToken": answer["nextToken"]}
        output = json.loads(found["output"]) if found.get("output") else None
        return Outcome(found["name"], found["status"], output, found.get("error") or "", found.get("cause") or "", tuple(events))

    def execute(self, definition: str | Mapping[str, Any], given: Mapping[str, Any], name: str = "run", seconds: float = 600) -> Outcome:
        """Create the state machine `name` (or replace it), run it once, wait. Execution names are unique: `name` and a number."""
        machine = self.create(definition, name)
        return self.wait(self.start(machine, given, f"{name}-{time.time_ns() // 1000:x}"), seconds)

    # --- what came of it ---

    def artifacts(self, flow: str, run: str, root: str = DATASTORE) -> dict[str, list[dict[str, Any]]]:
        """Step -> the artifacts of each finished task of the run, as tests/e2e/laptop.py gives them."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
        env |= {"METAFLOW_S3_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
        env |= {"METAFLOW_HOME": str(self.folder), "METAFLOW_USER": "tests", "AWS_DEFAULT_REGION": REGION}
        command = [sys.executable, str(COLLECT), "s3", root, flow, run]
        done = subprocess.run(command, env=env, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise Unready(f"the artifacts of {flow}/{run} cannot be read:\n{done.stderr[-3000:]}")
        return dict(json.loads(done.stdout))

    def said(self, text: str) -> bool:
        """Whether any job's output has the text."""
        return any(text in path.read_text(errors="replace") for path in (self.folder / "jobs").glob("*/attempt-*.log"))

    def log(self, characters: int = 6000) -> str:
        """The end of what the jobs, and then the server, said; for people."""
        logs = sorted((self.folder / "jobs").glob("*/attempt-*.log"), key=lambda path: path.stat().st_mtime)
        parts = [f"--- {path.parent.name} {path.stem}\n{path.read_text(errors='replace')[-1500:]}" for path in logs[-6:]]
        # the interpreter prints whole programs, each on a line
        said = [line[:300] for line in (self.folder / "server.log").read_text(errors="replace").splitlines() if line.strip()]
        parts.append("--- server\n" + "\n".join(said[-12:]))
        return "\n".join(parts)[-characters:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(folder: Path, *, jobs: int = 2, image: Mapping[str, str] | None = None, arguments: Sequence[str] = ()) -> Iterator[Interpreter]:
    """A server of its own, until the block ends. `jobs` run at a time; `image` is the ENV of every job's image, beside a PATH with this Python."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    path = os.pathsep.join((str(Path(sys.executable).parent), "/usr/bin", "/bin"))
    endpoint = f"http://127.0.0.1:{port}"
    # 64 processes a transfer, Metaflow's default, would drown two cores
    ours = {"METAFLOW_SKIP_INSTALL_DEPENDENCIES": "1", "METAFLOW_S3_ENDPOINT_URL": endpoint, "METAFLOW_S3_WORKER_COUNT": "2"}
    env = {"PATH": path, **ours, **(image or {})}
    command = [sys.executable, str(SERVER), "serve", "--port", str(port), "--dir", str(folder), "--max-jobs", str(jobs)]
    command += [part for key, value in env.items() for part in ("--image-env", f"{key}={value}")]
    own = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    own |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": REGION, "PYTHONUNBUFFERED": "1"}
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen([*command, *arguments], env=own, stdout=subprocess.PIPE, stderr=log, cwd=folder)
    try:
        assert server.stdout is not None
        if not server.stdout.readline().startswith(b"ready"):
            raise Unready(f"the server did not start:\n{(folder / 'server.log').read_text()[-3000:]}")
        yield Interpreter(port, folder)
    finally:
        server.kill()
        server.wait()
