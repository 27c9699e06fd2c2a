"""An `except` around the `yield` of a session generator that does not raise again: the caller's exception is lost."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.value import External, Many, Registry, Session
from sa_session_lint.project.generator import Suspension, falls_through, is_scoped_generator, suspensions
from sa_session_lint.project.usage import dependents
from sa_session_lint.walk import children

_BROAD = frozenset({"builtins.Exception", "builtins.BaseException"})
_DATABASE = _BROAD | {f"sqlalchemy.exc.{name}" for name in ("SQLAlchemyError", "StatementError", "DBAPIError", "DatabaseError")}
_CONTROL = frozenset({"builtins.GeneratorExit", "builtins.StopIteration", "builtins.StopAsyncIteration", "asyncio.CancelledError"})


class YieldDependencySwallowsException(Check):
    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or not scope.is_generator or not is_scoped_generator(self.index, self.file.path, scope):
            return
        depended = bool(dependents(self.index, self.file.path, scope.qualname))
        for suspension in suspensions(node):
            if suspension.node.value is None or not isinstance(self.value(suspension.node.value), (Session, Registry)):
                continue
            handler = self.swallowing(suspension, depended)
            if handler is not None:
                caught = "except" if handler.type is None else f"except {self.code(handler.type)}"
                self.report(handler, [self.note(suspension.node, "suspended here")], function=scope.name, handler=caught)
                return

    def swallowing(self, suspension: Suspension, depended: bool) -> cst.ExceptHandler | None:
        """The innermost handler around the `yield` whose end can be reached, and behind which nothing is raised."""
        for statement in suspension.tries():
            if statement.finalbody is not None and not falls_through(statement.finalbody.body.body):
                return None
            for handler in statement.handlers:
                if isinstance(handler, cst.ExceptHandler) and self.catches(handler, depended) and falls_through(handler.body.body):
                    return None if _chooses_to_raise(handler) or _raises_behind(suspension, statement) else handler
            if any(handler.type is None or self.named(handler) & _BROAD for handler in statement.handlers):
                return None
        return None

    def catches(self, handler: cst.ExceptHandler, depended: bool) -> bool:
        """Whether it catches what nobody meant to end there: FastAPI allows no exception to end, a context manager may be made for a few."""
        named = self.named(handler)
        if depended:
            return handler.type is None or not named or not named <= _CONTROL
        return handler.type is None or bool(named & _DATABASE)

    def named(self, handler: cst.ExceptHandler | cst.ExceptStarHandler) -> set[str]:
        """The exceptions from outside of the project that a handler names."""
        value = self.value(handler.type) if handler.type is not None else None
        return {v.dotted for v in (value.items if isinstance(value, Many) else (value,)) if isinstance(v, External)}



def _chooses_to_raise(node: cst.CSTNode) -> bool:
    """Whether something is raised under a condition: that the rest ends quietly was meant."""
    return any((isinstance(child, (cst.If, cst.Match)) and _raises(child)) or _chooses_to_raise(child) for child in children(node))


def _raises_behind(suspension: Suspension, statement: cst.Try | cst.TryStar) -> bool:
    """Whether something is raised behind a `try`: the handler may have kept the exception for it."""
    chain = [around for around, _ in suspension.around]
    return any(_raises(later) for _, following in suspension.around[: chain.index(statement) + 1] for later in following)


def _raises(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Raise) or any(_raises(child) for child in children(node) if not isinstance(child, (cst.FunctionDef, cst.Lambda)))
