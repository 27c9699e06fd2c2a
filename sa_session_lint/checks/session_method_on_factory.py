"""A session's method called on the `sessionmaker` itself."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.vocabulary import SESSION_CALLS
from sa_session_lint.project.value import Maker


class SessionMethodOnFactory(Check):
    def visit_Call(self, node: cst.Call) -> None:
        if not isinstance(node.func, cst.Attribute) or node.func.attr.value not in SESSION_CALLS:
            return
        value = self.value(node.func.value)
        if isinstance(value, Maker):
            trail = [self.note(value.place, "made a factory of sessions here")]
            self.report(node.func, trail, name=self.code(node.func.value), method=node.func.attr.value)

    def visit_WithItem(self, node: cst.WithItem) -> None:
        value = self.value(node.item)
        if isinstance(value, Maker):
            trail = [self.note(value.place, "made a factory of sessions here")]
            self.report(node.item, trail, name=self.code(node.item), method="__enter__")
