"""In: a flow whose steps ask for packages. Out: proof that with the code in the image, pods run it with what the image has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime import simulate

from flowc.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """from metaflow import FlowSpec, conda, conda_base, pypi, step


@conda_base(python="3.11.0")
class Packed(FlowSpec):
    @pypi(packages={"pandas": "2.2.0"})
    @step
    def start(self):
        self.next(self.end)

    @conda(disabled=True)
    @step
    def end(self):
        self.done = True
"""


def test_packages_are_the_images(tmp_path: Path) -> None:
    """@conda and @pypi, which Metaflow refuses outside of their environments, run with the interpreter that the image has."""
    for folder in ("image", "pods"):
        (tmp_path / folder).mkdir()
    path = tmp_path / "image" / "packed.py"
    path.write_text(FLOW)
    engine = simulate.engine(path, tmp_path / "pods", Settings(code="image", code_path=str(path.parent)))
    engine.run()
    assert simulate.results("Packed", tmp_path / "pods", engine.run_id)["end", ""]["done"] is True
