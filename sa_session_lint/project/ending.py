"""Calls that never come back: `sys.exit(1)`, `abort(404)`, and functions of the project that end with one of these or with `raise`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Name
from sa_session_lint.model.value import External, Function
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import called_name

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

End = Literal["raises", "exits"]

_NAMES = re.compile(r"(?i)abort|exit|quit|die|fail|bail|panic|raise|throw|reject|error|not_found|forbid|unauthorized|bad_request|never")
"""Names under which what never comes back goes; no other attribute is looked up."""


def ending(index: Index, call: Call, scope: Scope, path: str, depth: int = 2) -> End | None:
    """How a call ends if it never comes back: by an exception, or with the program; None where it may come back."""
    if not isinstance(call.function, Name) and not (isinstance(call.function, Attribute) and _NAMES.search(call.function.name)):
        return None
    value = index.value(call.function, scope, path)
    if isinstance(value, External):
        return "exits" if value.dotted in v.EXITS else "raises" if value.dotted in v.RAISES else None
    found = index.outline(value.path) if isinstance(value, Function) and depth else None
    function = found.scopes.get(value.qualname) if found is not None and isinstance(value, Function) else None
    return _ends(index, found, function, depth) if found is not None and function is not None else None


def _ends(index: Index, found: Outline, scope: Scope, depth: int) -> End | None:
    """How a plain function of a module ends, if its last statement never lets it come back and no other one returns; a method may be another class's."""
    node = found.nodes[scope.at]
    if scope.parent is not found.module or scope.returns or scope.is_generator or scope.is_async or scope.decorators or not isinstance(node, cst.FunctionDef):
        return None
    if isinstance(scope.result, (Name, Attribute)) and called_name(scope.result) in {"NoReturn", "Never"}:
        return "raises"
    last = node.body.body[-1]
    statement = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else None
    if isinstance(statement, cst.Raise):
        return "raises"
    call = found.values.get(id(statement.value), (None, None))[0] if isinstance(statement, cst.Expr) else None
    return ending(index, call, scope, found.path, depth - 1) if isinstance(call, Call) else None
