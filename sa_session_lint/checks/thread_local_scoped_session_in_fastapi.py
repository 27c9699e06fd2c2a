"""A thread-local `scoped_session` under FastAPI or Starlette, where a thread is not a request."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Call
from sa_session_lint.model.value import Place, Registry
from sa_session_lint.project.registries import kind_of_use, name_of
from sa_session_lint.project.usage import is_zope


class ThreadLocalScopedSessionInFastapi(Check):
    def visit_Call(self, node: cst.Call) -> None:
        value, call = self.value(node), self.expression(node)
        if not isinstance(value, Registry) or not isinstance(call, Call) or value.place != Place(self.file.path, call.at):
            return
        if value.scope != "thread" or is_zope(self.index):
            return
        use = kind_of_use(self.index, value)
        if use is not None and use.kind == "asgi":
            name = name_of(self.scope(node), call) or "scoped_session"
            self.report(node, [self.note(use.place, f"used here, by {use.framework} code")], name=name, framework=use.framework)
