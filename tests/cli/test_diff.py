"""Facts about `flowc diff`: it says in words what changed in meaning since a revision or between environments, and exits with 1 then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.running import BROKEN, HELLO, flowc
from cli.test_pre_commit import git

FLOW = """\
from metaflow import FlowSpec, Parameter, kubernetes, resources, retry, schedule, step
import common


@schedule(cron="0 6 * * *")
class HelloFlow(FlowSpec):
    size = Parameter("size", default=1)

    @resources(memory=common.MEMORY)
    @step
    def start(self):
        self.next(self.work)

    @step
    def work(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""

TABLES = """\
flows = ["flows/*.py"]
image = "ml:1"

[argo]
labels = { b = "2" }

# not among the targets
[kubernetes]
labels = { c = "3" }

[env.prod]
namespace = "ml"
max-workers = 5

[env.prod.argo]
labels = { a = "1" }
max-workers = 6

[env.dev]
image = "ml:2"
targets = ["step-functions"]
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit with a flow, its module and settings."""
    work = tmp_path / "work"
    (work / "flows").mkdir(parents=True)
    (work / "flows" / "hello.py").write_text(FLOW)
    (work / "flows" / "common.py").write_text("MEMORY = 4096\n")
    (work / "flowc.toml").write_text('flows = ["flows/*.py"]\n\n[env.prod]\nnamespace = "prod"\n')
    monkeypatch.chdir(work)
    git(work, "init", "-q")
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "one")
    return work


def test_nothing_differs(repository: Path) -> None:
    """A comment is no change of meaning, but one of the code; without any change the exit code is 0."""
    assert flowc("diff").stderr == "flowc: nothing differs in 2 files\n"
    (repository / "flows" / "hello.py").write_text("# a comment\n" + FLOW)
    assert flowc("diff", code=1).stdout == "flows/hello.py:HelloFlow\n  ~ code of hello.py changed\n"


def test_what_changed_in_words(repository: Path) -> None:
    """Steps, their order, resources through a module, retries, schedule, parameters and settings: each on a line, with both values."""
    changed = FLOW.replace("self.next(self.work)", "self.next(self.check)").replace("def work(", "def check(")
    changed = changed.replace("0 6 *", "0 7 *").replace("default=1", "default=2")
    (repository / "flows" / "hello.py").write_text(changed.replace("    @step\n    def check", "    @retry(times=2)\n    @step\n    def check"))
    (repository / "flows" / "common.py").write_text("MEMORY = 8192\n")
    (repository / "flowc.toml").write_text('flows = ["flows/*.py"]\nimage = "ml:2"\n')

    assert flowc("diff", code=1).stdout.splitlines() == [
        "flows/hello.py:HelloFlow",
        "  ~ step start: next work → check",
        "  ~ step start: memory 4096 MB → 8192 MB",
        "  + step check added: next end, retries 2, minutes_between_retries 2",
        "  - step work removed",
        "  ~ parameter size: default 1 → 2",
        '  ~ flow @schedule: cron 0 6 * * * → 0 7 * * *',
        "  ~ setting image: python:3.11 → ml:2",
        "  - setting env.prod.namespace: prod → none",
        "  ~ code of hello.py changed",
        "  ~ code of common.py changed",
    ]
    told = json.loads(flowc("diff", "--format", "json", code=1).stdout)
    assert {"path": ["steps", "start", "memory"], "before": "4096", "after": "8192"} in told["flows/hello.py:HelloFlow"]
    assert "- step `start`: `memory` `4096 MB` → `8192 MB`" in flowc("diff", "--format", "markdown", code=1).stdout


def test_decorators_by_field(repository: Path) -> None:
    """Of maps and lists of named things only what differs is told; a decorator that is new or gone is told whole."""
    one = '@conda(packages={"numpy": "1", "pandas": "2"})\n    @environment(vars={"A": "1"})\n'
    two = '@conda(packages={"numpy": "2", "pandas": "2"})\n    @environment(vars={"A": "1", "B": "2"})\n'
    tolerations = '[{"key": "gpu", "operator": "Exists"}, {"key": "spot", "operator": "Exists"}]'
    text = FLOW.replace("import FlowSpec,", "import FlowSpec, conda, environment,").replace('@schedule(cron="0 6 * * *")\n', "")
    made = {}
    for name, lines, value in (("one", one, tolerations), ("two", two, tolerations.replace("Exists", "Equal", 1))):
        made[name] = text.replace("    @step\n    def work", f"    {lines}    @kubernetes(tolerations={value})\n    @step\n    def work")
    flow = repository / "flows" / "hello.py"
    flow.write_text(made["one"])
    assert flowc("diff", code=1).stdout.splitlines()[1:-1] == [
        "  + step work: tolerations[key=gpu] none → operator: Exists",
        "  + step work: tolerations[key=spot] none → operator: Exists",
        "  + step work: environment A none → 1",
        "  + step work: @conda none → packages.numpy: 1, packages.pandas: 2",
        "  - flow @schedule: cron: 0 6 * * * → none",
    ]
    git(repository, "commit", "-q", "-a", "-m", "two")
    flow.write_text(made["two"])
    assert flowc("diff", code=1).stdout.splitlines()[1:-1] == [
        "  ~ step work: tolerations[key=gpu].operator Exists → Equal",
        "  + step work: environment B none → 2",
        "  ~ step work: @conda packages numpy 1 → 2",
    ]


def test_a_flow_that_is_renamed(repository: Path) -> None:
    """It keeps most of its steps and is the only one that is new in its file: its name has changed, and what else differs is told."""
    flow = repository / "flows" / "hello.py"
    flow.write_text(FLOW.replace("HelloFlow", "HiFlow").replace("default=1", "default=2"))
    assert flowc("diff", code=1).stdout.splitlines() == [
        "flows/hello.py:HiFlow",
        "  ~ name: HelloFlow → HiFlow",
        "  ~ parameter size: default 1 → 2",
        "  ~ code of hello.py changed",
    ]
    another = FLOW.replace("HelloFlow", "OtherFlow").replace("self.work", "self.a").replace("def work", "def a")
    flow.write_text(another.replace("self.next(self.end)", "self.next(self.b)\n\n    @step\n    def b(self):\n        self.next(self.end)"))
    assert flowc("diff", code=1).stdout == "flows/hello.py:HelloFlow\n  - flow removed\n\nflows/hello.py:OtherFlow\n  + new flow\n"


def test_files_and_flows_by_name(repository: Path) -> None:
    """A file that was removed can be named still, as `git diff --name-only` does; a flow of several in a file is compared alone; what never was is a mistake."""
    (repository / "flows" / "hello.py").write_text(FLOW + HELLO.split("\n\n\n", 1)[1].replace("HelloFlow", "SecondFlow"))
    assert flowc("diff", "flows/hello.py:SecondFlow", code=1).stdout == "flows/hello.py:SecondFlow\n  + new flow\n"
    assert "flows/hello.py has no flow Third, and had none" in flowc("diff", "flows/hello.py:Third", code=2).stderr
    (repository / "flows" / "hello.py").unlink()
    assert flowc("diff", "flows/hello.py", code=1).stdout == "flows/hello.py:HelloFlow\n  - flow removed\n"
    (repository / "flows" / "common.py").unlink()
    assert flowc("diff", "flows/hello.py", "flows/common.py", code=1).stdout == "flows/hello.py:HelloFlow\n  - flow removed\n"
    assert "flows/none.py: there is no such file" in flowc("diff", "flows/none.py", code=2).stderr


def test_flows_that_come_and_go(repository: Path) -> None:
    """New and removed flows are told, also where only some files are named, and from a folder below."""
    (repository / "flows" / "new.py").write_text(HELLO.replace("HelloFlow", "NewFlow"))
    (repository / "flows" / "hello.py").unlink()
    told = flowc("diff", code=1).stdout
    assert "flows/new.py:NewFlow\n  + new flow" in told
    assert "flows/hello.py:HelloFlow\n  - flow removed" in told
    assert flowc("diff", "flows/new.py", code=1).stdout == "flows/new.py:NewFlow\n  + new flow\n"


def test_a_flow_that_moves_to_another_file(repository: Path) -> None:
    """It is no new flow and none is removed: what differs beside its place is told; with two of the name nothing is guessed."""
    (repository / "flows" / "hello.py").unlink()
    moved = repository / "flows" / "moved.py"
    moved.write_text(FLOW)
    told = "flows/moved.py:HelloFlow\n  ~ file: flows/hello.py → flows/moved.py\n"
    assert flowc("diff", code=1).stdout == told
    moved.write_text(FLOW.replace("0 6 *", "0 7 *"))
    assert flowc("diff", code=1).stdout == told + "  ~ flow @schedule: cron 0 6 * * * → 0 7 * * *\n  ~ code of moved.py changed\n"
    (repository / "flows" / "twin.py").write_text(FLOW)
    assert "- flow removed" in flowc("diff", code=1).stdout


def test_the_last_flow_of_a_glob_goes_or_the_first_comes(repository: Path) -> None:
    """Where a glob of `flows` matches on one side alone, its flow is removed or new, and others are neither; a glob for nothing is a mistake."""
    settings = repository / "flowc.toml"
    settings.write_text('flows = ["flows/*.py", "more/**/*.py"]\n')
    other = repository / "more" / "deep" / "other.py"
    other.parent.mkdir(parents=True)
    other.write_text(HELLO.replace("HelloFlow", "OtherFlow"))
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    other.unlink()
    assert flowc("diff", code=1).stdout == "more/deep/other.py:OtherFlow\n  - flow removed\n"
    other.parent.rmdir()
    other.parent.parent.rmdir()
    for arguments in ([], ["--settings", str(settings)]):
        done = flowc("diff", *arguments, code=1)
        assert (done.stdout, done.stderr) == ("more/deep/other.py:OtherFlow\n  - flow removed\n", "")
    assert "no file matches 'more/**/*.py'" in flowc("compile", code=2).stderr
    assert "no file matches 'more/**/*.py'" in flowc("check", code=2).stderr
    git(repository, "commit", "-q", "-a", "-m", "three")
    assert "no file matches 'more/**/*.py'" in flowc("diff", code=2).stderr
    other.parent.mkdir(parents=True)
    other.write_text(HELLO.replace("HelloFlow", "OtherFlow"))
    done = flowc("diff", code=1)
    assert (done.stdout, done.stderr) == ("more/deep/other.py:OtherFlow\n  + new flow\n", "")


def test_no_flow_is_left(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing that the settings name is there any more, all that was is removed; from a folder below too."""
    for name in ("hello.py", "common.py"):
        (repository / "flows" / name).unlink()
    (repository / "flows").rmdir()
    for form, told in (("text", "flows/hello.py:HelloFlow\n  - flow removed\n"), ("markdown", "### `flows/hello.py:HelloFlow`\n\n- flow removed\n")):
        assert flowc("diff", "--format", form, code=1).stdout == told
    (repository / "docs").mkdir()
    monkeypatch.chdir(repository / "docs")
    assert flowc("diff", code=1).stdout == "../flows/hello.py:HelloFlow\n  - flow removed\n"
    monkeypatch.chdir(repository)
    assert "no file matches 'flows/*.py'" in flowc("diff", "--env", "prod", code=2).stderr
    git(repository, "commit", "-q", "-a", "-m", "two")
    assert "no file matches 'flows/*.py'" in flowc("diff", code=2).stderr


def test_the_change_that_brings_settings(repository: Path) -> None:
    """Where the revision has no settings file, no such environment, or no file that its globs match, all flows are new, and it is said why."""
    git(repository, "mv", "flowc.toml", "other.toml")
    git(repository, "commit", "-q", "-m", "two")
    text = (repository / "other.toml").read_text()
    for name, new, arguments, why in (
        ("flowc.toml", text, [], "name a flow, or say in flowc.toml which are compiled"),
        ("flowc.toml", text, ["--env", "prod"], "there is no environment 'prod': no settings file was found"),
        ("other.toml", text + "[env.test]\n", ["--settings", "other.toml", "--env", "test"], "other.toml: there is no environment 'test'"),
    ):
        (repository / name).write_text(new)
        done = flowc("diff", "--against", "HEAD", *arguments, code=1)
        assert done.stdout == "flows/hello.py:HelloFlow\n  + new flow\n"
        assert done.stderr.startswith(f"flowc: all flows are new: at HEAD, {why}")
        (repository / name).unlink()


def test_settings_by_an_absolute_path(repository: Path) -> None:
    """The file is that of the revision, however it is named."""
    (repository / "flows" / "hello.py").write_text(FLOW.replace("default=1", "default=2"))
    for name in ("flowc.toml", str(repository / "flowc.toml")):
        assert "parameter size: default 1 → 2" in flowc("diff", "--settings", name, code=1).stdout


def test_a_shallow_clone(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a revision was not fetched, the remedy is told."""
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    git(repository.parent, "clone", "-q", "--depth", "1", repository.as_uri(), "shallow")
    monkeypatch.chdir(repository.parent / "shallow")
    assert flowc("diff", "--against", "HEAD").stdout == ""
    assert "there is no revision 'HEAD~1'; this clone is shallow" in flowc("diff", "--against", "HEAD~1", code=2).stderr


def test_environments(repository: Path) -> None:
    """--env alone compares the environment with the settings below it."""
    assert flowc("diff", "--env", "prod", code=1).stdout == "flows/hello.py:HelloFlow\n  + setting namespace: none → prod\n"
    assert flowc("diff", "--env", "prod", "--against", "HEAD").stdout == ""


def test_what_changed_in_environments_and_targets(repository: Path) -> None:
    """Without --env, what a table of an environment or a target has otherwise is told too, by its key; what it has from below is not."""
    (repository / "flowc.toml").write_text(TABLES)
    assert flowc("diff", code=1).stdout.splitlines() == [
        "flows/hello.py:HelloFlow",
        "  ~ setting image: python:3.11 → ml:1",
        "  + setting argo.labels: none → b: 2",
        "  ~ setting env.prod.namespace: prod → ml",
        "  + setting env.prod.max-workers: none → 5",
        "  + setting env.prod.argo.labels: none → a: 1",
        "  + setting env.prod.argo.max-workers: none → 6",
        "  + setting env.dev.image: none → ml:2",
        "  + setting env.dev.targets: none → step-functions",
    ]


def test_a_key_is_not_shown(repository: Path) -> None:
    """That a literal key changed is told and its value is not, since this text goes into pull requests; the production token is no secret."""
    text = (repository / "flowc.toml").read_text()
    keys = 'notify-pager-duty-integration-key = "r0-key"\nproduction-token = "hello-0-abcd"\n'
    (repository / "flowc.toml").write_text(f'{keys}{text}[argo]\nnotify-pager-duty-integration-key = "r1-key"\n')
    for form in ("text", "markdown", "json"):
        said = flowc("diff", "--format", form, code=1).stdout
        assert said.count("set; not shown here") == 2
        assert "hello-0-abcd" in said
        assert not [key for key in ("r0-key", "r1-key") if key in said]


def test_mistakes(repository: Path) -> None:
    """A revision that is none, an option in its place, a flow with errors: each is said, with exit code 2."""
    assert "there is no revision 'nothing'" in flowc("diff", "--against", "nothing", code=2).stderr
    assert "there is no revision '--output=x'" in flowc("diff", "--against=--output=x", code=2).stderr
    assert not (repository / "x").exists()
    (repository / "flows" / "broken.py").write_text(BROKEN)
    assert "flows/broken.py has errors, so its meaning is not known" in flowc("diff", code=2).stderr
