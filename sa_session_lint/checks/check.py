"""What a check is: a LibCST visitor that may ask what a node stands for, and reports.

    class SessionMethodNotCalled(Check):
        def visit_Expr(self, node: cst.Expr) -> None:
            if isinstance(node.value, cst.Attribute) and isinstance(self.value(node.value.value), Session):
                self.report(node.value, call=self.code(node.value))

All selected checks share one walk per file. A check sees one file; what it asks of others goes through the index.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import libcst as cst

from sa_session_lint.finding import Finding, Note
from sa_session_lint.model.expression import OPAQUE, Expression
from sa_session_lint.model.value import UNKNOWN, Place, Value
from sa_session_lint.project.index import Index
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.source import Source
from sa_session_lint.walk import children, handlers


@dataclass(frozen=True, slots=True)
class File:
    """One file under check."""

    path: str
    source: Source
    outline: Outline
    index: Index


class Check(cst.CSTVisitor):
    """Base of every check; `findings` fill up during the walk."""

    rule: ClassVar[str]

    def __init__(self, file: File) -> None:
        super().__init__()
        self.file = file
        self.index = file.index
        self.findings: list[Finding] = []

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        handlers(cls)

    # -- asking -------------------------------------------------------------------------------------------------------

    def expression(self, node: cst.CSTNode) -> Expression:
        """The expression that a node was lowered to."""
        return self.file.outline.values.get(id(node), (OPAQUE, None))[0]

    def scope(self, node: cst.CSTNode) -> Scope:
        """The scope in which an expression node is evaluated."""
        found = self.file.outline.values.get(id(node))
        return found[1] if found is not None else self.file.outline.module

    def value(self, node: cst.CSTNode) -> Value:
        """What an expression node stands for; UNKNOWN when in doubt."""
        found = self.file.outline.values.get(id(node))
        return UNKNOWN if found is None else self.index.value(found[0], found[1], self.file.path)

    def code(self, node: cst.CSTNode) -> str:
        """The source of a node, on one line and not too long."""
        text = " ".join(self.file.source.module.code_for_node(node).split())
        return text if len(text) <= 60 else f"{text[:57]}..."

    def written(self, node: cst.CSTNode, part: Expression) -> str:
        """The source of a part of a node, by its expression; that of the node if it is nowhere in it."""
        stack = [node]
        while stack:
            here = stack.pop()
            if self.file.outline.values.get(id(here), (None,))[0] is part:
                return self.code(here)
            stack += children(here)
        return self.code(node)

    # -- reporting ----------------------------------------------------------------------------------------------------

    def place(self, node: cst.CSTNode) -> Place | None:
        """The place of a node that the outline numbers."""
        for at, known in enumerate(self.file.outline.nodes):
            if known is node:
                return Place(self.file.path, at)
        return None

    def note(self, where: cst.CSTNode | Place | None, text: str) -> Note | None:
        """A station of a trail; None where its file cannot be shown."""
        if where is None:
            return None
        if not isinstance(where, Place):
            return Note(self.file.path, self.file.source.span_of(where), text)
        source, found = self.index.source(where.path), self.index.outline(where.path)
        if source is None or found is None:
            return None
        return Note(where.path, source.span_of(found.nodes[where.at]), text)

    def report(self, node: cst.CSTNode, trail: Iterable[Note | None] = (), **values: str) -> None:
        """Report `node`; `values` fill the entry's message."""
        span = self.file.source.span_of(node)
        statement = self.file.source.statement_of(span)
        notes = tuple(note for note in trail if note is not None)
        self.findings.append(Finding(self.rule, self.file.path, span, statement, tuple(sorted(values.items())), notes))
