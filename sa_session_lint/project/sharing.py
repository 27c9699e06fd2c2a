"""Whether a function works with what it is given where others may do so at the same time: not one after the other, under a lock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model.expression import Attribute, Call, Expression, Name, dotted
from sa_session_lint.model.protocol import SUSPENDING, WORKING
from sa_session_lint.model.value import Function, Made, Manager, Session
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_DEPTH = 4


def uses(index: Index, function: Function, name: str, suspending: bool) -> bool:
    """Whether a function, or one that it hands `name` on to, calls a method of the session that goes by `name` there, outside of any lock; when `suspending`, one
    during which the event loop runs others."""
    return not (SUSPENDING if suspending else WORKING).isdisjoint(called_on(index, function, name))


def called_on(index: Index, function: Function, name: str, depth: int = _DEPTH) -> frozenset[str]:
    """The methods that are called on `name` (`session`, `self.session`) in a function and those that it hands it on to, outside of any lock."""
    function = replace(function, receiver=None)
    return index.once(("called on", function.path, function.qualname, name, depth), lambda: frozenset(_called_on(index, function, name, depth)))


def _called_on(index: Index, function: Function, name: str, depth: int) -> Iterator[str]:
    found = index.outline(function.path)
    scope = found.scopes.get(function.qualname) if found is not None else None
    if found is None or scope is None or name.partition(".")[0] in scope.bindings or scope.is_generator:
        return
    if any(isinstance(call.function, Attribute) and call.function.name == "acquire" for call in scope.calls):
        return
    guarded = _guarded(index, found, scope, name)
    for call in scope.calls:
        if call.at in guarded:
            continue
        if isinstance(call.function, Attribute) and dotted(call.function.value) == name:
            yield call.function.name
        elif depth:
            callee = index.value(call.function, scope, found.path)
            if isinstance(callee, Function):
                for inner in handed_on(index, callee, call, name):
                    yield from called_on(index, callee, inner, depth - 1)


def fields(index: Index, function: Function, depth: int = _DEPTH) -> frozenset[str]:
    """The fields of its object that a method, or one that it calls, calls something on or hands on."""
    function = replace(function, receiver=None)
    return index.once(("fields", function.path, function.qualname, depth), lambda: frozenset(_fields(index, function, depth)))


def _fields(index: Index, function: Function, depth: int) -> Iterator[str]:
    found, me = index.outline(function.path), receiver(index, function)
    scope = found.scopes.get(function.qualname) if found is not None else None
    if scope is None or me is None:
        return
    for call in scope.calls:
        parts = [*call.arguments, *(value for _, value in call.keywords)]
        if isinstance(call.function, Attribute):
            parts.append(call.function.value)
        yield from (part.name for part in parts if isinstance(part, Attribute) and part.value == Name(me))
        callee = index.value(call.function, scope, function.path) if depth and isinstance(call.function, Attribute) and call.function.value == Name(me) else None
        if isinstance(callee, Function):
            yield from fields(index, callee, depth - 1)


def handed_on(index: Index, callee: Function, call: Call, name: str) -> Iterator[str]:
    """What `name` is called in the function that a call hands it to."""
    names = parameters(index, callee)
    for parameter, argument in zip(names, call.arguments, strict=False):
        if dotted(argument) == name:
            yield parameter
    for key, argument in call.keywords:
        if key is not None and dotted(argument) == name:
            yield key
    owner, _, rest = name.partition(".")
    if rest and isinstance(call.function, Attribute) and call.function.value == Name(owner):
        me = receiver(index, callee)
        if me is not None:
            yield f"{me}.{rest}"


def parameters(index: Index, function: Function) -> tuple[str, ...]:
    """The parameters of a function that arguments of a call go to, in order."""
    found = index.outline(function.path)
    scope = found.scopes.get(function.qualname) if found is not None else None
    names = tuple(p.name for p in scope.parameters) if scope is not None else ()
    return names[1:] if function.receiver is not None else names


def receiver(index: Index, function: Function) -> str | None:
    """What a method calls its object."""
    found = index.outline(function.path)
    scope = found.scopes.get(function.qualname) if found is not None else None
    return scope.parameters[0].name if scope is not None and scope.owner is not None and scope.parameters else None


def _guarded(index: Index, found: Outline, scope: Scope, name: str) -> set[int]:
    """The calls within a block of what may be a lock: whatever is not known to be something else."""
    node = found.nodes[scope.at]
    inside: set[int] = set()

    def visit(node: cst.CSTNode, locked: bool) -> None:
        if isinstance(node, cst.With) and not locked:
            locked = any(_may_lock(index, found, scope, item.item, name) for item in node.items)
        if locked and isinstance(node, cst.Call) and id(node) in found.values:
            inside.add(id(node))
        for child in children(node):
            visit(child, locked)

    if isinstance(node, cst.FunctionDef):
        visit(node.body, False)
    expressions = (found.values[number][0] for number in inside)
    return {each.at for each in expressions if isinstance(each, Call)}


def _may_lock(index: Index, found: Outline, scope: Scope, node: cst.CSTNode, name: str) -> bool:
    expression: Expression | None = found.values[id(node)][0] if id(node) in found.values else None
    if expression is None:
        return True
    root = expression
    while isinstance(root, (Call, Attribute)) and dotted(root) != name:
        root = root.function if isinstance(root, Call) else root.value
    if dotted(root) == name:
        return False  # the session's own block, or that of its transaction
    value = index.value(expression, scope, found.path)
    return not (isinstance(value, (Session, Manager)) or (isinstance(value, Made) and value.dotted.startswith(("contextlib.", "builtins."))))
