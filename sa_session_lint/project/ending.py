"""Calls that never come back: `sys.exit(1)`, `abort(404)`, functions of the project that end with one of these or with `raise`, constructors of mapped
classes that are given what they do not take, and calls of names that nothing binds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Name
from sa_session_lint.model.value import Class, External, Function
from sa_session_lint.project.mapping import is_refused
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.unbound import reads_unbound
from sa_session_lint.project.usage import called_name

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

End = Literal["raises", "exits"]

_NAMES = re.compile(r"(?i)abort|exit|quit|die|fail|bail|panic|raise|throw|reject|error|not_found|forbid|unauthorized|bad_request|never")
"""Names under which what never comes back goes; no other attribute is looked up, but for the methods of one's own object."""


def ending(index: Index, call: Call, scope: Scope, path: str, depth: int = 2) -> End | None:
    """How a call ends if it never comes back: by an exception, or with the program; None where it may come back."""
    found = index.outline(path)
    if found is not None and reads_unbound(index, call, found):
        return "raises"
    match call.function:
        case Name():
            pass
        case Attribute(of, name) if _NAMES.search(name) or (scope.owner is not None and scope.parameters and of == Name(scope.parameters[0].name)):
            pass
        case _:
            return None
    value = index.value(call.function, scope, path)
    if isinstance(value, Class):
        return "raises" if is_refused(index, value, call) else None
    if isinstance(value, External):
        return "exits" if value.dotted in v.EXITS else "raises" if value.dotted in v.RAISES else None
    found = index.outline(value.path) if isinstance(value, Function) and depth else None
    function = found.scopes.get(value.qualname) if found is not None and isinstance(value, Function) else None
    return _ends(index, found, function, depth) if found is not None and function is not None else None


def leaves(index: Index, found: Outline, scope: Scope, block: cst.BaseSuite) -> bool:
    """Whether a block ends by going elsewhere: by `return`, `raise`, `continue`, `break`, or a call that never comes back."""
    match block.body[-1] if block.body else None:
        case cst.SimpleStatementLine(body=[*_, cst.Return() | cst.Raise() | cst.Continue() | cst.Break()]):
            return True
    return _block_ends(index, found, scope, block, 2) is not None


def _ends(index: Index, found: Outline, scope: Scope, depth: int) -> End | None:
    """How a function ends, if its last statement never lets it come back and no other one returns. A method counts where no other class has one of its name."""
    node = found.nodes[scope.at]
    plain = scope.parent is found.module and not scope.decorators
    if not (plain or _is_only(index, found, scope)) or scope.returns or scope.is_generator or scope.is_async or not isinstance(node, cst.FunctionDef):
        return None
    if isinstance(scope.result, (Name, Attribute)) and called_name(scope.result) in {"NoReturn", "Never"}:
        return "raises"
    return _block_ends(index, found, scope, node.body, depth)


def _is_only(index: Index, found: Outline, scope: Scope) -> bool:
    """Whether a method is the only function of its name in the project, and its decorators, if any, only say what it is given first."""
    if scope.owner is None or any(called_name(each) not in {"classmethod", "staticmethod"} for each in scope.decorators):
        return False
    defined = re.compile(rb"\bdef[ \t]+" + scope.name.encode() + rb"\b")
    return index.once(("defined once", scope.name), lambda: sum(len(defined.findall(index.data(path) or b"")) for path in index.files_with(scope.name)) == 1)


def _block_ends(index: Index, found: Outline, scope: Scope, block: cst.CSTNode, depth: int) -> End | None:
    """How a block ends, if it never does by its last statement: by `raise`, by such a call, or on each of its branches."""
    match block:
        case cst.SimpleStatementLine(body=[*_, cst.Raise()]):
            return "raises"
        case cst.SimpleStatementLine(body=[*_, cst.Expr(value=value)]):
            call = found.values.get(id(value), (None, None))[0]
            return ending(index, call, scope, found.path, depth - 1) if isinstance(call, Call) else None
        case cst.IndentedBlock(body=[*_, last]) | cst.Else(body=cst.IndentedBlock(body=[*_, last])):
            return _block_ends(index, found, scope, last, depth)
        case cst.If(body=first, orelse=cst.If() | cst.Else() as second):
            return _block_ends(index, found, scope, first, depth) and _block_ends(index, found, scope, second, depth)
        case cst.Match(cases=[*cases, cst.MatchCase(pattern=cst.MatchAs(pattern=None), guard=None) as otherwise]):
            ends = [_block_ends(index, found, scope, case.body, depth) for case in (*cases, otherwise)]
            return None if None in ends else ends[-1]
    return None
