"""Mutators in sight come out as if Metaflow had run them; others are refused once, with the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from decorating import flow, held
from reading import codes, imported, reading

if TYPE_CHECKING:
    from pathlib import Path

MUTATORS = {
    "add": ("class M(StepMutator):\n    def mutate(self, s):\n        s.add_decorator(retry, deco_kwargs={'times': 4})\n", "@M\n@step"),
    "add by text": ("class M(StepMutator):\n    def mutate(self, s):\n        s.add_decorator('kubernetes:cpu=4,image=a')\n", "@M\n@step"),
    "ignored duplicate": (
        "class M(StepMutator):\n    def mutate(self, s):\n        s.add_decorator('retry:times=4')\n",
        "@M\n@retry(times=1)\n@step",
    ),
    "override": (
        "class M(StepMutator):\n    def mutate(self, s):\n        s.add_decorator('retry', deco_kwargs={'times': 4}, duplicates=MutableStep.OVERRIDE)\n",
        "@M\n@retry(times=1)\n@card\n@step",
    ),
    "override by the instance": (
        "class M(StepMutator):\n    def mutate(self, s):\n        s.add_decorator('retry:times=4', duplicates=s.OVERRIDE)\n",
        "@M\n@retry(times=1)\n@card\n@step",
    ),
    "arguments": (
        "class M(StepMutator):\n    def init(self, times, cpu=1):\n        self.times = times\n        self.cpu = cpu\n\n"
        "    def mutate(self, s):\n        if self.times > 2:\n            s.add_decorator(retry, deco_kwargs=dict(times=self.times))\n",
        "@M(3, cpu=2)\n@step",
    ),
    "remove": ("class M(StepMutator):\n    def mutate(self, s):\n        s.remove_decorator('retry')\n", "@M\n@retry\n@card\n@step"),
    "specs": (
        "class M(StepMutator):\n    def mutate(self, s):\n        for name, _where, _args, attributes in s.decorator_specs:\n"
        "            if name == 'kubernetes' and float(attributes.get('cpu') or 0) > 4:\n                print(f'{name} is too big')\n"
        "                attributes['cpu'] = 4\n                s.add_decorator(name, deco_kwargs=attributes, duplicates=s.OVERRIDE)\n",
        "@M\n@retry\n@kubernetes(cpu=8, memory=9)\n@step",
    ),
    "user decorators": (
        "@user_step_decorator\ndef mine(step_name, flow, inputs):\n    yield\n\n\n"
        "class M(StepMutator):\n    def pre_mutate(self, s):\n        s.add_decorator(mine)\n        s.add_decorator(retry)\n",
        "@M\n@step",
    ),
    "has": (
        "class M(StepMutator):\n    def pre_mutate(self, s):\n        if not s.has_decorator('retry'):\n            s.add_decorator(retry)\n",
        "@M\n@card\n@step",
    ),
}


@pytest.mark.parametrize("case", MUTATORS)
def test_readable_step_mutators_are_applied(case: str, tmp_path: Path) -> None:
    """A mutator in sight leaves the decorators that Metaflow has after running it."""
    before, decorators = MUTATORS[case]
    text = flow(decorators, before)
    found = reading(text)
    assert codes(found) == []
    assert held(found)["start"] == _mutated(text, tmp_path)


def _mutated(text: str, folder: Path) -> Any:
    from metaflow.user_decorators.mutable_step import MutableStep

    cls = imported({"flow.py": text}, folder).F
    step = next(s for s in cls._steps if s.name == "start")
    for mutator in step.config_decorators:
        mutator.external_init()
        for method, early in ((mutator.pre_mutate, True), (mutator.mutate, False)):
            method(MutableStep(cls, step, pre_mutate=early, statically_defined=True, inserted_by=["M"]))
    # what a mutator adds later than the call is in `attributes` only
    given = lambda d: {k: v for k, v in d.attributes.items() if k in d._user_defined_attributes or v != d.defaults[k]}  # noqa: E731
    return [(d.name, given(d)) for d in step.decorators]


def test_readable_flow_mutators_are_applied() -> None:
    """A FlowMutator that goes over the steps, with the value of a config, before `--with` fills in."""
    before = (
        "class Everywhere(FlowMutator):\n    def pre_mutate(self, flow):\n        for name, s in flow.steps:\n            if name != 'end':\n"
        "                s.add_decorator(retry, deco_kwargs={'times': flow.size.times})\n"
    )
    text = flow("@step", before, "@Everywhere\n", "    size = Config('size', default_value={'times': 6})\n")
    found = reading(text, with_decorators=("retry:times=1", "kubernetes:cpu=2"))
    assert codes(found) == []
    assert held(found)["start"] == [("retry", {"times": 6}), ("kubernetes", {"cpu": 2})]
    assert held(found)["end"] == [("retry", {"times": 1}), ("kubernetes", {"cpu": 2})]


def test_mutators_that_wait_for_kubernetes_need_it_in_the_text() -> None:
    """Metaflow runs step mutators again after it gave every step @kubernetes; where that changes something, the step must have it itself."""
    before = (
        "class M(StepMutator):\n    def mutate(self, s):\n        if s.has_decorator('kubernetes'):\n"
        "            s.add_decorator('kubernetes:cpu=4', duplicates=s.OVERRIDE)\n"
    )
    text = flow("@M\n@step", before)
    assert codes(reading(text)) == ["FC306"]
    found = reading(text, with_decorators=("kubernetes",))
    assert codes(found) == []
    assert held(found)["start"] == [("kubernetes", {"cpu": 4})]


@pytest.mark.parametrize(
    "body",
    ["s.add_decorator(retry, deco_args=[1])", "s.add_decorator(pick())", "open('x')", "s._my_step.decorators.clear()", "yield"],
)
def test_unreadable_mutators_are_refused_once_with_the_remedy(body: str) -> None:
    """One diagnostic at the decorator; the settings can say the effect, or that there is none."""
    text = flow("@M\n@step", f"from other import pick\n\n\nclass M(StepMutator):\n    def mutate(self, s):\n        {body}\n")
    (problem,) = reading(text).diagnostics
    assert problem.code.id == "FC306"
    assert '"flow.M" = "ignore"' in problem.help
    assert held(reading(text, decorators={"flow.M": ["kubernetes:cpu=8", "retry"]}))["start"] == [("kubernetes", {"cpu": 8}), ("retry", {})]
    assert codes(reading(text, decorators={"flow.M": "ignore"})) == []
