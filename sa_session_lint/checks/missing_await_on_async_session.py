"""A coroutine method of an AsyncSession that nobody awaits: it never runs."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.vocabulary import COROUTINES
from sa_session_lint.project.value import Method, Registry, Session

_OF_COROUTINES = frozenset({"send", "throw", "close", "cr_await", "cr_frame", "cr_running", "__await__"})


class MissingAwaitOnAsyncSession(Check):
    def visit_Expr(self, node: cst.Expr) -> None:
        if isinstance(node.value, cst.Call):
            self.judge(node.value)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        if isinstance(node.value, cst.Call) and node.attr.value not in _OF_COROUTINES:
            self.judge(node.value)

    def visit_For(self, node: cst.For) -> None:
        if isinstance(node.iter, cst.Call) and node.asynchronous is None:
            self.judge(node.iter)

    def judge(self, call: cst.Call) -> None:
        if not isinstance(call.func, cst.Attribute) or call.func.attr.value not in COROUTINES:
            return
        method = self.value(call.func)
        if not isinstance(method, Method) or not isinstance(method.receiver, (Session, Registry)):
            return
        if method.receiver.kind == "async":
            self.report(call, [self.note(method.receiver.place, "an AsyncSession comes from here")], call=f"{self.code(call.func)}()")
