"""In: a file and a decorator in it that stands twice, or has a deprecated attribute. Out: the file with it mended."""

from __future__ import annotations

import libcst as cst

from flowc.diagnostics import Diagnostic
from flowc.fix.tree import Tree
from flowc.fix.unsafe import Unsafe


def drop_twin(tree: Tree, diagnostic: Diagnostic) -> bytes | None:
    """The second of two decorators that are the same to the letter goes."""
    assert diagnostic.span is not None
    owners: list[cst.FunctionDef | cst.ClassDef] = [*tree.all(cst.FunctionDef), *tree.all(cst.ClassDef)]
    for owner in owners:
        here = any(tree.line(each) == diagnostic.span.line for each in owner.decorators)
        texts: set[str] = set()
        for decorator in owner.decorators if here else ():
            text = tree.code(decorator.decorator)
            if text in texts:
                return tree.replaced({decorator: cst.RemoveFromParent()})
            texts.add(text)
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
