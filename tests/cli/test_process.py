"""Facts about flowc as a process: bugs, interrupts, pipes, what it loads, and that nothing but its input shapes its output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli.running import HELLO, environment, flowc, script

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("here")


def test_a_bug_is_reported(here: Path) -> None:
    """An exception that nobody expected is exit 3 with a traceback, the version and where to report it, and nothing is written."""
    broken = "import flowc.compiler as c, flowc.cli as m\ndef boom(*a): raise KeyError('x')\nc.check = boom\nm.main()"
    done = script(broken, "compile", "hello.py", "-t", "argo", "-o", "never.yaml")
    assert (done.returncode, done.stdout) == (3, "")
    assert "error[FC900]: flowc itself failed: KeyError: 'x'" in done.stderr
    assert "issue tracker" in done.stderr
    assert "Traceback" in done.stderr
    assert not (here / "never.yaml").exists()


def test_interrupt(here: Path) -> None:
    """^C ends flowc with 130, without a traceback and without an output file."""
    slow = (
        "import flowc.compiler as c, flowc.cli as m, time\n"
        "def slow(*a):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "c.check = slow\nm.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", slow, "compile", "hello.py", "-t", "argo", "-o", "never.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        # a shell starts what it puts into the background deaf to ^C, and its children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs here
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "flowc: interrupted\n")
    assert not (here / "never.yaml").exists()


def test_broken_pipe(here: Path) -> None:
    """When the reader of stdout has gone flowc ends quietly, as any Unix tool."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flowc", "compile", "hello.py", "-t", "argo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 141
    process.stderr.close()


def test_nothing_heavy_is_imported() -> None:
    """Commands load what they need: explaining wrong usage needs no compiler, checking needs no templates, schemas or YAML."""
    heavy = {"jinja2", "yaml", "jsonschema", "jsonschema_rs", "asyncio", "importlib.metadata", "libcst", "metaflow", "tomllib"}
    show = "import sys, flowc.cli as m; code = m.run(sys.argv[1:]); print(sorted(sys.modules), file=sys.stderr); sys.exit(code)"

    def loaded(*arguments: str) -> set[str]:
        return set(json.loads(script(show, *arguments).stderr.splitlines()[-1].replace("'", '"')))

    assert not loaded("--version") & (heavy | {"flowc.compiler"})
    assert not loaded("check", "hello.py") & heavy
    assert not loaded("compile", "broken.py", "-t", "argo") & heavy
    assert not loaded("compile", "hello.py", "-t", "argo") & {
        "jsonschema",
        "asyncio",
        "importlib.metadata",
        "libcst",
        "metaflow",
        "kubernetes",
    }


def test_flow_is_never_imported(here: Path) -> None:
    """A flow that would write a file when it runs leaves no trace."""
    (here / "hello.py").write_text(f"open({str(here / 'trace')!r}, 'w')\n" + HELLO)
    flowc("compile", "hello.py", "-t", "argo")
    assert not (here / "trace").exists()


def test_same_bytes_everywhere(here: Path) -> None:
    """The output depends on the flow's text and settings alone: not on the working directory, the user, the home or the time zone."""
    (here / "sub").mkdir()
    expected = flowc("compile", "hello.py", "-t", "argo").stdout
    outputs = {
        flowc(
            "compile", str(here / "hello.py"), "-t", "argo", HOME="/nonexistent", USER="other", TZ="Asia/Tokyo", PYTHONHASHSEED="7"
        ).stdout,
        flowc("compile", "./sub/../hello.py", "-t", "argo", METAFLOW_USER="someone", METAFLOW_DEFAULT_DATASTORE="s3").stdout,
    }
    os.chdir(here / "sub")
    outputs.add(flowc("compile", "../hello.py", "-t", "argo").stdout)
    assert outputs == {expected}
