"""Which calls wait for the network, another process, the clock or a person; also those of functions that surely make such a call.

    requests.get(url)                  waits when it is called
    await client.get(url)              a coroutine waits when it is awaited, or entered by `async with`
    translate(text)                    waits if every way on which `translate` returns leads through something that does
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import libcst as cst

from sa_session_lint.flow.build import build
from sa_session_lint.flow.graph import RETURNED, Step
from sa_session_lint.model import vocabulary as v
from sa_session_lint.model import waits as w
from sa_session_lint.model.expression import OPAQUE, Attribute, Await, Call, Enter, Expression, Series, Star
from sa_session_lint.model.value import UNKNOWN, Constant, External, Function, Made, Method, Place
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import caller_at
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

When: TypeAlias = Literal["called", "awaited"]
FRAMES = 3
"""How many functions down a slow call may be made."""


def waits(index: Index, expression: Expression, scope: Scope, path: str, frames: int = FRAMES) -> bool:
    """Whether evaluating a call or an `await`, or entering a block, waits."""
    match expression:
        case Call():
            return takes_time(index, expression, scope, path, frames) == "called"
        case Await(value):
            return _is_slow_coroutine(index, value, scope, path, frames)
        case Enter(Call() as call):
            return takes_time(index, call, scope, path, frames) == "awaited"
    return False


def _is_slow_coroutine(index: Index, expression: Expression, scope: Scope, path: str, frames: int) -> bool:
    if isinstance(expression, Star):
        expression = expression.value
    if isinstance(expression, Series):
        expression = expression.value
    if not isinstance(expression, Call):
        return False
    function = index.value(expression.function, scope, path)
    if isinstance(function, External) and function.dotted in v.GATHERING | v.PASSING:
        return any(_is_slow_coroutine(index, argument, scope, path, frames) for argument in expression.arguments)
    return takes_time(index, expression, scope, path, frames) == "awaited"


def takes_time(index: Index, call: Call, scope: Scope, path: str, frames: int = FRAMES) -> When | None:
    """Whether a call, or the coroutine that it gives, surely waits."""
    value = index.value(call.function, scope, path)
    match value:
        case External(dotted):
            return _external(index, dotted, call, scope, path)
        case Function():
            return _function(index, replace(value, receiver=None), frames)
        case Method(Made(dotted), name):
            methods = w.SLOW_CLIENTS.get(dotted, frozenset())
            if name in methods or (dotted in w.LOCAL_METHODS and name not in w.LOCAL_METHODS[dotted]) or f"{dotted}.{name}" in index.settings.slow_calls:
                return "awaited" if dotted in w.AWAITED_CLIENTS else "called"
    return _service(index, call, scope, path)


def _external(index: Index, dotted: str, call: Call, scope: Scope, path: str) -> When | None:
    if dotted.rpartition(".")[2] == "sleep":
        pause = _pause(index, call, scope, path)
        if pause is None or pause < 1:
            return None  # lets others run, or keeps to the pace that somebody asks for
    if dotted in {"smtplib.SMTP", "smtplib.SMTP_SSL"} and not call.arguments and not call.keywords:
        return None  # connects later
    if dotted in w.SLOW_AWAITED:
        return "awaited"
    return "called" if dotted in w.SLOW_CALLS or dotted in index.settings.slow_calls else None


def _service(index: Index, call: Call, scope: Scope, path: str) -> When | None:
    """A method of what the attributes and methods of a client lead to."""
    service = _service_of(index, call, scope, path)
    return None if service is None else "awaited" if service in w.AWAITED_CLIENTS else "called"


def _service_of(index: Index, call: Call, scope: Scope, path: str) -> str | None:
    if not isinstance(call.function, Attribute):
        return None
    part: Expression = call.function.value
    while isinstance(part, (Attribute, Call)):
        owner = index.value(part, scope, path)
        if isinstance(owner, Made):
            break
        part = part.value if isinstance(part, Attribute) else part.function
    owner = index.value(part, scope, path)
    return owner.dotted if isinstance(owner, Made) and call.function.name in w.SLOW_SERVICES.get(owner.dotted, ()) else None


def _function(index: Index, function: Function, frames: int) -> When | None:
    """A function of the project that waits on every way on which it returns."""
    return index.once(("waits", function, frames), lambda: _search(index, function, frames))


def _search(index: Index, function: Function, frames: int) -> When | None:
    found = index.outline(function.path)
    if found is None:
        return None
    scope = found.scopes[function.qualname]
    when: When = "awaited" if scope.is_async else "called"
    if _is_named(index, function):
        return when
    if not frames or scope.is_generator or not all(_still_runs(index, d, found, scope) for d in scope.decorators):
        return None
    if any(takes_time(index, call, scope, function.path, frames - 1) is not None for call in scope.calls):
        if _is_sure(found, scope, lambda step: waits(index, _expression(found, step), scope, found.path, frames - 1)):
            return when
    return None


def _is_named(index: Index, function: Function) -> bool:
    """Whether the settings call a function of the project slow."""
    return any(f"{module}.{function.qualname}" in index.settings.slow_calls for module in index.modules.dotted(function.path))


def is_passed(index: Index, place: Place) -> bool:
    """Whether the function that makes a call makes it on every way on which it returns."""
    around = caller_at(index, place)
    if around is None:
        return False
    found, scope = around
    node = found.nodes[place.at]
    return _is_sure(found, scope, lambda step: step.node is node or (isinstance(step.node, cst.Await) and step.node.expression is node))


def is_brief(index: Index, expression: Expression, scope: Scope, path: str) -> bool:
    """Whether what waits is a sleep of less than five seconds."""
    call = expression.value if isinstance(expression, Await) else expression
    value = index.value(call.function, scope, path) if isinstance(call, Call) else UNKNOWN
    if not isinstance(call, Call) or not isinstance(value, External) or value.dotted.rpartition(".")[2] != "sleep":
        return False
    pause = _pause(index, call, scope, path)
    return pause is not None and pause < 5


def _pause(index: Index, call: Call, scope: Scope, path: str) -> float | None:
    """How many seconds a sleep lasts, where that is a number."""
    pause = index.value(call.arguments[0], scope, path) if call.arguments else UNKNOWN
    return pause.value if isinstance(pause, Constant) and isinstance(pause.value, (int, float)) else None


def is_long(index: Index, expression: Expression, scope: Scope, path: str, again: bool = True, frames: int = FRAMES) -> bool:
    """Whether what waits does so for seconds or more: for a language model, a child process, the clock, a download, or, with `again`, for one answer after the other."""
    match expression:
        case Await(inside) | Enter(inside) | Series(inside) | Star(inside):
            return is_long(index, inside, scope, path, again, frames)
        case Call(function=function):
            value = index.value(function, scope, path)
        case _:
            return False
    if isinstance(value, Function):
        found = index.outline(value.path)
        inner = found.scopes[value.qualname] if found is not None else None
        if found is None or inner is None or not frames:
            return False
        if _is_named(index, value):
            return True
        slow = [call for call in inner.calls if takes_time(index, call, inner, found.path, frames - 1) is not None]
        return any((again and _is_repeated(found, inner, call)) or is_long(index, call, inner, found.path, again, frames - 1) for call in slow)
    if isinstance(value, External) and value.dotted in v.GATHERING | v.PASSING:
        return any(is_long(index, argument, scope, path, again, frames) for argument in expression.arguments)
    if isinstance(value, External):
        return value.dotted in w.LONG_CALLS or value.dotted in index.settings.slow_calls or expression.keyword("stream") is not None
    if isinstance(value, Method) and isinstance(value.receiver, Made):
        client, name = value.receiver.dotted, value.name
        if client in w.LONG_CALLS or name in w.LONG_METHODS or f"{client}.{name}" in index.settings.slow_calls or expression.keyword("stream") is not None:
            return True
    service = _service_of(index, expression, scope, path)
    return service is not None and (service != "boto3.resource" or (isinstance(function, Attribute) and function.name in w.LONG_METHODS))


def _is_repeated(outline: Outline, scope: Scope, call: Call) -> bool:
    """Whether a call is made for one thing after the other. A loop that counts, or goes on until it is content, may be left after the first request."""
    return any(not _may_be_left(loop) for loop in outline.loops(scope, call.at))


def _may_be_left(loop: cst.For | cst.While) -> bool:
    """Whether a loop that is over nothing but numbers, or over nothing at all, holds a `return` or `break`."""
    counts = isinstance(loop, cst.For) and isinstance(loop.iter, cst.Call) and isinstance(loop.iter.func, cst.Name) and loop.iter.func.value == "range"
    return (counts or isinstance(loop, cst.While)) and _holds_exit(loop.body)


def _holds_exit(node: cst.CSTNode) -> bool:
    if isinstance(node, (cst.FunctionDef, cst.Lambda)):
        return False
    return isinstance(node, (cst.Return, cst.Break)) or any(_holds_exit(child) for child in children(node))


def _still_runs(index: Index, decorator: Expression, found: Outline, scope: Scope) -> bool:
    """Whether a decorated function runs at each call."""
    head = decorator.function if isinstance(decorator, Call) else decorator
    value = index.value(head, scope.parent or found.module, found.path)
    return isinstance(value, External) and value.dotted in v.TRANSPARENT | v.RETRYING | {"builtins.staticmethod", "builtins.classmethod"}


def _is_sure(found: Outline, scope: Scope, is_wanted: Callable[[Step], bool]) -> bool:
    """Whether no way to a return, nothing being raised, leads past every wanted step."""
    node = found.nodes[scope.at]
    if not isinstance(node, cst.FunctionDef):
        return False
    graph = build(node.body, lambda _: "none")
    seen: set[int] = set()
    stack = [graph.start]
    while stack:
        at = stack.pop()
        if at == RETURNED:
            return False
        step = graph.steps[at]
        if at not in seen and not is_wanted(step):
            seen.add(at)
            stack += step.next
    return True


def _expression(found: Outline, step: Step) -> Expression:
    if step.kind == "enter" and isinstance(step.node, cst.WithItem):
        return Enter(found.values.get(id(step.node.item), (OPAQUE, None))[0])
    return found.values.get(id(step.node), (OPAQUE, None))[0] if step.kind in {"call", "await"} else OPAQUE
