"""integrity-error-caught-around-add (SAS512): a handler waits for an error of the database around code that sends nothing to it."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck, compounds
from sa_session_lint.model.value import External
from sa_session_lint.model.vocabulary import REFUSALS, STATEMENT_ERRORS
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.sending import Reading
from sa_session_lint.project.tracking import followed


class IntegrityErrorCaughtAroundAdd(FlowCheck):
    rule = "integrity-error-caught-around-add"

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or is_aside(self.file.path):
            return
        blocks = [block for block in compounds(node.body) if isinstance(block, (cst.Try, cst.TryStar))]
        for block in blocks:
            waiting = [(handler, caught) for handler in block.handlers if (caught := self.caught(handler)) and caught <= STATEMENT_ERRORS]
            others = [caught for other in blocks if other is not block for handler in other.handlers for caught in self.caught(handler)]
            for handler, caught in waiting[:1]:
                write = self.unsent(block, scope, caught) if caught.isdisjoint(others) and self.scope(self.types(handler)[0]) is scope else None
                if write is not None:
                    name = " or ".join(sorted(each.rpartition(".")[2] for each in caught))
                    self.report(write, [self.note(handler.type, "caught here")], call=self.code(write), error=name)

    def types(self, handler: cst.ExceptHandler | cst.ExceptStarHandler) -> list[cst.BaseExpression]:
        """The expressions that name what a handler catches."""
        return [each.value for each in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [] if handler.type is None else [handler.type]

    def caught(self, handler: cst.ExceptHandler | cst.ExceptStarHandler) -> frozenset[str]:
        """The dotted names of what a handler catches; empty where one is not known."""
        values = [self.value(each) for each in self.types(handler)]
        return frozenset(value.dotted for value in values if isinstance(value, External)) if all(isinstance(value, External) for value in values) else frozenset()

    def unsent(self, block: cst.Try | cst.TryStar, scope: Scope, caught: frozenset[str]) -> cst.CSTNode | None:
        """The first that a `try` gives a session to save, where nothing in it sends that, nor, if what is caught may come of a query as well, anything else."""
        reading = Reading(self.index, self.file.outline, written=not caught <= REFUSALS)
        if reading.may_send(block.body):
            return None
        if reading.writes:
            return reading.writes[0]
        found = followed(self.index, self.file.outline, scope) if reading.written else None
        places = (met.related for met in found.met if met.kind == "written") if found is not None else ()
        written = [self.at(place) for place in places if place is not None and place.path == self.file.path]
        return next((node for node in written if self.holds(block.body, node)), None)
