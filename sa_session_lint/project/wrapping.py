"""What runs around the tasks of a project and may end their session: decorators of its own, and receivers of Celery's signals.

    @celery.task
    @with_session             commits when the task has come back, and rolls back when it raises: the session is as new for the next one
    def count(): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Expression, Name
from sa_session_lint.model.value import UNKNOWN, External, Function, Method, Place, Registry, Session, Value
from sa_session_lint.project.entry import reached
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import registry_of, uses

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_ENDINGS = frozenset({"commit", "rollback", "close", "remove"})


def is_wrapped(index: Index, found: Outline, scope: Scope) -> bool:
    """Whether a decorator of the project around a function has to do with a session, or cannot be followed."""
    return any(_may_end(index, index.value(_head(decorator), scope.parent or found.module, found.path)) for decorator in scope.decorators)


def _may_end(index: Index, decorator: Value) -> bool:
    outline = index.outline(decorator.path) if isinstance(decorator, Function) else None
    if outline is None or not isinstance(decorator, Function):
        return not isinstance(decorator, (External, Method))
    inside = (each for each in outline.scopes.values() if each.kind == "function" and _is_within(each, outline.scopes[decorator.qualname]))
    return any(_works(index, *each) for function in inside for each in _reached(index, outline, function))


def _is_within(scope: Scope | None, outer: Scope) -> bool:
    return scope is not None and (scope is outer or _is_within(scope.parent, outer))


def _works(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether a function ends something, or mentions a session or registry."""
    if any(isinstance(call.function, Attribute) and call.function.name in _ENDINGS and not call.arguments for call in scope.calls):
        return True
    return bool(uses(index, outline, scope)) or any(isinstance(index.value(Name(name), scope, outline.path), (Registry, Session)) for name in sorted(scope.loads))


def is_ended_by_signals(index: Index, made: Place) -> bool:
    """Whether a receiver of what Celery sends around each task ends the session or registry that was made at a place, or may do so."""

    def search() -> bool:
        return any(_ends(index, each, made) for each in _receivers(index))

    return index.once(("ended by signals", made), search)


def _receivers(index: Index) -> Iterator[Value]:
    """What is connected to the signals, in a call or as a decorator."""
    for signal in sorted(v.TASK_SIGNALS):
        word = signal.rpartition(".")[2]
        for outline, scope, call in index.calls_with("connect", word):
            if call.arguments and _is_connect(index, call.function, scope, outline.path, signal):
                yield index.value(call.arguments[0], scope, outline.path)
        for outline, scope in index.scopes_with("connect", word):
            if any(_is_connect(index, _head(each), scope.parent or outline.module, outline.path, signal) for each in scope.decorators):
                yield Function(outline.path, scope.qualname)


def _is_connect(index: Index, expression: Expression, scope: Scope, path: str, signal: str) -> bool:
    return isinstance(expression, Attribute) and expression.name == "connect" and index.value(expression.value, scope, path) == External(signal)


def _ends(index: Index, receiver: Value, made: Place) -> bool:
    if isinstance(receiver, Method):
        return receiver.name in _ENDINGS and _is_made_at(index, receiver.receiver, made)
    outline = index.outline(receiver.path) if isinstance(receiver, Function) else None
    if outline is None or not isinstance(receiver, Function):
        return True
    return any(
        isinstance(call.function, Attribute) and call.function.name in _ENDINGS and not call.arguments
        and _is_made_at(index, index.value(call.function.value, scope, there.path), made)
        for there, scope in _reached(index, outline, outline.scopes[receiver.qualname])
        for call in scope.calls
    )  # fmt: skip


def _is_made_at(index: Index, value: Value, made: Place) -> bool:
    """Whether a value is, or may be, what was made at a place, or its session."""
    behind = registry_of(index, value) or value if isinstance(value, (Registry, Session)) else None
    return value is UNKNOWN or (behind is not None and behind.place == made)


def _reached(index: Index, outline: Outline, scope: Scope) -> Iterator[tuple[Outline, Scope]]:
    return ((there, function) for there, function, _ in reached(index, outline, scope))


def _head(decorator: Expression) -> Expression:
    return decorator.function if isinstance(decorator, Call) else decorator
