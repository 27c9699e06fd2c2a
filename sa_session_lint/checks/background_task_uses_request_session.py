"""The request's session handed to a background task, which runs after the response."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.vocabulary import BACKGROUND_TASK, BACKGROUND_TASKS
from sa_session_lint.project.entry import kinds_of
from sa_session_lint.project.value import External, Made, Method, Session

_LATER = "the connection stays out until the task ends"
_CLOSED = "the task runs on a session that was closed before it started"
_EITHER = f"{_LATER} (FastAPI before 0.106 and from 0.118 on), or {_CLOSED} (0.106 to 0.117)"


class BackgroundTaskUsesRequestSession(Check):
    def visit_Call(self, node: cst.Call) -> None:
        if not self.schedules(node):
            return
        for argument in node.args[1:] or ():
            value = self.value(argument.value)
            if isinstance(value, Session) and value.how == "depends":
                trail = [self.note(value.place, "the dependency opens it here")]
                self.report(node, trail, name=self.code(argument.value), consequence=self.consequence())
                return

    def schedules(self, node: cst.Call) -> bool:
        function = self.value(node.func)
        if isinstance(function, Method) and function.name == "add_task":
            return bool(kinds_of(self.index, function.receiver) & BACKGROUND_TASKS)
        made = self.value(node)
        return isinstance(function, External) and isinstance(made, Made) and made.dotted in BACKGROUND_TASK

    def consequence(self) -> str:
        pins = self.index.pins(self.file.path)
        if pins.surely_at_least("fastapi", "0.118") or pins.surely_below("fastapi", "0.106"):
            return _LATER
        if pins.surely_at_least("fastapi", "0.106") and pins.surely_below("fastapi", "0.118"):
            return _CLOSED
        return _EITHER
