"""What a check is that asks what reading an attribute of an object comes to.

    class LazyLoadAfterClose(ReadCheck):
        kinds = frozenset({"lazy read"})
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.finding import Note
from sa_session_lint.model.expression import Attribute, Expression, Name
from sa_session_lint.model.value import Function, Place
from sa_session_lint.project.handlers import names_caught
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.reading import uses_of
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.typestate.followed import Met
from sa_session_lint.typestate.instances import Read
from sa_session_lint.typestate.way import Way
from sa_session_lint.walk import children

EXPECTED = frozenset({"DetachedInstanceError", "MissingGreenlet", "InvalidRequestError", "StatementError", "SQLAlchemyError"})
"""What a handler catches that is prepared for such a read."""


class ReadCheck(FlowCheck):
    """Base of the checks of reads. `undone` tells whether a rollback has expired the object; None: either."""

    undone: bool | None = None

    def fault(self, met: Met) -> None:
        read = self.read(met) if not is_aside(self.file.path) else None  # a test that reads what cannot be read fails at once, and so tells by itself
        if read is None or not self.counts(read) or (self.undone is not None and read.of.undone is not self.undone):
            return
        node = next(self.nodes(self.node(met.step), read.expression), None)
        if node is None or self.is_expected(node):
            return
        owner = node.value if isinstance(node, cst.Attribute) and read.owner is not read.expression else node
        self.report(node, self.stations(read), name=self.code(owner), attribute=read.attribute)

    def counts(self, read: Read) -> bool:
        """Whether nothing else in the function speaks against a read."""
        return True

    def read(self, met: Met) -> Read | None:
        """The read that a fault stands for."""
        transfer = engine_of(self.index).transfer(self.found.sketch)
        reads = transfer.instances.reads(self.found.sketch.steps[met.step], Way(met.disjunct))
        return next((read for read in reads if read.kind == met.kind and (read.of.copy or read.of.loc) == met.loc), None)

    def nodes(self, node: cst.CSTNode, expression: Expression) -> Iterator[cst.BaseExpression]:
        """The syntax of an attribute or name within that of a step, in the order of the text."""
        match node, expression:
            case cst.Attribute(value=owner, attr=cst.Name(value=name)), Attribute(inner, wanted) if name == wanted and self.expression(owner) == inner:
                yield node
            case cst.Name(value=name), Name(wanted) if name == wanted:
                yield node
            case cst.BaseExpression(), _ if self.expression(node) is expression:  # in a comprehension: a name for each of what it goes through
                yield node
        for child in children(node):
            yield from self.nodes(child, expression)

    def is_expected(self, node: cst.CSTNode) -> bool:
        """Whether a handler around a read names the error that it raises."""
        around = self.around_of(self.file.outline.nodes[self.around.at], node)
        return any(not EXPECTED.isdisjoint(names_caught(h)) for each in around if isinstance(each, (cst.Try, cst.TryStar)) and self.holds(each.body, node) for h in each.handlers)

    def stations(self, read: Read) -> list[Note | None]:
        """How it came to the read: where the object came from, was expired, and left its session."""
        marks: list[tuple[Place | None, str]] = [
            (read.of.at if read.of.pending is None else None, "comes from here"),
            (read.of.pending, "added here, and not flushed since"),
            (read.of.expired, "rolled back here, which expires it" if read.of.undone else "expires here"),
            (read.of.sent, "the UPDATE is sent here"),
            (read.of.detached, "its session is closed here"),
        ]
        notes = [self.note(place, text) for place, text in marks if place is not None]
        return notes if read.by is None else [*notes, self.inner(read, read.by)]

    def inner(self, read: Read, function: Function) -> Note | None:
        """Where a function that is given the object reads it."""
        use = next((use for use in uses_of(self.index, function, read.name) if use.attribute == read.attribute and use.sure), None)
        source = self.index.source(use.path) if use is not None else None
        return Note(use.path, source.span_of(use.node), f"`{read.attribute}` is read here") if use is not None and source is not None else None
