"""The index as the engine's source of facts, and what comes of following one function when nobody knows its caller."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import NONE, Attribute, Call, Const, Expression, Name
from sa_session_lint.model.protocol import ANY
from sa_session_lint.model.value import Class, External, Function, Made, Method, Session, Value
from sa_session_lint.project.generator import is_scoped_generator
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.sketching import is_slow, may_matter, sketch, touches
from sa_session_lint.typestate.engine import Engine, Followed
from sa_session_lint.typestate.sketch import Sketch
from sa_session_lint.typestate.state import SessionState

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


@dataclass(slots=True, eq=False)
class ProjectFacts:
    """Answers from the index."""

    index: Index

    def value(self, expression: Expression, sketch: Sketch) -> Value:
        scope = self.scope(sketch.function)
        assert scope is not None
        return self.index.value(expression, scope, sketch.function.path)

    def scope(self, function: Function) -> Scope | None:
        found = self.index.outline(function.path)
        return None if found is None else found.scopes.get(function.qualname)

    def sketch(self, function: Function) -> Sketch | None:
        found, scope = self.index.outline(function.path), self.scope(function)
        if found is None or scope is None:
            return None
        if not all(self.is_transparent(d, scope, function.path) for d in scope.decorators):
            return None
        return sketch_of(self.index, found, scope)

    def is_transparent(self, decorator: Expression, scope: Scope, path: str) -> bool:
        found = self.index.outline(path)
        head = decorator.function if isinstance(decorator, Call) else decorator
        value = self.index.value(head, scope.parent or found.module, path) if found is not None else None
        if not isinstance(value, External):
            return False
        name = value.dotted
        return (
            name in v.TRANSPARENT | v.CONTEXT_MANAGER | v.ASYNC_CONTEXT_MANAGER
            or name in {"builtins.staticmethod", "builtins.classmethod", "builtins.property"}
            or name.rpartition(".")[2] in {"override", "abstractmethod", "deprecated"}
        )

    def method(self, owner: Class, name: str) -> Function | None:
        found = self.index.member(owner.path, owner.qualname, name)
        return found if isinstance(found, Function) else None

    def touches(self, function: Function) -> bool:
        return touches(self.index, replace(function, receiver=None))

    def slow(self, call: Call, sketch: Sketch) -> str | None:
        return slow(self.index, call, sketch.function)

    def suspends(self, sketch: Sketch) -> bool:
        scope = self.scope(sketch.function)
        if scope is None:
            return True
        if sketch.manages or is_scoped_generator(self.index, sketch.function.path, scope):
            return True
        return any(_is_fixture(self.index, d, scope, sketch.function.path) for d in scope.decorators) or not all(
            self.is_transparent(d, scope, sketch.function.path) for d in scope.decorators
        )


def _is_fixture(index: Index, decorator: Expression, scope: Scope, path: str) -> bool:
    found = index.outline(path)
    head = decorator.function if isinstance(decorator, Call) else decorator
    value = index.value(head, scope.parent or found.module, path) if found is not None else None
    return isinstance(value, External) and value.dotted.rpartition(".")[2] == "fixture"


def slow(index: Index, call: Call, function: Function, depth: int = 3) -> str | None:
    """How a call surely waits for the network, another process or the clock, itself or some frames down."""
    found = index.outline(function.path)
    if found is None:
        return None
    scope = found.scopes[function.qualname]
    value = index.value(call.function, scope, function.path)
    if isinstance(value, External) and is_slow(index, value.dotted):
        return None if call.arguments == (Const(0),) else value.dotted  # `sleep(0)` lets others run, and waits for nothing
    if isinstance(value, Method) and isinstance(value.receiver, Made) and value.name in v.SLOW_CLIENTS.get(value.receiver.dotted, ()):
        return f"{value.receiver.dotted}.{value.name}"
    if isinstance(call.function, Attribute):
        root = call.function.value
        while isinstance(root, Attribute):
            root = root.value
        owner = index.value(root, scope, function.path) if isinstance(root, (Name, Call)) else None
        if isinstance(owner, Made) and owner.dotted in v.SLOW_CLIENT_CHAINS and call.function.name in {"create", "stream", "parse", "generate"}:
            return owner.dotted
    if isinstance(value, Function) and depth:
        return index.once(("slow", value.path, value.qualname, depth), lambda: _slow_inside(index, replace(value, receiver=None), depth - 1))
    return None


def _slow_inside(index: Index, function: Function, depth: int) -> str | None:
    found = index.outline(function.path)
    if found is None:
        return None
    scope = found.scopes[function.qualname]
    for call in scope.calls:
        if call.at not in scope.in_branches and call.at not in scope.in_handlers:
            name = slow(index, call, function, depth)
            if name is not None:
                return name
    return None


def sketch_of(index: Index, found: Outline, scope: Scope) -> Sketch | None:
    return index.once(("sketch", found.path, scope.qualname), lambda: sketch(index, found, scope))


def engine_of(index: Index) -> Engine:
    return index.once(("engine",), lambda: Engine(ProjectFacts(index)))


def followed(index: Index, found: Outline, scope: Scope) -> Followed | None:
    """A function followed from its start, whoever calls it; None where nothing in it can touch a session."""

    def search() -> Followed | None:
        if scope.kind != "function" or not may_matter(index, scope, found.path):
            return None
        made = sketch_of(index, found, scope)
        if made is None or not made.steps:
            return None
        given: dict[str, SessionState] = {}
        split: set[str] = set()
        for parameter in scope.parameters:
            value = index.value(Name(parameter.name), scope, found.path)
            if isinstance(value, Session):
                owner = "depends" if value.how == "depends" else "parameter"
                given[parameter.name] = SessionState(ANY, value.kind, owner, fresh=False, maker=None)
            if parameter.default == NONE and parameter.name in scope.bindings:
                split.add(parameter.name)
        engine = engine_of(index)
        result = engine.follow(made, engine.entry(made, given, frozenset(split)))
        engine.coarse += result.coarse
        return result

    return index.once(("followed", found.path, scope.qualname), search)
