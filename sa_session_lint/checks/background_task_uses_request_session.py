"""The request's session handed to a background task, which runs after the response."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.vocabulary import BACKGROUND_TASK, BACKGROUND_TASKS
from sa_session_lint.project.annotation import depends_in
from sa_session_lint.project.entry import kinds_of
from sa_session_lint.project.expression import Call, Const, Expression, Lambda, Name, text
from sa_session_lint.project.value import External, Made, Method, Session

_LATER = "it keeps a connection until the task ends"
_CLOSED = "the task opens it again after it was closed, and nobody gives its connection back"
_EITHER = f"{_LATER} (FastAPI before 0.106 and from 0.118 on), or {_CLOSED} (0.106 to 0.117)"


class BackgroundTaskUsesRequestSession(Check):
    def visit_Call(self, node: cst.Call) -> None:
        if not self.schedules(node):
            return
        for given in self.given(node):
            value = self.index.value(given, self.scope(node), self.file.path)
            if isinstance(value, Session) and value.how == "depends":
                trail = [self.note(value.place, "the dependency opens it here")]
                self.report(node, trail, name=text(given), consequence=self.consequence(node, given))
                return

    def schedules(self, node: cst.Call) -> bool:
        function = self.value(node.func)
        if isinstance(function, Method) and function.name == "add_task":
            return bool(kinds_of(self.index, function.receiver) & BACKGROUND_TASKS)
        made = self.value(node)
        return isinstance(function, External) and isinstance(made, Made) and made.dotted in BACKGROUND_TASK

    def given(self, node: cst.Call) -> Iterator[Expression]:
        """What the task will be called with, also through a lambda or a partial."""
        task = self.expression(node)
        if not isinstance(task, Call):
            return
        yield from task.arguments[1:]
        yield from (value for key, value in task.keywords if key != "func")
        function = task.arguments[0] if task.arguments else task.keyword("func")
        inner = function.body if isinstance(function, Lambda) else function
        if isinstance(inner, Call):
            if isinstance(function, Lambda) or self.index.value(inner.function, self.scope(node), self.file.path) == External("functools.partial"):
                yield from inner.arguments
                yield from (value for _, value in inner.keywords)

    def consequence(self, node: cst.Call, given: Expression) -> str:
        pins = self.index.pins(self.file.path)
        if self.is_left_early(node, given):
            return _CLOSED
        if pins.surely_at_least("fastapi", "0.118") or pins.surely_below("fastapi", "0.106"):
            return _LATER
        if pins.surely_at_least("fastapi", "0.106") and pins.surely_below("fastapi", "0.118"):
            return _CLOSED
        return _EITHER

    def is_left_early(self, node: cst.Call, given: Expression) -> bool:
        """Whether the session is a parameter that says `Depends(..., scope="function")`."""
        scope = self.scope(node)
        for parameter in scope.parameters:
            if given == Name(parameter.name):
                found = depends_in(self.index, parameter.annotation, scope.parent or scope, self.file.path)
                depends = found[0] if found is not None else parameter.default
                return isinstance(depends, Call) and depends.keyword("scope") == Const("function")
        return False
