"""The index as the engine's source of facts, and what comes of following one function when nobody knows its caller."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import NONE, Attribute, Call, Expression, Name
from sa_session_lint.model.protocol import ANY
from sa_session_lint.model.value import Class, External, Function, Options, Place, Session, Value
from sa_session_lint.model.vocabulary import Kind
from sa_session_lint.project.annotation import depended, depends_in, is_depends
from sa_session_lint.project.expiry import expires
from sa_session_lint.project.generator import is_scoped_generator, suspensions
from sa_session_lint.project.handing import handled
from sa_session_lint.project.interest import has_session, may_matter, opens_any, touches
from sa_session_lint.project.making import is_always_given, is_never_given
from sa_session_lint.project.mapping import attribute, computed, is_column, is_generated, is_sqlmodel, renewed
from sa_session_lint.project.outline import Outline, Parameter, Scope
from sa_session_lint.project.pooling import pool
from sa_session_lint.project.reading import uses_of
from sa_session_lint.project.serialising import serialised
from sa_session_lint.project.sharing import called_on, fields, parameters, receiver, uses
from sa_session_lint.project.sketching import sketch
from sa_session_lint.project.slowness import waits
from sa_session_lint.typestate.engine import Engine
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.sketch import Sketch
from sa_session_lint.typestate.state import Disjunct, Frozen, Ref, SessionState
from sa_session_lint.typestate.way import Way

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

    def origin(self, expression: Expression, sketch: Sketch) -> Expression:
        found, scope = self.index.outline(sketch.function.path), self.scope(sketch.function)
        if isinstance(expression, Name) and found is not None and scope is not None:
            for place in scope.enclosing():
                if any(p.name == expression.name for p in place.parameters):
                    return expression
                if expression.name in place.bindings:
                    bindings = place.bindings[expression.name]
                    return bindings[0].value if len(bindings) == 1 and bindings[0].how == "=" else expression
        return expression

    def refined(self, expression: Name, sketch: Sketch) -> tuple[Expression, ...]:
        scope, name = self.scope(sketch.function), expression.name
        for place in scope.enclosing() if scope is not None else ():
            if any(parameter.name == name for parameter in place.parameters):
                break
            if bindings := place.bindings.get(name):
                refined = [_refines(each.value, name) for each in bindings]
                plain = all(each.how == "=" for each in bindings) and not refined[0] and all(refined[1:])
                return tuple(each.value for each in bindings) if plain else (expression,)
        return (expression,)

    def settled(self, sketch: Sketch) -> Frozen[object, bool]:
        return self.index.once(("settled", sketch.function), lambda: Frozen(_settled(self.index, sketch).items()))

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

    def is_column(self, model: Class, name: str) -> bool:
        return is_column(self.index, model, name)

    def dumps(self, model: Class, name: str) -> bool:
        return self.method(model, name) is None and self.index.once(("sqlmodel", model), lambda: is_sqlmodel(self.index, model))

    def renewed(self, model: Class) -> frozenset[str]:
        return self.index.once(("renewed", model), lambda: renewed(self.index, model))

    def serialised(self, schema: Class) -> tuple[str, ...]:
        return serialised(self.index, schema)

    def is_generated(self, model: Class, name: str) -> bool:
        return self.index.once(("generated", model, name), lambda: is_generated(self.index, model, name))

    def attribute(self, model: Class, name: str) -> str | None:
        return self.index.once(("attribute", model, name), lambda: attribute(self.index, model, name))

    def computed(self, model: Class, name: str) -> tuple[Function, str] | None:
        return self.index.once(("computed", model, name), lambda: computed(self.index, model, name))

    def reads(self, function: Function, name: str) -> tuple[str, ...]:
        scope = self.scope(function)
        if scope is None or name in handled(self.index, function.path, scope):
            return ()
        return tuple(use.attribute for use in uses_of(self.index, function, name) if use.how == "read" and use.sure)

    def expires(self, options: Options, kind: Kind | None) -> bool | None:
        return expires(self.index, options, kind)

    def opens(self, function: Function) -> bool:
        return opens_any(self.index, function)

    def touches(self, function: Function, own: bool = False) -> bool:
        return touches(self.index, replace(function, receiver=None), own=own)

    def waits(self, expression: Expression, sketch: Sketch) -> bool:
        scope = self.scope(sketch.function)
        return scope is not None and waits(self.index, expression, scope, sketch.function.path)

    def pool(self, opened: Place) -> Place | None:
        return pool(self.index, opened)

    def uses(self, function: Function, name: str, suspending: bool) -> bool:
        scope = self.scope(function)
        return scope is not None and all(self.is_transparent(d, scope, function.path) for d in scope.decorators) and uses(self.index, function, name, suspending)

    def shares(self, function: Function, name: str, model: Class | None, expired: bool) -> bool:
        return any(
            expired or use.how != "read" or (model is not None and self.attribute(model, use.attribute) in {"lazy", "lazy one", "deferred"})
            for use in uses_of(self.index, function, name)
        )

    def fields(self, function: Function) -> frozenset[str]:
        return fields(self.index, function)

    def disposes(self, function: Function, name: str) -> bool:
        return "dispose" in called_on(self.index, function, name)

    def parameters(self, function: Function) -> tuple[str, ...]:
        return parameters(self.index, function)

    def receiver(self, function: Function) -> str | None:
        return receiver(self.index, function)

    def runs(self, cls: Class) -> str | None:
        found = self.index.outline(cls.path)
        scope = found.scopes.get(cls.qualname) if found is not None else None
        for base in scope.bases if found is not None and scope is not None else ():
            value = self.index.value(base, scope.parent or found.module, cls.path)  # type: ignore[union-attr]  # both are there
            if isinstance(value, External) and value.dotted in v.PROCESS_STARTERS | {"threading.Thread"}:
                return "thread" if value.dotted == "threading.Thread" else "process"
        return None

    def call(self, place: Place) -> Call | None:
        there = self.index.call_at(place)
        return there[2] if there is not None else None

    def suspends(self, sketch: Sketch) -> bool:
        scope = self.scope(sketch.function)
        if scope is None:
            return True
        if sketch.manages or is_scoped_generator(self.index, sketch.function.path, scope):
            return True
        return any(is_fixture(self.index, d, scope, sketch.function.path) for d in scope.decorators) or not all(
            self.is_transparent(d, scope, sketch.function.path) for d in scope.decorators
        )


def _refines(value: Expression, name: str) -> bool:
    """Whether an expression is a call of a method of what a name holds, or of what such a call gives."""
    while isinstance(value, Call) and isinstance(value.function, Attribute):
        value = value.function.value
        if value == Name(name):
            return True
    return False


def _settled(index: Index, made: Sketch) -> dict[object, bool]:
    found = index.outline(made.function.path)
    scope = found.scopes.get(made.function.qualname) if found is not None else None
    settled: dict[object, bool] = {}
    for step in made.steps.values():
        subject = step.condition.subject if step.condition is not None else None
        if step.condition is not None and isinstance(subject, Attribute) and subject.value == Name(made.me or "") and found is not None and scope is not None:
            if scope.owner is not None and is_always_given(index, found, scope.owner, subject.name):
                settled[step.condition.key] = step.condition.kind == "true"
            elif scope.owner is not None and is_never_given(index, found, scope.owner, subject.name):
                settled[step.condition.key] = step.condition.kind != "true"
    return settled


def is_fixture(index: Index, decorator: Expression, scope: Scope, path: str) -> bool:
    """Whether a decorator makes a function a fixture of tests."""
    found = index.outline(path)
    head = decorator.function if isinstance(decorator, Call) else decorator
    value = index.value(head, scope.parent or found.module, path) if found is not None else None
    return isinstance(value, External) and value.dotted.rpartition(".")[2] == "fixture"


def sketch_of(index: Index, found: Outline, scope: Scope) -> Sketch | None:
    return index.once(("sketch", found.path, scope.qualname), lambda: sketch(index, found, scope))


def engine_of(index: Index) -> Engine:
    return index.once(("engine",), lambda: Engine(ProjectFacts(index)))


def followed(index: Index, found: Outline, scope: Scope) -> Followed | None:
    """A function followed from its start, whoever calls it; None where nothing in it can touch a session."""

    def search() -> Followed | None:
        if scope.kind != "function" or not may_matter(index, scope, found.path) or not has_session(index, scope, found.path):
            return None
        made = sketch_of(index, found, scope)
        if made is None or not made.steps:
            return None
        given = given_to(index, found, scope)
        split = frozenset(p.name for p in scope.parameters if p.default == NONE and p.name in scope.bindings)
        engine = engine_of(index)
        result = engine.follow(made, engine.entry(made, given, split))
        engine.coarse += result.coarse
        return result

    return index.once(("followed", found.path, scope.qualname), search)


def given_to(index: Index, found: Outline, scope: Scope) -> dict[str, SessionState]:
    """The parameters of a function that are sessions."""
    given: dict[str, SessionState] = {}
    for parameter in scope.parameters:
        value = index.value(Name(parameter.name), scope, found.path)
        if isinstance(value, Session):
            depends = value.how == "depends"
            drawn = pool(index, value.place) if depends and value.place is not None else None
            blocks = blocks_around(index, parameter, scope, found.path) if depends else ()
            owner = "depends" if depends else "parameter"
            expire = expires(index, value.options, value.kind)
            given[parameter.name] = SessionState(ANY, value.kind, owner, blocks, fresh=False, autoflush=value.options.autoflush, pool=drawn, expire=expire)
    return given


def injected(index: Index, parameter: Parameter, scope: Scope, path: str) -> tuple[Outline, Scope] | None:
    """The function behind the `Depends(f)` of a parameter."""
    place, default = scope.parent or scope, parameter.default
    given = isinstance(default, Call) and is_depends(index, default, place, path)
    behind = (default, place, path) if given and isinstance(default, Call) else depends_in(index, parameter.annotation, place, path)
    target = depended(behind[0]) if behind is not None else None
    function = index.value(target, *behind[1:]) if behind is not None and target is not None else None
    outline = index.outline(function.path) if isinstance(function, Function) else None
    return (outline, outline.scopes[function.qualname]) if outline is not None and isinstance(function, Function) else None


def commits_behind(index: Index, parameter: Parameter, scope: Scope, path: str) -> Place | None:
    """The `yield` of the generator behind `Depends(f)` after which that commits the session: when the function that depends on it is over."""
    found = injected(index, parameter, scope, path)
    node = found[0].nodes[found[1].at] if found is not None else None
    if found is None or not isinstance(node, cst.FunctionDef) or len(found[1].yields) != 1:
        return None
    for suspension in suspensions(node):
        held = suspension.node.value
        if "begin" in blocks_around(index, parameter, scope, path) or (isinstance(held, cst.Name) and suspension.later_call(held.value, {"commit"}) is not None):
            return Place(found[0].path, found[1].yields[0].at)
    return None


def blocks_around(index: Index, parameter: Parameter, scope: Scope, path: str) -> tuple[str, ...]:
    """The blocks of transactions in which the generator behind `Depends(f)` yields its session."""
    behind = injected(index, parameter, scope, path)
    if behind is None:
        return ()
    outline, inner = behind

    def search() -> tuple[str, ...]:
        made = sketch_of(index, outline, inner) if inner.is_generator else None
        if made is None:
            return ()
        engine = engine_of(index)
        found = engine.follow(made, [(made.start, Disjunct())], stop_at_yield=True)
        blocks: set[tuple[str, ...]] = set()
        for at, step in made.steps.items():
            if step.op == "yield" and step.value is not None:
                for way in map(Way, found.ways.get(at, ())):
                    value = engine.transfer(made).evaluate(step.value, way)
                    blocks.add(way.state(value.loc).blocks if isinstance(value, Ref) else ())
        return blocks.pop() if len(blocks) == 1 else ()

    return index.once(("blocks", outline.path, inner.qualname), search)
