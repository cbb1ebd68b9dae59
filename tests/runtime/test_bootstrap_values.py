"""In: parameters, files and configs. Out: proof that a pod reads them as `python flow.py run` does, whatever text they hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runtime import simulate

from flowc.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

FILE = simulate.FLOWS / "values.py"
ODD = "  it's {{workflow.name}} \"x\"\n\t$(id) `id` \\ = --plain=no ü"


def both(root: Path, engine: dict[str, Any], laptop: list[str]) -> tuple[Any, Any]:
    """The artifacts that pods and a laptop leave."""
    for name in ("pods", "laptop"):
        (root / name).mkdir()
    settings = engine.pop("settings", Settings())
    ours = simulate.engine(FILE, root / "pods", settings, **engine)
    ours.run()
    top = [a for a in laptop if a.startswith("top:")]
    rest = [a for a in laptop if not a.startswith("top:")]
    run_id = simulate.on_a_laptop("ValuesFlow", FILE, root / "laptop", rest, [a[4:] for a in top])
    return simulate.results("ValuesFlow", root / "pods", ours.run_id), simulate.results("ValuesFlow", root / "laptop", run_id)


def test_defaults_of_every_kind(tmp_path: Path) -> None:
    """Nothing submitted: literals, none, functions, files and configs all have the value of a laptop run."""
    ours, theirs = both(tmp_path, {}, [])
    assert ours == theirs
    assert ours["only", ""]["copy"][1] == 'it\'s {{odd}} "here"\n$HOME `id` \\ ü'


def test_submitted_values_of_every_kind(tmp_path: Path) -> None:
    """JSON as Argo's forms write it, and text as people type it, both give the value of a laptop run's option."""
    given = {
        "plain": json.dumps(ODD),
        "spaced": ODD,
        "nothing": "null and void",
        "untyped": '"7"',
        "whole": "-3",
        "real": "1e3",
        "flag": "False",
        "structure": '{"b": {"c": "}}"}}',
        "listed": "x,,y z",
        "many": '["one two", "", "3"]',
        "dashed-name": "",
        "lazy": "007",
        "lazy_int": "8",
        "text": "words.txt",
        "sized": "9",
    }
    options = [f"--{name}={value}" for name, value in given.items() if name not in ("plain", "untyped", "many")]
    options += [f"--plain={ODD}", "--untyped=7", "--many=one two", "--many=", "--many=3"]
    ours, theirs = both(tmp_path, {"submitted": given}, options)
    assert ours == theirs
    assert ours["only", ""]["copy"][:2] == [ODD, ODD]


def test_null_is_a_value_only_where_the_default_is_one(tmp_path: Path) -> None:
    """`null` for a parameter with a default is what `--plain=null` is: the text, for a JSON parameter the default."""
    ours, theirs = both(tmp_path, {"submitted": {"structure": "null", "plain": "null"}}, ["--structure=null", "--plain=null"])
    assert ours == theirs
    assert ours["only", ""]["structure"] == {"a": [1, None]}
    assert ours["only", ""]["plain"] == "null"


def test_a_config_that_settings_give(tmp_path: Path) -> None:
    """A config value from settings reaches the pod, and with it the parameter's default that was made of it; tags reach every task."""
    value = {"size": 30, "nested": {"key": "it's {{given}}"}}
    settings = Settings(configs={"config": value}, tags=("mine:1", "mine two"))
    text = json.dumps(value)
    laptop = ["top:--config-value", "top:config", f"top:{text}", "--tag=mine:1", "--tag=mine two"]
    ours, theirs = both(tmp_path, {"settings": settings}, laptop)
    assert ours == theirs
    assert ours["only", ""]["sized"] == 30
    assert ours["only", ""]["tag_list"] == ["mine two", "mine:1"]
