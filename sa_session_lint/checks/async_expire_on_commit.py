"""An AsyncSession that expires its objects at commit: the next attribute read needs SQL, which asyncio does not allow there."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Attribute, Call, Name, dotted, text
from sa_session_lint.model.value import UNKNOWN, Maker, Place, Session
from sa_session_lint.project.committing import Committing, callee_commits, expires
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Scope


class AsyncExpireOnCommit(Check):
    def visit_Call(self, node: cst.Call) -> None:
        if is_aside(self.file.path):  # a test that reads what has expired fails at once, and so tells by itself
            return
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
        witness = self.matters_in(self.scope(node), call) if isinstance(value, Session) else self.witness()
        if witness is None or (isinstance(value, Maker) and self.configured(value)):
            return
        self.report(node, [self.note(witness, "committed here, while its objects are still needed")], name=text(call.function))

    def matters_in(self, scope: Scope, opened: Call) -> Place | None:
        """Where a session made in a function is committed while its objects are needed: there, by somebody whom it is handed to, or
        by a user of what the function gives."""
        names = {name for name, bindings in scope.bindings.items() if any(_holds(b.value, opened) for b in bindings)}
        if any(_holds(g.value, opened) or dotted(g.value) in names for g in (*scope.returns, *scope.yields)):
            return self.witness()
        for call in scope.calls:
            function = call.function
            if isinstance(function, Attribute) and function.name == "commit" and dotted(function.value) in names:
                if Committing(self.index, self.file.path, scope).needs_objects_after(call):
                    return Place(self.file.path, call.at)
            for name in names:
                if Name(name) in call.arguments or any(v == Name(name) for _, v in call.keywords):
                    if callee_commits(self.index, call, scope, self.file.path, name, 2):
                        return Place(self.file.path, call.at)
        return None

    def witness(self) -> Place | None:
        """A commit for asyncio, outside of tests, in a function that needs an object afterwards without having refreshed it."""

        def search() -> Place | None:
            for word in ("commit", "begin"):
                for found, scope, call in self.index.calls_with(word, "async"):
                    function = call.function
                    if is_aside(found.path) or not scope.is_async or not isinstance(function, Attribute) or function.name != word:
                        continue
                    session = self.index.value(function.value, scope, found.path)
                    if not expires(session):
                        continue
                    if Committing(self.index, found.path, scope).needs_objects_after(call):
                        return Place(found.path, call.at)
            return None

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
