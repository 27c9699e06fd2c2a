"""An `except` around the `yield` of a session generator that does not raise again: the caller's exception is lost."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.project.generator import Suspension, falls_through, is_scoped_generator, suspensions
from sa_session_lint.project.value import Registry, Session


class YieldDependencySwallowsException(Check):
    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or not scope.is_generator or not is_scoped_generator(self.index, self.file.path, scope):
            return
        for suspension in suspensions(node):
            if suspension.node.value is None or not isinstance(self.value(suspension.node.value), (Session, Registry)):
                continue
            handler = self.swallowing(suspension)
            if handler is not None:
                caught = "everything" if handler.type is None else self.code(handler.type)
                self.report(handler, [self.note(suspension.node, "suspended here")], function=scope.name, exception=caught)
                return

    def swallowing(self, suspension: Suspension) -> cst.ExceptHandler | cst.ExceptStarHandler | None:
        """The innermost handler around the `yield` whose end can be reached."""
        for statement in suspension.tries():
            if statement.finalbody is not None and not falls_through(statement.finalbody.body.body):
                return None
            for handler in statement.handlers:
                if isinstance(handler, cst.ExceptHandler) and self.catches(handler) and falls_through(handler.body.body):
                    return handler
            if any(self.is_broad(h) for h in statement.handlers):
                return None
        return None

    def catches(self, handler: cst.ExceptHandler) -> bool:
        """Whether it catches what code under a session raises; `GeneratorExit` and the like are control flow."""
        return handler.type is None or self.code(handler.type).rpartition(".")[2] not in {"GeneratorExit", "StopIteration", "CancelledError"}

    def is_broad(self, handler: cst.ExceptHandler | cst.ExceptStarHandler) -> bool:
        return handler.type is None or self.code(handler.type) in {"Exception", "BaseException"}
