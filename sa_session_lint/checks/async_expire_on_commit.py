"""An AsyncSession that expires its objects at commit: the next attribute read needs SQL, which asyncio does not allow there."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.project.expression import Attribute, Call, Name, dotted, text
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.usage import is_aside
from sa_session_lint.project.value import UNKNOWN, Maker, Place, Session


class AsyncExpireOnCommit(Check):
    def visit_Call(self, node: cst.Call) -> None:
        value = self.value(node)
        if not isinstance(value, (Maker, Session)) or value.kind != "async" or value.options.expire is not True:
            return
        if isinstance(value, Session) and value.how != "new":
            return
        call = self.expression(node)
        if not isinstance(call, Call) or value.place != Place(self.file.path, call.at):
            return
        function = self.value(node.func)
        if isinstance(value, Session) and isinstance(function, Maker):
            return  # the maker itself is reported
        if isinstance(value, Session):
            if not self.commits_in(self.scope(node), call):
                return
        elif not self.commits_somewhere() or self.configured(value):
            return
        self.report(node, name=text(call.function))

    def commits_in(self, scope: Scope, opened: Call) -> bool:
        """Whether a session made in a function is committed there, or handed on to somebody who may."""
        names = {name for name, bindings in scope.bindings.items() if any(_holds(b.value, opened) for b in bindings)}
        if any(_holds(g.value, opened) or dotted(g.value) in names for g in (*scope.returns, *scope.yields)):
            return self.commits_somewhere()
        for call in scope.calls:
            if isinstance(call.function, Attribute) and dotted(call.function.value) in names and call.function.name in {"commit", "begin"}:
                return True
            handed = (*call.arguments, *(value for _, value in call.keywords))
            if any(isinstance(a, Name) and a.name in names for a in handed) and self.commits_somewhere():
                return True
        return False

    def commits_somewhere(self) -> bool:
        """Whether any code of the project but its tests commits a session for asyncio."""

        def search() -> bool:
            for found, scope, call in self.index.calls_with("commit"):
                if is_aside(found.path) or not isinstance(call.function, Attribute) or call.function.name != "commit":
                    continue
                session = self.index.value(call.function.value, scope, found.path)
                if scope.is_async and (session is UNKNOWN or (isinstance(session, Session) and session.kind == "async")):
                    return True
            return False

        return self.index.once(("commits async",), search)

    def configured(self, maker: Maker) -> bool:
        """Whether `configure()` may set the option later."""
        for found, scope, call in self.index.calls_with("configure", "expire_on_commit"):
            if isinstance(call.function, Attribute) and call.function.name == "configure":
                target = self.index.value(call.function.value, scope, found.path)
                if target is UNKNOWN or (isinstance(target, Maker) and target.place == maker.place):
                    return True
        return False


def _holds(expression: object, call: Call) -> bool:
    while expression is not call:
        inner = getattr(expression, "value", None)
        if inner is None:
            return False
        expression = inner
    return True
