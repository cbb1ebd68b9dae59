"""In: the arguments of a call, or names that are imported, and new ones. Out: all of them, laid out and separated as they stood."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

Space = cst.BaseParenthesizableWhitespace


def arranged(call: cst.Call, kept: Sequence[tuple[cst.Arg, cst.Arg]], added: Sequence[cst.Arg]) -> cst.Call:
    """The call with these arguments of its own, each with what becomes of it, and new ones behind them.

    Where its parenthesis closes on a line of its own, each new argument gets a line; comments stay behind the argument that they follow.
    """
    if not call.args:
        return call.with_changes(args=[*added])
    last = call.args[-1]
    closing, ends = _after(last), isinstance(last.comma, cst.Comma)
    spaces = [call.whitespace_before_args, *(_after(each) for each in call.args[:-1])]
    gap = _plain(next((each for each in spaces if isinstance(each, cst.ParenthesizedWhitespace)), None), closing)
    pairs = [*kept, *((None, each) for each in added)]
    none = cst.SimpleWhitespace("")
    found = []
    for number, (old, new) in enumerate(pairs):
        own = _after(old) if old is not None else none
        if number == len(pairs) - 1:
            space = _with_comment(closing, own)
            comma = cst.Comma(whitespace_after=space) if ends else cst.MaybeSentinel.DEFAULT
            found.append(new.with_changes(comma=comma, whitespace_after_arg=none if ends else space))
        elif old is None or old is last:
            found.append(new.with_changes(comma=cst.Comma(whitespace_after=_with_comment(gap, own)), whitespace_after_arg=none))
        else:
            found.append(new)
    return call.with_changes(args=found)


def joined(statement: cst.ImportFrom, names: Sequence[cst.ImportAlias], name: str, at: int) -> cst.ImportFrom:
    """The import with one more of `names`, its names, before the one at `at`; on a line of its own where they stand so."""
    spaces = [*([statement.lpar.whitespace_after] if statement.lpar else []), *(_behind(each) for each in names[:-1])]
    new = cst.ImportAlias(cst.Name(name))
    if at < len(names):
        before = spaces[at] if statement.lpar else cst.SimpleWhitespace(" ")
        # before the first name and after each other one stands what separates names
        gap = _plain(before if isinstance(before, cst.ParenthesizedWhitespace) else None, before)
        changed = [*names[:at], new.with_changes(comma=cst.Comma(whitespace_after=gap)), *names[at:]]
        return statement.with_changes(names=changed)
    last = names[-1]
    closing = _behind(last)
    gap = _plain(next((each for each in spaces if isinstance(each, cst.ParenthesizedWhitespace)), None), closing)
    first = last.with_changes(comma=cst.Comma(whitespace_after=_with_comment(gap, closing)))
    comma = cst.Comma(whitespace_after=_with_comment(closing, gap)) if isinstance(last.comma, cst.Comma) else cst.MaybeSentinel.DEFAULT
    return statement.with_changes(names=[*names[:-1], first, new.with_changes(comma=comma)])


def _after(argument: cst.Arg) -> Space:
    return argument.comma.whitespace_after if isinstance(argument.comma, cst.Comma) else argument.whitespace_after_arg


def _behind(alias: cst.ImportAlias) -> Space:
    return alias.comma.whitespace_after if isinstance(alias.comma, cst.Comma) else cst.SimpleWhitespace("")


def _plain(model: cst.ParenthesizedWhitespace | None, closing: Space) -> Space:
    """What separates two things: a new line as in the model, where what is behind the last one is a new line too; else a space."""
    if not isinstance(closing, cst.ParenthesizedWhitespace):
        return cst.SimpleWhitespace(" ")
    if model is None:
        return cst.SimpleWhitespace(" ")
    return model.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])


def _with_comment(space: Space, own: Space) -> Space:
    """The space, and on its first line the comment that stood in another one."""
    if not isinstance(own, cst.ParenthesizedWhitespace):
        return _without_comment(space)
    if isinstance(space, cst.ParenthesizedWhitespace):
        return space.with_changes(first_line=own.first_line)
    return own if own.first_line.comment else space


def _without_comment(space: Space) -> Space:
    return space.with_changes(first_line=cst.TrailingWhitespace()) if isinstance(space, cst.ParenthesizedWhitespace) else space
