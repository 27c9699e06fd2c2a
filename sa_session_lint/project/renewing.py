"""Whether something that is called may let a session look at its rows anew: by the end of a transaction, by expiring, by a session of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call
from sa_session_lint.model.value import UNKNOWN, Class, Function
from sa_session_lint.project.interest import name_of_called
from sa_session_lint.project.outline import Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


def renews(index: Index, call: Call, scope: Scope, path: str, depth: int = 4) -> bool:
    """Whether a call may do so to any session, itself or by the functions of the project that it leads to; in doubt it does."""
    name = name_of_called(call)
    if name is None or name in v.RENEWING:
        return True
    value = index.value(call.function, scope, path)
    if isinstance(value, Class):
        made = index.member(value.path, value.qualname, "__init__")
        return isinstance(made, Function) and _function(index, made, depth)
    if isinstance(value, Function):
        return _function(index, replace(value, receiver=None), depth)
    return value is UNKNOWN and not (isinstance(call.function, Attribute) and name in v.CALM_METHODS | v.ASKING_ROWS)


def _function(index: Index, function: Function, depth: int) -> bool:
    found = index.outline(function.path)
    scope = found.scopes[function.qualname] if found is not None else None
    if scope is None or not depth:
        return True
    return index.once(("renews", function, depth), lambda: any(renews(index, call, scope, function.path, depth - 1) for call in scope.calls))
