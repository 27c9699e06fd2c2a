"""Which pool a session draws on: two sessions of one pool that hold a connection each need two of the same few.

    engine = create_engine(URL)            the pool is known by this call
    Reading = sessionmaker(engine)         draws on it
    Session(engine)                        draws on it as well
    Other = sessionmaker(bind_of(config))  an engine that is not visible: the pool is known by the maker
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Enter, Expression, Name
from sa_session_lint.model.value import (
    NOTHING,
    UNKNOWN,
    Class,
    Constant,
    Engine,
    External,
    Function,
    Made,
    Maker,
    Method,
    Place,
    Registry,
    Session,
    SessionClass,
)
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import called_name, holders, mentions

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_LOCK = re.compile(r"(?i)advisory_lock|\bget_lock\(|sp_getapplock")
_QUEUE = frozenset({"skip_locked", "read", "key_share"})
"""Options of `with_for_update()` by which rows are kept from others while something is done with them, as a queue does."""
_LOCK_IN = re.compile(rb"(?i)with_for_update|advisory_lock|\bget_lock\(|sp_getapplock")
_MEMORY = re.compile(r"sqlite[^:]*://(/?(\?|$)|.*(:memory:|mode=memory))")


_SYNCHRONOUS = re.compile(rb"(?m)^[ \t]*(?:from|import)[ \t]+(?:" + "|".join(v.SERVED_BY_THREADS).encode() + rb")\b")
_CONCURRENT = re.compile(rb"(?m)^[ \t]*(?:from|import)[ \t]+(?:" + "|".join(v.SERVED_BY_LOOPS).encode() + rb")\b")


def pool(index: Index, place: Place) -> Place | None:
    """The pool of what the call at a place makes (a session, a maker, a registry, an engine, a connection); None where nobody would wait, or none is known."""
    return index.once(("pool", place), lambda: _pool(index, place))


def _pool(index: Index, place: Place) -> Place | None:
    there = index.call_at(place)
    if there is None:
        return None
    found, scope, call = there
    match index.value(call.function, scope, place.path):
        case Maker(place=made) | Registry(place=made) | Method(Maker(place=made) | Engine(place=made)):
            return pool(index, made) if made is not None and made != place else None
        case SessionClass():
            return _bound(index, call, scope, place, None)
        case External(name):
            return _made(index, v.ROLES.get(name, (name,))[0], found, scope, call)
    return None


def is_unpooled(index: Index, place: Place) -> bool:
    """Whether what the call at a place makes draws on an engine for whose connections nobody waits: `create_engine(url, poolclass=NullPool)`."""
    there = index.call_at(place)
    if there is None:
        return False
    _, scope, call = there
    match index.value(call.function, scope, place.path):
        case Maker(place=made) | Registry(place=made) | Method(Maker(place=made) | Engine(place=made)) if made is not None and made != place:
            return is_unpooled(index, made)
        case External(name) if v.ROLES.get(name, ("",))[0] == "engine":
            chosen = call.keyword("poolclass")
            value = index.value(chosen, scope, place.path) if chosen is not None else None
            return isinstance(value, External) and value.dotted.endswith((".NullPool", ".StaticPool"))
    bind = call.keyword("bind") or (call.arguments[0] if call.arguments else None)
    engine = index.value(bind, scope, place.path) if bind is not None else None
    return isinstance(engine, Engine) and engine.place != place and is_unpooled(index, engine.place)


def is_private(index: Index, place: Place) -> bool:
    """Whether what the call at a place makes draws on an engine that is made with it, and goes with it: `sessionmaker(bind=create_engine(url))()`. Nobody else waits for
    a connection of its pool; that nobody disposes of it is another mistake."""
    there = index.call_at(place)
    if there is None:
        return False
    found, scope, call = there
    match index.value(call.function, scope, place.path):
        case Maker(place=made) | Registry(place=made) | Method(Maker(place=made) | Engine(place=made)) if made is not None and made != place and call.keyword("bind") is None:
            return _is_own(call.function, scope) and is_private(index, made)
        case Function() if isinstance(given := index.value(call, scope, place.path), Session):
            return given.place is not None and given.place != place and is_private(index, given.place)
        case External(name) if v.ROLES.get(name, ("",))[0] == "engine":
            return not lasts(index, found, scope, call)
        case External(name) if v.ROLES.get(name, ("",))[0] in {"maker", "registry"} and lasts(index, found, scope, call):
            return False
        case SessionClass() | Maker() | External():
            bind = call.keyword("bind") or (call.arguments[0] if call.arguments else call.keyword("session_factory"))
            values = _values(bind, scope) if bind is not None else ()
            makers = [index.value(value, scope, place.path) if isinstance(value, Call) else UNKNOWN for value in values]
            return bool(makers) and all(
                isinstance(made, (Engine, Maker)) and made.place is not None and made.place != place and is_private(index, made.place) for made in makers
            )
    return False


def _is_own(function: Expression, scope: Scope) -> bool:
    """Whether what is called, or its owner, was made by the function that calls it: `engine.connect()`, where that holds `engine`, `connect(url)()`."""
    owner = function.value if isinstance(function, Attribute) else function
    return isinstance(owner, Call) or (isinstance(owner, Name) and bool(_values(owner, scope)))


def _values(expression: Expression, scope: Scope) -> Sequence[Expression]:
    """What an expression may stand for in a function: the values of a name that the function or one around it binds."""
    if not isinstance(expression, Name):
        return (expression,)
    around = next((around for around in scope.enclosing() if expression.name in around.bindings), None)
    return [binding.value for binding in around.bindings[expression.name]] if around is not None and around.kind == "function" else ()


def is_all_unpooled(index: Index) -> bool:
    """Whether every engine that the project makes, its tests and scripts aside, keeps no connections."""

    def search() -> bool:
        calls = [(found, call) for word in ("create_engine", "create_async_engine") for found, _, call in index.calls_with(word) if called_name(call.function) == word]
        made = [Place(found.path, call.at) for found, call in calls if not is_aside(found.path)]
        return bool(made) and all(is_unpooled(index, place) for place in made)

    return index.once(("unpooled",), search)


def is_roomy(index: Index, path: str) -> bool:
    """Whether the part of a project that a file belongs to serves requests by WSGI, or Streamlit, alone: a worker of such a server does few of them at a time, fewer than
    half of what a pool holds, unless it is set up otherwise outside of the code. The part is the innermost folder around the file that has code of a web server.
    https://docs.gunicorn.org/en/stable/design.html, https://docs.sqlalchemy.org/en/20/core/pooling.html"""

    def importing(pattern: re.Pattern[bytes], words: Iterable[str]) -> list[str]:
        return [file for word in words for file in index.files_with(word) if not is_aside(file) and pattern.search(index.data(file) or b"")]

    few = index.once(("wsgi",), lambda: importing(_SYNCHRONOUS, v.SERVED_BY_THREADS))
    many = index.once(("asgi",), lambda: importing(_CONCURRENT, v.SERVED_BY_LOOPS))
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        part = f"{folder}/" if folder else ""
        if any(file.startswith(part) for file in (*few, *many)):
            return not any(file.startswith(part) for file in many)
    return False


def is_lent(index: Index, place: Place) -> bool:
    """Whether the session or maker that a call makes is bound to a connection: it is for whoever has opened that to give it back."""
    there = index.call_at(place)
    if there is None:
        return False
    _, scope, call = there
    value = index.value(call.function, scope, place.path)
    if isinstance(value, Maker) and value.place is not None and value.place != place:
        return is_lent(index, value.place)
    is_made = isinstance(value, SessionClass) or (isinstance(value, External) and v.ROLES.get(value.dotted, ("",))[0] in {"session class", "maker"})
    bind = call.keyword("bind") or (call.arguments[0] if call.arguments else None)
    return is_made and bind is not None and (is_connection(index, bind, scope, place.path) or _is_injected(bind, scope))


def _is_injected(bind: Expression, scope: Scope) -> bool:
    """Whether it is what a framework hands to a function that it calls: event listeners of the mapper get a connection."""
    return isinstance(bind, Name) and bool(scope.decorators) and any(p.name == bind.name and p.annotation is None for p in scope.parameters)


def _made(index: Index, role: str, found: Outline, scope: Scope, call: Call) -> Place | None:
    place = Place(found.path, call.at)
    match role:
        case "session class":
            return _bound(index, call, scope, place, None)
        case "maker" if call.keyword("binds") is None and not _routes(index, call, scope, place.path):
            return _bound(index, call, scope, place, place if lasts(index, found, scope, call) else None)
        case "registry":
            factory = call.arguments[0] if call.arguments else call.keyword("session_factory")
            made = index.value(factory, scope, place.path) if factory is not None else UNKNOWN
            return pool(index, made.place) if isinstance(made, Maker) and made.place is not None else None
        case "engine":
            return place if lasts(index, found, scope, call) and _may_run_out(index, call, scope, place.path) else None
        case "flask-sqlalchemy":
            return place
    return None


def _bound(index: Index, call: Call, scope: Scope, place: Place, otherwise: Place | None) -> Place | None:
    """The pool of what is bound to an engine; `otherwise` where that is not visible, or made anew by each call of a function."""
    bind = call.keyword("bind") or (call.arguments[0] if call.arguments else None)
    value = index.value(bind, scope, place.path) if bind is not None else NOTHING
    if isinstance(value, Engine):
        there = index.call_at(value.place)
        if there is None or not _may_run_out(index, there[2], there[1], value.place.path):
            return None
        return pool(index, value.place) or otherwise
    is_hidden = value is NOTHING or isinstance(value, Made) or (value is UNKNOWN and bind is not None and not is_connection(index, bind, scope, place.path))
    return otherwise if is_hidden and not is_all_unpooled(index) else None


def is_connection(index: Index, bind: Expression, scope: Scope, path: str) -> bool:
    """Whether what a session is bound to is a connection, or was asked of an engine or a session: it is shared with whoever has it as well."""
    value = index.value(bind, scope, path)
    if isinstance(value, Made) and value.dotted.startswith("sqlalchemy.") and value.dotted.endswith("Connection"):
        return True
    if value is UNKNOWN and isinstance(bind, Attribute) and _is_stored_connection(index, bind.name):
        return True
    bindings: Iterable[Expression] = (b.value for around in scope.enclosing() for b in around.bindings.get(bind.name, ())) if isinstance(bind, Name) else (bind,)
    asked = (value.value if isinstance(value, Enter) else value for value in bindings)
    return any(isinstance(call, Call) and isinstance(index.value(call.function, scope, path), Method) for call in asked)


def _is_stored_connection(index: Index, name: str) -> bool:
    """Whether an attribute of a name is given what an engine's `connect()` gives, somewhere in the project."""

    def search() -> bool:
        stores = (store for _, scope in index.scopes_with(name, "connect") for store in scope.stores)
        return any(
            isinstance(store.target, Attribute) and store.target.name == name and isinstance(store.value, Call)
            and isinstance(store.value.function, Attribute) and store.value.function.name == "connect" for store in stores
        )

    return index.once(("stored connection", name), search)


def _may_run_out(index: Index, call: Call, scope: Scope, path: str) -> bool:
    """Whether an engine keeps so many connections and no more."""
    chosen = call.keyword("poolclass")
    value = index.value(chosen, scope, path) if chosen is not None else None
    if call.keyword("pool") is not None or (chosen is not None and not (isinstance(value, External) and value.dotted.endswith("QueuePool"))):
        return False
    limits = {name: index.value(given, scope, path) for name in ("max_overflow", "pool_size") if (given := call.keyword(name)) is not None}
    if limits.get("max_overflow") == Constant(-1) or limits.get("pool_size") == Constant(0):
        return False
    url = index.value(call.arguments[0], scope, path) if call.arguments else UNKNOWN
    return not (isinstance(url, Constant) and isinstance(url.value, str) and _MEMORY.match(url.value))


def _routes(index: Index, call: Call, scope: Scope, path: str) -> bool:
    """Whether the sessions of a maker choose an engine for each statement."""
    given = call.keyword("class_")
    value = index.value(given, scope, path) if given is not None else UNKNOWN
    if not isinstance(value, SessionClass) or value.place is None:
        return False
    found = index.outline(value.place.path)
    return found is None or any(each.at == value.place.at and "get_bind" in each.bindings for each in found.scopes.values())


def lasts(index: Index, found: Outline, scope: Scope, call: Call) -> bool:
    """Whether what a call makes is made once: by a module, by a function that keeps it, by the only object of a class."""
    if scope.kind != "function":
        return True
    around = scope.parent or found.module
    decorators = (index.value(d.function if isinstance(d, Call) else d, around, found.path) for d in scope.decorators)
    if any(isinstance(value, External) and value.dotted in v.CACHES for value in decorators):
        return True
    held = holders(scope, call)
    shared = (binding for name in scope.outer for place in scope.enclosing() for binding in place.bindings.get(name, ()) if binding.within is scope)
    if any(mentions(binding.value, held) for binding in shared):
        return True
    me = Name(scope.parameters[0].name) if scope.owner is not None and scope.parameters else None
    for store in scope.stores:
        if mentions(store.value, held):
            own = isinstance(store.target, Attribute) and store.target.value == me
            return not own or (scope.owner is not None and _is_only(index, found, scope.owner))
    return False


def _is_only(index: Index, found: Outline, owner: Scope) -> bool:
    """Whether a class is called once outside of tests, by a module."""
    me = Class(found.path, owner.qualname)
    calls = [
        scope for outline, scope, call in index.calls_with(owner.name) if not is_aside(outline.path) and index.value(call.function, scope, outline.path) == me
    ]
    return len(calls) == 1 and calls[0].kind == "module"


def takes_lock(index: Index, scope: Scope, path: str, depth: int = 2) -> bool:
    """Whether a function, one around it, or one that it calls, takes a lock that lasts as long as its connection is held, which is what it holds it for.
    https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS"""

    def search() -> bool:
        for call in (call for around in scope.enclosing() if around.kind == "function" for call in around.calls):
            if isinstance(call.function, Attribute) and _LOCK.search(call.function.name):
                return True
            if called_name(call.function) == "with_for_update" and any(key in _QUEUE for key, _ in call.keywords):
                return True
            if any(isinstance(value := index.value(part, scope, path), Constant) and _LOCK.search(str(value.value)) for part in call.arguments):
                return True
            called = index.value(call.function, scope, path) if depth else UNKNOWN
            found = index.outline(called.path) if isinstance(called, Function) else None
            if found is not None and isinstance(called, Function) and takes_lock(index, found.scopes[called.qualname], found.path, depth - 1):
                return True
        return False

    return bool(index.once(("locks",), lambda: any(_LOCK_IN.search(index.data(file) or b"") for file in index.modules.files))) and index.once(
        ("takes lock", path, scope.qualname, depth), search
    )
