"""Facts about single rewrites of `flowc fix`: launches, deprecated names, cron lines; and why a rewrite is not made."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from cli.running import HELLO, flowc
from hypothesis import given
from hypothesis import strategies as st

from flowc.deployment.schedule import CronError, to_cron
from flowc.fix import CODES
from flowc.fix.cron import spelled

GUARD = 'if __name__ == "__main__":\n    HelloFlow()\n'
GUARDED = f"{HELLO}\n\n{GUARD}"
CONDA = GUARDED.replace("FlowSpec, step", "FlowSpec, conda, conda_base, step")


def conda(arguments: str, flow: str = "") -> str:
    """The flow with @conda on its first step, and maybe @conda_base."""
    text = CONDA.replace("    @step", f"    @conda({arguments})  # env\n    @step", 1)
    return text.replace("class", f"@conda_base({flow})\nclass", 1) if flow else text


MENDED = {
    "no launch": (HELLO, GUARDED),
    "no launch, no newline at the end": (HELLO.rstrip("\n"), GUARDED),
    "no launch, tabs": (HELLO.replace("    ", "\t"), GUARDED.replace("    ", "\t")),
    "launch at the top level": (f"{HELLO}\n\n# go\nHelloFlow()  # now\n", f'{HELLO}\n\n# go\nif __name__ == "__main__":\n    HelloFlow()  # now\n'),
    "launch in the middle": (f"{HELLO}\n\nHelloFlow()\nprint('x')\n", f"{GUARDED}print('x')\n"),
    "libraries": (conda('python="3.11", libraries={"numpy": "1.26.4"}'), conda('python="3.11", packages={"numpy": "1.26.4"}')),
    "libraries of all steps": (conda("", 'libraries={"numpy": "1"}, disabled=True'), conda("", 'packages={"numpy": "1"}, disabled=True')),
}
LEFT = {
    "launch beside another statement": (f"{HELLO}\n\nx = 1; HelloFlow()\n", "other statements stand on the line of the call"),
    "a guard that calls something else": (f'{HELLO}\n\nif __name__ == "__main__":\n    print()\n', "the file asks for `__name__` already"),
    "a name that also means something else": (
        HELLO.replace("self.next", "HelloFlow = 1\n        self.next"),
        "`HelloFlow` is assigned again in the file",
    ),
    "libraries and packages": (conda('libraries={"a": "1"}, packages={"b": "1"}'), "`packages` may stand beside it; move the libraries there"),
    "libraries from elsewhere": (
        conda("**COMMON").replace("class", 'COMMON = {"libraries": {"a": "1"}}\n\n\nclass', 1),
        "`libraries` is not written where the decorator stands",
    ),
    "a reserved name in a text": (
        GUARDED.replace("self.end)", "self.index)", 1).replace(
            "    @step\n    def end", "    @step\n    def index(self):\n        print('index')\n        self.next(self.end)\n\n    @step\n    def end"
        ),
        "a text in the file is `index` too, and may mean the step",
    ),
    "a reserved name that may be asked for": (
        GUARDED.replace("self.end)", "self.index)", 1).replace(
            "    @step\n    def end", "    @step\n    def index(self):\n        getattr(self, self.x)\n        self.next(self.end)\n\n    @step\n    def end"
        ),
        "the file reads attributes by names that it makes",
    ),
    "next not last, before what may change it": (
        GUARDED.replace("self.next(self.end)", 'self.next(self.end, foreach="xs")\n        self.xs = [1]'),
        "a statement after self.next() could change what its arguments read",
    ),
    "next not last, before a return": (
        GUARDED.replace("self.next(self.end)", "self.next(self.end)\n        return"),
        "a statement after self.next() leaves the step",
    ),
    "next not last on its line": (
        GUARDED.replace("self.next(self.end)", 'self.next(self.end); print("x")'),
        "self.next() shares its line with other statements",
    ),
    "next not last, in an if": (
        GUARDED.replace("self.next(self.end)", "if self.name:\n            self.next(self.end)"),
        "self.next() is inside another statement",
    ),
    "next not last, twice": (
        GUARDED.replace("self.next(self.end)", "self.next(self.end)\n        self.next(self.end)\n        print()"),
        "it has more than one self.next()",
    ),
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return tmp_path / "flow.py"


@pytest.mark.parametrize("name", MENDED)
def test_mends(name: str, file: Path) -> None:
    """The problem is gone, all else is as it was; --diff is exactly that change, as git itself applies it; a second run changes nothing."""
    wrong, right = MENDED[name]
    for ends in ("\n", "\r\n"):
        file.write_bytes(wrong.replace("\n", ends).encode())
        patch = flowc("fix", "flow.py", "--diff", code=1).stdout
        done = flowc("fix", "flow.py")
        assert done.stderr.endswith("flowc: 1 mended in 1 of 1 file\n")
        assert file.read_bytes() == right.replace("\n", ends).encode()
        assert flowc("fix", "flow.py").stderr.endswith("flowc: 0 mended in 0 of 1 file\n")
        if ends == "\n" and wrong.endswith("\n"):
            file.write_text(wrong)
            subprocess.run(["patch", "-s", "flow.py"], input=patch, text=True, check=True)
            assert file.read_text() == right


@pytest.mark.parametrize("name", LEFT)
def test_says_why_not(name: str, file: Path) -> None:
    """What is not safe stays, and the reason is told with its place and code."""
    wrong, reason = LEFT[name]
    file.write_text(wrong)
    done = flowc("fix", "flow.py", code=1 if "reserved" in name or "next" in name else 0)
    assert re.search(rf"^flowc: flow\.py:\d+: FC\d+ is left: {re.escape(reason)}", done.stderr, re.MULTILINE), done.stderr
    assert file.read_text() == wrong


@pytest.mark.parametrize("odd", ["\f\n" + HELLO.replace("    @step", "\f    @step", 1), HELLO + f"\n\nX = {'+'.join('1' * 800)}\n"])
def test_a_file_that_libcst_cannot_read(odd: str, file: Path) -> None:
    """Python reads some files that LibCST does not: they stay as they are, and that is told."""
    file.write_text(odd)
    assert "FC111 is left: LibCST, by which files are rewritten, cannot read this one" in flowc("fix", "flow.py").stderr
    assert "flow.py: LibCST, by which files are rewritten, cannot read this one" in flowc("graduate", "flow.py", "--retry", "1", code=2).stderr
    assert file.read_text() == odd


def test_a_step_that_another_file_names(file: Path) -> None:
    """A base class in another file that leads to the step by its name keeps it from being renamed."""
    (file.parent / "base.py").write_text(HELLO.replace("HelloFlow", "Base").replace("self.next(self.end)", "self.next(self.trainModel)"))
    wrong = "from base import Base\nfrom metaflow import step\n\n\nclass HelloFlow(Base):\n    @step\n    def trainModel(self):\n        self.next(self.end)\n"
    file.write_text(f"{wrong}\n\n{GUARD}")
    done = flowc("fix", "flow.py", code=1)
    assert "FC210 is left: another file uses the step by its name" in done.stderr
    assert file.read_text() == f"{wrong}\n\n{GUARD}"


def test_a_step_that_a_class_of_the_file_names(file: Path) -> None:
    """A step is renamed in the transitions of every class of its family."""
    base = HELLO.replace("HelloFlow(FlowSpec)", "Base(FlowSpec)").replace("self.next(self.end)", "self.next(self.index)")
    rest = "\n\nclass HelloFlow(Base):\n    @step\n    def index(self):\n        self.next(self.end)\n\n\n"
    file.write_text(base + rest + GUARD)
    flowc("fix", "flow.py")
    assert file.read_text() == (base + rest).replace("self.index", "self.index_step").replace("def index", "def index_step") + GUARD


def test_another_flow_of_the_file_keeps_its_step(file: Path) -> None:
    """A step is renamed in its own flow; the step of the same name in another flow of the file is none of it."""
    one = HELLO.replace("self.next(self.end)", "self.next(self.index)\n\n    @step\n    def index(self):\n        self.next(self.end)")
    other = one.partition("\n\n\n")[2].replace("HelloFlow", "OtherFlow")
    file.write_text(f"{one}\n\n{other}")
    assert "FC209 is left: `index_step`, the name that it would get, is taken or none" in flowc("fix", "flow.py", code=1).stderr
    renamed = one.replace("self.index", "self.index_step").replace("def index", "def index_step")
    assert file.read_text() == f"{renamed}\n\n{other}"


def test_the_page_lists_what_is_mended() -> None:
    """The table of the page has a row for each code that can be mended, and no other."""
    page = (Path(__file__).parents[2] / "docs" / "gitops.md").read_text(encoding="utf-8")
    table = page.partition("## What can be mended")[2].partition("## ")[0]
    assert tuple(re.findall(r"^\| (FC\d+) \|", table, re.MULTILINE)) == CODES


@pytest.mark.parametrize(
    ("imports", "statement", "found"),
    [
        ("FlowSpec, current, step", "print(current.tags)", True),
        ("FlowSpec, current as now, step", "print(now.tags)", True),
        ("FlowSpec, step", "current = self.x; print(current.tags)", False),
        ("FlowSpec, step", "print(self.script_name)", True),
        ("FlowSpec, step", "self.cmd('ls')", True),
        ("FlowSpec, step", "self.cmd = 'ls'; print(self.cmd)", False),
        ("FlowSpec, step", "self.tags = 1; print(self.tags)", False),
    ],
)
def test_legacy_members(imports: str, statement: str, found: bool, file: Path) -> None:
    """What Metaflow calls legacy is told, and nothing of the user's that has the same name; it has no rewrite, so it stays."""
    text = GUARDED.replace("FlowSpec, step", imports).replace("self.next(self.end)", f"{statement}\n        self.next(self.end)")
    file.write_text(text)
    assert ("FC391" in flowc("check", "flow.py", "--output-format", "concise").stdout) is found
    flowc("fix", "flow.py")
    assert file.read_text() == text


def test_require_guard(file: Path) -> None:
    """A missing launch is a warning where the settings want one; several flows in a file need none."""
    file.write_text(HELLO)
    assert "FC111" not in flowc("check", "flow.py").stdout
    assert "FC111" in flowc("check", "flow.py", "--require-guard", "--output-format", "concise").stdout
    (file.parent / "flowc.toml").write_text("require-guard = true\n")
    assert "FC111" in flowc("check", "flow.py", "--output-format", "concise").stdout
    file.write_text(HELLO + HELLO.replace("HelloFlow", "OtherFlow"))
    assert "FC111" not in flowc("check", "flow.py", "--output-format", "concise").stdout


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("0 6 * * 7", "0 6 * * 0"),
        ("0 6 * * 0-7", "0 6 * * 0,1,2,3,4,5,6"),
        ("0 6 * * 6-2", "0 6 * * 6,0,1,2"),
        ("0 22-2 * * *", "0 22-23,0-2 * * *"),
        ("50-10/10 * * * *", "50,0,10 * * * *"),
        ("0 6 28-3 * *", "0 6 28-31,1-3 * *"),
        ("0 6 1 NOV-FEB *", "0 6 1 NOV-DEC,JAN-FEB *"),
        ("0 6 1 January,march *", "0 6 1 JAN,MAR *"),
        ("0 6 * * Monday-Friday", "0 6 * * MON-FRI"),
        ("0 6 * * thursday", "0 6 * * THU"),
        ("0 10 ? * FRI-MON *", "0 10 ? * FRI,SAT,SUN,MON *"),
        ("0 10 ? * 6-2 *", "0 10 ? * 6,7,1,2 *"),
        ("0 0 6 ? * MON *", "0 6 ? * MON *"),
        ("@Daily", "@daily"),
        ("@every 1d12h", "@every 24h12h"),
        ("@every 1.5d", None),
        ("0 10 ? * 6L *", None),
        ("0 10 L * ? *", None),
        ("0 10 15W * ? *", None),
        ("0 10 ? * 2#1 *", None),
        ("0 10 * * ? 2027", None),
        ("30 0 6 ? * MON *", None),
        ("0 25 * * *", None),
        ("@reboot", None),
        ("6 o'clock", None),
    ],
)
def test_cron_lines(line: str, right: str | None) -> None:
    """A line that clusters do not read becomes one that they do, where one says the same; what five fields cannot say is left."""
    with pytest.raises(CronError):
        to_cron(line)
    assert spelled(line) == right


def values(text: str, low: int, high: int) -> set[int]:
    """The values of a cron field as written, a range over its end included; 7 is Sunday where days go to 6."""
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        numbers = [0 if high == 6 and first == "7" and last and int(last) < 7 else int(first)]  # the Sunday before 1, not one more
        while last and numbers[-1] != int(last):
            numbers.append(numbers[-1] + 1 if numbers[-1] < max(high, int(last) if int(first) <= int(last) else high) else low)
        found |= {low + (number - low) % (high - low + 1) for number in numbers[:: int(step or 1)]}
    return found


@given(st.data())
def test_ranges_mean_the_same(data: st.DataObject) -> None:
    """However a range is written out, its values are those that it had; no other field changes."""
    fields = [(0, 59, 59), (0, 23, 23), (1, 31, 31), (1, 12, 12), (0, 6, 7)]
    at = data.draw(st.integers(0, 4))
    low, high, top = fields[at]
    ends = st.integers(low, top)
    item = st.builds(lambda a, b, step: f"{a}-{b}{f'/{step}' if step else ''}", ends, ends, st.integers(0, 4))
    text = ",".join(data.draw(st.lists(item, min_size=1, max_size=3)))
    parts = ["*"] * 5
    parts[at] = text
    done = spelled(" ".join(parts))
    assert done is not None
    left = done.split()
    assert [part for number, part in enumerate(left) if number != at] == ["*"] * 4
    assert values(left[at], low, high) == values(text, low, high)
