"""In: botocore's and cfn-lint's wheels at pinned versions. Out: schemas/step-functions/*.json, cut to what flowc writes and made strict.

`python tools/schemas_aws.py` writes them; `--check` derives them again and says which differ. Needs pip and its index of packages.
botocore (Apache-2.0) gives the parameters of services, cfn-lint (MIT-0) AWS's resource schemas and the Amazon States Language.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asl_schema

ROOT = Path(__file__).resolve().parent.parent / "schemas" / "step-functions"
Schema = dict[str, Any]

BOTOCORE, CFN_LINT = "botocore==1.44.5", "cfn-lint==1.58.0"
RESOURCES = (
    "AWS::Batch::JobDefinition",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::Scheduler::Schedule",
    "AWS::StepFunctions::StateMachine",
)
# Service -> (version of its model, action -> ways to call it). "" answers at once; the other ways are those that AWS's page on each
# integration lists. `aws-sdk` integrations have no way to wait for a job.
OPTIMISED: Mapping[str, tuple[str, Mapping[str, tuple[str, ...]]]] = {
    "batch": ("2016-08-10", {"submitJob": ("", "sync")}),
    "dynamodb": ("2012-08-10", {"getItem": ("",), "putItem": ("",), "updateItem": ("",), "deleteItem": ("",)}),
    "events": ("2015-10-07", {"putEvents": ("", "waitForTaskToken")}),
    "lambda": ("2015-03-31", {"invoke": ("", "waitForTaskToken")}),
    "sns": ("2010-03-31", {"publish": ("", "waitForTaskToken")}),
    "sqs": ("2012-11-05", {"sendMessage": ("", "waitForTaskToken")}),
    "states": ("2016-11-23", {"startExecution": ("", "sync", "sync:2", "waitForTaskToken")}),
}
SDK: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "batch": ("2016-08-10", ("describeJobs", "listJobs", "terminateJob")),
    "s3": ("2006-03-01", ("deleteObject", "getObject", "headObject", "listObjectsV2", "putObject")),
}
MODELS = {"states": "stepfunctions"}
# These take JSON, and make text of it on the way.
ANYTHING = {("events", "Detail"), ("sns", "Message"), ("sqs", "MessageBody"), ("lambda", "Payload"), ("states", "Input"), ("s3", "Body")}
TYPES = {
    "boolean": "boolean",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "string": "string",
    "blob": "string",
    "timestamp": "string",
}
KEPT = (
    "type",
    "enum",
    "const",
    "required",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs from what upstream gives")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        botocore, cfn_lint = wheel(BOTOCORE, Path(folder)), wheel(CFN_LINT, Path(folder))
        substituted = {"strings": [SUBSTITUTION]}
        called = {"strings": [SUBSTITUTION, JSONATA]}
        texts = {
            "asl.json": text(f"other/step_functions/statemachine.json of {CFN_LINT}", *language(cfn_lint), substituted),
            "batch.json": text(f"data/batch of {BOTOCORE}", *definition(botocore), substituted),
            "services.json": text(f"data/*/service-2.json of {BOTOCORE}", *services(botocore), called, {**ways(), **results(botocore)}),
            "cloudformation.json": text(f"data/schemas/resources of {CFN_LINT}", *stack(cfn_lint), {"keys": ["^Ref$", "^Fn::"]}),
        }
    stale = []
    for name, wanted in texts.items():
        path = ROOT / name
        if options.check:
            if not path.is_file() or path.read_text(encoding="utf-8") != wanted:
                stale.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted, encoding="utf-8")
    for name in stale:
        print(f"schemas/step-functions/{name} is not what upstream gives: run python tools/schemas_aws.py", file=sys.stderr)
    return 1 if stale else 0


SUBSTITUTION = r"^\$\{[^}]+\}$"
JSONATA = r"^\{%[\s\S]*%\}$"


def wheel(requirement: str, folder: Path) -> zipfile.ZipFile:
    """The wheel of a pinned package, fetched by pip."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", str(folder), requirement]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"pip cannot fetch {requirement}:\n{error.stderr.decode()[-2000:]}") from None
    name = requirement.partition("==")[0].replace("-", "_")
    return zipfile.ZipFile(next(folder.glob(f"{name}-*.whl")))


def text(source: str, kinds: Schema, definitions: Schema, holes: Mapping[str, list[str]], more: Schema | None = None) -> str:
    """The text of one schema file, one definition a line so that an upgrade shows as a short diff.

    `holes` are forms of values that stand for others (keys of an object, patterns of a string): what is there is known only later.
    """
    head = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": f"{source}, cut and made strict by tools/schemas_aws.py",
        "kinds": kinds,
        "holes": holes,
        **(more or {}),
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    body = ",\n".join(f"{json.dumps(name)}: {json.dumps(definitions[name], sort_keys=True)}" for name in sorted(definitions))
    return "{" + ",\n".join(lines) + ',\n"definitions": {\n' + body + "\n}}\n"


# --- botocore --------------------------------------------------------------------------------------------------------------


def model(botocore: zipfile.ZipFile, service: str, version: str) -> Schema:
    path = f"botocore/data/{MODELS.get(service, service)}/{version}/service-2.json.gz"
    found: Schema = json.loads(gzip.decompress(botocore.read(path)))
    return found


def definition(botocore: zipfile.ZipFile) -> tuple[Schema, Schema]:
    """What `aws batch register-job-definition --cli-input-json` reads."""
    known: Schema = {}
    batch = model(botocore, "batch", "2016-08-10")
    root = batch["operations"]["RegisterJobDefinition"]["input"]["shape"]
    shape("batch", batch["shapes"], root, known, pascal=False)
    return {"JobDefinition": {"$ref": f"#/definitions/batch.{root}"}}, known


def services(botocore: zipfile.ZipFile) -> tuple[Schema, Schema]:
    """The parameters of each action that a state may call, by `service:action` and `aws-sdk:service:action`."""
    kinds: Schema = {}
    known: Schema = {}
    calls = [(service, version, tuple(actions), f"{service}:") for service, (version, actions) in OPTIMISED.items()]
    calls += [(service, version, actions, f"aws-sdk:{service}:") for service, (version, actions) in SDK.items()]
    for service, version, actions, prefix in calls:
        whole = model(botocore, service, version)
        for action in actions:
            root = whole["operations"][action[0].upper() + action[1:]]["input"]["shape"]
            shape(service, whole["shapes"], root, known, pascal=True)
            kinds[prefix + action] = {"$ref": f"#/definitions/{service}.{root}"}
    return dict(sorted(kinds.items())), known


def ways() -> Schema:
    found = {f"{service}:{action}": list(how) for service, (_, actions) in OPTIMISED.items() for action, how in actions.items()}
    found |= {f"aws-sdk:{service}:{action}": ["", "waitForTaskToken"] for service, (_, actions) in SDK.items() for action in actions}
    return {"ways": dict(sorted(found.items()))}


def results(botocore: zipfile.ZipFile) -> Schema:
    """The fields of what each call gives back; one that waits for a job gives what describes the job."""
    found: Schema = {}

    def fields(call: str, whole: Schema, name: str) -> None:
        found[call] = sorted(member[0].upper() + member[1:] for member in whole["shapes"][name]["members"])

    for prefix, calls in (("", {k: (v, tuple(a)) for k, (v, a) in OPTIMISED.items()}), ("aws-sdk:", SDK)):
        for service, (version, actions) in calls.items():
            whole = model(botocore, service, version)
            for action in actions:
                operation = whole["operations"][action[0].upper() + action[1:]]
                if "output" in operation:
                    fields(f"{prefix}{service}:{action}", whole, operation["output"]["shape"])
    fields("batch:submitJob.sync", model(botocore, "batch", "2016-08-10"), "JobDetail")
    fields("states:startExecution.sync", model(botocore, "states", "2016-11-23"), "DescribeExecutionOutput")
    return {"results": dict(sorted(found.items()))}


def shape(service: str, shapes: Schema, name: str, known: Schema, *, pascal: bool) -> None:
    """Add a shape of a service's model, and those that it refers to, to the known definitions; keys as Step Functions spells them."""
    key = f"{service}.{name}"
    if key in known:
        return
    known[key] = {}
    found = shapes[name]

    def spell(member: str) -> str:
        return member[0].upper() + member[1:] if pascal else member

    def to(inner: str) -> Schema:
        shape(service, shapes, inner, known, pascal=pascal)
        return {"$ref": f"#/definitions/{service}.{inner}"}

    if found["type"] == "structure":
        members = {spell(m): {} if (service, spell(m)) in ANYTHING else to(v["shape"]) for m, v in found["members"].items()}
        known[key] = {"type": "object", "properties": members, "additionalProperties": False}
        if required := sorted(spell(m) for m in found.get("required", ()) if not found["members"][m].get("idempotencyToken")):
            known[key]["required"] = required
    elif found["type"] == "list":
        known[key] = {"type": "array", "items": to(found["member"]["shape"])}
    elif found["type"] == "map":
        known[key] = {"type": "object", "additionalProperties": to(found["value"]["shape"])}
    else:
        known[key] = {"type": TYPES[found["type"]], **({"enum": found["enum"]} if "enum" in found else {})}


# --- cfn-lint --------------------------------------------------------------------------------------------------------------


def language(cfn_lint: zipfile.ZipFile) -> tuple[Schema, Schema]:
    upstream = json.loads(cfn_lint.read("cfnlint/data/schemas/other/step_functions/statemachine.json"))
    return {"StateMachine": {"$ref": "#/definitions/StateMachine"}}, asl_schema.definitions(upstream["definitions"])


def stack(cfn_lint: zipfile.ZipFile) -> tuple[Schema, Schema]:
    """A template whose resources are of the types that flowc writes, each judged by AWS's own schema of it."""
    files = json.loads(cfn_lint.read("cfnlint/data/schemas/providers/us-east-1.json"))
    known: Schema = {}
    for kind in RESOURCES:
        upstream = json.loads(cfn_lint.read(f"cfnlint/data/schemas/resources/{files[kind]}.json"))
        read_only = {p.removeprefix("/properties/") for p in upstream.get("readOnlyProperties", ())}
        upstream["properties"] = {k: v for k, v in upstream["properties"].items() if k not in read_only}
        wanted = {"type": "object", **{k: upstream[k] for k in ("properties", "required") if k in upstream}}
        known[kind] = closed(wanted, kind)
        known |= {f"{kind}.{name}": closed(inner, kind) for name, inner in upstream.get("definitions", {}).items()}
    anything: Schema = {"type": "object"}
    whole = {
        "type": "object",
        "properties": {
            "AWSTemplateFormatVersion": {"enum": ["2010-09-09"]},
            "Description": {"type": "string", "maxLength": 1024},
            **dict.fromkeys(("Metadata", "Parameters", "Rules", "Mappings", "Conditions", "Outputs"), anything),
            "Resources": {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/definitions/Resource"}},
        },
        "required": ["Resources"],
        "additionalProperties": False,
    }
    known |= {"Stack": whole, "Resource": resource()}
    used = reachable(known, "Stack")
    kinds = ("Stack", "AWS::Events::Rule", "AWS::Scheduler::Schedule")  # the last two are files of their own too
    return {kind: {"$ref": f"#/definitions/{kind}"} for kind in kinds}, {name: value for name, value in known.items() if name in used}


def resource() -> Schema:
    policies = {"enum": ["Delete", "Retain", "RetainExceptOnCreate", "Snapshot"]}
    fields: Schema = {
        "Type": {"enum": list(RESOURCES)},
        "Properties": {"type": "object"},
        "Condition": {"type": "string"},
        "DependsOn": {"type": ["string", "array"]},
        "Metadata": {"type": "object"},
        "DeletionPolicy": policies,
        "UpdateReplacePolicy": policies,
    }
    by_type = [
        {
            "if": {"properties": {"Type": {"const": kind}}, "required": ["Type"]},
            "then": {"properties": {"Properties": {"$ref": f"#/definitions/{kind}"}}},
        }
        for kind in RESOURCES
    ]
    return {"type": "object", "properties": fields, "required": ["Type"], "additionalProperties": False, "allOf": by_type}


def closed(schema: Schema, kind: str) -> Schema:
    """A resource's schema without its prose and what only AWS's own tools read, closed where it lists its fields."""
    if "$ref" in schema:
        return {"$ref": f"#/definitions/{kind}.{schema['$ref'].rpartition('/')[2]}"}
    strict: Schema = {key: schema[key] for key in KEPT if key in schema}
    if "properties" in schema:
        strict["properties"] = {name: closed(inner, kind) for name, inner in schema["properties"].items()}
        strict["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        strict["additionalProperties"] = closed(schema["additionalProperties"], kind)
    elif "patternProperties" in schema:
        strict["additionalProperties"] = closed(next(iter(schema["patternProperties"].values())), kind)
    if isinstance(schema.get("items"), dict):
        strict["items"] = closed(schema["items"], kind)
    return strict


def reachable(known: Mapping[str, Schema], root: str) -> set[str]:
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += references(known[name])
    return seen


def references(schema: object) -> list[str]:
    if isinstance(schema, dict):
        here = [schema["$ref"].removeprefix("#/definitions/")] if isinstance(schema.get("$ref"), str) else []
        return here + [name for value in schema.values() for name in references(value)]
    return [name for value in schema for name in references(value)] if isinstance(schema, list) else []


if __name__ == "__main__":
    sys.exit(main())
