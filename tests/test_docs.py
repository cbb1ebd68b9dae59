"""What the documents say is so: commands run and print what stands there, paths, links, options and codes exist."""

from __future__ import annotations

import importlib
import itertools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cli.running import environment

from flowc import config
from flowc.cli import COMMANDS
from flowc.commands.session import known_codes
from flowc.compiler import check, compile_flow
from flowc.settings import Settings
from flowc.source import SourceFile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGED = ("*.md", "docs/*.md", "docs/decisions/*.md", "benchmarks/*.md", "terraform/**/*.md", "deploy/*.md", "examples/**/*.md")
PAGES = sorted(p for pattern in PAGED for p in ROOT.glob(pattern))
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"[\w.-]+(/[\w.*<>-]+)*/?")
FOREIGN = {"--max-num-splits", "--s3-bucket", "--only-json", "--input-paths", "--namespace"}
"""Options of other programs that stand alone in code spans."""
PROGRAMS = {
    "kubectl": {"apply", "delete", "get", "create", "wait", "logs", "kustomize"}, "argo": {"submit", "lint", "retry", "logs"},
    "git": {"add", "clone", "commit"},
    "kind": {"create", "delete"},
    "python": {"train.py"},
    "aws": {"eks", "cloudformation"},
    "terraform": {"init", "apply", "output"},
}


@dataclass(frozen=True)
class Fence:
    """A fenced block: where it stands, its language, its text without the page's indentation."""

    page: Path
    line: int
    language: str
    text: str


def fences(language: str) -> list[Fence]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match[2] == language:
                inner = "".join(line.removeprefix(match[1]) for line in match[3].splitlines(keepends=True))
                found.append(Fence(page, text[: match.start()].count("\n") + 1, match[2], inner))
    return found


def prose(page: Path) -> str:
    """A page without its fences."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def spans() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for match in SPAN.finditer(prose(page)):
            yield page, match[1]


def named(value: object) -> str:
    return f"{value.page.name}:{value.line}" if isinstance(value, Fence) else value.name if isinstance(value, Path) else str(value)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def options(command: str) -> set[str]:
    """The flags of a flowc command."""
    click_command = getattr(importlib.import_module(COMMANDS[command]), f"{command}_command")
    below = getattr(click_command, "commands", {}).values()
    parameters = [parameter for each in (click_command, *below) for parameter in each.params]
    return {flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def all_options() -> set[str]:
    return set().union(*(options(command) for command in COMMANDS)) | {"--version"}


def flow_of_the_readme() -> dict[str, object]:
    source = SourceFile("examples/train.py", (ROOT / "examples" / "train.py").read_text(encoding="utf-8"))
    ((flow, graph),) = check(source, lambda _: None, Settings()).flows
    template: dict[str, object] = yaml.safe_load(compile_flow(flow, graph, "argo", Settings()).artifacts[0].text)
    return template


# --- blocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fence", fences("console"), ids=named)
def test_a_console_shows_what_is_printed(fence: Fence, tmp_path: Path) -> None:
    """Each `$ flowc` line runs beside the examples, succeeds, and prints the lines below it; no other command needs more than pip."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / ".git").mkdir()
    blocks = re.split(r"^\$ ", fence.text, flags=re.MULTILINE)
    assert blocks[0] == "", "a console begins with a command"
    for block in blocks[1:]:
        line, _, shown = block.partition("\n")
        words = shlex.split(line)
        if words[0] != "flowc":
            assert words == ["pip", "install", "flowc"]
            continue
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, shown)


@pytest.mark.parametrize("fence", fences("toml"), ids=named)
def test_a_toml_block_is_settings(fence: Fence) -> None:
    """It parses as a settings file, every key known."""
    assert set(tomllib.loads(fence.text)) == {"tool"}
    found = [config.parse(fence.text, "pyproject.toml", target=name) or {} for name in (None, "argo")]
    assert any(Settings(**values) != Settings() for values in found)


@pytest.mark.parametrize("fence", fences("yaml"), ids=named)
def test_a_yaml_block_is_an_object(fence: Fence) -> None:
    """It is a file of examples/gitops, which has tests of its own; or a Kubernetes object, or the settings of pre-commit, of hooks that there are.

    A ConfigMap is the one that pods read when no setting says otherwise.
    """
    if fence.text in {path.read_text(encoding="utf-8") for path in (ROOT / "examples" / "gitops").rglob("*") if path.suffix in (".yaml", ".yml")}:
        return
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
    for each in yaml.safe_load_all(fence.text):
        if "repos" in each:
            assert {hook["id"] for repo in each["repos"] for hook in repo["hooks"]} == hooks
            continue
        assert {"apiVersion", "kind", "metadata"} <= set(each)
        if each["kind"] == "ConfigMap":
            assert each["metadata"]["name"] == Settings().config_map
            assert all(key.startswith("METAFLOW_") and isinstance(value, str) for key, value in each["data"].items())


@pytest.mark.parametrize("fence", fences("python"), ids=named)
def test_a_python_block_is_a_flow(fence: Fence) -> None:
    """It compiles."""
    checked = check(SourceFile("flow.py", fence.text), lambda _: None, Settings())
    assert checked.diagnostics == ()
    assert all(compile_flow(flow, graph, "argo", Settings()).artifacts for flow, graph in checked.flows)


@pytest.mark.parametrize("fence", fences("sh"), ids=named)
def test_a_shell_block_names_what_there_is(fence: Fence) -> None:
    """Its commands exist: targets of make, flags of flowc, verbs of kubectl and argo, the workflow and the parameter of the example."""
    template = flow_of_the_readme()
    parameters = [each["name"] for each in template["spec"]["arguments"]["parameters"]]  # type: ignore[index]
    lines = (shlex.split(line, comments=True) for line in fence.text.splitlines())
    commands = [list(words) for line in lines for piped, words in itertools.groupby(line, "|".__eq__) if not piped]
    for words in commands:
        line = shlex.join(words)
        program, *rest = [word for word in words if not word.startswith("-chdir=")]
        if program == "make":
            assert {word for word in rest if "=" not in word} <= make_targets(), line
        elif program == "flowc":
            assert rest[0] in COMMANDS, line
            assert {word for word in rest if word.startswith("--")} <= options(rest[0]), line
        elif program == "pip":
            assert rest == ["install", "."], line
        else:
            assert rest[0] in PROGRAMS[program], line
        for word in rest:
            if word.startswith("workflowtemplate/"):
                assert word == f"workflowtemplate/{template['metadata']['name']}"  # type: ignore[index]
        if "-p" in rest:
            assert rest[rest.index("-p") + 1].split("=")[0] in parameters, line


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    """A block of another language would be tried by nothing."""
    languages = {match[2] for page in PAGES for match in FENCE.finditer(page.read_text(encoding="utf-8"))}
    assert languages <= {"console", "toml", "yaml", "python", "sh"}
    assert fences("console")


def objects_of(case: str, **chosen: object) -> dict[str, dict[str, object]]:
    """The objects that a fixture's flow compiles to, by kind."""
    folder = ROOT / "tests" / "fixtures" / case
    files = {path.name: path.read_bytes() for path in folder.glob("*.py")}
    events = {"events_event": "flow", "events_event_source": "webhook", "events_service_account": "argo-events"}
    settings = Settings(**events, **chosen)  # type: ignore[arg-type]
    ((flow, graph),) = check(SourceFile("flow.py", files["flow.py"].decode()), files.get, settings).flows
    found = [yaml.safe_load(artifact.text) for artifact in compile_flow(flow, graph, "argo", settings).artifacts]
    return {each["kind"]: each for each in found}


def test_the_page_on_argo_has_every_object() -> None:
    """Its table names the kinds that come out, each when the table says so; and its versions differ as it says."""
    page = (ROOT / "docs" / "argo.md").read_text(encoding="utf-8")
    table = page[page.index("| Object | When |") : page.index("Names, labels")]
    kinds = {name for row in table.splitlines() for name in re.findall(r"`([A-Z]\w+)`", row.split("|")[1] if "|" in row else "")}
    seen = {
        "linear": set(objects_of("linear")),
        "@schedule": set(objects_of("production")),
        "@trigger": set(objects_of("triggered")),
        "@parallel": set(objects_of("gang")),
        "--rbac": set(objects_of("linear", rbac=True)),
    }
    assert set().union(*seen.values()) == kinds
    assert seen["linear"] == {"WorkflowTemplate"}
    assert seen["@schedule"] == {"WorkflowTemplate", "CronWorkflow"}
    assert seen["@trigger"] == {"WorkflowTemplate", "Sensor"}
    assert seen["@parallel"] == {"WorkflowTemplate", "ConfigMap"}
    assert seen["--rbac"] == {"WorkflowTemplate", "ServiceAccount", "Role", "RoleBinding"}
    for version, key in (("3.5", "schedule"), ("3.6", "schedules"), ("4.1", "schedules")):
        spec = objects_of("production", argo_version=version)["CronWorkflow"]["spec"]
        assert key in spec  # type: ignore[operator]
        assert len({"schedule", "schedules"} & set(spec)) == 1  # type: ignore[call-overload]


# --- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file or folder of the project."""
    links = [link for link in LINK.findall(prose(page)) if not link.startswith(("https://", "http://"))]
    assert [link for link in links if not (page.parent / link.split("#")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_paths_exist(page: Path) -> None:
    """Every path in a code span that begins with a folder of the project is there; `<name>` and `*` stand for any."""
    folders = {p.name for p in ROOT.iterdir() if p.is_dir()}
    missing = []
    for match in SPAN.finditer(prose(page)):
        word = match[1].split(" ")[0]
        known = (word.split("/")[0] in folders and "/" in word) or word.endswith(".md")
        if known and PATH.fullmatch(word) and not list(ROOT.glob(re.sub(r"<\w+>", "*", word).rstrip("/"))):
            missing.append(word)
    assert missing == []


def test_commands_and_options_exist() -> None:
    """Each `flowc ...`, `make ...` and `--option` in a code span is one that there is."""
    wrong = []
    for page, span in spans():
        words = span.split()
        flags = {flag for word in words if word.startswith("--") for flag in word.split("=")[0].split("/")}
        if words[0] == "make":
            good = set(words[1:2]) <= make_targets()
        elif words[0] == "flowc" and len(words) > 1:
            good = words[1] in COMMANDS and flags <= options(words[1])
        elif words[0].startswith("--"):
            good = flags <= all_options() | FOREIGN
        else:
            good = True
        if not good:
            wrong.append((page.name, span))
    assert wrong == []


def test_codes_exist() -> None:
    """Every FCnnn in a page is a code that flowc declares."""
    named_codes = {(page.name, code) for page in PAGES for code in re.findall(r"\bFC\d{3}\b", page.read_text(encoding="utf-8"))}
    assert {each for each in named_codes if each[1] not in known_codes()} == set()


def test_generated_pages_are_current() -> None:
    """docs/diagnostics is what the codes declare."""
    done = subprocess.run([sys.executable, "tools/docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sizes_are_as_the_readme_says() -> None:
    """What a step of a plain chain adds, its code included, and the whole of a chain of 1,000 steps."""
    sizes = {count: len(chain(count).encode()) for count in (100, 1000)}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    step, whole = re.search(r"about ([\d.]+) KB a step", readme), re.search(r"takes ([\d.]+) MiB", readme)
    assert step is not None
    assert whole is not None
    assert step[1] == f"{(sizes[1000] - sizes[100]) / 900 / 1000:.1f}"
    assert whole[1] == f"{sizes[1000] / 2**20:.1f}"


def chain(count: int) -> str:
    """What a flow of so many steps in a row compiles to."""
    names = ["start", *(f"step{number}" for number in range(count - 2)), "end"]
    body = [f"    @step\n    def {a}(self):\n        self.next(self.{b})\n" for a, b in itertools.pairwise(names)]
    text = "from metaflow import FlowSpec, step\n\n\nclass Chain(FlowSpec):\n" + "\n".join(body) + "\n    @step\n    def end(self):\n        pass\n"
    ((flow, graph),) = check(SourceFile("flow.py", text), lambda _: None, Settings()).flows
    return compile_flow(flow, graph, "argo", Settings()).artifacts[0].text
