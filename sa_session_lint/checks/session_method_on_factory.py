"""A session's method called on the `sessionmaker` itself.

Only a factory whose making was seen is judged: what is merely annotated as one is in practice often a session.
"""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Expression, Name
from sa_session_lint.model.value import External, Maker
from sa_session_lint.model.vocabulary import ENDING_CALLS, SESSION_CALLS
from sa_session_lint.project.outline import Scope


class SessionMethodOnFactory(Check):
    def visit_Call(self, node: cst.Call) -> None:
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in SESSION_CALLS | ENDING_CALLS:
            self.judge(node.func.value, node.func, self.code(node.func), "AttributeError")

    def visit_WithItem(self, node: cst.WithItem) -> None:
        self.judge(node.item, node.item, f"with {self.code(node.item)}", "TypeError")

    def judge(self, factory: cst.CSTNode, shown: cst.CSTNode, use: str, exception: str) -> None:
        value = self.value(factory)
        if not isinstance(value, Maker) or value.place is None or self.is_tested(self.expression(factory), self.scope(factory)):
            return
        trail = [self.note(value.place, "made a factory of sessions here")]
        self.report(shown, trail, name=self.code(factory), use=use, exception=exception)

    def is_tested(self, factory: Expression, scope: Scope) -> bool:
        """Whether the function asks first what it has: `hasattr(SessionLocal, "remove")`, `isinstance(factory, sessionmaker)`."""
        for call in scope.calls:
            if call.function in {Name("hasattr"), Name("isinstance"), Name("callable")} and factory in call.arguments[:1]:
                return isinstance(self.index.value(call.function, scope, self.file.path), External)
        return False
