"""What calls into SQLAlchemy, the standard library and the frameworks give."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model import waits
from sa_session_lint.model.expression import Call, Const, Expression, Name
from sa_session_lint.model.value import (
    NOTHING,
    UNKNOWN,
    Constant,
    Coroutine,
    Engine,
    External,
    Function,
    Generator,
    Gives,
    Made,
    Maker,
    Manager,
    Mapping,
    Method,
    Options,
    Place,
    Registry,
    Session,
    SessionClass,
    Value,
    shared,
)
from sa_session_lint.model.vocabulary import Kind
from sa_session_lint.project.annotation import annotated, dependency
from sa_session_lint.project.outline import Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


def call_external(index: Index, dotted: str, call: Call, scope: Scope, path: str) -> Value:
    """What calling a name from outside of the project gives; `Made` for what is not special."""
    place = Place(path, call.at)
    role = v.ROLES.get(dotted)
    if role is not None:
        return _role(index, role, call, scope, path)
    first = index.value(call.arguments[0], scope, path) if call.arguments else UNKNOWN
    match dotted:
        case "builtins.next" | "builtins.anext":
            value = _dropped(first)
            return Coroutine(value) if dotted == "builtins.anext" else value
        case "contextlib.closing" | "contextlib.aclosing" | "contextlib.nullcontext":
            return Manager(first, dotted == "contextlib.aclosing")
        case "contextlib.contextmanager" | "contextlib.asynccontextmanager":
            made = index.result(first.path, first.qualname) if isinstance(first, Function) else UNKNOWN
            return Gives(Manager(made.value, made.is_async)) if isinstance(made, Generator) else UNKNOWN
        case "functools.partial":
            inner = replace(call, function=call.arguments[0], arguments=call.arguments[1:]) if call.arguments else call
            return Gives(index.called(first, inner, scope, path))
        case "werkzeug.local.LocalProxy":
            return shared(first.value) if isinstance(first, Gives) else UNKNOWN
        case "typing.cast" | "typing_extensions.cast":
            second = index.value(call.arguments[1], scope, path) if len(call.arguments) > 1 else UNKNOWN
            return annotated(index, call.arguments[0], scope, path) if second is UNKNOWN and call.arguments else second
        case "builtins.getattr" | "builtins.super" | "builtins.type" | "builtins.vars":
            return UNKNOWN
    if dotted in v.DEPENDS:
        return dependency(index, call, scope, path)
    if dotted in v.CACHES:
        return UNKNOWN
    return Made(dotted, place)


def _dropped(value: Value) -> Value:
    """The first value of a generator that nobody keeps."""
    inner = value.value if isinstance(value, Generator) else UNKNOWN
    return replace(inner, how="given") if isinstance(inner, Session) else inner


def _role(index: Index, role: tuple[v.Role, Kind], call: Call, scope: Scope, path: str) -> Value:
    place = Place(path, call.at)
    what, kind = role
    if what == "engine":
        return Engine(kind, place, _autocommits(index, call, scope, path))
    if what == "flask-sqlalchemy":
        return Made("flask_sqlalchemy.SQLAlchemy", place)
    if kind == "sync" and _is_of_asyncio(index, call, scope, path):
        return UNKNOWN
    if what == "session class":
        return Session(kind, _options(index, call, scope, path, Options()), place, "new")
    if what == "maker":
        cls = call.keyword("class_")
        base = Options()
        found: Kind | None = kind
        if cls is not None:
            made = index.value(cls, scope, path)
            found, base = _class(made)
        return Maker(found, _options(index, call, scope, path, base), place)
    factory = call.keyword("session_factory") or (call.arguments[0] if call.arguments else None)
    made = index.value(factory, scope, path) if factory is not None else UNKNOWN
    options = Options(None, autoflush=False)
    found = kind
    if isinstance(made, Maker):
        options, found = made.options, made.kind
    elif isinstance(made, SessionClass):
        options = made.options
    elif isinstance(made, Gives) and isinstance(made.value, Session):
        options, found = made.value.options, made.value.kind
    custom = len(call.arguments) > 1 or bool(call.keywords and any(k != "session_factory" for k, _ in call.keywords))
    return Registry(found, options, "custom" if custom else "thread", place)


def _class(value: Value) -> tuple[Kind | None, Options]:
    if isinstance(value, SessionClass):
        return value.kind, value.options
    role = v.ROLES.get(value.dotted) if isinstance(value, External) else None
    return (role[1], Options()) if role is not None else (None, Options(None, autoflush=False))


def _options(index: Index, call: Call, scope: Scope, path: str, base: Options) -> Options:
    expire = base.expire
    given = call.keyword("expire_on_commit")
    if given is not None:
        value = index.value(given, scope, path)
        expire = value.value if isinstance(value, Constant) and isinstance(value.value, bool) else None
    elif call.spread:
        expire = None
    bind = call.keyword("bind") or (call.arguments[0] if call.arguments else None)
    autocommit = call.keyword("autocommit") not in {None, Const(False)} or base.autocommit or (bind is not None and _saves(index, bind, scope, path))
    autoflush = base.autoflush if call.keyword("autoflush") is None and not call.spread else call.keyword("autoflush") == Const(True)
    mode = call.keyword("autocommit")
    momentary = base.momentary if mode is None else index.value(mode, scope, path) != Constant(False)
    return Options(expire, frozenset(key for key, _ in call.keywords if key) | base.given, autocommit, autoflush, momentary)


def _saves(index: Index, bind: Expression, scope: Scope, path: str) -> bool:
    """Whether what a session is bound to may save its work without it: an AUTOCOMMIT engine, a connection whose transaction somebody else ends."""
    value = index.value(bind, scope, path)
    if isinstance(value, Engine):
        return value.autocommit
    return isinstance(bind, Name) and scope.kind == "function" and (bind.name in scope.bindings or any(p.name == bind.name for p in scope.parameters))


def _is_of_asyncio(index: Index, call: Call, scope: Scope, path: str) -> bool:
    """Whether a synchronous session is bound to an asynchronous engine: it fails at its first statement."""
    bind = call.keyword("bind") or (call.arguments[0] if call.arguments else None)
    value = index.value(bind, scope, path) if bind is not None and call.keyword("class_") is None else UNKNOWN
    return isinstance(value, Engine) and value.kind == "async"


def _autocommits(index: Index, call: Call, scope: Scope, path: str) -> bool:
    """Whether the options of an engine may set its isolation level to AUTOCOMMIT."""
    level = call.keyword("isolation_level")
    options = call.keyword("execution_options")
    found = [index.value(level, scope, path)] if level is not None else []
    if options is not None:
        value = index.value(options, scope, path)
        found += [inner for key, inner in value.items if key == "isolation_level"] if isinstance(value, Mapping) else [value]
    return any(not isinstance(value, Constant) or str(value.value).upper() == "AUTOCOMMIT" for value in found)


def instantiate(index: Index, function: SessionClass | Maker | Registry, call: Call, scope: Scope, path: str) -> Session:
    """The session that calling a class, maker or registry gives."""
    options = _options(index, call, scope, path, function.options)
    how = "registry" if isinstance(function, Registry) else "new"
    return Session(function.kind, options, Place(path, call.at), how)  # type: ignore[arg-type]  # a literal either way


def call_method(index: Index, receiver: Value, name: str, call: Call, scope: Scope, path: str) -> Value:
    """What a method of a session, maker, engine, generator or external object gives."""
    match receiver, name:
        case (Session() | Registry()), ("begin" | "begin_nested"):
            return Manager(UNKNOWN)
        case Session(), ("__enter__" | "__aenter__"):
            return receiver if name == "__enter__" else Coroutine(receiver)
        case Registry(), "query_property":
            return Method(receiver, "query")
        case Maker(), "begin":
            session = instantiate(index, receiver, call, scope, path)
            return Manager(replace(session, how="with"), receiver.kind == "async")
        case Maker(), "configure":
            return NOTHING
        case Maker(), "__call__":
            return instantiate(index, receiver, call, scope, path)
        case Engine(), "execution_options":
            return replace(receiver, autocommit=receiver.autocommit or _autocommits(index, call, scope, path))
        case Generator(), ("__next__" | "send"):
            return _dropped(receiver)
        case Generator(), ("__anext__" | "asend"):
            return Coroutine(_dropped(receiver))
        case Made(dotted), ("enter_context" | "enter_async_context") if dotted in {"contextlib.ExitStack", "contextlib.AsyncExitStack"}:
            first = index.value(call.arguments[0], scope, path) if call.arguments else UNKNOWN
            inside = index.entered(first)
            return Coroutine(inside) if name == "enter_async_context" else inside
        case Made("flask_sqlalchemy.SQLAlchemy", place), "create_scoped_session":
            return Registry("sync", Options(None), "framework", place)
        case Made(dotted), _ if (dotted, name) in waits.MADE_BY:
            return Made(waits.MADE_BY[dotted, name], Place(path, call.at))
        case (Made(), _) | (Method(), _):
            return UNKNOWN
    return UNKNOWN
