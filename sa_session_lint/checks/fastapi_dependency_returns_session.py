"""A FastAPI dependency that returns a session it has opened: nothing closes it after the request.

A session that the function also hands to somebody else, or that some decorator may look after, is left in peace.
"""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Attribute, Expression, Name
from sa_session_lint.model.value import Coroutine, Session
from sa_session_lint.model.vocabulary import ENDING_CALLS
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.usage import dependents


class FastapiDependencyReturnsSession(Check):
    def visit_Return(self, node: cst.Return) -> None:
        if node.value is None:
            return
        scope = self.scope(node.value)
        value = self.value(node.value)
        if scope.kind != "function" or scope.is_generator or not isinstance(value, Session) or value.how != "new":
            return
        given = self.index.result(self.file.path, scope.qualname)
        given = given.value if isinstance(given, Coroutine) else given
        if not isinstance(given, Session) or given.how != "new" or self.is_handed_on(self.expression(node.value), scope):
            return
        places = dependents(self.index, self.file.path, scope.qualname)
        if places:
            trail = [self.note(value.place, "opened here"), self.note(places[0], f"FastAPI depends on `{scope.name}` here")]
            self.report(node, trail, function=scope.name)

    def is_handed_on(self, session: Expression, scope: Scope) -> bool:
        """Whether the local name of the session, or its `close`, is also stored, given to a call, or used by a function inside."""
        if not isinstance(session, Name):
            return False
        mine = [session, *(binding.value for binding in scope.bindings.get(session.name, ()))]
        given = [value for call in scope.calls for value in (*call.arguments, *(v for _, v in call.keywords))]
        for value in (*given, *(store.value for store in scope.stores)):
            if value in mine or (isinstance(value, Attribute) and value.name in ENDING_CALLS and value.value == session):
                return True
        return any(inner.parent is scope and session.name in inner.loads for inner in self.file.outline.scopes.values())
