"""A flow's file is read once for all targets whose settings read it alike, and its verdicts are those of each target alone."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from flowc import frontend
from flowc.commands.session import FlowFile, judge_for_each
from flowc.settings import FOR_READING, Settings
from flowc.source import Reader, SourceFile

TEXT = """
from metaflow import FlowSpec, step, kubernetes, resources
from helper import MEMORY


class Hello(FlowSpec):
    @resources(memory=MEMORY)
    @step
    def start(self):
        self.next(self.end)

    @kubernetes(image="{{x}}")
    @step
    def end(self):
        pass
"""
TARGETS = ("argo", "kubernetes", "step-functions")
HELPER = b"MEMORY = 1024\n"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of each reading of a file from here on."""
    found: list[Settings] = []
    read = frontend.read

    def counted(source: SourceFile, reader: Reader, settings: Settings, *more: Any) -> Any:
        found.append(settings)
        return read(source, reader, settings, *more)

    monkeypatch.setattr(frontend, "read", counted)
    return found


def file(flow: str | None = None) -> FlowFile:
    return FlowFile("flow.py", TEXT.encode(), lambda path: HELPER if path == "helper.py" else None, flow)


def test_targets_share_what_was_read(readings: list[Settings]) -> None:
    """Settings that differ in what is written make no second reading, and each target says what it says alone."""
    settings: dict[str | None, Settings] = {name: Settings(image=f"{name}:1") for name in TARGETS}
    together = judge_for_each(file(), settings)
    assert len(readings) == 1
    alone = [file().judged(one, name) for name, one in settings.items()]
    assert [each.compiled for each in alone if each.compiled] == [(one,) for one in together.compiled]
    assert {each for one in alone for each in one.found} == set(together.found)
    assert len({each.code for each in together.found}) > 1


@pytest.mark.parametrize("name", FOR_READING)
def test_what_reads_otherwise_is_read_again(readings: list[Settings], name: str) -> None:
    """Each setting that reading takes is a reading of its own where it differs, and none where it does not."""
    value = ("retry",) if name == "with_decorators" else True if name == "require_guard" else {"x": "y"}
    one = file()
    for settings in (Settings(), Settings(**{name: value}), Settings(**{name: value}), Settings()):  # type: ignore[arg-type]
        one.judged(settings)
    assert [getattr(each, name) == value for each in readings] == [False, True]


def test_reading_sees_its_own_settings_only(readings: list[Settings]) -> None:
    """What is no setting of reading stands at its default there, whatever it is."""
    said = {each.name: object() for each in fields(Settings) if each.name not in FOR_READING}
    file().judged(Settings(**said))  # type: ignore[arg-type]
    assert readings == [Settings()]


def test_the_file_of_one_flow_is_read_for_that_flow(readings: list[Settings]) -> None:
    """A file asked for another flow of it shares nothing with the first."""
    assert [file(flow).judged(Settings()).failed for flow in (None, "Hello", "Other")] == [False, False, True]
    assert len(readings) == 3
