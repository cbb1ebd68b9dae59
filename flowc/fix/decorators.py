"""In: a file and a decorator in it that stands twice, or has a deprecated attribute. Out: the file with it mended."""

from __future__ import annotations

import libcst as cst

from flowc.diagnostics import Diagnostic
from flowc.fix.tree import Tree
from flowc.fix.unsafe import Unsafe


def drop_twin(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """The second of two decorators that are the same to the letter goes. Unsafe where a comment would go with it."""
    span = diagnostic.span
    assert span is not None
    owners: list[cst.FunctionDef | cst.ClassDef] = [*tree.all(cst.FunctionDef), *tree.all(cst.ClassDef)]
    for owner in owners:
        told = next((tree.code(each.decorator) for each in owner.decorators if tree.starts(each.decorator, span)), None)
        same = [each for each in owner.decorators if tree.code(each.decorator) == told]
        if len(same) < 2:
            continue
        if same[1].trailing_whitespace.comment or any(line.comment for line in same[1].leading_lines):
            raise Unsafe("the second has a comment, which would go with it")
        return tree.replaced({same[1]: cst.RemoveFromParent()})
    return None


def rename_libraries(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """`libraries=` becomes `packages=`. Unsafe where the call has arguments that could be `packages` too: then Metaflow joins both."""
    assert diagnostic.span is not None
    for call in tree.all(cst.Call):
        keyword = next((each for each in call.args if each.keyword is not None and each.keyword.value == "libraries"), None)
        if keyword is None or keyword.keyword is None or not tree.starts(keyword.value, diagnostic.span):
            continue
        if any(each.star or (each.keyword is not None and each.keyword.value == "packages") for each in call.args):
            raise Unsafe("`packages` may stand beside it; move the libraries there")
        return tree.replaced({keyword.keyword: keyword.keyword.with_changes(value="packages")})
    raise Unsafe("`libraries` is not written where the decorator stands")
