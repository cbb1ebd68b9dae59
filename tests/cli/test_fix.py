"""Facts about `flowc fix`: what it mends is safe, keeps every other byte, and is mended once; the rest is reported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.running import environment, flowc

FLOW = """\
# coding: utf-8
from metaflow import FlowSpec, retry, schedule, step   # the usual


@schedule(cron="0 6 * * {days}")   # in the morning
class HelloFlow(FlowSpec):

    @step
    def start(self):   # begins
        self.x = 'é'   ;   self.y = 1
        self.next(self.{name})

    @step
    def {name}(self):
        {body}

    @step
    def end(self): pass


if __name__ == "__main__":
    HelloFlow()
"""


def flow(name: str = "train", body: str = "self.next(self.end)", days: str = "1") -> str:
    return FLOW.format(name=name, body=body.replace("\n", "\n        "), days=days)


HELPED = "self.next(self.end)\n\ndef where(self, frame):\n    return frame.index, frame.names.index('a')"
CACHED = "    @mine.cached\n    @mine.cached\n"


CASES = {
    "reserved name": (flow("index", "print(self.index)\nself.next(self.end)"), flow("index_step", "print(self.index)\nself.next(self.end)")),
    "invalid name": (flow("trainModel"), flow("train_model")),
    "next before plain statements": (
        flow(body="# on\nself.next(self.end)  # then\nself.z = 3\nif self.z:\n    print('z')"),
        flow(body="self.z = 3\nif self.z:\n    print('z')\n# on\nself.next(self.end)  # then"),
    ),
    "next of a foreach before a print": (
        flow(body="self.next(self.end, foreach='x')\nprint('done')"),
        flow(body="print('done')\nself.next(self.end, foreach='x')"),
    ),
    "same decorator twice": (
        flow().replace("    @step\n    def train", "    @retry(times=2)  # a\n    @retry(times=2)\n    @step\n    def train"),
        flow().replace("    @step\n    def train", "    @retry(times=2)  # a\n    @step\n    def train"),
    ),
    "sunday is 0": (flow(days="7"), flow(days="0")),
    "days over the week's end": (flow(days="FRI-MON"), flow(days="FRI,SAT,SUN,MON")),
    "days to sunday": (flow(days="5-7,2"), flow(days="5,6,0,2")),
    "unused suppression": (
        flow(body="self.next(self.end)  # keep  # flowc: ignore[FC305]"),
        flow(body="self.next(self.end)  # keep"),
    ),
    "unused suppression and why it was": (
        flow(body="self.next(self.end)  # flowc: ignore[FC305] since Bob says so"),
        flow(body="self.next(self.end)  # since Bob says so"),
    ),
    "unused suppression before another comment": (
        flow(body="self.next(self.end)  # flowc: ignore[FC305]  # noqa"),
        flow(body="self.next(self.end)  # noqa"),
    ),
    "reserved name beside helpers that mean another thing": (flow("index", HELPED), flow("index_step", HELPED)),
    "same decorator twice, below another that stands twice": (
        flow().replace("    @step\n    def train", f"{CACHED}    @retry(times=2)\n    @retry(times=2)\n    @step\n    def train"),
        flow().replace("    @step\n    def train", f"{CACHED}    @retry(times=2)\n    @step\n    def train"),
    ),
    "unused suppression on its own": (flow(body="self.next(self.end)   # flowc: ignore[FC305]"), flow()),
}
LEFT = {
    "next before a return": flow(body="self.next(self.end)\nreturn"),
    "next of a foreach before a change": flow(body="self.next(self.end, foreach='x')\nself.x = 3"),
    "next of a foreach before a longer list": flow(body="xs = self.x = [1]\nself.next(self.end, foreach='x')\nxs += [2]"),
    "next of a foreach before a change by another name": flow(body="me = self\nself.next(self.end, foreach='x')\nme.x = 3"),
    "next of a gang before another size": flow(body="n = 2\nself.next(self.end, num_parallel=n)\nn = 3"),
    "next twice": flow(body="if self.x:\n    self.next(self.end)\nself.next(self.end)\nprint()"),
    "name that means something else too": flow("trainModel", "print('trainModel')\nself.next(self.end)"),
    "name in a path of Metaflow's client": flow("index", "print(f'HelloFlow/{self.x}/index')\nself.next(self.end)"),
    "name that another function may ask for": flow("index").replace("def end(self): pass", "def end(self, inputs): print(merged(inputs))"),
    "decorator that has a comment": flow().replace("    @step\n    def train", "    @retry(times=2)\n    @retry(times=2)  # a\n    @step\n    def train"),
    "new name that is taken": flow("trainModel", "self.train_model = 1\nself.next(self.end)"),
    "decorators that differ": flow().replace("    @step\n    def train", "    @retry(times=2)\n    @retry(times=3)\n    @step\n    def train"),
    "last friday": flow(days="6L"),
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return tmp_path / "flow.py"


def mended(file: Path) -> tuple[str, str]:
    """The file after a fix, and what the command counted; other mistakes may be left."""
    command = [sys.executable, "-m", "flowc", "fix", "flow.py", "--target", "argo"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode in (0, 1), done.stderr
    return file.read_bytes().decode(), done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", CASES)
def test_mends(name: str, file: Path) -> None:
    """The problem is gone, every other byte is as it was (line ends too), and a second run changes nothing."""
    wrong, right = CASES[name]
    for ends in ("\n", "\r\n"):
        file.write_bytes(wrong.replace("\n", ends).encode())
        text, told = mended(file)
        assert text == right.replace("\n", ends)
        assert told == "flowc: 1 mended in 1 of 1 file"
        assert mended(file) == (text, "flowc: 0 mended in 0 of 1 file")


@pytest.mark.parametrize("name", LEFT)
def test_leaves(name: str, file: Path) -> None:
    """What cannot be proven safe stays as it is, and is reported."""
    file.write_text(LEFT[name])
    assert flowc("fix", "flow.py", "--target", "argo", code=1).stderr.endswith("0 mended in 0 of 1 file\n")
    assert file.read_text() == LEFT[name]


def test_diff_writes_nothing(file: Path) -> None:
    """--diff prints a patch and exits with 1; the file stays."""
    wrong, _ = CASES["invalid name"]
    file.write_text(wrong)
    done = flowc("fix", "flow.py", "--diff", code=1)
    assert "-    def trainModel(self):\n+    def train_model(self):\n" in done.stdout
    assert file.read_text() == wrong


def test_several_at_once(file: Path) -> None:
    """All problems of a file are mended in one run."""
    file.write_text(flow("index", "self.next(self.end)\nself.z = 1", days="7"))
    flowc("fix", "flow.py", "--target", "argo")
    assert file.read_text() == flow("index_step", "self.z = 1\nself.next(self.end)", days="0")
