"""A generator that opens a session, yields, and closes only when nothing was raised while it was suspended."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.project.generator import Suspension, is_scoped_generator, suspensions
from sa_session_lint.project.value import Session


class YieldDependencyWithoutFinally(Check):
    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or not scope.is_generator or not is_scoped_generator(self.index, self.file.path, scope):
            return
        found = list(suspensions(node))
        for suspension in found:
            given = suspension.node.value
            if not isinstance(given, cst.Name):
                continue
            value = self.value(given)
            if not isinstance(value, Session) or value.how != "new" or value.place is None:
                continue
            closing = suspension.later_call(given.value, {"close", "aclose"})
            if closing is not None and not self.is_covered(suspension, given.value):
                trail = [self.note(value.place, "opened here"), self.note(closing, "closed here, but only when nothing was raised")]
                self.report(suspension.node, trail, function=scope.name, name=given.value)
                return

    def is_covered(self, suspension: Suspension, name: str) -> bool:
        """Whether some block around the `yield` ends the session when an exception comes in."""
        if any(True for _ in suspension.with_items()):
            return True
        return any(suspension.calls_in(block) for block in suspension.blocks_on_error())
