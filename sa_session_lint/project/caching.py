"""Which functions and names keep what they are given for longer than a session lives, and what becomes of what they hand out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Await, Call, Each, Expression, Item, Name
from sa_session_lint.model.value import Class, External, Made, Method, Place, Registry
from sa_session_lint.project.mapping import attribute
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import called_name, callers
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index
    from sa_session_lint.typestate.sketch import SketchStep

How: TypeAlias = Literal["shares", "copies"]
"""What a cache hands out: the very object, or what it has pickled of it."""


def keeper(index: Index, outline: Outline, scope: Scope) -> tuple[How, Place] | None:
    """How a decorator keeps what a function gives, and where it stands; one within a function keeps it no longer than that runs. What a method gives is
    kept for its own object alone, which is part of the key."""
    around = scope.parent or outline.module
    own = scope.owner is not None and {"staticmethod", "classmethod"}.isdisjoint(called_name(each) for each in scope.decorators)
    for decorator, at in zip(scope.decorators, scope.decorated_at, strict=True) if around.kind != "function" else ():
        head = decorator.function if isinstance(decorator, Call) else decorator
        match index.value(head, around, outline.path):
            case External(dotted) if dotted in v.OBJECT_CACHES:
                elsewhere = isinstance(decorator, Call) and dotted.startswith("aiocache") and (decorator.arguments or decorator.keyword("cache") or decorator.spread)
                broken = scope.is_async and dotted.startswith(("functools", "cachetools"))  # it keeps coroutines, each of which can be awaited but once
                return None if elsewhere or broken or own else ("shares", Place(outline.path, at))
            case External(dotted) if dotted in v.COPY_DECORATORS:
                return "copies", Place(outline.path, at)
            case Method(Made(dotted), name) if dotted in v.COPY_CACHES and name in v.COPYING:
                return "copies", Place(outline.path, at)
    return None


def put(index: Index, step: SketchStep, outline: Outline, scope: Scope) -> Iterator[tuple[Expression, How, Place]]:
    """What a step puts into a cache of a module, how that keeps it, and where it was made: `_users[number] = user`, `cache.set(key, user)`."""
    found: list[tuple[Expression, Expression]] = [(target.value, value) for target, value in step.targets if isinstance(target, Item)] if step.op == "bind" else []
    if step.op == "call" and isinstance(step.value, Call) and isinstance(step.value.function, Attribute) and step.value.function.name == "set" and len(step.value.arguments) > 1:
        found.append((step.value.function.value, step.value.arguments[1]))
    for owner, kept in found:
        value = index.value(owner, scope, outline.path) if isinstance(owner, Name) and owner.name not in scope.bindings else None
        if isinstance(value, Made) and value.dotted in (v.CACHE_TABLES if step.op == "bind" else v.MEMORY_CACHES | v.COPY_CACHES):
            yield kept, "copies" if value.dotted in v.COPY_CACHES else "shares", value.place


def is_removed(index: Index, made: Place) -> bool:
    """Whether the session of a registry, that was made at this place, is removed after each request or job: then its objects are detached."""
    outline = index.outline(made.path)
    lowered = outline.values.get(id(outline.nodes[made.at])) if outline is not None else None
    value = index.value(*lowered, made.path) if lowered is not None else None
    if isinstance(value, Registry):
        return index.once(("surely removed", made), lambda: any(_removes(index, found, scope, call, made) for found, scope, call in index.calls_with("remove") if not is_aside(found.path)))
    return isinstance(value, Made) and value.dotted == "flask_sqlalchemy.SQLAlchemy"


def _removes(index: Index, outline: Outline, scope: Scope, call: Call, made: Place) -> bool:
    """Whether a call is one of the `remove` of the registry that was made at a place, or hands that on."""
    named = (part.value for part in (call.function, *call.arguments) if isinstance(part, Attribute) and part.name == "remove")
    return any(isinstance(value, Registry) and value.place == made for value in (index.value(each, scope, outline.path) for each in named))


def is_merged(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether somebody takes what a function gives into a session of his own, by `merge()`."""
    return any(
        called_name(other.function) == "merge" and any(_plain(part) is call or (isinstance(part, Name) and part.name in names) for part in other.arguments)
        for _, caller, call, names in _given(index, outline, scope)
        for other in caller.calls
    )


def read_of(index: Index, outline: Outline, scope: Scope) -> frozenset[str]:
    """The attributes that callers read of what a function gives, or of each part of that."""

    def search() -> frozenset[str]:
        calls = [(found.nodes[caller.at], names) for found, caller, _, names in _given(index, outline, scope) if names and caller.kind == "function"]
        return frozenset(name for node, names in calls for name in _attributes(node, names))

    return index.once(("read of", outline.path, scope.qualname), search)


def only_columns_read(index: Index, outline: Outline, scope: Scope, model: Class) -> bool:
    """Whether callers, there being some, do nothing with what a function gives but to ask whether it is there, and to read its columns."""

    def is_harmless(node: cst.CSTNode, within: cst.CSTNode) -> bool:
        if isinstance(within, cst.Attribute):
            return within.value is node and attribute(index, model, within.attr.value) == "column"
        return isinstance(within, (cst.Assign, cst.AssignTarget, cst.For, cst.If, cst.Comparison, cst.ComparisonTarget, cst.UnaryOperation))

    def search() -> bool:
        found = [(each.nodes[caller.at], each.nodes[call.at], names) for each, caller, call, names in _given(index, outline, scope) if caller.kind == "function"]
        return bool(found) and all(is_harmless(*use) for node, call, names in found for use in _uses(node, call, names))

    return index.once(("only columns", outline.path, scope.qualname, model), search)


def _uses(node: cst.CSTNode, call: cst.CSTNode, names: set[str]) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """Where a call, or one of some names, stands in code, each with what it is a part of."""
    for child in children(node):
        plain = child.expression if isinstance(child, cst.Await) else child
        if plain is call or (isinstance(child, cst.Name) and child.value in names and not (isinstance(node, cst.Attribute) and node.attr is child)):
            yield child, node
        if not (isinstance(child, cst.Await) and plain is call):
            yield from _uses(child, call, names)


def _given(index: Index, outline: Outline, scope: Scope) -> Iterator[tuple[Outline, Scope, Call, set[str]]]:
    """The calls of a function, each with the names under which what it gives goes on."""
    for found, caller, call in callers(index, outline.path, scope):
        if not is_aside(found.path):
            named = {name for name, bindings in caller.bindings.items() if any(_plain(binding.value) is call for binding in bindings)}
            yield found, caller, call, named | {name for name, bindings in caller.bindings.items() if any(isinstance(of := _plain(b.value), Name) and of.name in named for b in bindings)}


def _plain(expression: Expression) -> Expression:
    while isinstance(expression, (Await, Each)):
        expression = expression.value
    return expression


def _attributes(node: cst.CSTNode, names: set[str]) -> Iterator[str]:
    for child in children(node):
        if isinstance(child, cst.Attribute) and isinstance(child.value, cst.Name) and child.value.value in names:
            yield child.attr.value
        yield from _attributes(child, names)
