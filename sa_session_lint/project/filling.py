"""Containers that surely hold something: one that a loop is in a turn over, one that something was just put into.

    for row in missing:             `missing` is not empty
        session.add(row)
        added.append(row)           nor is `added`
    if missing:                     so this holds wherever something was added
        session.commit()
"""

from __future__ import annotations

from collections.abc import Iterable

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


def emptied(scope: Scope, nodes: Iterable[cst.CSTNode | None]) -> frozenset[str]:
    """The names of which a function takes things out again, by its calls or by a `del names[0]` among the nodes of its steps."""
    called = (call.function for call in scope.calls if isinstance(call.function, Attribute) and call.function.name in _TAKING)
    deleted = (target for node in nodes if isinstance(node, cst.Del) for target in _targets(node.target) if isinstance(target, cst.Subscript))
    return frozenset(
        {function.value.name for function in called if isinstance(function.value, Name)} | {target.value.value for target in deleted if isinstance(target.value, cst.Name)}
    )


def _targets(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    return [element.value for element in node.elements] if isinstance(node, (cst.Tuple, cst.List)) else [node]


def _looped_over(iterable: cst.BaseExpression) -> str | None:
    match iterable:
        case cst.Name(value=name):
            return str(name)
        case cst.Call(func=cst.Name(value=function), args=[cst.Arg(value=first), *_]) if function in _WRAPPERS:
            return _looped_over(first)
        case cst.Call(func=cst.Attribute(value=inner, attr=cst.Name(value=method)), args=[]) if method in _VIEWS:
            return _looped_over(inner)
    return None
