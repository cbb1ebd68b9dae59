"""Any stack of decorators comes out as in Metaflow, or is refused just where Metaflow raises."""

from __future__ import annotations

import tempfile
from pathlib import Path

from decorating import flow, held, held_by_metaflow
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import reading

from flowc.diagnostics import Severity

BEFORE = """
def big(f):
    return retry(times=3)(kubernetes(cpu=2)(f))


def timed(f):
    @functools.wraps(f)
    def wrapper(self):
        return f(self)

    return wrapper


def loses(f):
    def wrapper(self):
        return f(self)

    return wrapper


def sized(cpu, gpu=None):
    return resources(cpu=cpu) if gpu is None else resources(cpu=cpu, gpu=gpu)


def compose(*decos):
    def wrap(f):
        for deco in reversed(decos):
            f = deco(f)
        return f

    return wrap


def optional(deco, wanted):
    return deco if wanted else lambda f: f


@user_step_decorator
def mine(step_name, flow, inputs):
    yield


class Mutates(StepMutator):
    pass


class Plain:
    def __init__(self, f):
        self.f = f


CONSTANT = timeout(seconds=5)
"""
LINES = [
    "@step",
    "@step()",
    "@step(start=True)",
    "@retry",
    "@retry()",
    "@retry(times=1)",
    "@card(id='a')",
    "@card",
    "@kubernetes(cpu=2)",
    "@batch(cpus=2)",
    "@catch(True)",
    "@project(name='a')",
    "@big",
    "@timed",
    "@loses",
    "@sized(2)",
    "@sized(2, gpu=1)",
    "@compose(catch, card(id='b'), timed)",
    "@compose()",
    "@optional(environment(vars={'A': 'b'}), 1 > 2)",
    "@optional(environment(vars={'A': 'b'}), 1 < 2)",
    "@mine",
    "@mine(a=1)",
    "@Mutates()",
    "@Plain",
    "@CONSTANT",
    "@lambda f: secrets(sources=['a'])(f)",
]
BELOW = ["@timed", "@loses", "@retry", "@step", "@card(id='z')", "@big", "@compose()"]


@given(st.lists(st.sampled_from(LINES), max_size=4), st.lists(st.sampled_from(BELOW), max_size=2), st.booleans())
@settings(max_examples=150, deadline=None)
def test_stacks(above: list[str], below: list[str], marked: bool) -> None:
    """Decorators above and below @step, repeated, wrong and right, by factories, wrappers and objects."""
    text = flow("\n".join([*above, *["@step"] * marked, *below]) or "@compose()", BEFORE)
    found = reading(text)
    errors = [d for d in found.diagnostics if d.severity is Severity.ERROR and d.code.id.startswith(("FC30", "FC34"))]
    with tempfile.TemporaryDirectory() as folder:
        try:
            theirs = held_by_metaflow({"flow.py": text}, Path(folder))
        except Exception:  # noqa: BLE001 - whatever Metaflow or Python raises
            assert errors
            return
    assert not errors
    # a method that loses its mark is no step to either
    assert held(found) == theirs
