"""In: a file that launches its flow nowhere, or also when it is imported. Out: the file with the call under a guard."""

from __future__ import annotations

import libcst as cst

from flowc.diagnostics import Diagnostic
from flowc.fix.tree import Tree
from flowc.fix.unsafe import Unsafe
from flowc.frontend.launching import GUARD


def add_guard(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """The file ends in the guard and the call. Unsafe where it asks for `__name__` already, or the class's name may mean another thing."""
    assert diagnostic.span is not None
    flow = next((each for each in tree.all(cst.ClassDef) if tree.starts(each.name, diagnostic.span)), None)
    if flow is None:
        return None
    name = flow.name.value
    if any(each.value == "__name__" for each in tree.all(cst.Name)):
        raise Unsafe("the file asks for `__name__` already; call the flow there")
    stores = [each.target for each in tree.all(cst.AssignTarget)] + [each.target for each in tree.all(cst.AnnAssign)]
    if any(tree.code(each) == name for each in stores) or any(True for _ in tree.all(cst.Del)):
        raise Unsafe(f"`{name}` is assigned again in the file")
    ending = tree.module.default_newline
    text = tree.data.decode(tree.module.encoding)
    call = ending.join([GUARD, f"{tree.module.default_indent}{name}()", ""])
    return (text.rstrip() + ending * 3 + call).encode(tree.module.encoding)


def guard_call(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """The call at the top level goes below a guard, its comments with it. Unsafe where it shares its line with other statements."""
    assert diagnostic.span is not None
    span = diagnostic.span
    call = next((each for each in tree.module.body if isinstance(each, cst.SimpleStatementLine) and tree.starts(each.body[0], span)), None)
    if call is None or len(call.body) != 1:
        raise Unsafe("other statements stand on the line of the call")
    guard = cst.parse_statement(f"{GUARD}\n    pass", config=tree.module.config_for_parsing)
    assert isinstance(guard, cst.If)
    block = cst.IndentedBlock(body=[call.with_changes(leading_lines=[])])
    return tree.replaced({call: guard.with_changes(body=block, leading_lines=call.leading_lines)})
