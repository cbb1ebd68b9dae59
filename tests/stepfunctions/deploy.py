"""In: a flow's file and flags. Out: what `flowc compile --target step-functions` wrote, deployed to the interpreter: as plain ASL or as a stack."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from stepfunctions.interpreter import BUCKET, DATASTORE, QUEUE, REGION, ROLE, TABLE, Interpreter

import flowc

PLACE = re.compile(r"(\$?)\$\{(\w+)\}")
LOG_GROUP = "/flowc/tests"


class Refused(RuntimeError):
    """flowc refused the flow; the message has its diagnostics."""


def compiled(flow: Path, folder: Path, *flags: str, command: Sequence[str] = ()) -> Path:
    """The folder, with the files that flowc writes for the flow. `command` is how flowc is called, else by this Python."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    env = kept if command else {**kept, "PYTHONPATH": str(Path(flowc.__file__).parents[1])}
    call = [*(command or (sys.executable, "-m", "flowc")), "compile", flow.name, "--target", "step-functions", "--isolated", *flags]
    done = subprocess.run([*call, "--out-dir", str(folder)], cwd=flow.parent, env=env, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise Refused(f"exit code {done.returncode}\n{done.stderr[-6000:]}")
    return folder


def files(aws: Interpreter, folder: Path, name: str, *, root: str = DATASTORE) -> str:
    """Deploy what `--format asl` wrote as a state machine of that name; returns its ARN.

    Job definitions are registered and their ARNs put in, as Terraform's templatefile does it: `${name}` is replaced, `$${` is `${`.
    """
    known = {
        "Bucket": BUCKET,
        "DatastoreRoot": root,
        "JobQueue": QUEUE,
        "JobRole": ROLE,
        "ExecutionRole": ROLE,
        "LogGroup": LOG_GROUP,
        "Region": REGION,
        "StateMachine": f"arn:aws:states:{REGION}:123456789012:stateMachine:{name}",
        "StartRole": ROLE,
    }
    (machine,) = folder.glob("*.asl.json")
    for path in sorted(folder.glob("*.json")):
        definition = json.loads(filled(path.read_text(), known)) if path != machine else {}
        if "jobDefinitionName" in definition:
            known[path.name.split(".")[-2]] = aws.register(definition)
    return aws.create(filled(machine.read_text(), known), name)


def filled(text: str, known: Mapping[str, str]) -> str:
    """The text of a file with its places filled. KeyError where nothing is known of one."""
    return PLACE.sub(lambda match: match[0][1:] if match[1] else json.dumps(known[match[2]])[1:-1], text)


def stack(aws: Interpreter, folder: Path, name: str, given: Mapping[str, str] | None = None) -> str:
    """Deploy the stack that flowc wrote; returns the ARN of its state machine. Schedules are left out, since moto has none in stacks."""
    (path,) = folder.glob("*.stack.yaml")
    template: dict[str, Any] = yaml.safe_load(path.read_text())
    template["Resources"] = {k: v for k, v in template["Resources"].items() if v["Type"] != "AWS::Scheduler::Schedule"}
    parameters = {"JobQueue": QUEUE, "Bucket": BUCKET, **(given or {})}
    resources = aws.deploy(template, name, {key: value for key, value in parameters.items() if key in template["Parameters"]})
    return resources["StateMachine"]


def metaflow_environment(aws: Interpreter, home: Path) -> dict[str, str]:
    """An environment in which Metaflow's own `step-functions create` finds all that it asks for, on the interpreter."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "HOME": str(home),
        "METAFLOW_HOME": str(home),
        "METAFLOW_USER": "tests",
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": REGION,
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_DATASTORE_SYSROOT_S3": DATASTORE,
        "METAFLOW_S3_ENDPOINT_URL": aws.endpoint,
        "METAFLOW_S3_WORKER_COUNT": "2",
        "METAFLOW_BATCH_JOB_QUEUE": QUEUE,
        "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": ROLE,
        "METAFLOW_SFN_IAM_ROLE": ROLE,
        "METAFLOW_EVENTS_SFN_ACCESS_IAM_ROLE": ROLE,
        "METAFLOW_SFN_DYNAMO_DB_TABLE": TABLE,
    }


def by_metaflow(aws: Interpreter, flow: Path, *options: str) -> str:
    """The state machine that Metaflow's own `step-functions create --only-json` writes; it registers its job definitions itself."""
    command = [sys.executable, flow.name, "--quiet", "--no-pylint", "step-functions", *options, "create", "--only-json"]
    env = metaflow_environment(aws, aws.folder)
    done = subprocess.run(command, cwd=flow.parent, env=env, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise Refused(f"Metaflow refused {flow.name}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def given(parameters: Mapping[str, str]) -> dict[str, str]:
    """An execution's input, as Metaflow's own `step-functions trigger` writes it."""
    return {"Parameters": json.dumps(dict(parameters))}
