"""A FastAPI dependency that returns a session it has opened: nothing closes it after the request."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.project.usage import dependents
from sa_session_lint.project.value import Session


class FastapiDependencyReturnsSession(Check):
    def visit_Return(self, node: cst.Return) -> None:
        if node.value is None:
            return
        scope = self.scope(node.value)
        value = self.value(node.value)
        if scope.kind != "function" or scope.is_generator or not isinstance(value, Session) or value.how != "new":
            return
        places = dependents(self.index, self.file.path, scope.qualname)
        if places:
            trail = [self.note(value.place, "opened here"), self.note(places[0], f"FastAPI depends on `{scope.name}` here")]
            self.report(node, trail, function=scope.name)
