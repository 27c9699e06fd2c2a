"""Where a framework enters the project's code: routes, views, tasks, handlers; and what they reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Expression
from sa_session_lint.model.value import Class, External, Function, Instance, Made, Method, Place, Value
from sa_session_lint.project.outline import Outline, Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


@dataclass(frozen=True, slots=True)
class Entry:
    """A function that a framework calls, over and over, in a process that lives long."""

    kind: Literal["asgi", "flask", "task", "handler"]
    framework: str
    place: Place


_HANDLERS: dict[str, tuple[Literal["asgi", "flask", "task", "handler"], str, frozenset[str] | None]] = {
    "flask.views.MethodView": ("flask", "Flask", frozenset({"get", "post", "put", "delete", "patch"})),
    "flask.views.View": ("flask", "Flask", frozenset({"dispatch_request"})),
    "flask_restful.Resource": ("flask", "Flask", frozenset({"get", "post", "put", "delete", "patch"})),
    "flask_restx.Resource": ("flask", "Flask", frozenset({"get", "post", "put", "delete", "patch"})),
    "starlette.endpoints.HTTPEndpoint": ("asgi", "Starlette", frozenset({"get", "post", "put", "delete", "patch"})),
    "socketserver.BaseRequestHandler": ("handler", "socketserver", frozenset({"handle"})),
    "socketserver.StreamRequestHandler": ("handler", "socketserver", frozenset({"handle"})),
    "socketserver.DatagramRequestHandler": ("handler", "socketserver", frozenset({"handle"})),
    "tornado.web.RequestHandler": ("handler", "Tornado", frozenset({"get", "post", "put", "delete", "patch", "prepare"})),
    "celery.Task": ("task", "Celery", frozenset({"run"})),
    "celery.app.task.Task": ("task", "Celery", frozenset({"run"})),
    "fedmsg.consumers.FedmsgConsumer": ("handler", "fedmsg", frozenset({"consume"})),
}


def kinds_of(index: Index, value: Value) -> frozenset[str]:
    """The external classes that an object is made of: its own, or the bases of its class."""
    if isinstance(value, Made):
        return frozenset({value.dotted})
    if isinstance(value, External):
        return frozenset({value.dotted})
    if isinstance(value, (Instance, Class)):
        return index.once(("bases", value.path, value.qualname), lambda: frozenset(_bases(index, value.path, value.qualname, 0)))
    return frozenset()


def _bases(index: Index, path: str, qualname: str, depth: int) -> Iterator[str]:
    found = index.outline(path)
    if found is None or depth > 12:
        return
    scope = found.scopes[qualname]
    for base in scope.bases:
        value = index.value(base, scope.parent or found.module, path)
        if isinstance(value, External):
            yield value.dotted
        elif isinstance(value, Class):
            yield from _bases(index, value.path, value.qualname, depth + 1)


def entry(index: Index, found: Outline, scope: Scope) -> Entry | None:
    """Whether and by which framework a function is entered."""
    if scope.kind != "function":
        return None
    around = scope.parent or found.module
    for decorator, at in zip(scope.decorators, scope.decorated_at, strict=True):
        head = decorator.function if isinstance(decorator, Call) else decorator
        value = index.value(head, around, found.path)
        place = Place(found.path, at)
        if isinstance(value, Method):
            kinds = kinds_of(index, value.receiver)
            if kinds & v.ASGI_APPS and value.name in v.ROUTE_METHODS:
                return Entry("asgi", "FastAPI", place)
            if kinds & v.FLASK_APPS and value.name in v.ROUTE_METHODS:
                return Entry("flask", "Flask", place)
            if kinds & v.CELERY_APPS and value.name == "task":
                return Entry("task", "Celery", place)
            if kinds & v.HUEY_APPS and value.name in {"task", "periodic_task"}:
                return Entry("task", "Huey", place)
        elif isinstance(value, External) and value.dotted in v.TASK_DECORATORS:
            return Entry("task", "Dramatiq" if "dramatiq" in value.dotted else "Celery", place)
    owner = scope.owner
    if owner is not None:
        for base in kinds_of(index, Class(found.path, owner.qualname)):
            kind, framework, methods = _HANDLERS.get(base, ("handler", "", frozenset()))
            if methods and scope.name in methods:
                return Entry(kind, framework, Place(found.path, scope.at))
    return None


def reached(index: Index, found: Outline, scope: Scope, depth: int = 2) -> Iterator[tuple[Outline, Scope, Place | None]]:
    """A function and those of the project that it calls, some frames down, with the call that leads there."""
    seen: set[tuple[str, str]] = set()
    queue: list[tuple[Outline, Scope, Place | None, int]] = [(found, scope, None, depth)]
    while queue:
        outline, function, via, left = queue.pop(0)
        if (outline.path, function.qualname) in seen:
            continue
        seen.add((outline.path, function.qualname))
        yield outline, function, via
        if not left:
            continue
        for call in function.calls:
            value = index.value(call.function, function, outline.path)
            if isinstance(value, Function):
                target = index.outline(value.path)
                if target is not None:
                    queue.append((target, target.scopes[value.qualname], via or Place(outline.path, call.at), left - 1))


def receivers(expression: Expression) -> Iterator[Expression]:
    """The parts of a chain `a.b(c).d()` from its root outwards, without the chain itself."""
    chain: list[Expression] = []
    while True:
        if isinstance(expression, Attribute):
            expression = expression.value
        elif isinstance(expression, Call):
            expression = expression.function
        else:
            break
        chain.append(expression)
    yield from reversed(chain)


