"""Facts about paths in the reports that servers read: they start at the root of the repository, wherever flowc runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli.running import BROKEN, HELLO, flowc

TWICE = HELLO.replace("import FlowSpec", "import FlowSpec, Parameter").replace(":\n    @step", ':\n    a = Parameter("size")\n    b = Parameter("size")\n\n    @step', 1)
VARIABLES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a broken flow in a folder of it, where the tests run; no server's variable is set."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "root"
    (root / ".git").mkdir(parents=True)
    (root / "team" / "flows").mkdir(parents=True)
    (root / "team" / "flows" / "broken.py").write_text(BROKEN)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "broken.py").write_text(BROKEN)
    monkeypatch.chdir(root / "team")
    return root


def paths(form: str, *files: str, **env: str) -> set[str]:
    """The paths that the report of these files gives, those of related places too."""
    text = flowc("check", *(files or ("flows/broken.py",)), "--output-format", form, "--isolated", code=1, **env).stdout
    if form == "github":
        return set(re.findall(r"file=([^,]*),", text))
    data = json.loads(text)
    if form == "gitlab":
        return {issue["location"]["path"] for issue in data}
    if form == "json":
        return {issue["path"] for issue in data}
    results = data["runs"][0]["results"]
    places = [place for result in results for place in (*result["locations"], *result.get("relatedLocations", ()))]
    return {place["physicalLocation"]["artifactLocation"]["uri"] for place in places}


@pytest.mark.parametrize(
    ("form", "variable"), [("github", "GITHUB_WORKSPACE"), ("gitlab", "CI_PROJECT_DIR"), ("sarif", "GITHUB_WORKSPACE"), ("sarif", "CI_PROJECT_DIR")]
)
def test_paths_start_at_the_root(form: str, variable: str, checkout: Path, tmp_path: Path) -> None:
    """In a folder of the repository each report has paths from its root; of a file outside, and without the variable, those that were given."""
    assert paths(form) == {"flows/broken.py"}
    assert paths(form, **{variable: ""}) == {"flows/broken.py"}
    for root in (str(checkout), f"{checkout}/", str(checkout / "team" / "..")):
        assert paths(form, **{variable: root}) == {"team/flows/broken.py"}
    assert paths(form, str(checkout / "team" / "flows" / "broken.py"), **{variable: str(checkout)}) == {"team/flows/broken.py"}
    assert paths(form, "../../other/broken.py", **{variable: str(checkout)}) == {"../../other/broken.py"}
    assert paths(form, **{variable: str(tmp_path / "other")}) == {"flows/broken.py"}
    (tmp_path / "link").symlink_to(checkout)
    assert paths(form, **{variable: str(tmp_path / "link")}) == {"team/flows/broken.py"}


def test_related_places_start_at_the_root_too(checkout: Path) -> None:
    """The other parameter of that name is in the same file, so both places have the same path."""
    (checkout / "team" / "flows" / "broken.py").write_text(TWICE)
    log = flowc("check", "flows/broken.py", "--output-format", "sarif", code=1, GITHUB_WORKSPACE=str(checkout)).stdout
    assert "relatedLocations" in log
    assert paths("sarif", GITHUB_WORKSPACE=str(checkout)) == {"team/flows/broken.py"}


def test_formats_that_no_server_reads_stay(checkout: Path) -> None:
    """What people and scripts read has the paths that they gave, on a server too."""
    both = {name: str(checkout) for name in VARIABLES}
    assert paths("json", **both) == {"flows/broken.py"}
    assert flowc("check", "flows/broken.py", "--output-format", "concise", code=1, **both).stdout.startswith("flows/broken.py:7:")


def test_a_checkout_below_the_workspace(checkout: Path, tmp_path: Path) -> None:
    """Two checkouts in one workspace are two repositories, each with paths from its own root; a submodule belongs to that around it."""
    assert paths("github", GITHUB_WORKSPACE=str(tmp_path)) == {"team/flows/broken.py"}
    assert paths("github", "../../other/broken.py", GITHUB_WORKSPACE=str(tmp_path)) == {"other/broken.py"}
    (checkout / "team" / ".git").write_text("gitdir: ../.git/modules/team\n")
    assert paths("github", GITHUB_WORKSPACE=str(checkout)) == {"team/flows/broken.py"}
