"""In: upstream's schemas, out of Go modules at pinned versions. Out: schemas/*/*.json, cut to the kinds that flowc writes and made strict.

`python tools/schemas.py` writes them; `--check` derives them again and says which differ. Needs `go` and the module proxy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).resolve().parent.parent / "schemas"
Schema = dict[str, Any]

ARGO = "io.argoproj.workflow.v1alpha1."
META = "io.k8s.apimachinery.pkg.apis.meta.v1."


@dataclass(frozen=True)
class Source:
    """One upstream file, and the definitions in it that are whole objects."""

    module: str
    path: str
    kinds: tuple[str, ...]


KUBERNETES = Source(
    "k8s.io/kubernetes@v1.33.13",
    "api/openapi-spec/swagger.json",
    (
        "io.k8s.api.batch.v1.CronJob",
        "io.k8s.api.batch.v1.Job",
        "io.k8s.api.core.v1.ConfigMap",
        "io.k8s.api.core.v1.PersistentVolumeClaim",
        "io.k8s.api.core.v1.Secret",
        "io.k8s.api.core.v1.ServiceAccount",
        "io.k8s.api.rbac.v1.Role",
        "io.k8s.api.rbac.v1.RoleBinding",
    ),
)
WORKFLOWS = (ARGO + "CronWorkflow", ARGO + "Workflow", ARGO + "WorkflowTemplate")
OUTPUTS: Mapping[str, Source] = {
    "argo/3.7.json": Source("github.com/argoproj/argo-workflows/v3@v3.7.18", "api/jsonschema/schema.json", WORKFLOWS),
    "argo/4.0.json": Source("github.com/argoproj/argo-workflows/v4@v4.0.7", "api/jsonschema/schema.json", WORKFLOWS),
    "argo/sensor.json": Source(
        "github.com/argoproj/argo-events@v1.9.6", "api/jsonschema/schema.json", ("io.argoproj.events.v1alpha1.Sensor",)
    ),
    "kubernetes/1.33.json": KUBERNETES,
    "kubernetes/jobset.json": Source("sigs.k8s.io/jobset@v0.8.0", "hack/python-sdk/swagger.json", ("jobset.v1alpha2.JobSet",)),
}

# Where upstream's files say less or other than the Go types that read the objects.
# The grammar of apimachinery's resource.ParseQuantity, which reads them when the object is decoded.
QUANTITY = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
AMENDED: Mapping[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"], "pattern": QUANTITY},
    ARGO + "Amount": {"type": "number"},
    ARGO + "NoneStrategy": {"type": "object", "additionalProperties": False},
    ARGO + "ZipStrategy": {"type": "object", "additionalProperties": False},
    ARGO + "SuppliedValueFrom": {"type": "object", "additionalProperties": False},
    ARGO + "RetryNodeAntiAffinity": {"type": "object", "additionalProperties": False},
}
# An image may come from templateDefaults, which upstream's own schema overlooks; the semantic rules ask for it instead.
NOT_REQUIRED: Mapping[str, tuple[str, ...]] = {"io.k8s.api.core.v1.Container": ("image",)}
# The server's own fields: flowc never writes them, and leaving them out drops what only they refer to.
SERVER_FIELDS = {META + "ObjectMeta": ("managedFields", "selfLink")}
# JobSet's file refers to Kubernetes' definitions by short names.
SHORT_NAMES = {"v1.ObjectMeta": META + "ObjectMeta", "v1.JobTemplateSpec": "io.k8s.api.batch.v1.JobTemplateSpec"}
# How a list is merged with a patch travels along: judges of JSON pass over it, flowc's overlays read it.
KEPT = ("type", "enum", "required", "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy")
DROPPED = ("description", "title", "format", "default", "$id", "const")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs from what upstream gives")
    options = parser.parse_args(arguments)
    stale = []
    for name, source in OUTPUTS.items():
        text = derive(source)
        path = ROOT / name
        if options.check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"schemas/{name} is not what {OUTPUTS[name].module} gives: run python tools/schemas.py", file=sys.stderr)
    return 1 if stale else 0


def derive(source: Source) -> str:
    """The text of one schema file, one definition a line so that an upgrade shows as a short diff."""
    upstream = definitions(source)
    if source.module.startswith("sigs.k8s.io/jobset"):
        upstream = {**definitions(KUBERNETES), **upstream}
    kinds = {name.rpartition(".")[2]: name for name in source.kinds}
    strict: dict[str, Schema] = {name: whole(name, upstream[name], source) for name in kinds.values()}
    waiting = list(strict)
    while waiting:
        for name in references(strict[waiting.pop()]):
            if name not in strict:
                strict[name] = AMENDED.get(name) or definition(name, upstream[name])
                waiting.append(name)
    head = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": f"{source.path} of {source.module}, cut and made strict by tools/schemas.py",
        "oneOf": [{"$ref": f"#/definitions/{name}"} for name in kinds.values()],
        "kinds": {kind: {"$ref": f"#/definitions/{name}"} for kind, name in kinds.items()},
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    body = ",\n".join(f"{json.dumps(name)}: {json.dumps(strict[name], sort_keys=True)}" for name in sorted(strict))
    return "{" + ",\n".join(lines) + ',\n"definitions": {\n' + body + "\n}}\n"


def definitions(source: Source) -> dict[str, Schema]:
    """The definitions of an upstream file, from the module cache (the go tool fills it and checks its sum)."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    command = [go, "mod", "download", "-json", source.module]
    # Outside of any module, so that no go.mod of the caller's has a say.
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "on"}
    )
    found: dict[str, Schema] = json.loads((Path(json.loads(done.stdout)["Dir"]) / source.path).read_text(encoding="utf-8"))["definitions"]
    return found


def whole(name: str, schema: Schema, source: Source) -> Schema:
    """An object that stands alone: its apiVersion and kind are fixed and required, its status is the server's."""
    strict = definition(name, schema)
    properties = strict["properties"]
    group_kinds = schema.get("x-kubernetes-group-version-kind")
    if group_kinds:
        api, kind = "/".join(filter(None, (group_kinds[0]["group"], group_kinds[0]["version"]))), group_kinds[0]["kind"]
    elif "const" in schema["properties"]["apiVersion"]:
        api, kind = schema["properties"]["apiVersion"]["const"], schema["properties"]["kind"]["const"]
    elif name == "jobset.v1alpha2.JobSet":
        api, kind = "jobset.x-k8s.io/v1alpha2", "JobSet"
    else:
        raise ValueError(f"{source.module}: {name} does not say which apiVersion it is")
    properties.pop("status", None)
    properties["apiVersion"] = {"enum": [api], "type": "string"}
    properties["kind"] = {"enum": [kind], "type": "string"}
    strict["required"] = sorted({*strict.get("required", ()), "apiVersion", "kind", "metadata"})
    return strict


def definition(name: str, schema: Schema) -> Schema:
    """A definition without its prose, closed where it lists its fields."""
    strict = closed(schema, name)
    required = [field for field in strict.get("required", ()) if field not in NOT_REQUIRED.get(name, ())]
    strict.pop("required", None)
    if required:
        strict["required"] = sorted(required)
    for field in SERVER_FIELDS.get(name, ()):
        strict["properties"].pop(field, None)
    return strict


def closed(schema: Schema, where: str) -> Schema:
    """A schema of the few keywords that upstream uses; ValueError on a new one, which may not go with closed objects as it stands."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {"$ref": f"#/definitions/{SHORT_NAMES.get(name, name)}"}
    strict: Schema = {}
    for key, value in schema.items():
        if key in KEPT:
            strict[key] = value
        elif key == "properties":
            strict[key] = {field: closed(inner, f"{where}.{field}") for field, inner in value.items()}
            strict["additionalProperties"] = False
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            strict[key] = closed(value, f"{where}.{key}")
        elif key == "x-kubernetes-list-map-keys" and where.startswith("jobset.") and len(value) == 1:
            # a custom resource has no strategic merge of its own; this is the key by which the API server merges it when it applies
            strict |= {"x-kubernetes-patch-merge-key": value[0], "x-kubernetes-patch-strategy": "merge"}
        elif key not in DROPPED and not key.startswith("x-kubernetes-"):
            raise ValueError(f"{where}: the keyword {key} is new; decide what it means beside additionalProperties: false")
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.pop("additionalProperties", None)
    return strict


def references(schema: object) -> Iterable[str]:
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.rpartition("/")[2]
            else:
                yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


if __name__ == "__main__":
    sys.exit(main())
