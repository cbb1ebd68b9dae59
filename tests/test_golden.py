"""In: the folders of tests/fixtures. Out: each flow compiles to the files beside it, byte for byte; `--update` rewrites them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from flowc import target
from flowc.commands.files import Folder
from flowc.compiler import check, compile_flow
from flowc.diagnostics import Diagnostic, has_errors
from flowc.output import stream
from flowc.report import Found, render
from flowc.runtime import bootstrap_text
from flowc.settings import Settings
from flowc.source import SourceFile
from flowc.targets.kubernetes.coordinator import library

FIXTURES = Path(__file__).parent / "fixtures"
CASES = sorted(p.parent for p in FIXTURES.glob("*/flow.py"))
GOLDEN = {"argo": "argo.yaml", "step-functions": "stepfunctions.yaml", "kubernetes": "kubernetes.yaml"}
SETTINGS = {"events_event": "flow", "events_event_source": "webhook", "events_service_account": "argo-events"}


def _text(found: Sequence[Diagnostic]) -> str:
    return render([Found("flow.py", d) for d in found], lambda _: None, "concise")


def _short(text: str, folder: Path) -> str:
    """The output without bootstrap.py, which would change every golden whenever it changes; the case `linear` keeps it."""
    if folder.name == "linear":
        return text
    for indent in (12, 4):
        script = textwrap.indent(bootstrap_text(), " " * indent)
        text = text.replace(script, " " * indent + "(the text of flowc/bootstrap.py)\n")
    return re.sub(r"(?m)^( +Archive: )\S+$", r"\1(the bootstrap and the flow)", text)


def _short_kubernetes(text: str) -> str:
    """The output without flowc's own files in it, nor the hashes that change with them."""
    files = {"bootstrap.py": bootstrap_text(), **{path.removeprefix("flowc/"): file for path, file in library().items() if file}}
    for path, file in files.items():
        text = text.replace(textwrap.indent(file, "    "), f"    (the text of flowc/{path})\n")
    text = re.sub(r"\b(code|plan)-[0-9a-f]{8}\b", r"\1-(hash)", text)
    return re.sub(r"(\nkind: Job\nmetadata:\n  name: [-a-z0-9]+)-[0-9a-f]{8}\n", r"\1-(hash)\n", text)


def produced(folder: Path) -> dict[str, str]:
    """File name -> text, of all that a case gives: an output a target, or its diagnostics."""
    source = SourceFile("flow.py", (folder / "flow.py").read_text())
    settings = Settings(**SETTINGS)  # type: ignore[arg-type]
    checked = check(source, Folder(str(folder), {}), settings)
    if has_errors(list(checked.diagnostics)):
        return {"diagnostics.txt": _text(checked.diagnostics)}
    found = {}
    for name in target.names():
        for flow, graph in checked.flows:
            compiled = compile_flow(flow, graph, name, settings)
            problems = _text(compiled.diagnostics)
            found.update({f"{name}.diagnostics.txt": problems} if problems else {})
            text = stream(compiled.artifacts)
            short = _short_kubernetes(text) if name == "kubernetes" else _short(text, folder)
            found.update({GOLDEN[name]: short} if compiled.artifacts else {})
    return found


@pytest.mark.parametrize("folder", CASES, ids=lambda p: p.name)
def test_golden(folder: Path, request: pytest.FixtureRequest) -> None:
    """A flow gives exactly the files that stand beside it, no more and no fewer."""
    files = produced(folder)
    if request.config.getoption("--update"):
        for path in folder.iterdir():
            if path.suffix in (".yaml", ".txt") and path.name not in files:
                path.unlink()
        for name, text in files.items():
            (folder / name).write_text(text)
    outputs = {p.name: p.read_text() for p in folder.iterdir() if p.name in GOLDEN.values() or p.name.endswith("diagnostics.txt")}
    assert outputs == files


def test_every_folder_is_a_case() -> None:
    """A golden without its flow is an orphan and fails."""
    assert CASES
    assert {p for p in FIXTURES.iterdir() if p.is_dir()} == set(CASES)
