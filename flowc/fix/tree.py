"""In: the bytes of a Python file. Out: its LibCST tree with places, and the tree with some nodes replaced, as bytes again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from flowc.source import Span

UNREADABLE = (cst.ParserSyntaxError, RecursionError)
"""What LibCST raises of a file that Python reads: a form feed within an indented block, a sum of a thousand."""
WHY_UNREADABLE = "LibCST, by which files are rewritten, cannot read this one: a form feed stands before code, or it nests too deep"

Kind = TypeVar("Kind", bound=cst.CSTNode)


class Tree:
    """A file as LibCST reads it: every byte of it can be written back."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        wrapper = MetadataWrapper(cst.parse_module(data), unsafe_skip_copy=True)
        self.module = wrapper.module
        self._places = wrapper.resolve(PositionProvider)

    def line(self, node: cst.CSTNode) -> int:
        return int(self._places[node].start.line)

    def starts(self, node: cst.CSTNode, span: Span) -> bool:
        """Whether the node begins where the span does."""
        start = self._places[node].start
        return (start.line, start.column + 1) == (span.line, span.column)

    def all(self, kind: type[Kind], below: cst.CSTNode | None = None) -> Iterator[Kind]:
        """Every node of a kind, outermost first."""
        yield from (node for node in self.every(below) if isinstance(node, kind))

    def every(self, below: cst.CSTNode | None = None) -> Iterator[cst.CSTNode]:
        pending: list[cst.CSTNode] = [below or self.module]
        while pending:
            node = pending.pop()
            yield node
            pending += reversed(list(node.children))

    def code(self, node: cst.CSTNode) -> str:
        return self.module.code_for_node(node)

    def class_of(self, function: cst.FunctionDef) -> cst.ClassDef | None:
        return next((each for each in self.all(cst.ClassDef) if function in each.body.body), None)

    def step(self, span: Span) -> cst.FunctionDef | None:
        """The function whose name stands at the span."""
        return next((each for each in self.all(cst.FunctionDef) if self.starts(each.name, span)), None)

    def replaced(self, nodes: Mapping[cst.CSTNode, Any]) -> bytes:
        """The bytes of the file with nodes replaced (by a node, or a removal sentinel)."""
        return self.module.visit(_Replace(nodes)).bytes


class _Replace(cst.CSTTransformer):
    """Puts other nodes in the place of some. Those inside of a replaced node are its own business."""

    def __init__(self, nodes: Mapping[cst.CSTNode, Any]) -> None:
        self.nodes = nodes

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> Any:
        return self.nodes.get(original_node, updated_node)
