"""A generator that opens a session, yields, and closes only when nothing was raised while it was suspended."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.value import External, Session
from sa_session_lint.project.generator import Suspension, is_scoped_generator, suspensions

_BROAD = frozenset({"builtins.Exception", "builtins.BaseException"})


class YieldDependencyWithoutFinally(Check):
    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or not scope.is_generator or not is_scoped_generator(self.index, self.file.path, scope):
            return
        for suspension in suspensions(node):
            given = suspension.node.value
            if not isinstance(given, cst.Name):
                continue
            value = self.value(given)
            if not isinstance(value, Session) or value.how != "new" or value.place is None:
                continue
            closing = suspension.later_call(given.value, {"close", "aclose"})
            if closing is not None and not self.is_covered(suspension):
                trail = [self.note(value.place, "opened here"), self.note(closing, "closed here, but only when nothing was raised")]
                self.report(suspension.node, trail, function=scope.name, name=given.value)
                return

    def is_covered(self, suspension: Suspension) -> bool:
        """Whether some block around the `yield` may end the session, whatever exception comes in."""
        if any(True for _ in suspension.with_items()):
            return True
        for statement in suspension.tries():
            if statement.finalbody is not None and suspension.calls_in(statement.finalbody.body):
                return True
            if any(self.is_broad(handler) and suspension.calls_in(handler.body) for handler in statement.handlers):
                return True
        return False

    def is_broad(self, handler: cst.ExceptHandler | cst.ExceptStarHandler) -> bool:
        """Whether a handler gets every error; what it is not known to name may be as broad."""
        value = self.value(handler.type) if handler.type is not None else None
        return not isinstance(value, External) or value.dotted in _BROAD
