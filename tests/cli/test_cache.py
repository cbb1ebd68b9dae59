"""Facts about what `flowc check` keeps: whatever is edited, a check that uses it says byte for byte what one without it says."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.running import BROKEN, HELLO, environment, flowc
from cli.test_plugin import PLUGIN
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowc import cli
from flowc.commands import cache, digests, options, parallel
from flowc.report import FORMATS

SETTINGS = 'flows = ["flows/*.py"]\n'
FLOW = """\
from metaflow import Config, FlowSpec, Parameter, environment, resources, retry, step

from common import shared


class {name}(FlowSpec):
    config = Config("config", default="conf.json")
    size = Parameter("size", default=shared.SIZE)

    @resources(cpu=shared.CPU)
    @environment(vars={{"SIZE": config.size}})
    @retry(times=TIMES)
    @step
    def start(self):
        self.next(self.end)  # flowc: ignore[FC305]

    @step
    def end(self):
        pass
"""
FLOWS = [
    HELLO,
    BROKEN,
    "import other\n" + HELLO,
    "# coding: utf-9\n" + HELLO,
    HELLO.replace("pass", "pass  # flowc: ignore[FC305]"),
    HELLO + HELLO.replace("HelloFlow", "SecondFlow"),
    FLOW.format(name="FirstFlow"),
    "TIMES = 3\n" + FLOW.format(name="FirstFlow"),
    "def broken(:\n",
    "x = 1\n",
    "\ud800",
]
MODULES = ["CPU = 2\nSIZE = 1\n", 'CPU = "many"\nSIZE = 1\n', "CPU = 2\n", "CPU = f(\n", "import os\nCPU = os.cpu_count()\nSIZE = 2\n"]
CONFIGS = ['{"size": "1"}', '{"size": 2}', "{}", "{"]
TABLES = [
    "",
    '[per-file-ignores]\n"flows/a.py" = ["FC190"]\n',
    '[values]\n"TIMES" = 2\n',
    'image = "-"\n[env.prod]\nnamespace = "prod"\n[env.prod.values]\n"shared.CPU" = 4\n',
    'templates = "mine"\n',
    'image = 3\n',
]
NAMES = ["a.py", "b.py", "common/shared.py", "common/__init__.py", "conf.json", "other.py", "other/__init__.py"]
EDITS = st.one_of(
    st.tuples(st.sampled_from(["a.py", "b.py"]), st.sampled_from(FLOWS)),
    st.tuples(st.sampled_from(["common/shared.py", "common/__init__.py", "other.py", "other/__init__.py"]), st.sampled_from(MODULES)),
    st.tuples(st.sampled_from(["../common/shared.py", "../other.py"]), st.sampled_from([MODULES[0], "remove", "folder"])),
    st.tuples(st.just("conf.json"), st.sampled_from(CONFIGS)),
    st.tuples(st.just("../flowc.toml"), st.sampled_from([SETTINGS + table for table in TABLES])),
    st.tuples(st.just("../mine/argo/workflow.yaml.j2"), st.sampled_from(["", "{{"])),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["touch", "remove", "link", "folder"])),
)
RUNS = st.tuples(
    st.sampled_from([[], ["flows/a.py"], ["flows/*.py"], ["flows/a.py:HelloFlow"], ["flows/a.py", "flows/b.py"]]),
    st.sampled_from([[], ["--target", "argo"], ["--env", "prod"], ["--value", "TIMES=5"], ["--allow-no-flow"], ["--baseline", "known.json"]]),
)


@contextlib.contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def told(*arguments: str) -> tuple[int, str, str]:
    """What a process would say: its exit code and both its streams."""
    options.forget()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(["check", *arguments])
    return code, out.getvalue(), err.getvalue()


def edit(path: Path, what: str, outside: Path) -> None:
    """Give the file that content, or do to it what the word says."""
    if what == "touch":
        if path.exists():
            os.utime(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        path.rmdir()
    elif os.path.lexists(path):
        path.unlink()
    if what == "link":
        path.symlink_to(outside)
    elif what == "folder":
        path.mkdir()
    elif what != "remove":
        path.write_bytes(what.encode(errors="surrogatepass"))


def after(path: str, what: str, *flags: str) -> list[tuple[tuple[str, str], tuple[list[str], list[str]]]]:
    """A check of all flows, an edit, and the same check."""
    return [(("a.py", "touch"), ([], [*flags])), ((path, what), ([], [*flags]))]


@settings(max_examples=40, deadline=None)
@example(after("../flowc.toml", SETTINGS + TABLES[1]))
@example(after("../flowc.toml", SETTINGS + TABLES[3], "--env", "prod"))
@example(after("../flowc.toml", SETTINGS + TABLES[4], "--target", "argo"))
@example(after("common/shared.py", MODULES[1]))
@example(after("conf.json", CONFIGS[2]))
@example(after("conf.json", "remove"))
@example([*after("a.py", FLOWS[6]), (("a.py", "touch"), ([], ["--value", "TIMES=5"]))])
@example([*after("b.py", FLOWS[2]), (("other.py", MODULES[3]), ([], [])), (("other.py", "link"), ([], []))])
@given(st.lists(st.tuples(EDITS, RUNS), min_size=1, max_size=6))
def test_a_kept_verdict_is_that_of_a_fresh_check(steps: list[tuple[tuple[str, str], tuple[list[str], list[str]]]]) -> None:
    """After any edits, of flows, of what they import or looked for, of settings, flags or targets, in every format: the same bytes."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch, standing_in(Path(name)):
        # the notes of digests are in use at once, and as soon as the clock of this file system has gone on
        patch.setattr(cache, "MANY", 1)
        patch.setattr(cache, "WORTH", 1)
        patch.setattr(digests, "SETTLED", 10_000_000)
        folder = Path(name)
        (folder / ".git").mkdir()
        outside = folder.parent / f"{folder.name}.py"
        outside.write_text(HELLO)
        first = {"flowc.toml": SETTINGS, "flows/a.py": FLOWS[7], "flows/b.py": HELLO, "known.json": "{}"}
        first |= {"flows/conf.json": CONFIGS[0], "flows/common/__init__.py": "", "flows/common/shared.py": MODULES[0]}
        for path, text in first.items():
            edit(folder / path, text, outside)
        try:
            told()
            for (path, what), (files, flags) in steps:
                edit(folder / "flows" / path, what, outside)
                time.sleep(0.015)
                for form in FORMATS:
                    arguments = [*files, *flags, "--output-format", form]
                    assert told(*arguments) == told(*arguments, "--no-cache")
        finally:
            outside.unlink()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "flowc.toml").write_text(SETTINGS)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "a.py").write_text(FLOWS[4])
    (tmp_path / "flows" / "b.py").write_text(HELLO.replace("HelloFlow", "OtherFlow"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def entries(folder: Path) -> dict[str, dict[str, object]]:
    """All verdicts that are kept, by name."""
    return {name: entry for path in folder.rglob("[0-9][0-9].json") for name, entry in json.loads(path.read_text())["flows"].items()}


LOADED = "import sys; from flowc import cli; cli.run(sys.argv[1:]); print(*sorted(sys.modules), file=sys.stderr)"


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_found_is_told_again_without_the_compiler(repository: Path, form: str) -> None:
    """Where nothing has changed, neither the compiler nor what it stands on is loaded, and the report has its snippets all the same."""
    arguments = ["check", "--output-format", form]  # for argo, as the settings have it
    fresh, again = (
        subprocess.run([sys.executable, "-c", LOADED, *arguments], env=environment(), capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert fresh.stdout == again.stdout != ""
    assert "flowc.compiler" in fresh.stderr.split()
    heavy = {"flowc.compiler", "flowc.frontend", "flowc.ir", "flowc.graph", "flowc.output", "jinja2", "yaml", "jsonschema_rs", "concurrent.futures"}
    assert heavy & set(again.stderr.split()) == set()


def test_only_what_changed_is_found_anew(repository: Path) -> None:
    """A verdict that still holds is taken as it stands in the cache, and a changed file's is not."""
    assert told()[0] == 0
    (path,) = [path for path in (repository / ".flowc_cache").rglob("*.json") if "flows/b.py" in path.read_text()]
    path.write_text(path.read_text().replace('"flows":1', '"flows":41'))
    assert "flowc: 42 flows checked in 2 files" in told()[2]
    (repository / "flows" / "b.py").write_text(HELLO + "\n")
    assert "flowc: 2 flows checked in 2 files" in told()[2]


def test_a_check_for_another_target_leaves_the_others(repository: Path) -> None:
    """Verdicts for each target and environment are kept beside one another."""
    (repository / "flowc.toml").write_text(SETTINGS + "[env.prod]\n")
    every = [[], ["--target", "argo"], ["--env", "prod"], ["--target", "argo", "--env", "prod"]]
    for flags in every:
        told(*flags)
    for path in (repository / ".flowc_cache").rglob("*.json"):
        path.write_text(path.read_text().replace('"flows":1', '"flows":3'))
    for flags in every:
        assert "flowc: 6 flows checked" in told(*flags)[2]


def test_entries_of_files_that_are_gone_go(repository: Path) -> None:
    """The cache does not grow with every file there ever was."""
    told()
    (repository / "flows" / "b.py").unlink()
    kept = repository / ".flowc_cache"
    for number in range(200):
        (repository / "flows" / f"c{number}.py").write_text(HELLO)
    told()
    assert {name.partition("\n")[0] for name in entries(kept)} == {path.relative_to(repository).as_posix() for path in (repository / "flows").iterdir()}


def test_where_it_is_kept(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Beside the settings file, where neither git nor backups take it; elsewhere where $FLOWC_CACHE_DIR says so; nowhere without a repository."""
    other = tmp_path_factory.mktemp("other")
    flowc("check", FLOWC_CACHE_DIR=str(other))
    assert not (repository / ".flowc_cache").exists()
    assert len(entries(other)) == 2
    flowc("check", "--no-cache")
    flowc("check", "--isolated", "flows/a.py")
    assert not (repository / ".flowc_cache").exists()
    flowc("check")
    assert (repository / ".flowc_cache" / ".gitignore").read_text() == "*\n"
    assert (repository / ".flowc_cache" / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    (repository / "flowc.toml").unlink()
    with standing_in(repository / "flows"):
        flowc("check", "a.py")
        assert not list((repository / "flows").glob(".*"))


def test_paths_are_shown_as_from_where_the_user_stands(repository: Path) -> None:
    """What was found from one folder is told from another with the paths that are right there."""
    assert "--> flows/a.py:" in told("flows/a.py")[1]
    with standing_in(repository / "flows"):
        assert "--> a.py:" in told("a.py")[1]
        assert told("a.py") == told("a.py", "--no-cache")
    assert told("flows/a.py") == told("flows/a.py", "--no-cache")


def test_many_files_are_checked_on_all_cores_in_order(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts of several processes are those of one, in the same order, codes that only they know included."""
    for number in range(parallel.FEW + 5):
        (repository / "flows" / f"{number:02}.py").write_text(FLOWS[number % 6])
    at_once = told("--no-cache", "--output-format", "sarif")
    monkeypatch.setattr(parallel, "FEW", 1000)
    assert told("--no-cache", "--output-format", "sarif") == at_once
    assert at_once[0] == 1


def test_a_plugin_that_changes_is_asked_again(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a target of another package says is kept until that package changes."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site), str(PLUGIN)]
    subprocess.run(pip, check=True, capture_output=True)
    env = environment()
    env["PYTHONPATH"] = f"{site}:{env['PYTHONPATH']}"

    def told() -> str:
        command = [sys.executable, "-m", "flowc", "check", "--target", "tiny"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout

    (repository / "flows" / "a.py").write_text(HELLO.replace("end", "secret").replace("def secret", "def end").replace("self.secret", "self.end"))
    assert told() == told()
    module = site / "flowc_tiny" / "__init__.py"
    before = told()
    module.write_text(module.read_text().replace('"secret"', '"start"').replace("'secret'", "'start'"))
    assert told() != before
