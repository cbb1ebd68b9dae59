"""In: the table of settings and what the user typed. Out: click's options for them, and Settings for a flow's folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import click

from flowc import config
from flowc.commands.above import REMEMBERED
from flowc.commands.files import PathError, above, load, shown, texts_below
from flowc.config import Option, SettingsError
from flowc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SETTINGS_LIMIT = 1 << 20
IGNORES = "per-file-ignores"
CHOOSING = ("settings", "env", "isolated")
"""Options that say which settings count."""


class Command(click.Command):
    """A command whose help lists the settings under their topics; `click.Command` has but one list."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        by_name = {param.name: param for param in self.params}
        topics = {
            topic: [by_name.pop(option.field) for option in options if option.field in by_name] for topic, options in config.TOPICS.items()
        }
        own = [*by_name.values(), *self.get_params(ctx)[len(self.params) :]]
        # arguments stand in the usage; which settings count comes before the settings, and a command's own options before both
        own = sorted((each for each in own if isinstance(each, click.Option)), key=lambda each: ("-h" in each.opts, each.name in CHOOSING))
        for topic, params in {"Options": own, **topics}.items():
            records = [record for param in params if (record := param.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(topic):
                    formatter.write_dl(records)


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every setting, and which settings file counts. An option of that name that the command has itself goes first."""
    taken = {name for param in getattr(command, "__click_params__", ()) for name in param.opts}
    for option in reversed(config.OPTIONS):
        if option.flags and option.flags.partition("/")[0] not in taken:
            command = _click_option(option)(command)
    isolated = click.option("--isolated", is_flag=True, help="Read no settings file.")
    env = click.option("--env", metavar="NAME", help="The environment whose [tool.flowc.env.NAME] is laid over the other settings.")
    chosen = click.option(
        "--settings", metavar="FILE", help="The settings file, instead of the nearest flowc.toml or pyproject.toml above the flow."
    )
    return chosen(env(isolated(command)))


def _click_option(option: Option) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    attributes: dict[str, Any] = {"help": option.help, "default": None}
    if option.metavar:
        attributes["metavar"] = option.metavar
    if option.kind == "integer":
        attributes["type"] = click.INT if option.minimum is None else click.IntRange(min=option.minimum)
    elif option.choices:
        attributes["type"] = click.Choice(option.choices)
    elif option.kind in ("pairs", "json pairs"):
        attributes |= {"nargs": 2, "multiple": True, "type": str}
    elif option.kind in ("list", "map", "json"):
        attributes |= {"multiple": True, "type": str}
    return click.option(option.flags, option.field, **attributes)


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among the flags that were given, by field, as Settings takes them. UsageError where one is not well formed."""
    found = {}
    for option in config.OPTIONS:
        value = flags.get(option.field)
        if value is None or value == ():
            continue
        found[option.field] = _taken(option, value)
    return found


def _taken(option: Option, value: Any) -> Any:
    if option.kind == "integer":
        try:
            return config.check_integer(option, value, option.key)
        except SettingsError as error:
            raise click.BadParameter(str(error), param_hint=option.flags) from error
    if option.kind == "pairs":
        return dict(value)
    if option.kind == "json pairs":
        return {name: _json(option, text, f"{name} '\"{text}\"'") for name, text in value}
    if option.kind == "map":
        return dict(_pair(option, item) for item in value)
    if option.kind == "json":
        return {name: _json(option, text, f"'{name}=\"{text}\"'") for name, text in (_pair(option, item) for item in value)}
    return value


def _pair(option: Option, item: str) -> tuple[str, str]:
    name, equals, text = item.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{item!r} is not {option.metavar}", param_hint=option.flags)
    return name, text


def _json(option: Option, text: str, quoted: str) -> Any:
    """The data; `quoted` is how the user would write a text, which is what a mistake here was meant to be."""
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = f"; a text needs quotes of its own: {option.flags} {quoted}"
        raise click.BadParameter(f"{text!r} is no JSON{hint}", param_hint=option.flags) from error


def known_target(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A click callback: the name of a target that there is."""
    from flowc import target

    if value is not None and not target.exists(value):
        hint = config.did_you_mean(value, target.names()) or f"; there are {', '.join(target.names())}"
        raise click.BadParameter(f"there is no target {value!r}{hint}", ctx, param)
    return value


def known_targets(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """A click callback: the names of targets that there are, each once."""
    return tuple(dict.fromkeys(name for each in value if (name := known_target(ctx, param, each))))


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings come from: the flags by field, a file that was named, or (unless isolated) the nearest one above the flow.

    `env` is the environment of that file, `target` what flows are compiled for: a table of each is laid over the file's own.
    """

    flags: Mapping[str, Any]
    file: str | None = None
    isolated: bool = False
    env: str | None = None
    target: str | None = None

    def near(self, folder: str) -> tuple[Settings, dict[str, str]]:
        """Settings for a flow in that folder, and where the files are that its configs name, by the path the core will ask for.

        A flag replaces what the settings file says; in a table, name by name. SettingsError and PathError as their names say.
        """
        values = self.from_file(folder)
        flags = dict(self.flags)
        if "config_files" in flags:
            flags["config_files"] = {name: os.path.abspath(path) for name, path in flags["config_files"].items()}
        for name, value in flags.items():
            values[name] = config.overlaid(values.get(name), value)
        files = {
            name: os.path.relpath(path, folder or os.curdir).replace(os.sep, "/") for name, path in values.get("config_files", {}).items()
        }
        named = {files[name]: path for name, path in values.get("config_files", {}).items()}
        if files:
            values["config_files"] = files
        for option in config.OPTIONS:
            if option.kind == "folder" and option.field in values:
                values[option.field] = texts_below(values[option.field])
        return Settings(**values), named

    def ignored(self, path: str) -> tuple[str, ...]:
        """The codes, or beginnings of codes, that `per-file-ignores` leaves out for that file."""
        settings = self.settings_file(os.path.dirname(path))
        text = None if settings is None else text_of(settings)
        if settings is None or text is None or IGNORES not in text:
            return ()
        from fnmatch import fnmatch

        project = _project(settings, self.env) or config.Project()
        root = os.path.join(os.path.dirname(os.path.abspath(settings)), "")
        full = os.path.abspath(path)
        relative = (full[len(root) :] if full.startswith(root) else os.path.relpath(full, root)).replace(os.sep, "/")
        return tuple(code for glob, codes in project.per_file_ignores.items() if fnmatch(relative, glob) for code in codes)

    def project(self, folder: str) -> tuple[str, config.Project] | None:
        """The settings file that counts for flows in that folder, and what it says of their repository; None where there is none."""
        path = self.settings_file(folder)
        project = None if path is None else _project(path, self.env)
        return None if path is None or project is None else (path, project)

    def from_file(self, folder: str) -> dict[str, Any]:
        """What the settings file says, by field, paths as absolute ones; nothing where there is no file."""
        path = self.settings_file(folder)
        return {} if path is None else dict(_parsed(path, self.env, self.target) or {})

    def settings_file(self, folder: str) -> str | None:
        """The path of the settings file that counts for flows in that folder."""
        if self.file is not None:
            if _parsed(self.file, self.env, self.target) is None:
                raise SettingsError(f"{shown(self.file)} has no [tool.flowc]")
            return self.file
        nearest = None if self.isolated else _nearest(os.path.abspath(folder))
        if nearest is not None:
            return nearest
        if self.env is not None:
            raise SettingsError(f"there is no environment {self.env!r}: no settings file was found that could have it")
        return None


@lru_cache(64)  # a repository's flows share their settings file
def text_of(path: str) -> str | None:
    """The text of a settings file; None where a pyproject.toml says nothing of flowc."""
    data = load(path, SETTINGS_LIMIT)
    if os.path.basename(path) == "pyproject.toml" and b"flowc" not in data:
        return None
    try:
        text = data.decode("utf-8-sig")  # editors on Windows write a byte order mark, which TOML has no word for
    except UnicodeDecodeError as error:
        raise PathError(f"{shown(path)} is not UTF-8, as TOML must be") from error
    return None if config.project(text, shown(path)) is None else text


@lru_cache(1024)
def _nearest(folder: str) -> str | None:
    paths = (os.path.join(place, name) for place in above(folder) for name in config.FILES)
    return next((path for path in paths if os.path.isfile(path) and text_of(path) is not None), None)


def forget() -> None:
    """Read settings files, and look at the folders above flows, anew from here on."""
    for each in (text_of, _nearest, _parsed, _project, texts_below, *REMEMBERED):
        each.cache_clear()


@lru_cache(64)
def _project(path: str, env: str | None) -> config.Project | None:
    text = text_of(path)
    project = None if text is None else config.project(text, shown(path), env)
    if text is not None and IGNORES in text:
        from flowc.commands.ignores import refuse_unknown

        for place, ignored in config.everywhere(text, shown(path), IGNORES):
            refuse_unknown(ignored, place)
    return project


@lru_cache(64)
def _parsed(path: str, env: str | None, target: str | None) -> dict[str, Any] | None:
    """The values of one settings file, the files of configs as absolute paths (in the file they are relative to it)."""
    text = text_of(path)
    values = None if text is None else config.parse(text, shown(path), env, target)
    folder = os.path.dirname(os.path.abspath(path))
    for option in config.OPTIONS:
        if values and option.kind == "folder" and option.field in values:
            values[option.field] = os.path.join(folder, values[option.field])
    if values and "config_files" in values:
        values["config_files"] = {name: os.path.join(folder, file) for name, file in values["config_files"].items()}
    return values
