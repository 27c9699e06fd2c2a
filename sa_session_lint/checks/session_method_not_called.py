"""`session.commit` as a statement: the method is looked up and nothing happens."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.value import Registry, Session
from sa_session_lint.model.vocabulary import ENDING_CALLS


class SessionMethodNotCalled(Check):
    def visit_Expr(self, node: cst.Expr) -> None:
        found = node.value.expression if isinstance(node.value, cst.Await) else node.value
        if not isinstance(found, cst.Attribute) or found.attr.value not in ENDING_CALLS:
            return
        value = self.value(found.value)
        if isinstance(value, (Session, Registry)):
            self.report(found, [self.note(value.place, "the session comes from here")], call=self.code(found))
