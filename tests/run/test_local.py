"""In: flows, run by `flowc run` on this machine. Out: proof that it leaves what `python flow.py run` leaves, whatever dies on the way."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from runtime import simulate

SHAPES = {
    "foreach in foreach in foreach": ("nest", "NestFlow", {}),
    "switches in branches of a split": ("switches", "SwitchFlow", {"left": "near", "right": "shallow", "rest": "true"}),
    "loops, also in a foreach": ("loops", "LoopFlow", {}),
    "gangs of two and of one in a foreach": ("gang", "GangFlow", {}),
    "retry, catch, environment, card, own names of start and end": ("hardship", "HardshipFlow", {}),
    "base class in a sibling module": ("derived", "DerivedFlow", {}),
}

COUNTED = '''
import os, time
from metaflow import FlowSpec, Parameter, step


def ran(name):
    with open("ran", "a") as file:
        file.write(f"{name}\\n")
    time.sleep(float(os.environ.get("NAP", "0")))
    while name.startswith(os.environ.get("HOLD", "-")) and not os.path.exists("go"):
        time.sleep(0.02)


class CountedFlow(FlowSpec):
    width = Parameter("width", default=3, type=int)
    text = Parameter("text", default="")

    @step
    def start(self):
        ran("start")
        self.items = list(range(self.width))
        self.next(self.work, foreach="items")

    @step
    def work(self):
        ran(f"work-{self.input}")
        if self.input == 1 and os.path.exists("broken"):
            raise ValueError("this one is broken")
        self.square = self.input ** 2
        self.next(self.join)

    @step
    def join(self, inputs):
        ran("join")
        self.squares = [each.square for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        ran("end")
'''
TASKS = ["start", "work-0", "work-1", "work-2", "join", "end"]


def environment(root: Path, **more: str) -> dict[str, str]:
    """A user's shell on a clean machine; flowc is this one."""
    return {**simulate.clean_environment(root), "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1", **more}


def command(file: str | Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "flowc", "run", str(file), "--isolated", *arguments]


def run(root: Path, file: str | Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(file, *arguments), cwd=root, env=environment(root, **more), capture_output=True, text=True, check=False)


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(COUNTED)
    return tmp_path


def ran(root: Path) -> list[str]:
    return (root / "ran").read_text().split() if (root / "ran").exists() else []


def squares(root: Path, run_id: str) -> list[int]:
    found: list[int] = simulate.results("CountedFlow", root, run_id)["end", ""]["squares"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_leaves_what_python_flow_run_leaves(shape: str, tmp_path: Path) -> None:
    """Every task of `python flow.py run` has its twin, at the same place, with equal artifacts and cards, for flows of every shape."""
    name, flow, given = SHAPES[shape]
    ours, laptop = tmp_path / "ours", tmp_path / "laptop"
    for place in (ours, laptop):
        place.mkdir()
    file = simulate.FLOWS / f"{name}.py"
    done = run(ours, file, "--run-id=local-x", *[f"--param={k}={v}" for k, v in given.items()])
    assert done.returncode == 0, done.stderr
    run_id = simulate.on_a_laptop(flow, file, laptop, [f"--{k}={v}" for k, v in given.items()])

    left = simulate.results(flow, ours, "local-x")
    assert left == simulate.results(flow, laptop, run_id)
    cards = [len(list(place.glob(".metaflow/mf.cards/**/*.html"))) for place in (ours, laptop)]
    assert cards == [int(name == "hardship")] * 2


def test_the_client_finds_the_run(counted: Path) -> None:
    """`Flow(...).latest_run` is the run, by the user's own namespace; its parameters are as typed, its logs are there; `flowc` left no clutter."""
    done = run(counted, "flow.py", "--run-id=mine", "-p", "width=2", "-p", 'text="1e3"')
    assert done.returncode == 0, done.stderr
    question = (
        "from metaflow import Flow; r = Flow('CountedFlow').latest_run;"
        "print(r.pathspec, r.successful, r.data.squares, r.data.text, 'user:tester' in r.tags, sorted(t.id for t in r['work']))"
    )
    told = subprocess.run(
        [sys.executable, "-c", question], cwd=counted, env=environment(counted), capture_output=True, text=True, check=True
    ).stdout

    assert told == "CountedFlow/mine True [0, 1] \"1e3\" True ['work-0', 'work-1']\n"
    assert (counted / ".metaflow" / "CountedFlow" / "latest_run").read_text() == "mine"
    assert sorted(p.name for p in counted.iterdir()) == [".flowc", ".metaflow", "flow.py", "ran"]
    assert (counted / ".flowc" / ".gitignore").read_text() == "*\n"


def test_runs_where_the_user_stands(counted: Path) -> None:
    """The flow's file may be elsewhere: imports come from its folder, and relative paths start at the user's own."""
    (counted / "lib").mkdir()
    (counted / "lib" / "beside.py").write_text("NAME = 'beside'\n")
    shutil.move(counted / "flow.py", counted / "lib" / "flow.py")
    text = (counted / "lib" / "flow.py").read_text()
    (counted / "lib" / "flow.py").write_text(text.replace('ran("end")', 'import beside; ran(beside.NAME + open("data").read())'))
    (counted / "data").write_text("-data")
    done = run(counted, "lib/flow.py")

    assert done.returncode == 0, done.stderr
    assert ran(counted)[-1] == "beside-data"


def test_a_failure_and_its_resume(counted: Path) -> None:
    """A failed task's log is shown with step and index, the exit code is 1; --resume keeps what has finished and tries again what failed."""
    (counted / "broken").touch()
    failed = run(counted, "flow.py", "--run-id=mine")
    assert failed.returncode == 1
    assert re.search(r"^work\[1\] failed: exit code 1$", failed.stderr, re.MULTILINE)
    assert "  | ValueError: this one is broken" in failed.stderr
    assert "run CountedFlow/mine failed" in failed.stderr
    assert "go on with: flowc run flow.py --resume mine" in failed.stderr
    assert "join" not in ran(counted)

    (counted / "broken").unlink()
    before = ran(counted)
    done = run(counted, "flow.py", "--resume=mine")
    assert done.returncode == 0, done.stderr
    again = Counter(ran(counted)) - Counter(before)
    assert again["work-1"] == 1
    assert "start" not in again
    assert squares(counted, "mine") == [0, 1, 4]


def begun(run: subprocess.Popen[Any], folder: Path, tasks: int) -> None:
    """Wait until so many tasks have begun, or the run has ended."""
    while len(ran(folder)) < tasks and run.poll() is None:
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(6))
def test_kill_9_at_any_moment(moment: int, counted: Path) -> None:
    """The coordinator is killed once so many tasks have begun; its tasks go on; the next one waits for them: each ran exactly once."""
    first = subprocess.Popen(
        command("flow.py", "--run-id=mine"), cwd=counted, env=environment(counted, NAP="0.3"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    begun(first, counted, moment + 1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = run(counted, "flow.py", "--resume=mine")

    assert done.returncode == 0, done.stderr
    assert sorted(ran(counted)) == sorted(TASKS)
    assert squares(counted, "mine") == [0, 1, 4]


def nursery(root: Path) -> int:
    """The process that forks the tasks of a run in that folder."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if (words := place.read_bytes().split(b"\0"))[2:3] == [b"--nursery"] and str(root).encode() in words[1]:
                return int(place.parent.name)
    raise AssertionError("there is no nursery")  # no number: 0 would be this process and its group


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no task is a fork")
def test_the_nursery_dies(counted: Path) -> None:
    """The process that forks the tasks is killed: those that live go on, the others start without it, each runs once."""
    led = subprocess.Popen(command("flow.py", "--run-id=mine"), cwd=counted, env=environment(counted, HOLD="work"), stderr=subprocess.PIPE, text=True)
    begun(led, counted, 2)
    os.kill(nursery(counted), signal.SIGKILL)
    (counted / "go").touch()
    said = led.communicate()[1]

    assert led.returncode == 0, said
    assert sorted(ran(counted)) == sorted(TASKS)
    assert squares(counted, "mine") == [0, 1, 4]


@pytest.mark.parametrize("option", [[], ["-O", "fork=no"]])
def test_tasks_are_apart(option: list[str], counted: Path) -> None:
    """Forked or not, each task has its own random numbers, its own variables, its own modules, and `atexit` functions run."""
    text = COUNTED.replace("import os, time", "import atexit, os, random, sys, time").replace(
        "        self.square = self.input ** 2",
        """        self.square = random.random()
        assert "SEEN" not in os.environ and not hasattr(sys, "seen")
        os.environ["SEEN"], sys.seen = "1", True
        atexit.register(open, f"left-{self.input}", "w")""",
    )
    (counted / "flow.py").write_text(text)
    done = run(counted, "flow.py", "--run-id=mine", "--max-workers=1", *option)

    assert done.returncode == 0, done.stderr
    assert len(set(squares(counted, "mine"))) == 3
    assert len(list(counted.glob("left-*"))) == 3


def test_two_coordinators(counted: Path) -> None:
    """Two that lead the same run at once: each task runs once, and both see the run end."""
    both = [
        subprocess.Popen(command("flow.py", "--run-id=mine"), cwd=counted, env=environment(counted, NAP="0.3"), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(ran(counted)) == sorted(TASKS)


def test_an_interrupt(counted: Path) -> None:
    """Ctrl-C ends the tasks, says how to go on, exits with 130; what was running is no failure and runs again."""
    process = subprocess.Popen(
        command("flow.py", "--run-id=mine"),
        cwd=counted,
        env=environment(counted, NAP="60"),
        stderr=subprocess.PIPE,
        text=True,
        # a shell starts what it puts into the background deaf to ^C, and its children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs here
    )
    begun(process, counted, 1)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130, said
    assert "go on with: flowc run flow.py --resume mine" in said
    assert not list((counted / ".flowc" / "CountedFlow" / "mine" / "tasks").glob("*.exit"))

    assert run(counted, "flow.py", "--resume=mine").returncode == 0
    assert Counter(ran(counted)) == Counter([*TASKS, "start"])


def test_a_killed_task_is_a_failed_attempt(counted: Path) -> None:
    """A task that something kills while its coordinator lives has failed, with the signal's name."""
    text = (counted / "flow.py").read_text().replace('ran("join")', "os.kill(os.getpid(), 9)")
    (counted / "flow.py").write_text(text)
    done = run(counted, "flow.py")

    assert done.returncode == 1
    assert "join failed: killed by SIGKILL" in done.stderr


def test_configs(counted: Path) -> None:
    """A Config of the flow reaches the steps, with the value that the settings give it or its own."""
    text = COUNTED.replace("import FlowSpec", "import Config, FlowSpec").replace('    text = Parameter("text", default="")', '    rates = Config("rates", default_value=\'{"a": 1}\')')
    (counted / "flow.py").write_text(text.replace('ran("end")', 'ran(f"a={self.rates.a}")'))

    for given, seen in (([], "a=1"), (["--config-value", "rates", '{"a": 2}'], "a=2")):
        done = run(counted, "flow.py", *given)
        assert done.returncode == 0, done.stderr
        assert ran(counted)[-1] == seen


def test_hooks_run_at_the_end(counted: Path) -> None:
    """The functions of @exit_hook run after the run: those for its outcome."""
    text = (counted / "flow.py").read_text()
    hooks = "def good(run):\n    open('hook', 'w').write(run.pathspec)\n\n\ndef bad(run):\n    open('hook', 'w').write('bad')\n\n\n"
    decorated = hooks + "@exit_hook(on_success=[good], on_error=[bad])\nclass CountedFlow"
    (counted / "flow.py").write_text(text.replace("class CountedFlow", decorated).replace("import FlowSpec", "import FlowSpec, exit_hook"))

    assert run(counted, "flow.py", "--run-id=mine").returncode == 0
    assert (counted / "hook").read_text() == "CountedFlow/mine"
    (counted / "broken").touch()
    assert run(counted, "flow.py").returncode == 1
    assert (counted / "hook").read_text() == "bad"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "widht=2"], "CountedFlow has no parameter 'widht'; did you mean 'width'?"),
        (["-p", "width"], "'width' is not NAME=VALUE"),
        (["-p", "width=1", "-p", "width=2"], "the parameter 'width' is given 2 times; it takes one value"),
        (["--resume", "nowhere"], "there is no run nowhere of CountedFlow"),
        (["--run-id", "17"], "digits alone are Metaflow's"),
        (["--run-id", "a/b"], "'a/b' is no id for a run"),
        (["--run-id", "a", "--resume", "a"], "exclude one another"),
        (["--python", "/nowhere/python"], "there is no Python called /nowhere/python"),
        (["-O", "pythn=x"], "--on local has no option 'pythn'; did you mean 'python'?"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, counted: Path) -> None:
    """What cannot be is said before anything runs, with exit code 2."""
    done = run(counted, "flow.py", *arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert ran(counted) == []


def test_a_required_parameter(counted: Path) -> None:
    """A parameter without a default must be given."""
    (counted / "flow.py").write_text(COUNTED.replace("default=3, type=int", "type=int, required=True"))
    done = run(counted, "flow.py")

    assert done.returncode == 2
    assert "CountedFlow needs a value: --param width=..." in done.stderr


def test_a_wrong_flow_does_not_run(counted: Path) -> None:
    """Errors of the flow are reported as by `flowc check`, with exit code 1."""
    (counted / "flow.py").write_text(COUNTED.replace("self.next(self.end)", "self.next(self.ende)"))
    done = run(counted, "flow.py")

    assert done.returncode == 1
    assert "error[FC" in done.stderr
    assert not (counted / ".flowc").exists()


def test_a_python_without_metaflow(counted: Path) -> None:
    """Which Python runs the tasks is asked before anything starts; one without Metaflow is refused with the way out."""
    fake = counted / "bare"
    fake.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    fake.chmod(0o755)
    done = run(counted, "flow.py", f"--python={fake}")

    assert done.returncode == 2
    assert "install metaflow there, or name a Python that has it: --python PATH" in done.stderr


def test_what_is_kept_of_a_run(counted: Path) -> None:
    """Of a task that finished one small file is kept; no log, no lock, no scratch folder."""
    assert run(counted, "flow.py", "--run-id=mine").returncode == 0
    folder = counted / ".flowc" / "CountedFlow" / "mine"

    assert sorted(p.name for p in (folder / "tasks").iterdir()) == sorted(f"{task}.json" for task in TASKS)
    assert json.loads((folder / "tasks" / "start.json").read_text()) == {"splits": 3, "case": "work"}
    assert list((folder / "work").iterdir()) == []
