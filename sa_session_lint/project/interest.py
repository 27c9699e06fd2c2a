"""What a function has to do with sessions: which calls matter, what reaches a session that it was not handed, what opens one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Await, Call, Each, Expression, Name
from sa_session_lint.model.protocol import METHODS
from sa_session_lint.model.value import Class, Engine, External, Function, Made, Maker, Method, Registry, Session, SessionClass, is_sessional
from sa_session_lint.project.outline import Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

SPAWNERS = frozenset({name.rpartition(".")[2] for name in v.SPAWNING}) | v.POOL_METHODS | {"run_in_executor", "create_task", "start", "start_soon"}
"""The last parts of what starts work that runs beside the function."""
WORDS = (frozenset(METHODS) - {"info", "configure", "__contains__", "__iter__"}) | {"connect", "raw_connection"}
"""The methods of sessions, and what gives a connection."""


def may_matter(index: Index, scope: Scope, path: str) -> bool:
    """Whether a function calls anything by a name that sessions have a method for, enters a block, is given a session without asking, passes one on, or sleeps."""
    return any(
        (isinstance(call.function, Attribute) and (call.function.name in WORDS or _is_query(call.function.value))) or name_of_called(call) in SPAWNERS | {"sleep"}
        for call in scope.calls
    ) or any(
        binding.how == "with" or (binding.how == "=" and isinstance(binding.value, Call) and not (binding.value.arguments or binding.value.keywords) and is_sessional(index.value(binding.value, scope, path)))
        for bindings in scope.bindings.values()
        for binding in bindings
    ) or gets_objects(index, scope, path) or any(
        isinstance(index.value(Name(parameter.name), scope, path), Session)
        for parameter in scope.parameters
        if any(Name(parameter.name) in (*call.arguments, *(value for _, value in call.keywords)) for call in scope.calls)
    )


def _is_query(expression: Expression) -> bool:
    return isinstance(expression, Attribute) and expression.name == "query"


def has_session(index: Index, scope: Scope, path: str) -> bool:
    """Whether a function has a session when nobody knows its caller: it makes or reaches one, or a parameter is one."""
    return (
        any(isinstance(index.value(Name(p.name), scope, path), Session) for p in scope.parameters)
        or any(interests(index, call, scope, path) for call in scope.calls)
        or gets_objects(index, scope, path)
    )


def gets_objects(index: Index, scope: Scope, path: str) -> bool:
    """Whether a function keeps what a function gives that opens a session, objects of that, perhaps; or gives it to a framework, which reads it."""
    given = [each.value.value if isinstance(each.value, Await) else each.value for each in scope.returns] if scope.decorators else []
    if any(isinstance(value, Call) and opens(index, value, scope, path) for value in given):
        return True
    for bindings in scope.bindings.values():
        for binding in bindings:
            value = binding.value.value if isinstance(binding.value, (Await, Each)) else binding.value
            if binding.how in {"=", "for"} and isinstance(value, Call) and opens(index, value, scope, path):
                return True
    return False


def interests(index: Index, call: Call, scope: Scope, path: str) -> bool:
    """`interesting`, looked at once for each call."""
    return index.once(("interesting", path, call.at), lambda: interesting(index, call, scope, path))


def name_of_called(call: Call) -> str | None:
    """The last part of the name of what is called."""
    return call.function.name if isinstance(call.function, (Attribute, Name)) else None


def interesting(index: Index, call: Call, scope: Scope, path: str) -> bool:
    """Whether a call makes, gives or works with a session, whatever it is given."""
    function = index.value(call.function, scope, path)
    if asks_model(index, call.function, scope, path):
        return True
    match function:
        case Maker() | SessionClass() | Registry():
            return True
        case Method(receiver, name):
            if isinstance(receiver, Made):
                return (receiver.dotted in v.THREAD_POOLS | v.PROCESS_POOLS and name in v.POOL_METHODS) or receiver.dotted in v.EVENT_LOOPS | {"multiprocessing.get_context"}
            return isinstance(receiver, (Session, Registry, Maker)) or (isinstance(receiver, Engine) and name in {"connect", "raw_connection", "begin"})
        case External(dotted):
            return dotted in v.SPAWNING | v.WRAPPING | v.SUPPRESSING | v.CLOSE_ALL or is_sessional(index.value(call, scope, path))
        case Class():
            return is_sessional(index.entered(index.value(call, scope, path)))
        case Function():
            return is_sessional(index.value(call, scope, path)) or touches(index, function)
    return is_sessional(index.value(call, scope, path))


def asks_model(index: Index, function: Expression, scope: Scope, path: str) -> bool:
    """Whether what is called is a method of the query of a mapped class: `User.query.get`."""
    if not isinstance(function, Attribute) or not isinstance(function.value, Attribute) or function.value.name != "query":
        return False
    value = index.value(function.value, scope, path)
    return isinstance(value, Method) and isinstance(value.receiver, Registry) and value.name == "query"


def is_own(expression: Expression, scope: Scope) -> bool:
    """Whether an expression is an attribute of the object whose method this is: `self.session`."""
    return (
        isinstance(expression, Attribute) and isinstance(expression.value, Name) and scope.owner is not None
        and bool(scope.parameters) and expression.value.name == scope.parameters[0].name
    )  # fmt: skip


def touches(index: Index, function: Function, depth: int = 2, own: bool = False) -> bool:
    """Whether a function of the project works, itself or by those it calls, with a session that it was not handed: a registry's, or with `own`
    its object's."""

    def search() -> bool:
        found = index.outline(function.path)
        if found is None:
            return False
        scope = found.scopes[function.qualname]
        for call in scope.calls:
            if own and isinstance(call.function, Attribute) and call.function.name in WORDS and is_own(call.function.value, scope):
                return True
            if own and any(is_own(part, scope) and isinstance(index.value(part, scope, function.path), Session) for part in call.arguments):
                return True
            value = index.value(call.function, scope, function.path)
            if asks_model(index, call.function, scope, function.path):
                return True
            if isinstance(value, Method) and isinstance(value.receiver, (Registry, Session)):
                if not isinstance(value.receiver, Session) or value.receiver.how in {"shared", "registry"}:
                    return True
            elif isinstance(value, Function) and depth and value != function:
                if touches(index, replace(value, receiver=None), depth - 1, own and is_own(call.function, scope)):
                    return True
        return False

    return index.once(("touches", function.path, function.qualname, depth, own), search)


def opens(index: Index, call: Call, scope: Scope, path: str, depth: int = 3) -> bool:
    """Whether a call is one of a function of the project that opens, itself or by those it calls, a session or a connection."""
    value = index.value(call.function, scope, path)
    return isinstance(value, Function) and opens_any(index, value, depth)


def opens_any(index: Index, function: Function, depth: int = 3) -> bool:
    """Whether a function of the project opens, itself or by those it calls, a session or a connection."""
    found = index.outline(function.path) if depth else None
    inner = found.scopes[function.qualname] if found is not None else None
    return inner is not None and index.once(
        ("opens", function.path, function.qualname, depth),
        lambda: any(_makes(index, each, inner, function.path) or opens(index, each, inner, function.path, depth - 1) for each in inner.calls),
    )


def _makes(index: Index, call: Call, scope: Scope, path: str) -> bool:
    value = index.value(call.function, scope, path)
    return isinstance(value, (Maker, SessionClass)) or (isinstance(value, Method) and isinstance(value.receiver, (Maker, Engine)))
