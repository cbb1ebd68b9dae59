"""In: a flow's file as the user named it. Out: what the compiler makes of it, suppressed diagnostics left out, and the report of it."""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TextIO

import click

from flowc import __version__, report
from flowc.commands.above import Above
from flowc.commands.files import Folder, Wanted, decode, expand, load, shown
from flowc.commands.rooted import rooted
from flowc.diagnostics import REGISTRY, Diagnostic, has_errors
from flowc.report import Found, Style, Texts
from flowc.source import SourceFile

if TYPE_CHECKING:
    from flowc.commands.options import Source
    from flowc.commands.verdicts import Verdict
    from flowc.compiler import Checked, Compiled
    from flowc.ir import Flow
    from flowc.settings import Settings
    from flowc.source import Elsewhere, Reader


@dataclass(frozen=True, slots=True)
class Judged:
    """A file after the compiler. `compiled` has an entry a flow where a target was asked for and no error stood before it."""

    path: str
    found: tuple[Diagnostic, ...]
    checked: Checked
    compiled: tuple[Compiled, ...]
    texts: Texts

    @property
    def failed(self) -> bool:
        return has_errors(list(self.found))

    @property
    def reported(self) -> list[Found]:
        return [Found(self.path, diagnostic) for diagnostic in self.found]


DECLARES = b" = Code(\n"
"""How a module declares a code."""

_Read = tuple["Checked", "_Texts"]
Accept = Callable[[Sequence["Flow"]], object]
"""Called with the flows of a file before any is compiled; raises where the command cannot go on with these."""


def one_file(argument: str, remark: str) -> Wanted:
    """The file that the argument of a command stands for. UsageError, which ends in the remark, where it is a pattern of several."""
    wanted = expand(argument)
    if len(wanted) != 1:
        raise click.UsageError(f"{argument} names {len(wanted)} files; {remark}")
    return wanted[0]


def one_flow(argument: str, flows: Sequence[Flow]) -> Flow:
    """The flow that the argument of a command stands for, of those in its file. UsageError where it holds several."""
    if len(flows) != 1:
        names = [flow.name for flow in flows]
        raise click.UsageError(f"{argument} holds the flows {', '.join(names)}; name one: {argument}:{names[0]}")
    return flows[0]


@dataclass(frozen=True, slots=True)
class FlowFile:
    """The bytes of a flow's file under the path to show, and the Reader of what stands beside it; codes that begin as one of `ignored` are
    left out. `flow` is the one that is meant, None where all are. What was read is kept, so that the next target need not read again.
    """

    path: str
    data: bytes
    reader: Reader
    flow: str | None = None
    ignored: tuple[str, ...] = ()
    elsewhere: Elsewhere | None = None
    _known: list[tuple[Settings, _Read]] = field(default_factory=list, init=False)

    def judged(self, settings: Settings, target: str | None = None, accept: Accept | None = None) -> Judged:
        """Its flows checked, and compiled for the target where no error stands before that."""
        from flowc.compiler import Checked, compile_flow

        source, found = decode(self.path, self.data)
        if source is None:
            return Judged(self.path, tuple(found), Checked((), ()), (), lambda _: None)
        checked, texts = self._read(source, settings)
        found = self._left(checked.diagnostics, source, texts)
        if has_errors(found) or target is None:
            return Judged(self.path, tuple(found), checked, (), texts)
        if accept is not None:
            accept([flow for flow, _ in checked.flows])
        compiled = tuple(compile_flow(flow, graph, target, settings) for flow, graph in checked.flows)
        every = [*checked.diagnostics, *(diagnostic for each in compiled for diagnostic in each.diagnostics)]
        return Judged(self.path, tuple(self._left(every, source, texts)), checked, compiled, texts)

    def _read(self, source: SourceFile, settings: Settings) -> _Read:
        from flowc.compiler import check

        asked = settings.for_reading()
        for known, read in self._known:
            if known == asked:
                return read
        texts = _Texts(source, self.reader, {})
        made = (check(source, texts.read, settings, self.flow, self.elsewhere), texts)
        self._known.append((asked, made))
        return made

    def _left(self, found: Sequence[Diagnostic], source: SourceFile, texts: Texts) -> list[Diagnostic]:
        if not found and "flowc:" not in source.text:
            return []
        from flowc import suppress

        left = suppress.apply(list(found), source, texts, is_code, self.flow is None)
        if not self.ignored:
            return left
        return [each for each in left if not (each.code.id.startswith(self.ignored) and suppress.can_suppress(each))]


def opened(wanted: Wanted, sources: Source, target: str | None = None) -> tuple[FlowFile, Settings]:
    """The file that was named, and the settings that count for it. PathError and SettingsError pass through."""
    data = load(wanted.path)
    folder = os.path.dirname(wanted.path)
    settings, named = (sources if target is None else replace(sources, target=target)).near(folder)
    ignored = sources.ignored(wanted.path)
    return FlowFile(shown(wanted.path), data, Folder(folder, named), wanted.flow, ignored, Above(folder)), settings


def judge(wanted: Wanted, sources: Source, target: str | None = None, accept: Accept | None = None) -> Judged:
    """Read a file, check its flows, and compile them for the target. PathError and SettingsError pass through."""
    file, settings = opened(wanted, sources, target)
    return file.judged(settings, target, accept)


def judge_for_each(file: FlowFile, settings: Mapping[str | None, Settings]) -> Judged:
    """The same for each target with its settings, as one: what is found for several is told once. `checked` is that of the first."""
    each = [file.judged(one, target) for target, one in settings.items()]
    if len(each) == 1:
        return each[0]
    from flowc.suppress import UNUSED

    found = [one.diagnostic for one in report.once(found for judged in each for found in judged.reported)]
    # a comment that silences something for one target is of use
    kept = [one for one in found if one.code is not UNUSED or all(one in judged.found for judged in each)]
    compiled = tuple(one for judged in each for one in judged.compiled)
    return Judged(file.path, tuple(kept), each[0].checked, compiled, lambda name: _first_text([judged.texts for judged in each], name))


def known_codes() -> set[str]:
    """Every code there is: constructing one registers it, so the modules that do are imported."""
    _declare(DECLARES)
    return set(REGISTRY)


def is_code(code: str) -> bool:
    """Whether there is such a code. Only the module that declares it is imported: to import all costs more than most checks."""
    if code not in REGISTRY:
        _declare(b'"%s"' % code.encode())
    return code in REGISTRY


def _declare(mention: bytes) -> None:
    """Import the modules of flowc that declare codes and whose text has these bytes."""
    import importlib

    for path, _ in declaring(mention):
        importlib.import_module(path.removesuffix(".py").replace(os.sep, ".").removesuffix(".__init__"))


def declaring(mention: bytes) -> Iterator[tuple[str, bytes]]:
    """The modules of flowc that declare codes and whose text has these bytes: path from the folder that flowc is in, and text."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for folder, _, names in os.walk(root):
        for name in (each for each in names if each.endswith(".py")):
            with open(os.path.join(folder, name), "rb") as file:
                text = file.read()
            if DECLARES in text and mention in text:
                yield os.path.relpath(os.path.join(folder, name), os.path.dirname(root)), text


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts that spans point into, by path as shown: the flow's own, and those that were read beside it."""

    source: SourceFile
    reader: Reader
    seen: dict[str, bytes]

    def read(self, path: str) -> bytes | None:
        """The Reader that the core gets."""
        data = self.reader(path)
        if data is not None:
            self.seen[posixpath.join(posixpath.dirname(self.source.path), path)] = data
        return data

    def __call__(self, path: str) -> SourceFile | None:
        if path == self.source.path:
            return self.source
        data = self.seen.get(path)
        return None if data is None else SourceFile(path, data.decode(errors="replace").replace("\r\n", "\n"))


@dataclass(frozen=True, slots=True)
class Talk:
    """How and where a command reports: `stream` is stderr beside an artefact, stdout where the report is the artefact.

    `quiet`: nothing but diagnostics, and what is wrong otherwise.
    """

    format: str
    color: str
    stream: TextIO
    quiet: bool = False

    def report(self, judged: Sequence[Judged | Verdict]) -> None:
        """Write the diagnostics of all files as one report; formats for people end with a count, on stderr."""
        found = report.once(each for one in judged for each in one.reported)
        own = {each.path: each.texts for each in judged if each.found}
        text = report.render(rooted(found, self.format), lambda path: _first(own, path), self.format, self._style(), __version__)
        if hasattr(self.stream, "reconfigure"):
            self.stream.reconfigure(errors="backslashreplace")
        self.stream.write(text)
        self.stream.flush()
        if found and self.format in ("full", "concise"):
            self.note(report.summary(found))

    def note(self, text: str) -> None:
        """Tell on stderr what is good to know and wrong in no way: counts, what was written."""
        if not self.quiet:
            print(f"flowc: {report.printable(text)}", file=sys.stderr)

    def _style(self) -> Style:
        terminal = self.stream.isatty()
        allowed = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        color = self.color == "always" or (self.color == "auto" and terminal and allowed)
        if not terminal:
            return Style(color)
        import shutil

        return Style(color, max(shutil.get_terminal_size().columns - 10, 40))


def _first(own: Mapping[str, Texts], path: str) -> SourceFile | None:
    """The text of a path: of the file itself where it was judged, else of the first that read it."""
    readers = [own[path]] if path in own else own.values()
    return _first_text(readers, path)


def _first_text(readers: Iterable[Texts], path: str) -> SourceFile | None:
    return next((text for reader in readers if (text := reader(path)) is not None), None)


def refuse_drift(found: Sequence[str], remedy: str) -> None:
    """Exit with 1 where outputs are not current; `remedy` is the command that makes them so."""
    if not found:
        return
    for line in found:
        print(f"flowc: {report.printable(line)}", file=sys.stderr)
    print(f"flowc: outputs are not current; run {remedy}", file=sys.stderr)
    raise click.exceptions.Exit(1)


def with_report(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how diagnostics are reported."""
    color = click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="When to colour diagnostics.")
    form = click.option("--output-format", type=click.Choice(report.FORMATS), default="full", help="Format of diagnostics.")
    return form(color(command))


def with_quiet(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option for Talk's `quiet`, to a command whose notes all go through Talk."""
    return click.option("-q", "--quiet", is_flag=True, help="Print diagnostics only: no counts, no notes.")(command)


def with_exit_zero(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option by which diagnostics are no failure. It is for commands that have done all they were asked to where there are some."""
    text = "Exit with 0 whatever is wrong with the flows; wrong usage is still 2."
    return click.option("--exit-zero", is_flag=True, help=text)(command)
