"""Facts about the commands: exit codes, which stream says what, and that nothing is written on errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli import snapshots
from cli.running import BROKEN, HELLO, environment, flowc

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("here")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_compile_to_stdout() -> None:
    """The manifests go to stdout as a YAML stream, and nothing else does; stderr is silent."""
    done = flowc("compile", "hello.py", "--target", "argo")
    assert [each["kind"] for each in yaml.safe_load_all(done.stdout)] == ["WorkflowTemplate"]
    assert done.stderr == ""


def test_compile_to_a_file(here: Path) -> None:
    """-o writes the same bytes into a file, - means stdout, and stdout stays empty otherwise."""
    expected = flowc("compile", "hello.py", "-t", "argo").stdout
    done = flowc("compile", "hello.py", "-t", "argo", "-o", "out.yaml")
    assert (done.stdout, done.stderr) == ("", "")
    assert (here / "out.yaml").read_text() == expected
    assert flowc("compile", "hello.py", "-t", "argo", "-o", "-").stdout == expected


def test_compile_to_a_folder(here: Path) -> None:
    """--out-dir writes one file an object and a kustomization.yaml that lists them; a second flow joins, what is stale goes."""
    (here / "cron.py").write_text(
        HELLO.replace("FlowSpec, step", "FlowSpec, schedule, step").replace("class Hello", "@schedule(daily=True)\nclass Cron")
    )
    flowc("compile", "cron.py", "-t", "argo", "--out-dir", "k8s/base")
    folder = here / "k8s" / "base"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert len(listed) == 2
    assert sorted([*listed, "flowc.outputs", "kustomization.yaml"]) == sorted(path.name for path in folder.iterdir())
    flowc("compile", "hello.py", "-t", "argo", "--out-dir", "k8s/base")
    both = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert both == sorted(both)
    assert set(listed) < set(both)
    (here / "cron.py").write_text(HELLO.replace("HelloFlow", "CronFlow"))
    flowc("compile", "cron.py", "-t", "argo", "--out-dir", "k8s/base")
    left = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert len(left) == 2
    assert sorted([*left, "flowc.outputs", "kustomization.yaml"]) == sorted(path.name for path in folder.iterdir())


def test_a_kustomization_of_the_user_is_left_alone(here: Path) -> None:
    """A kustomization.yaml that flowc did not write is not overwritten, and nothing is written beside it."""
    (here / "k8s").mkdir()
    (here / "k8s" / "kustomization.yaml").write_text("resources: []\nnamePrefix: x-\n")
    before = _files(here)
    done = flowc("compile", "hello.py", "-t", "argo", "--out-dir", "k8s", code=2)
    assert "k8s/kustomization.yaml holds more than flowc writes" in done.stderr
    assert _files(here) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["broken.py"], 1),
        (["syntax.py"], 1),
        (["common.py"], 1),
        (["empty.py"], 1),
        (["latin.py"], 1),
        (["null.py"], 1),
        (["notes.md"], 1),
        (["cookie.py"], 1),
        (["hello.py:NoFlow"], 1),
        (["two.py"], 2),
        (["missing.py"], 2),
        (["folder"], 2),
        (["x*.py"], 2),
        (["*.py"], 2),
        (["fifo"], 2),
        (["loop"], 2),
        (["big.py"], 2),
        (["hello.py", "-t", "argp"], 2),
        (["hello.py", "--imagee", "x"], 2),
        (["hello.py", "--settings", "missing.toml"], 2),
        (["hello.py", "--settings", "bad.toml"], 2),
        (["hello.py", "-o", "x", "--out-dir", "y"], 2),
        (["hello.py", "-o", "folder"], 2),
        (["hello.py", "-o", "nowhere/x.yaml"], 2),
        (["hello.py", "--out-dir", "hello.py/x"], 2),
        (["link/hello.py"], 2),
        ([], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_nothing_is_written_on_errors(here: Path, arguments: list[str], code: int, request: pytest.FixtureRequest) -> None:
    """What is wrong inside the file is exit 1, what is wrong with a path, flag or settings file is 2; nothing is printed or written."""
    (here / "empty.py").write_text("")
    (here / "latin.py").write_bytes(b"# x\nname = '\xe9'\n")
    (here / "null.py").write_bytes(b"x = 1\n\0\n")
    (here / "notes.md").write_text("# Notes\n\nThis is no Python.\n")
    (here / "cookie.py").write_text("# coding: nonsense\n" + HELLO)
    (here / "folder").mkdir()
    os.mkfifo(here / "fifo")
    (here / "loop").symlink_to("loop")
    with (here / "big.py").open("wb") as file:
        file.truncate(10 << 20)
    (here / "bad.toml").write_text("imagee = 1\n")
    (here / "link").mkdir()
    (here / "link" / "hello.py").write_text("import common\n" + HELLO)
    (here / "link" / "common.py").symlink_to("../common.py")
    before = {path: (path.stat().st_mtime_ns if path.exists() else 0) for path in here.rglob("*")}
    target = [] if "-t" in arguments else ["-t", "argo"]
    output = [] if {"-o", "--out-dir"} & {*arguments} else ["-o", "never.yaml"]
    done = flowc("compile", *arguments, *target, *output, code=code)
    assert done.stdout == ""
    assert {path: (path.stat().st_mtime_ns if path.exists() else 0) for path in here.rglob("*")} == before
    if done.stderr.startswith("Usage:"):  # click's own words, which differ by its version
        assert "Error: " in done.stderr
    else:
        name = "-".join(arguments).replace("/", "_").replace("*", "star").replace(":", "_")
        snapshots.check(request, f"compile.{name}.txt", re.sub(r"Python 3[.0-9]*", "Python 3.x", done.stderr))


def test_paths_cannot_steer_the_terminal(here: Path) -> None:
    """What a file is called is shown with its control characters escaped, in a report and in a refusal alike."""
    (here / "\x1b[31mred.py").write_text(BROKEN)
    done = flowc("check", "\x1b[31mred.py", "\x1b[32mgone.py", code=2)
    assert "\\x1b[31mred.py:7:9" in done.stdout
    assert "\\x1b[32mgone.py: no file matches the pattern" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_path_that_is_no_text(here: Path) -> None:
    """A file whose name is no UTF-8 is judged like any other; SARIF gets its bytes escaped."""
    (here / "broken.py").rename(here / os.fsdecode(b"br\xffken.py"))
    done = flowc("check", "br*ken.py", "--output-format", "sarif", code=1)
    assert json.loads(done.stdout)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "br%FFken.py"


def test_every_problem_in_one_run(here: Path) -> None:
    """Check reports all files, sorted as given, on stdout; the count and the problems with paths go to stderr, and the worst decides."""
    done = flowc("check", "broken.py", "missing.py", "hello.py", "--output-format", "concise", code=2)
    assert done.stdout.startswith("broken.py:7:")
    assert "missing.py: there is no such file" in done.stderr
    assert flowc("check", "broken.py", "hello.py", code=1).stdout.startswith("error[FC2")
    fine = flowc("check", "hello.py", "two.py")
    assert (fine.stdout, fine.stderr) == ("", "flowc: 3 flows checked in 2 files\n")


def test_check_of_nothing_is_no_check() -> None:
    """Files of a pattern without a flow are passed over, but not all of them, and not a file that was named."""
    assert flowc("check", "[ch]*.py").stderr == "flowc: 1 flow checked in 1 file\n"
    assert "FC100" in flowc("check", "common.py", code=1).stdout
    assert "FC100" in flowc("check", "hello.py", "common.py", code=1).stdout
    assert flowc("check", "common.py", "--allow-no-flow").stderr == "flowc: 0 flows checked in 0 files\n"


def test_check_formats(here: Path) -> None:
    """Check prints the report in each format on stdout, and machine formats print nothing else."""
    for form in ("json", "sarif", "github"):
        done = flowc("check", "broken.py", "--output-format", form, code=1)
        assert done.stderr == ""
        if form == "github":
            assert done.stdout.startswith("::error file=broken.py,line=7,")
        else:
            json.loads(done.stdout)
    assert json.loads(flowc("check", "hello.py", "--output-format", "json").stdout) == []


def test_check_for_a_target(here: Path) -> None:
    """With a target check also says what that target cannot carry, and writes nothing."""
    before = _files(here)
    assert flowc("check", "hello.py", "-t", "argo").stdout == ""
    assert _files(here) == before


def test_warnings_do_not_fail(here: Path) -> None:
    """A warning is shown on stderr beside the manifests, and the exit code is 0."""
    (here / "hello.py").write_text(HELLO.replace("pass", "pass  # flowc: ignore"))
    done = flowc("compile", "hello.py", "-t", "argo")
    assert "kind: WorkflowTemplate" in done.stdout
    assert done.stderr.startswith("warning[FC191]")


def test_a_suppressed_error_does_not_fail(here: Path) -> None:
    """What a comment silences is neither shown nor in the way, for check and compile alike."""
    flow = "import hidden\n" + HELLO.replace("import FlowSpec", "import FlowSpec, retry")
    wrapped = flow.replace("    @step\n    def start", "    @hidden.make(retry)\n    @step\n    def start")
    (here / "hello.py").write_text(wrapped)
    assert "FC305" in flowc("check", "hello.py", code=1).stdout
    (here / "hello.py").write_text(wrapped.replace("(retry)", "(retry)  # flowc: ignore[FC305]"))
    assert flowc("check", "hello.py").stdout == ""
    assert flowc("compile", "hello.py", "-t", "argo").stderr == ""


def test_colour() -> None:
    """Colours are for terminals; a flag can force them, NO_COLOR and a pipe turn them off."""
    assert "\x1b" not in flowc("check", "broken.py", code=1).stdout
    assert "\x1b[1;31merror" in flowc("check", "broken.py", "--color", "always", code=1).stdout
    terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    command = [sys.executable, "-c", terminal, sys.executable, "-m", "flowc", "check", "broken.py"]
    on_terminal = environment(TERM="xterm")
    on_terminal.pop("NO_COLOR", None)

    def spawned(**more: str) -> bytes:
        return subprocess.run(command, capture_output=True, env={**on_terminal, **more}, check=False, stdin=subprocess.DEVNULL).stdout

    assert b"\x1b[1;31merror" in spawned()
    assert b"error[" in spawned(NO_COLOR="1")
    assert b"\x1b" not in spawned(NO_COLOR="1")


def test_output_that_the_terminal_cannot_show(here: Path) -> None:
    """The report survives a terminal that knows ASCII only, and the manifests are UTF-8 everywhere."""
    (here / "broken.py").write_text(BROKEN.replace("self.missing", "self.fehlt_ä"))
    done = flowc("check", "broken.py", code=1, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert "fehlt_\\xe4" in done.stdout


@pytest.mark.parametrize("form", ["json", "dot", "mermaid"])
def test_graph(here: Path, form: str, request: pytest.FixtureRequest) -> None:
    """The graph is printed in each format with every edge, and quotes what could break it."""
    (here / "graph.py").write_text(
        HELLO.replace("self.next(self.end)", "self.next(self.a, self.b)").replace(
            "    @step\n    def end",
            "    @step\n    def a(self):\n        self.xs = [1]\n        self.next(self.work, foreach='xs')\n\n"
            "    @step\n    def work(self):\n        self.next(self.gather)\n\n"
            "    @step\n    def gather(self, inputs):\n        self.next(self.meet)\n\n"
            "    @step\n    def b(self):\n        self.c = 'x'\n"
            '        self.next({\'x"|y\': self.c1, "z": self.c2}, condition="c")\n\n'
            "    @step\n    def c1(self):\n        self.next(self.c3)\n\n"
            "    @step\n    def c2(self):\n        self.next(self.c3)\n\n"
            "    @step\n    def c3(self):\n        self.next(self.meet)\n\n"
            "    @step\n    def meet(self, inputs):\n        self.next(self.end)\n\n"
            "    @step\n    def end",
        )
    )
    snapshots.check(request, f"graph.{form}.txt", flowc("graph", "graph.py", "--format", form).stdout)


def test_graph_of_half_a_character(here: Path) -> None:
    """The key of a switch that no file can hold is shown by its escape, which is JSON's too."""
    switch = 'self.k = "z"\n        self.next({"\\ud800": self.a, "z": self.end}, condition="k")\n\n    @step\n    def a(self):\n        self.next(self.end)'
    (here / "half.py").write_text(HELLO.replace("self.next(self.end)", switch))
    assert json.loads(flowc("graph", "half.py").stdout)["steps"]["start"]["switch_cases"]["\ud800"] == "a"
    assert '"start" -> "a" [label="\\ud800"];' in flowc("graph", "half.py", "--format", "dot").stdout
    flowc("graph", "half.py", "-o", "half.json")
    assert json.loads((here / "half.json").read_text()) == json.loads(flowc("graph", "half.py").stdout)


def test_graph_of_a_wrong_flow() -> None:
    """A flow with an error has no graph to print."""
    done = flowc("graph", "broken.py", code=1)
    assert done.stdout == ""
    assert done.stderr.startswith("error[FC2")
    assert "name one: two.py:HelloFlow" in flowc("graph", "two.py", code=2).stderr
    assert json.loads(flowc("graph", "two.py:OtherFlow").stdout)["flow"] == "OtherFlow"


def test_explain() -> None:
    """Explain prints the page of a code, or all codes; an unknown one is a usage error with a near one."""
    assert flowc("explain", "fc191").stdout == (ROOT / "docs" / "diagnostics" / "FC191.md").read_text()
    assert "FC900  error    a bug of flowc\n" in flowc("explain").stdout
    assert "there is no diagnostic 'FC999'" in flowc("explain", "FC999", code=2).stderr


def test_targets() -> None:
    """Targets names each target and marks the default version."""
    done = flowc("targets")
    assert done.stdout.startswith("argo: ")
    assert "3.7 (default)" in done.stdout


def test_usage() -> None:
    """Help goes to stdout with 0, wrong usage to stderr with 2 and a near command."""
    assert "Exit codes:" in flowc("--help").stdout
    assert "--image IMAGE" in flowc("compile", "--help").stdout
    assert flowc("--version").stdout.startswith("flowc ")
    assert "did you mean 'compile'?" in flowc("compil", code=2).stderr
    assert flowc(code=2).stderr == flowc("--help").stdout
    for option in ("--all", "--exit-non-zero-on-change"):
        assert f"{option} is for the whole repository" in flowc("compile", "flow.py", "-t", "argo", option, code=2).stderr


def test_settings_file(here: Path) -> None:
    """The nearest settings file above the flow counts, a flag beats it, --isolated ignores it, and the working directory has no say."""
    (here / "pyproject.toml").write_text('[tool.flowc]\nimage = "from/pyproject:1"\nnamespace = "one"\n')
    (here / "sub").mkdir()
    (here / "sub" / "hello.py").write_text(HELLO)
    (here / "sub" / "pyproject.toml").write_text("[tool.ruff]\n")
    done = flowc("compile", "sub/hello.py", "-t", "argo", "--namespace", "two").stdout
    assert "from/pyproject:1" in done
    assert "namespace: two" in done
    assert "from/pyproject" not in flowc("compile", "sub/hello.py", "-t", "argo", "--isolated").stdout
    (here / "sub" / "flowc.toml").write_text('image = "from/flowc:1"\n')
    assert "from/flowc:1" in flowc("compile", "sub/hello.py", "-t", "argo").stdout
    assert "from/pyproject:1" in flowc("compile", "sub/hello.py", "-t", "argo", "--settings", "pyproject.toml").stdout


def test_file_of_a_config(here: Path) -> None:
    """--config takes a file relative to where the user stands, wherever it is; in a settings file it is relative to that."""
    flow = (
        HELLO.replace("FlowSpec, step", "Config, FlowSpec, environment, step")
        .replace("class HelloFlow(FlowSpec):\n", "class HelloFlow(FlowSpec):\n    c = Config('c')\n\n")
        .replace("    @step\n    def start", "    @environment(vars={'WHO': c.who})\n    @step\n    def start")
    )
    (here / "flows").mkdir()
    (here / "flows" / "configured.py").write_text(flow)
    (here / "deploy").mkdir()
    (here / "deploy" / "prod.json").write_text('{"who": "production"}')
    (here / "flowc.toml").write_text('config-files = { c = "deploy/test.json" }\n')
    (here / "deploy" / "test.json").write_text('{"who": "testing"}')
    assert "production" in flowc("compile", "flows/configured.py", "-t", "argo", "--config", "c", "deploy/prod.json").stdout
    assert "testing" in flowc("compile", "flows/configured.py", "-t", "argo").stdout
    assert (
        "inline" in flowc("compile", "flows/configured.py", "-t", "argo", "--isolated", "--config-value", "c", '{"who": "inline"}').stdout
    )
    unknown = flowc("compile", "flows/configured.py", "-t", "argo", "--isolated", "--config", "c", "deploy/prod.json", "--config-value", "d", "{}", code=2)
    assert "HelloFlow has no config 'd'" in unknown.stderr


def test_per_file_ignores(here: Path) -> None:
    """Codes, whole or begun, are left out for the files that a glob matches; an error that leaves no output stays."""
    wrong = HELLO.replace("    @step\n    def start", "    @resources(cpus=1)\n    @step\n    def start").replace("FlowSpec, step", "FlowSpec, resources, step")
    (here / "old").mkdir()
    (here / "old" / "one.py").write_text(wrong)
    (here / "new.py").write_text(wrong)
    (here / "old" / "broken.py").write_text(BROKEN)
    (here / "flowc.toml").write_text('[per-file-ignores]\n"old/*" = ["FC30", "FC216"]\n')
    assert "FC300" in flowc("check", "new.py", code=1).stdout
    assert flowc("check", "old/one.py").stdout == ""
    assert "FC216" in flowc("check", "old/broken.py", code=1).stdout


def test_baseline(here: Path) -> None:
    """What a baseline holds is not reported, also after it moved; one more of its kind is, and so is anything new."""
    one = HELLO.replace("    @step\n    def start", "    @resources(cpus=1)\n    @step\n    def start").replace("FlowSpec, step", "FlowSpec, resources, step")
    (here / "one.py").write_text(one)
    flowc("check", "one.py", code=1)
    flowc("check", "one.py", "--write-baseline", "known.json")
    (here / "one.py").write_text("# moved\n\n" + one)
    assert flowc("check", "one.py", "--baseline", "known.json").stdout == ""
    (here / "one.py").write_text(one.replace("    @step\n    def end", "    @resources(cpus=1)\n    @step\n    def end"))
    assert flowc("check", "one.py", "--baseline", "known.json", code=1).stdout.count("FC300") == 1
    (here / "known.json").write_text("[]")
    assert "known.json is no baseline of flowc" in flowc("check", "one.py", "--baseline", "known.json", code=2).stderr


def test_a_baseline_knows_no_line(here: Path) -> None:
    """A message that names a line is the same one when lines are added above, in a baseline and in GitLab's report; older baselines too."""
    late = HELLO.replace("self.next(self.end)", "self.next(self.end)\n        return")
    (here / "one.py").write_text(late)
    flowc("check", "one.py", "--write-baseline", "known.json")
    (fingerprint,) = {each["fingerprint"] for each in json.loads(flowc("check", "one.py", "--output-format", "gitlab", code=1).stdout)}
    (here / "one.py").write_text("# moved\n\n" + late)
    assert flowc("check", "one.py", "--baseline", "known.json").stdout == ""
    assert [each["fingerprint"] for each in json.loads(flowc("check", "one.py", "--output-format", "gitlab", code=1).stdout)] == [fingerprint]
    said = "FC214 step start has a self.next() on line 7, which is not its last statement"
    (here / "known.json").write_text(json.dumps({"one.py": {said: 1}}))
    assert flowc("check", "one.py", "--baseline", "known.json").stdout == ""


@pytest.mark.parametrize("place", ["known.json", "flows/known.json", "elsewhere/known.json"])
def test_a_baseline_from_another_folder(place: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline holds its paths relative to its own folder, so it means the same wherever the user stands; messages too that name the file."""
    (here / "elsewhere").mkdir()
    (here / "flows").mkdir(exist_ok=True)
    (here / "flows" / "wrong.py").write_text(BROKEN)
    (here / "flows" / "bytes.py").write_bytes(HELLO.encode() + b"# \xff\n")
    flowc("check", "flows/wrong.py", "flows/bytes.py", "--write-baseline", place)
    monkeypatch.chdir(here / "elsewhere")
    (here / "flows" / "new.py").write_text(BROKEN)
    files = ["../flows/wrong.py", "../flows/bytes.py"]
    assert flowc("check", *files, "--baseline", f"../{place}").stdout == ""
    assert "../flows/new.py" in flowc("check", *files, "../flows/new.py", "--baseline", str(here / place), code=1).stdout


def test_check_of_the_repository(here: Path) -> None:
    """Without files, those are checked that the settings name; without settings that is a mistake."""
    assert "name a flow, or say in flowc.toml" in flowc("check", code=2).stderr
    (here / "flowc.toml").write_text('flows = ["[hb]*.py"]\n')
    assert "broken.py:7" in flowc("check", code=1).stdout
