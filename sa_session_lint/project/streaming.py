"""What is done for a response after the function that made it has returned: its body is produced, its background tasks run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Expression, Lambda, Name, dotted
from sa_session_lint.model.protocol import WORKING
from sa_session_lint.model.value import Class, External, Function, Made, Method, Value
from sa_session_lint.project.entry import kinds_of
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.sharing import handed_on, uses
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


def body(index: Index, call: Call, scope: Scope, path: str) -> Expression | None:
    """What a response will read its body from, if a call makes a response that reads it while it is sent."""
    value = index.value(call.function, scope, path)
    if not _is_response(index, value):
        return None
    return call.arguments[0] if call.arguments else next((given for key, given in call.keywords if key in v.BODIES), None)


def _is_response(index: Index, value: Value) -> bool:
    match value:
        case External(dotted):
            return dotted in v.STREAMED
        case Method(Made(dotted), "response_class"):
            return dotted in v.FLASK_APPS
        case Class(path, qualname):
            return bool(kinds_of(index, value) & v.STREAMED) and not isinstance(index.member(path, qualname, "__init__"), Function)
    return False


def task(index: Index, call: Call, scope: Scope, path: str) -> Call | None:
    """The call that says what a background task will do, if it is one of `add_task`, or makes a response that has one."""
    value = index.value(call.function, scope, path)
    if isinstance(value, Method) and value.name == "add_task" and kinds_of(index, value.receiver) & v.BACKGROUND_TASKS:
        return call
    given = call.keyword("background")
    if isinstance(given, Name):
        bindings = scope.bindings.get(given.name, ())
        given = bindings[0].value if len(bindings) == 1 else None
    made = index.value(given, scope, path) if isinstance(given, Call) else None
    return given if isinstance(given, Call) and isinstance(made, Made) and made.dotted in v.BACKGROUND_TASK else None


def closes(node: cst.CSTNode, names: set[str]) -> bool:
    """Whether clean-up closes the session of these names."""
    match node:
        case cst.Call(func=cst.Attribute(value=cst.Name(value=name), attr=cst.Name(value="close" | "aclose"))):
            return name in names
    return any(closes(child, names) for child in children(node))


def called(work: Call | None) -> Call | None:
    """The call that a background task makes: `BackgroundTask(send, session)`, `add_task(lambda: send(session))`."""
    if work is None:
        return None
    function = work.arguments[0] if work.arguments else work.keyword("func")
    if isinstance(function, Lambda):
        return function.body if isinstance(function.body, Call) else None
    return Call(function, work.arguments[1:], tuple((key, value) for key, value in work.keywords if key != "func"), work.at) if function is not None else None


def works_with(index: Index, function: Function, name: str, depth: int = 3) -> bool:
    """Whether a function or generator works with the session that goes by a name there, and leaves it to others to close it."""
    found = index.outline(function.path)
    scope = found.scopes[function.qualname] if found is not None else None
    if found is None or scope is None or name in scope.bindings or ends(index, function, name):
        return False
    for call in scope.calls:
        if isinstance(call.function, Attribute) and dotted(call.function.value) == name:
            if call.function.name in WORKING:
                return True
            continue
        callee = index.value(call.function, scope, found.path) if depth else None
        if isinstance(callee, Function) and any(works_with(index, callee, inner, depth - 1) or uses(index, callee, inner, suspending=False) for inner in handed_on(index, callee, call, name)):
            return True
    return False


def ends(index: Index, function: Function, name: str) -> bool:
    """Whether a function closes the session that goes by a name there, or has a block on it."""
    found = index.outline(function.path)
    scope = found.scopes[function.qualname] if found is not None else None
    if found is None or scope is None:
        return True
    closes = any(isinstance(call.function, Attribute) and call.function.name in {"close", "aclose", "remove"} and dotted(call.function.value) == name for call in scope.calls)
    return closes or _has_block(found.nodes[scope.at], name)


def _has_block(node: cst.CSTNode, name: str) -> bool:
    if isinstance(node, cst.WithItem):
        return any(isinstance(each, cst.Name) and each.value == name for each in _names(node.item))
    return any(_has_block(child, name) for child in children(node))


def _names(node: cst.CSTNode) -> list[cst.CSTNode]:
    return [node, *(each for child in children(node) for each in _names(child))]
