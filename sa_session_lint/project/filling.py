"""Containers that surely hold something: one that a loop is in a turn over, one that something was just put into.

    for row in missing:             `missing` is not empty
        session.add(row)
        added.append(row)           nor is `added`
    if missing:                     so this holds wherever something was added
        session.commit()
"""

from __future__ import annotations

import libcst as cst

from sa_session_lint.model.expression import Attribute, Name
from sa_session_lint.project.outline import Scope

_VIEWS = frozenset({"items", "keys", "values", "copy"})
_WRAPPERS = frozenset({"enumerate", "sorted", "list", "tuple", "set", "reversed", "iter", "tqdm", "zip"})
_PUTTING = frozenset({"append", "appendleft", "add", "insert", "push"})
_TAKING = frozenset({"clear", "pop", "popleft", "popitem", "remove", "discard", "difference_update", "intersection_update"})


def filled_by(node: cst.CSTNode) -> str | None:
    """The name of the container that holds something after a turn of a loop has begun, a call has put a thing into it or an item is set."""
    match node:
        case cst.For(iter=iterable):
            return _looped_over(iterable)
        case cst.Call(func=cst.Attribute(value=cst.Name(value=name), attr=cst.Name(value=method))) if method in _PUTTING and node.args:
            return str(name)
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Subscript(value=cst.Name(value=name), slice=[cst.SubscriptElement(slice=cst.Index())]))]):
            return str(name)
    return None


def emptied(scope: Scope) -> frozenset[str]:
    """The names of which a function takes things out again."""
    return frozenset(
        call.function.value.name
        for call in scope.calls
        if isinstance(call.function, Attribute) and call.function.name in _TAKING and isinstance(call.function.value, Name)
    )


def _looped_over(iterable: cst.BaseExpression) -> str | None:
    match iterable:
        case cst.Name(value=name):
            return str(name)
        case cst.Call(func=cst.Name(value=function), args=[cst.Arg(value=first), *_]) if function in _WRAPPERS:
            return _looped_over(first)
        case cst.Call(func=cst.Attribute(value=inner, attr=cst.Name(value=method)), args=[]) if method in _VIEWS:
            return _looped_over(inner)
    return None
