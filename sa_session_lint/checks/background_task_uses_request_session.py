"""The request's session handed to a background task, which runs after the response."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Attribute, Call, Const, Expression, Lambda, Name, text
from sa_session_lint.model.value import External, Function, Made, Method, Session
from sa_session_lint.model.vocabulary import BACKGROUND_TASK, BACKGROUND_TASKS
from sa_session_lint.project.annotation import depended, depends_in
from sa_session_lint.project.entry import kinds_of, receivers
from sa_session_lint.project.outline import Scope

_LATER = "it keeps a connection until the task ends"
_CLOSED = "the task opens it again after it was closed, and nobody gives its connection back"
_EITHER = f"{_LATER} (FastAPI before 0.106 and from 0.118 on), or {_CLOSED} (0.106 to 0.117)"


class BackgroundTaskUsesRequestSession(Check):
    def visit_Call(self, node: cst.Call) -> None:
        if not self.schedules(node):
            return
        for given in self.given(node):
            value = self.index.value(given, self.scope(node), self.file.path)
            if isinstance(value, Session) and value.how == "depends" and self.matters(node, given):
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

    def matters(self, node: cst.Call, given: Expression) -> bool:
        """Whether the task reads what it gets; and, where the request's session stays open for it, whether the request took a connection:
        else a session of the task's own would hold one for just as long."""
        task = self.expression(node)
        assert isinstance(task, Call)
        if not self.is_read(task, given):
            return False
        return self.consequence(node, given) == _CLOSED or self.is_used(self.scope(node), given)

    def is_read(self, task: Call, given: Expression) -> bool:
        """Whether the function that runs as the task reads the parameter that it gets the session as; of an unknown one, yes."""
        target = task.arguments[0] if task.arguments else task.keyword("func")
        function = self.index.value(target, self.scope_of(task), self.file.path) if target is not None else None
        found = self.index.outline(function.path) if isinstance(function, Function) else None
        if found is None or not isinstance(function, Function):
            return True
        callee = found.scopes[function.qualname]
        if given in task.arguments[1:]:
            position = task.arguments.index(given) - 1 + (callee.owner is not None)
            name = callee.parameters[position].name if position < len(callee.parameters) else None
        else:
            name = next((key for key, value in task.keywords if value == given), None)
        return name is None or name in callee.loads or all(p.name != name for p in callee.parameters)

    def scope_of(self, call: Call) -> Scope:
        return self.scope(self.file.outline.nodes[call.at])

    def is_used(self, scope: Scope, given: Expression) -> bool:
        """Whether the function itself, or another of its dependencies, works with the request's session."""
        names = {given, *(b.value for b in scope.bindings.get(text(given), ()) if isinstance(b.value, Name))}
        for call in scope.calls:
            if isinstance(call.function, Attribute) and call.function.name == "add_task":
                continue
            handed = (*call.arguments, *(value for _, value in call.keywords), *receivers(call.function))
            if any(name in handed for name in names):
                return True
        around = scope.parent or self.file.outline.module
        for parameter in scope.parameters:
            found = depends_in(self.index, parameter.annotation, around, self.file.path)
            depends, place, path = found if found is not None else (parameter.default, around, self.file.path)
            target = depended(depends) if isinstance(depends, Call) and given != Name(parameter.name) else None
            function = self.index.value(target, place, path) if target is not None else None
            outline = self.index.outline(function.path) if isinstance(function, Function) else None
            if outline is not None and isinstance(function, Function):
                inner = outline.scopes[function.qualname]
                if any(isinstance(self.index.value(Name(p.name), inner, function.path), Session) for p in inner.parameters):
                    return True
        return False

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
