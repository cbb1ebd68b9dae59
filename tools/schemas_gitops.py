"""In: Go's module proxy, at the versions of tests/engines/gitops. Out: tests/gitops/schemas.json, what Argo CD and Flux accept.

`python tools/schemas_gitops.py`. Needs `go` and the network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    ("github.com/argoproj/argo-cd/v3", "ARGOCD", "manifests/crds/application-crd.yaml"),
    ("github.com/fluxcd/kustomize-controller", "FLUX", "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"),
    ("github.com/fluxcd/source-controller", "FLUX", "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml"),
)
"""Module, variable of build.sh with its version, file of the kind's definition."""


def main() -> None:
    import yaml

    script = (ROOT / "tests" / "engines" / "gitops" / "build.sh").read_text(encoding="utf-8")
    found = {}
    for module, variable, path in SOURCES:
        match = re.search(rf"^{variable}=(\S+)", script, re.MULTILINE)
        if match is None:
            raise SystemExit(f"build.sh does not set {variable}")
        kind = yaml.safe_load((downloaded(module, match[1]) / path).read_text(encoding="utf-8"))["spec"]
        for version in kind["versions"]:
            if version["served"]:
                found[f"{kind['group']}/{version['name']} {kind['names']['kind']}"] = closed(version["schema"]["openAPIV3Schema"])
    target = ROOT / "tests" / "gitops" / "schemas.json"
    target.write_text(json.dumps(found, sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")


def downloaded(module: str, version: str) -> Path:
    """The module's unpacked files, whose sums the go tool checks."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    command = [go, "mod", "download", "-json", f"{module}@{version}"]
    env = {**os.environ, "GOFLAGS": "-mod=mod"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", env=env)
    return Path(json.loads(done.stdout)["Dir"])


def closed(schema: Any) -> Any:
    """The schema without prose and status, where fields that are not named are wrong, as the API server takes them in strict validation."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: closed(value) for key, value in schema.items() if not (key == "description" and isinstance(value, str))}
    if isinstance(out.get("properties"), dict):
        out["properties"] = {name: {} if name in ("metadata", "status") else value for name, value in out["properties"].items()}
        if not out.get("x-kubernetes-preserve-unknown-fields") and out.get("type") == "object":
            out.setdefault("additionalProperties", False)
    return out


if __name__ == "__main__":
    main()
