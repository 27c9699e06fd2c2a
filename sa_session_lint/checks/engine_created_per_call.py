"""An engine, and with it a connection pool, made anew by a function that runs for every request, task or message."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model import vocabulary as v
from sa_session_lint.project.entry import entry, kinds_of
from sa_session_lint.project.expression import Attribute, Call, Name, text
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import callers, dependents, is_aside
from sa_session_lint.project.value import Engine, External, Function, Place


class EngineCreatedPerCall(Check):
    def visit_Call(self, node: cst.Call) -> None:
        scope = self.scope(node)
        if scope.kind != "function" or scope.under_main or is_aside(self.file.path):
            return
        value = self.value(node)
        call = self.expression(node)
        if not isinstance(value, Engine) or not isinstance(call, Call) or self.is_kept(self.file.outline, scope):
            return
        if value.place != Place(self.file.path, call.at) or _no_pool(call):
            return
        reason = self.per_call(self.file.outline, scope, 3)
        if reason is not None:
            place, why = reason
            self.report(node, [self.note(place, why)], call=f"{text(call.function)}()", function=scope.name)

    def per_call(self, found: Outline, scope: Scope, depth: int) -> tuple[Place, str] | None:
        """Why a function runs again and again: a framework enters it, or it is called by one that does."""
        entered = entry(self.index, found, scope)
        if entered is not None:
            return entered.place, f"{entered.framework} calls `{scope.name}` again and again"
        places = dependents(self.index, found.path, scope.qualname)
        if places:
            return places[0], f"FastAPI calls `{scope.name}` for every request"
        if not depth:
            return None
        for outline, caller, call in callers(self.index, found.path, scope):
            if caller.kind != "function" or caller is scope or caller.under_main or is_aside(outline.path):
                continue
            if self.is_kept(outline, caller):
                continue
            reason = self.per_call(outline, caller, depth - 1)
            if reason is not None:
                return reason
        return None

    def is_lifespan(self, found: Outline, scope: Scope) -> bool:
        """Whether a generator function runs once around the application: `FastAPI(lifespan=...)`."""
        me = Function(found.path, scope.qualname)
        if not scope.is_generator:
            return False
        return any(
            value is not None and self.index.value(value, place, outline.path) == me
            for outline, place, call in self.index.calls_with("lifespan", scope.name)
            for value in (call.keyword("lifespan"),)
        )

    def is_kept(self, found: Outline, scope: Scope) -> bool:
        """Whether a function keeps what it makes, disposes of it, or builds the application."""
        if scope.name in {"__init__", "__new__", "__aenter__", "__enter__"} or self.is_lifespan(found, scope):
            return True
        if any(isinstance(store.target, Attribute) for store in scope.stores) or scope.outer:
            return True
        for store in scope.stores:
            return store is not None  # kept in a mapping
        for decorator in scope.decorators:
            head = decorator.function if isinstance(decorator, Call) else decorator
            value = self.index.value(head, scope.parent or found.module, found.path)
            name = value.dotted if isinstance(value, External) else ""
            if name in v.CACHES or name.startswith("pytest") or not name and not isinstance(head, Attribute):
                return True
        for call in scope.calls:
            name = call.function.name if isinstance(call.function, (Attribute, Name)) else ""
            if name == "dispose" or kinds_of(self.index, self.index.value(call, scope, found.path)) & (v.FLASK_APP | v.ASGI_APPS | v.CELERY_APPS):
                return True
        return False


def _no_pool(call: Call) -> bool:
    pool = call.keyword("poolclass")
    return pool is not None and "NullPool" in text(pool)
