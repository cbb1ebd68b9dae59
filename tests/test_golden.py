"""In: the folders of tests/fixtures. Out: each flow compiles to the files beside it, byte for byte; `--update` rewrites them."""

from __future__ import annotations

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

FIXTURES = Path(__file__).parent / "fixtures"
CASES = sorted(p.parent for p in FIXTURES.glob("*/flow.py"))
GOLDEN = {"argo": "argo.yaml", "step-functions": "stepfunctions.yaml"}
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
    return text


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
            found.update({GOLDEN[name]: _short(stream(compiled.artifacts), folder)} if compiled.artifacts else {})
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
