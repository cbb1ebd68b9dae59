"""In: a Flow and where its code comes from (Settings.code). Out: how a pod gets the code: raw artifacts, a ConfigMap, or the image."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.ir import Flow
from flowc.runtime import CODE, SCRIPT, bootstrap_text
from flowc.settings import Settings
from flowc.target import short_hash

# Argo hands the whole template to each pod in one environment variable, which Linux limits to 131,072 bytes. What the
# variable holds besides code (resources, volumes, annotations) is a few kilobytes, and grows when Argo fills in defaults.
RAW_LIMIT = 90_000
CONFIG_MAP_LIMIT = 1_000_000

BASE = sample()

TOO_BIG = Code(
    "FC440",
    "the code is too big to be embedded",
    "Embedded code travels in the manifest: small code in the template, larger code in a ConfigMap, which Kubernetes limits to 1 MiB.",
    bad=Example({"flow.py": BASE + "\n\nTABLE = '" + "x" * 1_100_000 + "'\n"}, target="argo"),
    good=Example({"flow.py": BASE}, target="argo"),
)
IMAGE_PATH = Code(
    "FC441",
    "the place of the flow in the image is not known",
    "With the code in the image, pods must be told where: `--code image` needs `--code-path /app`, the absolute path of the flow's folder.",
    bad=Example({"flow.py": BASE}, line=4, target="argo", settings={"code": "image"}),
    good=Example({"flow.py": BASE}, target="argo", settings={"code": "image", "code_path": "/app"}),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the pods of one flow need to find its code. `data` is the content of the ConfigMap called `config_map`, if there is one."""

    artifacts: tuple[Mapping[str, Any], ...]
    config_map: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Mapping[str, Any], ...] = ()
    mounts: tuple[Mapping[str, Any], ...] = ()


def deliver(flow: Flow, name: str, settings: Settings, *, mounted: bool, expands: bool = True) -> Delivery:
    """`mounted`: some pods are not Argo's own (a JobSet's), so that only a volume reaches them. `expands`: the engine rewrites `{{`."""
    files = _files(flow, settings, expands=expands)
    if not mounted and _size(files) <= RAW_LIMIT:
        artifacts = tuple(_artifact(i, path, text) for i, (path, text) in enumerate(files.items()))
        return Delivery(artifacts)
    keys = {path: f"{i}-{path.rsplit('/', 1)[-1]}" for i, path in enumerate(files)}
    data = {keys[path]: text for path, text in files.items()}
    config_map = f"{name[:40].rstrip('.-')}-code-{short_hash(json.dumps(data))}"
    items = [{"key": keys[path], "path": path.removeprefix("/flowc/")} for path in files]
    volume = {"name": "flowc", "configMap": {"name": config_map, "items": items}}
    mount = {"name": "flowc", "mountPath": "/flowc", "readOnly": True}
    return Delivery((), config_map, data, (volume,), (mount,))


def check(flow: Flow, settings: Settings) -> list[Diagnostic]:
    """FC440 and FC441: whether the code can be delivered at all."""
    if settings.code == "image":
        if settings.code_path and settings.code_path.startswith("/"):
            return []
        help_ = "say in which folder of the image the flow is: --code-path /app"
        return [Diagnostic(IMAGE_PATH, "the path of the flow in the image is not given", flow.span, help=help_)]
    total = _size(_files(flow, settings))
    if total <= CONFIG_MAP_LIMIT:
        return []
    message = f"the flow's code takes {total:,} bytes; a ConfigMap holds {CONFIG_MAP_LIMIT:,}"
    sizes = sorted(((len(m.text), m.path) for m in (flow.source, *flow.modules)), reverse=True)[:3]
    note = "largest: " + ", ".join(f"{path} ({size:,} characters)" for size, path in sizes)
    return [Diagnostic(TOO_BIG, message, None, note=note, help="bake the code into the image: --code image --code-path /app")]


def _file_name(flow: Flow) -> str:
    return flow.source.path.rsplit("/", 1)[-1]


def _files(flow: Flow, settings: Settings, *, expands: bool = True) -> dict[str, str]:
    """Path in the pod -> text. What the engine would misread, or is no text, is base64 in a folder of its own."""
    files = {SCRIPT: bootstrap_text()}
    if settings.code == "image":
        return files
    for path, text in [(_file_name(flow), flow.source.text), *((m.path, m.text) for m in flow.modules)]:
        files.update([_file(path, text.encode(), expands)])
    files.update(_file(f.path, f.data, expands) for f in flow.files)
    return files


def _file(path: str, data: bytes, expands: bool) -> tuple[str, str]:
    try:
        text = data.decode() or "\n"  # an empty `__init__.py`: Argo takes no empty artifact
    except UnicodeDecodeError:
        text = ""
    # Argo expands `{{` wherever it stands and has no escape for it; YAML folds a lone carriage return.
    return (f"{CODE}/{path}", text) if _plain(text, expands) else (f"/flowc/b64/{path}", base64.b64encode(data).decode())


def _plain(text: str, expands: bool) -> bool:
    return bool(text) and not (expands and "{{" in text) and all(c.isprintable() or c in "\n\t" for c in text)


def _size(files: Mapping[str, str]) -> int:
    """Bytes as the JSON string that Argo makes of them."""
    return sum(len(json.dumps(text, ensure_ascii=False).encode()) + len(path) for path, text in files.items())


def _artifact(index: int, path: str, text: str) -> dict[str, Any]:
    return {"name": "boot" if path == SCRIPT else f"code-{index}", "path": path, "raw": {"data": text}}
