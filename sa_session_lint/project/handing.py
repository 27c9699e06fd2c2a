"""Which parameters of a function end up in the hands of a session: whoever calls it finds its objects added, refreshed or merged.

    def save(session, user):        `user` is handled, and so is `it` of whoever calls `save(session, it)`
        session.add(user)
        session.commit()
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sa_session_lint.model.expression import Attribute, Call, Name
from sa_session_lint.model.value import Function
from sa_session_lint.project.outline import Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

HANDLING = frozenset({"add", "add_all", "refresh", "merge", "delete", "expire", "expunge"})
"""The methods of a session that are about single objects."""


def handled(index: Index, path: str, scope: Scope, depth: int = 2) -> frozenset[str]:
    """The parameters of a function that are given to a session, by it or by the functions that it hands them to."""
    return index.once(("handled", path, scope.qualname, depth), lambda: _handled(index, path, scope, depth))


def _handled(index: Index, path: str, scope: Scope, depth: int) -> frozenset[str]:
    names = {parameter.name for parameter in scope.parameters}
    return frozenset(names.intersection(name for call in scope.calls for name in handed(index, call, scope, path, depth)))


def handed(index: Index, call: Call, scope: Scope, path: str, depth: int = 2) -> Iterator[str]:
    """The names of what a call gives to a session, itself or by the function that it calls."""
    given = [(position, argument.name) for position, argument in enumerate(call.arguments) if isinstance(argument, Name)]
    named = [(key, value.name) for key, value in call.keywords if isinstance(value, Name)]
    owner = call.function.value.name if isinstance(call.function, Attribute) and isinstance(call.function.value, Name) else None
    if not given and not named and owner is None:
        return
    if isinstance(call.function, Attribute) and call.function.name in HANDLING:
        yield from (name for _, name in given)
        return
    called = index.value(call.function, scope, path) if depth else None
    outline = index.outline(called.path) if isinstance(called, Function) else None
    if not isinstance(called, Function) or outline is None:
        return
    inner = outline.scopes[called.qualname]
    below = handled(index, called.path, inner, depth - 1)
    parameters = [parameter.name for parameter in inner.parameters]
    if called.receiver is not None and parameters:
        first, *parameters = parameters
        if owner is not None and first in below:
            yield owner
    yield from (name for position, name in given if position < len(parameters) and parameters[position] in below)
    yield from (name for key, name in named if key in below)
