"""A coroutine method of an AsyncSession that nobody awaits: it never runs.

Reported is a call that is a statement, and one whose value is used as no coroutine can be: an attribute or a part of it is read, it
is looped over, entered, compared or tested; that it is given a name first makes no difference, if it has that name on every way there. One
that is handed on may be awaited elsewhere. A function that fails before it gets there, for it is written for a synchronous session
throughout, is another rule's.
"""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.expression import Attribute, Call, Defined, Name
from sa_session_lint.model.value import External, Method, Registry, Session, SessionClass
from sa_session_lint.model.vocabulary import COROUTINES, EVENT_LISTENERS, OF_COROUTINES, SYNC_ONLY_CALLS
from sa_session_lint.project.outline import Scope
from sa_session_lint.typestate.followed import Followed, certain


class MissingAwaitOnAsyncSession(FlowCheck):
    rule = "missing-await-on-async-session"

    def function(self, found: Followed) -> None:
        for place in dict.fromkeys(met.related for met in certain(found) if met.kind == "not awaited"):
            call = self.at(place) if place is not None else None
            if isinstance(call, cst.Call):
                self.judge(call)

    def visit_Expr(self, node: cst.Expr) -> None:
        self.judge(node.value.elt if isinstance(node.value, cst.ListComp) else node.value)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        if node.attr.value not in OF_COROUTINES:
            self.judge(node.value)

    def visit_Subscript(self, node: cst.Subscript) -> None:
        self.judge(node.value)

    def visit_For(self, node: cst.For) -> None:
        self.judge(node.iter)

    def visit_CompFor(self, node: cst.CompFor) -> None:
        self.judge(node.iter)

    def visit_WithItem(self, node: cst.WithItem) -> None:
        self.judge(node.item)

    def visit_Comparison(self, node: cst.Comparison) -> None:
        self.judge(node.left)

    def visit_UnaryOperation(self, node: cst.UnaryOperation) -> None:
        self.judge(node.expression)

    def visit_If(self, node: cst.If) -> None:
        self.judge(node.test)

    def visit_IfExp(self, node: cst.IfExp) -> None:
        self.judge(node.test)

    def visit_While(self, node: cst.While) -> None:
        self.judge(node.test)

    def judge(self, call: cst.BaseExpression) -> None:
        if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute) or call.func.attr.value not in COROUTINES:
            return
        method = self.value(call.func)
        if not isinstance(method, Method) or not isinstance(method.receiver, (Session, Registry)):
            return
        if method.receiver.kind != "async" or self.is_plain(method.name):
            return
        if isinstance(method.receiver, Session) and method.receiver.how == "with" and method.name in {"close", "aclose"}:
            return  # its block closes it
        if not self.fails_before(call) and not self.is_listener(self.scope(call)):
            self.report(call, [self.note(method.receiver.place, "an AsyncSession comes from here")], call=f"{self.code(call.func)}()")

    def fails_before(self, call: cst.Call) -> bool:
        """Whether the function has already called what an AsyncSession lacks, and so never gets here."""
        assert isinstance(call.func, cst.Attribute)
        session, mine = self.expression(call.func.value), self.expression(call)
        for other in self.scope(call).calls:
            function = other.function
            if isinstance(function, Attribute) and function.name in SYNC_ONLY_CALLS and function.value == session:
                if isinstance(mine, Call) and other.at < mine.at:
                    return True
        return False

    def is_listener(self, scope: Scope) -> bool:
        """Whether SQLAlchemy's events call the function: what they hand over is a synchronous Session, whatever the annotation says."""
        for decorator in scope.decorators:
            head = decorator.function if isinstance(decorator, Call) else decorator
            value = self.index.value(head, scope.parent or self.file.outline.module, self.file.path)
            if isinstance(value, External) and value.dotted in EVENT_LISTENERS:
                return True
        for around in (self.file.outline.module, *self.file.outline.scopes.values()):
            for call in around.calls:
                if call.arguments and call.arguments[-1] in {Name(scope.name), Attribute(Name("self"), scope.name), Attribute(Name("cls"), scope.name)}:
                    if self.index.value(call.function, around, self.file.path) in {External(name) for name in EVENT_LISTENERS}:
                        return True
        return False

    def is_plain(self, name: str) -> bool:
        """Whether a session class of the project makes a plain method of this coroutine."""

        def search() -> bool:
            for found, scope in self.index.scopes_with("def", name):
                if scope.owner is not None and scope.owner.bases and scope.name == name and not scope.is_async:
                    around = scope.owner.parent or found.module
                    if isinstance(self.index.value(Defined(scope.owner.qualname), around, found.path), SessionClass):
                        return True
            return False

        return self.index.once(("plain method", name), search)
