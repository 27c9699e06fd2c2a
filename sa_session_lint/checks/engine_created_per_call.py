"""An engine, and with it a connection pool, made anew by a function that runs for every request, task or message."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Expression, Name, text
from sa_session_lint.model.value import Engine, External, Function, Place
from sa_session_lint.project.entry import entry, kinds_of
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import callers, dependents, holders, mentions


class EngineCreatedPerCall(Check):
    def visit_Call(self, node: cst.Call) -> None:
        scope = self.scope(node)
        if scope.kind != "function" or scope.under_main or is_aside(self.file.path):
            return
        value = self.value(node)
        call = self.expression(node)
        if not isinstance(value, Engine) or not isinstance(call, Call) or self.is_kept(self.file.outline, scope, call):
            return
        if value.place != Place(self.file.path, call.at) or self.may_lack_pool(call, scope):
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
            if self.is_kept(outline, caller, call):
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

    def is_kept(self, found: Outline, scope: Scope, made: Call) -> bool:
        """Whether a function keeps what it makes by a call, disposes of it, or builds the application."""
        if scope.name in {"__init__", "__new__", "__aenter__", "__enter__"} or scope.outer or self.is_lifespan(found, scope):
            return True
        if entry(self.index, found, scope) is None and any(self.may_cache(decorator, found, scope) for decorator in scope.decorators):
            return True
        held = holders(scope, made)
        if any(mentions(store.value, held) for store in scope.stores):
            return True
        for call in scope.calls:
            name = call.function.name if isinstance(call.function, (Attribute, Name)) else ""
            arguments = (*call.arguments, *(value for _, value in call.keywords))
            if name == "dispose" or any(isinstance(argument, Attribute) and argument.name == "dispose" for argument in arguments):
                return True
            if name in _KEEPING and any(mentions(argument, held) for argument in arguments):
                return True
            if kinds_of(self.index, self.index.value(call, scope, found.path)) & (v.FLASK_APP | v.ASGI_APPS | v.CELERY_APPS):
                return True
        return False

    def may_cache(self, decorator: Expression, found: Outline, scope: Scope) -> bool:
        """Whether a decorator may keep what its function returns: any that is not known to leave the calls alone."""
        head = decorator.function if isinstance(decorator, Call) else decorator
        value = self.index.value(head, scope.parent or found.module, found.path)
        return not (isinstance(value, External) and value.dotted in _PLAIN)

    def may_lack_pool(self, call: Call, scope: Scope) -> bool:
        """Whether the engine keeps no connections, or may have been told so."""
        pool = call.keyword("poolclass")
        if pool is None:
            return call.spread
        value = self.index.value(pool, scope, self.file.path)
        return not isinstance(value, External) or value.dotted.endswith(".NullPool")


_KEEPING = frozenset({"append", "insert", "put", "register", "setattr", "setdefault", "update"})
_PLAIN = v.CONTEXT_MANAGER | v.ASYNC_CONTEXT_MANAGER | v.TRANSPARENT | {"builtins.staticmethod", "builtins.classmethod", "builtins.property"}
