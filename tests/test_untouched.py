"""A flow is text: nothing in it runs, values that would fill the machine are refused, and what it says comes out as the same data."""

from __future__ import annotations

import base64
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.running import environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowc.compiler import Compiled, check, compile_flow
from flowc.output import stream
from flowc.settings import Settings
from flowc.source import SourceFile

# --- code that would leave a trace --------------------------------------------------------------------------------------

DEEDS = """\
import os, socket, subprocess, sys, threading
def deed(*_, **__):
    open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "".join(["tra", "ce"])), "w").close()
    print("".join(["TRA", "CED"]))
    subprocess.Popen([sys.executable, "-c", "0"])
    socket.socket().connect_ex(("127.0.0.1", 9))
    os.system("true")
    sys.exit(7)
class Meta(type):
    def __new__(cls, *args, **named):
        deed()
        return super().__new__(cls, *args)
    def __prepare__(*args, **named):
        deed()
        return {}
class Watched:
    def __class_getitem__(cls, item):
        deed()
        return cls
    def __init_subclass__(cls, **named):
        deed()
    def __format__(self, spec):
        return str(deed())
    def __str__(self):
        return str(deed())
    def __call__(self, function):
        deed()
        return function
    @property
    def size(self):
        return deed()
    def __getattr__(self, name):
        return deed()
    def __index__(self):
        return deed() or 1
watched = object.__new__(Watched)
"""
FLOW = """\
from metaflow import FlowSpec, Parameter, environment, kubernetes, step
{above}

class Hello({bases}):
    {member}

    {decorator}
    @step
    def start(self{arguments}):
        self.next(self.end)

    @step
    def end(self):
        {last}

{below}
"""
PLACES: dict[str, dict[str, str]] = {
    "module": {"above": "deed()"},
    "after the class": {"below": "deed()"},
    "main guard": {"below": "if __name__ == '__main__':\n    deed()\n    Hello()"},
    "loop for ever": {"above": "while True:\n    pass"},
    "exit": {"above": "raise SystemExit(9)"},
    "class body": {"member": "deed()"},
    "member": {"member": "size = deed()"},
    "comprehension": {"member": "sizes = [deed() for _ in range(3)]"},
    "annotation": {"member": "size: deed() = 1"},
    "base": {"bases": "deed() or FlowSpec"},
    "metaclass": {"bases": "FlowSpec, metaclass=Meta"},
    "keyword of a class": {"bases": "FlowSpec, size=deed()"},
    "subscript of a base": {"bases": "FlowSpec, Watched[deed()]"},
    "mixin": {"bases": "Watched, FlowSpec"},
    "decorator": {"decorator": "@deed"},
    "decorator call": {"decorator": "@deed()"},
    "decorator object": {"decorator": "@watched"},
    "argument of a decorator": {"decorator": "@environment(vars={'A': deed()})"},
    "key of a decorator": {"decorator": "@environment(vars={deed(): 'a'})"},
    "splat of a decorator": {"decorator": "@kubernetes(**deed())"},
    "f-string": {"decorator": "@environment(vars={'A': f'{deed()}'})"},
    "format of an object": {"decorator": "@environment(vars={'A': f'{watched:>3}'})"},
    "text of an object": {"decorator": "@environment(vars={'A': str(watched)})"},
    "property": {"decorator": "@kubernetes(cpu=watched.size)"},
    "attribute": {"decorator": "@kubernetes(cpu=watched.anything)"},
    "index": {"decorator": "@kubernetes(cpu=[1, 2][watched])"},
    "module of the system": {"decorator": "@environment(vars={'A': os.popen('true').read()})"},
    "import": {"decorator": "@environment(vars={'A': __import__('common').deed()})"},
    "eval": {"decorator": "@environment(vars={'A': eval('deed()')})"},
    "way around": {"decorator": "@environment(vars={'A': ().__class__.__base__.__subclasses__()})"},
    "default of a step": {"arguments": ", x=deed()"},
    "default of a parameter": {"member": "p = Parameter('p', default=deed())"},
    "deploy-time default": {"member": "p = Parameter('p', default=lambda _: deed())"},
    "function default": {"member": "p = Parameter('p', default=deed)"},
    "type of a parameter": {"member": "p = Parameter('p', type=deed())"},
    "step": {"last": "deed()"},
    "sibling": {"above": "import common\nfrom common import SIZE", "decorator": "@kubernetes(cpu=SIZE)"},
    "star of a sibling": {"above": "from common import *", "decorator": "@kubernetes(cpu=SIZE)"},
}
WATCH = """\
import json, os, sys
folder, files = sys.argv[1], sys.argv[2:]
seen = []
def hook(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and path != os.devnull:
            seen.append((event, str(path)))
    elif event == "exec" and (arguments[0].co_filename.startswith((folder, "flow", "common")) or "deed" in arguments[0].co_names):
        seen.append((event, arguments[0].co_filename))
    elif event == "import" and arguments[0] in ("flow", "common", "metaflow"):
        seen.append((event, arguments[0]))
    elif event.split(".")[0] in ("socket", "subprocess", "ctypes") or event in ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove"):
        seen.append((event, ""))
from flowc.cli import run
sys.addaudithook(hook)
codes = {}
for file in files:
    for command in (["check"], ["compile", "--target", "argo"], ["graph"]):
        codes[f"{file} {command[0]}"] = run([*command, file])
sys.stdout.flush()
print("\\n" + json.dumps([seen, codes]))
"""


def test_nothing_of_a_flow_runs(tmp_path: Path) -> None:
    """Wherever in the text code stands that would write, print, start processes, connect or exit: checked, compiled and drawn, it leaves no trace."""
    files = []
    for number, (name, pieces) in enumerate(PLACES.items()):
        folder = tmp_path / f"flow{number}"
        folder.mkdir()
        plain = {"above": "", "bases": "FlowSpec", "member": "pass", "decorator": "", "arguments": "", "last": "pass", "below": ""}
        sibling = "common" in pieces.get("above", "")
        text = FLOW.format(**{**plain, **pieces})
        (folder / "flow.py").write_text(text if sibling else DEEDS + text, encoding="utf-8")
        (folder / "common.py").write_text(DEEDS + "deed()\nSIZE = 2\nwhile True:\n    deed()\n", encoding="utf-8")
        files.append((name, folder / "flow.py"))
    before = sorted(tmp_path.rglob("*"))
    command = [sys.executable, "-B", "-c", WATCH, str(tmp_path), *(str(file) for _, file in files)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    seen, codes = json.loads(done.stdout.splitlines()[-1])
    assert seen == []
    assert sorted(tmp_path.rglob("*")) == before
    assert "TRACED" not in done.stdout + done.stderr
    assert set(codes.values()) <= {0, 1}
    told = {name: [code for key, code in codes.items() if key.startswith(f"{file} ")] for name, file in files}
    assert told["module"] == told["step"] == told["sibling"] == [0, 0, 0], "what only acts in the pod compiles"
    assert told["argument of a decorator"][:2] == told["metaclass"][:2] == [1, 1], "what cannot be known is an error"


def test_the_watch_sees_deeds(tmp_path: Path) -> None:
    """The hook that reports nothing for flowc reports what a flow does when Python runs it."""
    (tmp_path / "flow.py").write_text(DEEDS + "deed()\n", encoding="utf-8")
    watch = WATCH[: WATCH.index("codes = {}")]
    program = f"{watch}\nimport runpy, atexit\natexit.register(lambda: print('\\n' + json.dumps(seen)))\nrunpy.run_path(files[0])\n"
    command = [sys.executable, "-B", "-c", program, str(tmp_path), str(tmp_path / "flow.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), timeout=60, check=False)
    assert done.returncode == 7, done.stderr
    events = {event for event, _ in json.loads(done.stdout.splitlines()[-1])}
    assert {"open", "exec", "subprocess.Popen", "os.system"} <= events
    assert "TRACED" in done.stdout


# --- values that would fill the machine ---------------------------------------------------------------------------------

BOMBS = (
    "10 ** 10 ** 8",
    "'x' * 10 ** 10",
    "['x'] * 10 ** 9",
    "1 << 10 ** 10",
    "f'{1:>9999999999}'",
    "f'{1:{10 ** 10}}'",
    "f'{1.5:.999999999f}'",
    "'{:>9999999999}'.format(1)",
    "'%9999999999d' % 1",
    "'x'.ljust(10 ** 10)",
    "'\\t'.expandtabs(10 ** 10)",
    "','.join(['x' * 10 ** 6] * 10 ** 6)",
    "('x' * 10 ** 5).replace('x', 'y' * 10 ** 6)",
    "str(list(range(10 ** 9)))",
    "sum(range(10 ** 12))",
    "max(x for x in range(10 ** 12))",
    "[[x for x in range(10 ** 5)] for y in range(10 ** 5)]",
    "{x: y for x in range(10 ** 5) for y in range(10 ** 5)}",
    "[a for a in range(99) for b in range(99) for c in range(99) for d in range(99)]",
    "str(bytes(10 ** 10))",
    "(lambda f: f(f))(lambda f: f(f))",
    "forever(1)",
    "grow('xxxxxxxx')",
    "str(int('9' * 10 ** 7))",
    "str(0.1) * (2 ** 63)",
)
HELPERS = """\
def forever(n):
    return forever(n + 1)
def grow(text, times=99):
    return text if not times else grow(text + text, times - 1)
"""
DEEP = {
    "signs": "-" * 20_000 + "1",
    "parentheses": "(" * 2_000 + "1" + ")" * 2_000,
    "lists": "[" * 150 + "1" + "]" * 150,
    "sums": "1" + " + 1" * 20_000,
    "attributes": "text" + ".a" * 20_000,
    "calls": "text" + "()" * 20_000,
    "nots": "not " * 20_000 + "1",
    "conditions": "1 if 1 else " * 5_000 + "1",
}


def _limits() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (120, 120))


@pytest.mark.parametrize("place", ["@environment(vars={{'A': {}}})", "@kubernetes(cpu={})", "Parameter"])
def test_bombs_are_refused(place: str, tmp_path: Path) -> None:
    """Each value that would take more than a gigabyte, or for ever, is a diagnostic at its line; flowc goes on to the next file."""
    plain = {"above": HELPERS, "bases": "FlowSpec", "member": "pass", "decorator": "", "arguments": "", "last": "pass", "below": ""}
    for number, bomb in enumerate(BOMBS):
        member = f"p = Parameter('p', default={bomb})" if place == "Parameter" else "pass"
        decorator = "" if place == "Parameter" else place.format(bomb)
        (tmp_path / f"bomb{number:02}.py").write_text(FLOW.format(**{**plain, "member": member, "decorator": decorator}), encoding="utf-8")
    command = [sys.executable, "-m", "flowc", "check", "bomb*.py", "--output-format", "concise", "--isolated"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), preexec_fn=_limits, check=False)
    assert done.returncode == 1, done.stderr[-3000:]
    spared = [bomb for number, bomb in enumerate(BOMBS) if f"bomb{number:02}.py" not in done.stdout]
    assert spared == []


@pytest.mark.parametrize("name", DEEP)
def test_deep_text_is_no_bug(name: str, tmp_path: Path) -> None:
    """An expression nested by thousands is refused or read; it is no overflow of flowc's."""
    plain = {"above": "text = ''", "bases": "FlowSpec", "member": "pass", "arguments": "", "last": "pass", "below": ""}
    text = FLOW.format(**plain, decorator=f"@environment(vars={{'A': {DEEP[name]}}})")
    (tmp_path / "flow.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "flowc", "check", "flow.py", "--isolated"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), preexec_fn=_limits, check=False)
    assert done.returncode in (0, 1), done.stderr[-3000:]


# --- text that readers could misread ------------------------------------------------------------------------------------

TEXTS = (
    *("{{workflow.name}}", "{{=1}}", "{{", "}}", "{% raw %}", "{# x #}", "{", "${HOME}", "$(id)", "$A", "$$", "a$$b", "$$(id)", "`id`", "%s", "\\n", "\\"),
    *('"', "'", "'''", '"""', "a\nb", "a\r\nb", "\n", " x ", "\tx", "- a", "a: b", "# x", "a #b", "---", "...", "? x", "&a", "*a", "!!x", "|", ">", "@x", "%x"),
    *("n", "y", "N", "Y", "on", "off", "yes", "no", "true", "null", "~", "None", "1e3", "0o17", "017", "0x1F", "1_000", "12:30:45", "1.", ".5", ".inf"),
    *("NaN", "2026-11-24", "=", "<<", "", "größe", "日本語", "\U0001f600", "\u2028", "\u0085", "\ufeff", "\x7f", "a\u200bb", "</script>", "; rm -rf /"),
)
ANY = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20))


def compiled(text: str, **chosen: Any) -> Compiled:
    given_settings = Settings(**chosen)
    checked = check(SourceFile("flow.py", text), lambda _: None, given_settings)
    assert checked.diagnostics == (), checked.diagnostics
    ((flow, graph),) = checked.flows
    return compile_flow(flow, graph, "argo", given_settings)


def objects(text: str, **chosen: Any) -> list[Any]:
    """What PyYAML reads of the output for a flow."""
    result = compiled(text, **chosen)
    assert result.artifacts, result.diagnostics
    return list(yaml.safe_load_all(stream(result.artifacts)))


def environments(container: dict[str, Any]) -> dict[str, str]:
    """The variables that a container's process sees once the bootstrap has begun."""
    # Kubernetes makes `$$` a `$`, and leaves `$(name)` where there is no such variable
    plain = {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}
    found = {name: re.sub(r"\$(\$|\([^)]*\))", lambda m: "$" if m[1] == "$" else m[0], value) for name, value in plain.items()}
    found.update(json.loads(base64.b64decode(found.pop("FLOWC_ENVIRONMENT", "")) or "{}"))
    return found


def code(template: dict[str, Any]) -> str:
    """The text of flow.py as the pod gets it."""
    for artifact in template["spec"]["templateDefaults"]["inputs"]["artifacts"]:
        data = artifact["raw"]["data"]
        if artifact["path"] == "/flowc/code/flow.py":
            return str(data)
        if artifact["path"] == "/flowc/b64/flow.py":
            return base64.b64decode(data).decode()
    raise AssertionError("no code")


def step(template: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in template["spec"]["templates"] if each["name"] == name]
    return dict(found)


def literals(value: Any) -> Iterator[str]:
    """Every text inside an object, keys included."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from literals(item)
    elif isinstance(value, list):
        for item in value:
            yield from literals(item)
    elif isinstance(value, str):
        yield value


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANY)
def test_text_comes_out_as_the_same_data(text: str) -> None:
    """As default, help, docstring, variable, tag and comment: what a pod gets is the very text, and Argo finds nothing of it to expand."""
    member = f"{text!r}\n    p = Parameter('p', default={text!r}, help={text!r})"
    plain = {"above": "", "bases": "FlowSpec", "arguments": "", "last": f"print({text!r})", "below": ""}
    source = FLOW.format(**plain, member=member, decorator=f"@environment(vars={{'A': {text!r}}})")
    (template, *_) = objects(source, tags=(text,) if text.strip() else (), environment={"B": text.replace("{{", "{ {")})

    (parameter,) = template["spec"]["arguments"]["parameters"]
    assert json.loads(parameter["value"]) == text
    assert environments(step(template, "start")["container"])["A"] == text
    assert environments(template["spec"]["templateDefaults"]["container"])["B"] == text.replace("{{", "{ {")
    assert code(template) == source


@pytest.mark.parametrize("text", TEXTS)
def test_names_and_keys_of_every_spelling(text: str) -> None:
    """Annotations with any value, and parameters with names that YAML 1.1 takes for booleans; what Argo would expand there is refused."""
    plain = {"above": "", "bases": "FlowSpec", "arguments": "", "last": "pass", "below": ""}
    decorator = f"@kubernetes(annotations={{'y': {text!r}, 'n': 'on'}})"
    source = FLOW.format(**plain, member="n = Parameter('n', default='y')\n    on = Parameter('on', default=1)", decorator=decorator)
    if "{{" in text:
        assert [each.code.id for each in compiled(source).diagnostics] == ["FC402"]
        return
    (template, *_) = objects(source)

    assert [each["name"] for each in template["spec"]["arguments"]["parameters"]] == ["n", "on"]
    assert all(isinstance(each, str) for each in literals(template))
    annotations = step(template, "start")["metadata"]["annotations"]
    assert annotations["n"] == "on"
    assert annotations["y"] == text


SETTINGS = ("image", "environment", "annotations", "labels", "owner", "service_account", "production_token", "config_map", "secrets", "metadata")


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("text", ["{{", "a{{b}}c", "{{workflow.nothing}}", "{{=1}}"])
def test_settings_that_argo_would_rewrite_are_refused(name: str, text: str) -> None:
    """It is the user's mistake, told as such; only what names the run may stand there."""
    plain = {"above": "", "bases": "FlowSpec", "member": "pass", "decorator": "", "arguments": "", "last": "pass", "below": ""}
    shape: dict[str, Any] = {"environment": {"A": text}, "annotations": {"a": text}, "labels": {"a": text}, "secrets": (text,)}
    result = compiled(FLOW.format(**plain), **{name: shape.get(name, text)})
    assert "FC402" in {each.code.id for each in result.diagnostics}
    (template, *_) = objects(FLOW.format(**plain), annotations={"run": "{{workflow.name}}"})
    assert template["spec"]["podMetadata"]["annotations"]["run"] == "{{workflow.name}}"


# --- secrets ------------------------------------------------------------------------------------------------------------

SECRETS = {
    "--notify-slack-webhook-url": "https://hooks.slack.com/services/T0/B0/HUSHHUSH",
    "--notify-pager-duty-integration-key": "HUSHHUSH0123456789",
    "--notify-incident-io-api-key": "HUSHHUSH-abcdef",
}


@pytest.mark.parametrize("flag", SECRETS)
def test_a_secret_is_neither_written_nor_repeated(flag: str, tmp_path: Path) -> None:
    """A key in plain text is refused, and stands in no output and no message; a reference to a Secret compiles."""
    plain = {"above": "", "bases": "FlowSpec", "member": "pass", "decorator": "", "arguments": "", "last": "pass", "below": ""}
    (tmp_path / "flow.py").write_text(FLOW.format(**plain), encoding="utf-8")
    more = ["--incident-io-alert-source-config-id", "01GW"] if "incident" in flag else []
    for value, expected in ((SECRETS[flag], 1), ("secret:alerts/key", 0)):
        command = [sys.executable, "-m", "flowc", "compile", "flow.py", "-t", "argo", "--isolated", "--notify-on-error", flag, value, *more]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False)
        assert done.returncode == expected, done.stderr
        assert "HUSHHUSH" not in done.stdout + done.stderr
        assert ("secretKeyRef" in done.stdout) == (expected == 0)
