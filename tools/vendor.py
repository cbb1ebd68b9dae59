"""In: upstream's install manifests at pinned versions. Out: deploy/vendor/, one file an installation, built where there is no network.

`python tools/vendor.py` writes them; `--check` derives them again and says which differ. Needs `go`, `git`, `kubectl` and the network.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent / "deploy" / "vendor"


@dataclass(frozen=True)
class Source:
    """An upstream kustomization. `module` comes from Go's module proxy; where there is none, `repository` is cloned at the tag.

    `images` replaces the names that upstream's own sources have between releases by those of the release.
    """

    version: str
    folder: str
    images: Mapping[str, str]
    module: str = ""
    repository: str = ""

    @property
    def origin(self) -> str:
        return f"{self.module or self.repository} {self.version}, {self.folder}"


SOURCES: Mapping[str, Source] = {
    "argo-workflows": Source(
        "v3.7.18",
        "manifests/namespace-install",
        {
            "quay.io/argoproj/argocli": "quay.io/argoproj/argocli:v3.7.18",
            "quay.io/argoproj/workflow-controller": "quay.io/argoproj/workflow-controller:v3.7.18",
        },
        module="github.com/argoproj/argo-workflows/v3",
    ),
    "argo-events": Source("v1.9.6", "manifests/namespace-install", {}, module="github.com/argoproj/argo-events"),
    "jobset": Source(
        "v0.8.0",
        "config/default",
        {"us-central1-docker.pkg.dev/k8s-staging-images/jobset/jobset": "registry.k8s.io/jobset/jobset:v0.8.0"},
        module="sigs.k8s.io/jobset",
    ),
    "kueue": Source(
        "v0.19.2",
        "config/default",
        {"us-central1-docker.pkg.dev/k8s-staging-images/kueue/kueue": "registry.k8s.io/kueue/kueue:v0.19.2"},
        repository="https://github.com/kubernetes-sigs/kueue",
    ),
}
LICENSE = "Apache-2.0"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs from what upstream gives")
    parser.add_argument("names", nargs="*", choices=[[], *SOURCES], help="these alone")
    options = parser.parse_args(arguments)
    stale = []
    for name in options.names or SOURCES:
        for file, text in derive(name, SOURCES[name]).items():
            path = ROOT / name / file
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                continue
            stale.append(path.relative_to(ROOT.parent.parent).as_posix())
            if not options.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if options.check:
        for file in stale:
            print(f"{file} is not what upstream gives: run python tools/vendor.py", file=sys.stderr)
        return 1 if stale else 0
    print("\n".join(stale) or "all were current")
    return 0


def derive(name: str, source: Source) -> dict[str, str]:
    """The files of one installation, by name in its folder."""
    import yaml

    head = (
        f"# {source.origin}, as `kubectl kustomize` builds it; {LICENSE}, {upstream(source)}/blob/{source.version}/LICENSE.\n"
        "# Written by tools/vendor.py, which sets the release's images and leaves out the descriptions inside the CRDs. Do not edit.\n"
    )
    with tempfile.TemporaryDirectory() as temporary:
        objects = list(yaml.safe_load_all(build(checkout(source, temporary), source.folder)))
    for each in objects:
        shorten(each)
        pin(each, source.images)
    missing = [image for image in source.images.values() if f"image: {image}\n" not in dump(objects)]
    if missing:
        raise SystemExit(f"{name}: nothing runs {', '.join(missing)}; upstream has renamed its images")
    kustomization = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- install.yaml\n"
    return {"install.yaml": head + dump(objects), "kustomization.yaml": kustomization}


def upstream(source: Source) -> str:
    """Where the project lives."""
    return source.repository or {"sigs.k8s.io/jobset": "https://github.com/kubernetes-sigs/jobset"}.get(
        source.module, f"https://{source.module.removesuffix('/v3')}"
    )


def dump(objects: list[Any]) -> str:
    import yaml

    text: str = yaml.safe_dump_all(objects, sort_keys=False, width=10_000)
    return text


def checkout(source: Source, temporary: str) -> Path:
    """Upstream's tree at the version: from the module cache, whose sums the go tool checks, or from git."""
    if source.repository:
        subprocess.run(
            ["git", "-c", "advice.detachedHead=false", "clone", "-q", "--depth=1", "-b", source.version, source.repository, temporary],
            check=True,
        )
        return Path(temporary)
    go = shutil.which("go") or "/usr/local/go/bin/go"
    command = [go, "mod", "download", "-json", f"{source.module}@{source.version}"]
    env = {**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "on"}
    # outside of any module, so that no go.mod of the caller's has a say
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=temporary, env=env)
    return Path(json.loads(done.stdout)["Dir"])


def build(tree: Path, folder: str) -> str:
    done = subprocess.run(["kubectl", "kustomize", str(tree / folder)], capture_output=True, text=True, check=True)
    return done.stdout


def shorten(each: dict[str, Any]) -> None:
    """Leave out the prose of a CRD's schema: with it the object is too large for `kubectl apply`, which notes it in an annotation."""
    if each["kind"] == "CustomResourceDefinition":
        for version in each["spec"]["versions"]:
            bare(version.get("schema", {}).get("openAPIV3Schema", {}))


def bare(schema: Any) -> None:
    """Remove descriptions, but not properties that are called so."""
    if isinstance(schema, list):
        for item in schema:
            bare(item)
    elif isinstance(schema, dict):
        if isinstance(schema.get("description"), str):
            del schema["description"]
        for key, value in schema.items():
            if key == "properties":
                for item in value.values():
                    bare(item)
            else:
                bare(value)


def pin(value: Any, images: Mapping[str, str]) -> None:
    """Give every container the release's image."""
    if isinstance(value, list):
        for item in value:
            pin(item, images)
    elif isinstance(value, dict):
        image = value.get("image")
        if isinstance(image, str):
            value["image"] = images.get(image.rpartition(":")[0] or image, image)
        for item in value.values():
            pin(item, images)


if __name__ == "__main__":
    sys.exit(main())
