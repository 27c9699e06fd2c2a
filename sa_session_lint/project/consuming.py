"""Who reads what a generator yields, and whether that is done at once.

    names = [user.name async for user in users()]       at once
    for user in users(): send(user)                     while something else is waited for
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model.expression import Call
from sa_session_lint.project.interest import interests
from sa_session_lint.project.modules import is_test
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.slowness import takes_time
from sa_session_lint.project.usage import callers
from sa_session_lint.walk import children, path_between

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_READERS = frozenset({"list", "tuple", "set", "frozenset", "sorted", "sum", "any", "all", "min", "max", "dict"})


def is_read_at_once(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether every call of a generator in the project, there being one, reads it to its end and waits for nothing meanwhile."""
    calls = [each for each in callers(index, outline.path, scope) if not is_test(each[0].path)]
    return bool(calls) and all(_reads_at_once(index, found, reader, found.nodes[call.at]) for found, reader, call in calls)


def _reads_at_once(index: Index, found: Outline, reader: Scope, call: cst.CSTNode) -> bool:
    outer = found.nodes[reader.at] if reader.kind == "function" else None
    around = path_between(outer, call) if outer is not None else []
    match around[::-1]:
        case [cst.Arg(), cst.Call(func=cst.Name(value=name)), *_] if name in _READERS:
            return True
        case [cst.CompFor(), (cst.ListComp() | cst.SetComp() | cst.DictComp()) as comprehension, *_]:
            return not any(_waits(index, found, reader, child) for child in children(comprehension) if not isinstance(child, cst.CompFor))
        case [cst.For(body=body), *_]:
            return not _waits(index, found, reader, body)
    return False


def _waits(index: Index, found: Outline, reader: Scope, node: cst.CSTNode) -> bool:
    """Whether a piece of code may wait, or leave before the end; or works with a session, of which nobody knows how long it takes."""
    if isinstance(node, (cst.Await, cst.Yield, cst.Break, cst.Return)):
        return True
    if isinstance(node, cst.Call):
        call = found.values.get(id(node), (None, None))[0]
        if not isinstance(call, Call) or takes_time(index, call, reader, found.path) is not None or interests(index, call, reader, found.path):
            return True
    return any(_waits(index, found, reader, child) for child in children(node))
