"""What is known at one step on one way there: values of names, states of sessions, conditions passed. Small, frozen, hashable.

A `Disjunct` is one such way; a step has many. Two names for one session hold the same `Ref`, so that whatever happens to the session
happens to it under every name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from sa_session_lint.model.expression import Call, Expression
from sa_session_lint.model.protocol import ANY, CONN, IDLE, Txn
from sa_session_lint.model.value import Class, Function, Place
from sa_session_lint.model.vocabulary import DRIVER_ERRORS, FLUSH_ERRORS, PENDING_ERRORS

K = TypeVar("K")
V = TypeVar("V")

Loc: TypeAlias = "tuple[object, ...]"
"""A session, named by where it comes from: `("new", place)`, `("parameter", name)`, `("ambient", key)`, `("in", place of a call, loc)`, `("older", loc)`."""


class Frozen(Generic[K, V]):
    """Pairs as a value: in the order in which they came, equal in any. What they are is looked at once, then their hash is known."""

    __slots__ = ("_hash", "mapping")

    def __init__(self, pairs: Iterable[tuple[K, V]] = ()) -> None:
        self.mapping = dict(pairs)
        self._hash: int | None = None

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return iter(self.mapping.items())

    def __len__(self) -> int:
        return len(self.mapping)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.mapping.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Frozen) and hash(self) == hash(other) and self.mapping == other.mapping)

    def __repr__(self) -> str:
        return repr(self.mapping)


NO_ENV: Frozen[object, Abstract] = Frozen()
NO_HEAP: Frozen[Loc, SessionState] = Frozen()
NO_CONDITIONS: Frozen[object, bool] = Frozen()


PLACE = Place("", 0)
"""Some place."""


SLOT = "slot"
"""Where objects come from that a call was handed, by number."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A session, or a Core connection."""

    loc: Loc


@dataclass(frozen=True, slots=True)
class Handle:
    """What `begin()` gives, not entered yet: `kind` "begin", "nested", or "maker" for `Factory.begin()`, whose session is still to come;
    "core" of a connection, "connection" for that of a session."""

    loc: Loc
    kind: str
    at: Place


@dataclass(frozen=True, slots=True)
class Rows:
    """A query that is not sent ("query"), a result that is not read ("result"), or a generator over either ("lazy"); `entities`: of objects, or of who knows what (None).

    `model` is the class of the objects, `first` that of the first ones in rows; `fetched` what the options of the query load with them, None: not known.
    """

    loc: Loc
    kind: str
    entities: bool | None = True
    model: Class | None = None
    first: Class | None = None
    fetched: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Object:
    """An object of a mapped class, or a row whose `first` column is one: `loc` is the session that it is in, `made` that this function made it and nobody has
    it yet, `written` where it was changed, if that is what its session has not saved, `loaded` that it came from the database.

    `at` is where it came from: two names for one object agree on it. `new`: added since the last commit, so that a rollback makes it transient again.
    `expired` is where all that it had loaded was expired, by a rollback if `undone`, `detached` where it left its session.
    `fetched` are the relationships and deferred columns that it has loaded; None: not known. `gone`: it may be deleted, which a commit does not expire.
    `pending` is where it was added, if nothing has been flushed since. `stale` is the statement that has changed its row and not the object, with the columns
    concerned. Of one that stands for many, `mixed` is the loop that has loaded some of them.
    `merged` is where a copy of it was put into the session `copy`, if nobody took that. `unsent` is where a column was set that no UPDATE has sent yet, be it that
    no session will; `sent` where one did, since when what the database has set by that is not loaded.
    """

    model: Class | None
    loc: Loc | None = None
    made: bool = False
    written: Place | None = None
    loaded: bool = False
    at: Place | None = None
    new: bool = False
    expired: Place | None = None
    undone: bool = False
    detached: Place | None = None
    fetched: frozenset[str] | None = None
    first: Class | None = None
    gone: bool = False
    mixed: Place | None = None
    pending: Place | None = None
    merged: Place | None = None
    copy: Loc | None = None
    unsent: Place | None = None
    sent: Place | None = None
    stale: tuple[Place, frozenset[str]] | None = None


@dataclass(frozen=True, slots=True)
class Caught:
    """The exception that a handler has caught; `sql`: that of a statement or a flush."""

    sql: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """A coroutine: the call is made when it is awaited. `used` are the sessions that it surely works with."""

    call: Call
    arguments: tuple[Abstract, ...]
    receiver: Abstract
    used: tuple[Ref, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """What runs beside the caller, or will, and the sessions that it surely uses; `at` is the call that made it.

    `once`: it is the only one of its kind, in whichever turn of a loop.
    """

    inner: tuple[Ref, ...]
    at: Place
    started: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """A context manager over a session: `closing(s)`, `suppress(...)`, a pool of threads, a task group; `kind` says which."""

    kind: str
    inner: Abstract = None
    at: Place | None = None


@dataclass(frozen=True, slots=True)
class Managed:
    """A context manager that a generator of the project makes; `resume` is the step at which it is suspended once entered."""

    function: Function
    env: Frozen[object, Abstract]
    resume: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """An object of a class of the project, as far as its fields hold something of interest."""

    path: str
    qualname: str
    fields: tuple[tuple[str, Abstract], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A tuple, a list or whatever else holds these; `open` when there may be more of the same."""

    items: tuple[Abstract, ...]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A constant."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Some:
    """Something that is not None and true."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A function that takes values with it: a closure, a bound method, a partial; or what an unknown call made of them.

    `used` are the sessions among them that it surely works with; `unknown` when nobody knows what it is.
    """

    inner: tuple[Abstract, ...]
    used: tuple[Ref, ...] = ()
    unknown: bool = False


Abstract: TypeAlias = "Ref | Caught | Handle | Rows | Object | Pending | Job | Scope | Managed | Record | Group | Known | Some | Bound | None"
"""What a name holds; None: nothing that is followed."""


class SessionState(NamedTuple):
    """One session on one way. Places are where something last happened that a finding may have to name.

    Of a session that a call was handed in the middle of something (`halfway`: with unsaved work, or inside of a block that commits) `ended` is where
    its transaction was ended, and `worked` whether the called function did anything else with it.
    `owner` is who is to close it: the function itself ("here"), perhaps beside somebody it was passed to ("passed"), its block ("with"), others.
    `autoflush`: a query surely flushes first. `momentary`: without a transaction each statement gives its connection back. `pool` is whose connections it takes; `unsure` when the statement failed by which it would have taken one.
    `pending` tells of work that the next flush sends, and by which it may fail; `loaded`, of a session that failed, that its objects are as they were: it was the
    COMMIT that failed, when there was nothing to flush. `expire`: whether a commit expires its objects, None: not known. `swept` is what has happened to the
    objects of a session that a call was handed, where the caller has some. `models` are the classes of which it has given objects since it was opened.
    """

    txn: Txn
    kind: str | None = None
    owner: str = "here"
    blocks: tuple[str, ...] = ()
    unsaved: Place | None = None
    fresh: bool = True
    closed: Place | None = None
    lent: Place | None = None
    kept: bool = False
    begun: Place | None = None
    maker: Place | None = None
    opened: Place | None = None
    given_back: bool = False
    poisoned: Place | None = None
    saved: bool = False
    reopened: Place | None = None
    removed: bool = False
    stored: Place | None = None
    autocommit: bool = False
    autoflush: bool = False
    momentary: bool = False
    halfway: bool = False
    ended: Place | None = None
    worked: bool = False
    pool: Place | None = None
    unsure: bool = False
    pending: bool = False
    loaded: bool = False
    expire: bool | None = None
    swept: tuple[str, ...] | None = None
    models: frozenset[Class] = frozenset()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do for it."""
        marks = (self.unsaved, self.begun, self.lent, self.stored, self.reopened)
        return self.txn is IDLE and not self.pending and not self.blocks and all(mark is None for mark in marks)

    def outline(self) -> SessionState:
        """The state without what only tells where something happened, and whether it did before."""
        poisoned = None if self.poisoned is None else PLACE
        closed = None if self.closed is None else PLACE
        if poisoned is self.poisoned and closed is self.closed and not (self.given_back or self.saved or self.unsure):
            return self
        return self._replace(poisoned=poisoned, closed=closed, given_back=False, saved=False, unsure=False)

    @property
    def is_connection(self) -> bool:
        return self.kind == "connection"


UNKNOWN_STATE = SessionState(ANY, owner="given", fresh=False)


def is_sql(raising: str | None) -> bool:
    """Whether the exception on its way is one of SQLAlchemy."""
    return raising is not None and raising.partition(" ")[0] == "sql"


def spared(raising: str | None) -> frozenset[str]:
    """What the exception on its way is not: a handler for that has let it pass."""
    return frozenset(raising.split()[1:]) if raising is not None else frozenset()


def sparing(raising: str | None, names: Iterable[str]) -> str | None:
    """The exception on its way, when a handler for these has let it pass."""
    past = FLUSH_ERRORS.intersection(names) - PENDING_ERRORS
    if not past.isdisjoint({"StatementError", "DBAPIError"}):
        past |= DRIVER_ERRORS
    return " ".join((raising.split()[0], *sorted(past | spared(raising)))) if raising is not None and past else raising


class Condition(NamedTuple):
    """A test that may come again: of an expression, or of some text; `names` are what it depends on."""

    kind: str
    subject: Expression | None
    key: object
    names: frozenset[str]


class Disjunct(NamedTuple):
    """One way to a step. `env` by name, by number of a call for what an expression has given so far; `raising` what kind of exception is on its way: "other", or "sql" and
    what kinds of those it is not."""

    env: Frozen[object, Abstract] = NO_ENV
    heap: Frozen[Loc, SessionState] = NO_HEAP
    conditions: Frozen[object, bool] = NO_CONDITIONS
    raising: str | None = None

    def outline(self) -> Disjunct:
        """The way without what only tells where something happened, and whether it did before."""
        outlines = {loc: state.outline() for loc, state in self.heap}
        if all(outlines[loc] is state for loc, state in self.heap):
            return self
        return Disjunct(self.env, Frozen(outlines.items()), self.conditions, self.raising)


def holding(heap: Mapping[Loc, SessionState]) -> list[Loc]:
    """The sessions that surely hold a connection. Shared ones may be one session under two names, which has given it back under the other."""
    doubtful = any(loc[0] == "ambient" and state.txn is not CONN for loc, state in heap.items())
    return [
        loc for loc, state in heap.items() if state.txn is CONN and not state.unsure and loc[0] != "older" and not (loc[0] == "ambient" and doubtful)
    ]


def is_reached(loc: Loc, own: bool) -> bool:
    """Whether a called function may reach a session that it is not handed; `own`: it is a method of the caller's own object."""
    return loc[0] == "ambient" and (own or not (isinstance(loc[1], str) and loc[1].startswith("self.")))


def locs_in(value: Abstract) -> tuple[Loc, ...]:
    """The sessions that a value leads to."""
    match value:
        case Ref(loc) | Rows(loc) | Handle(loc):
            return (loc,)
        case Group(items) | Bound(items) | Job(items):
            return tuple(loc for item in items for loc in locs_in(item))
        case Record(_, _, fields):
            return tuple(loc for _, field in fields for loc in locs_in(field))
        case Pending(_, arguments, receiver, used):
            return tuple(loc for item in (receiver, *arguments, *used) for loc in locs_in(item))
        case Scope(_, inner):
            return locs_in(inner)
        case Managed(_, env):
            return tuple(loc for _, item in env for loc in locs_in(item))
    return ()


def objects_in(value: Abstract) -> tuple[Object, ...]:
    """The objects of mapped classes that a value is or holds."""
    match value:
        case Object():
            return (value,)
        case Group(items) | Bound(items):
            return tuple(each for item in items for each in objects_in(item))
        case Record(_, _, fields):
            return tuple(each for _, field in fields for each in objects_in(field))
    return ()


def mapped(value: Abstract, change: Callable[[Object], Object]) -> Abstract:
    """The same value with other objects in it."""
    match value:
        case Object():
            return change(value)
        case Group(items, more):
            changed = tuple(mapped(item, change) for item in items)
            return value if all(one is other for one, other in zip(changed, items, strict=True)) else Group(tuple(dict.fromkeys(changed)), more)
        case Bound(items):
            changed = tuple(mapped(item, change) for item in items)
            return value if all(one is other for one, other in zip(changed, items, strict=True)) else replace(value, inner=changed)
        case Record(path, qualname, fields):
            named = tuple((name, mapped(field, change)) for name, field in fields)
            return value if all(one[1] is other[1] for one, other in zip(named, fields, strict=True)) else Record(path, qualname, named)
    return value


def remodelled(value: Abstract, base: Class, model: Class) -> Abstract:
    """The same value with objects of another class in place of those of `base`."""
    if isinstance(value, Rows):
        return replace(value, model=model if value.model == base else value.model, first=model if value.first == base else value.first)
    return mapped(value, lambda each: replace(each, model=model if each.model == base else each.model, first=model if each.first == base else each.first))


def plain(found: Object) -> Object:
    """An object of which no more is known than whose it is."""
    return Object(found.model, found.loc, found.made, found.written, found.loaded, first=found.first, gone=found.gone)


def is_followed(value: Abstract) -> bool:
    """Whether a value is, or holds, a session or objects of one."""
    return bool(locs_in(value)) or any(each.loc is not None for each in objects_in(value))


def each_of(value: Abstract) -> Abstract:
    """What a loop over a value sees in each turn."""
    if isinstance(value, Rows) and value.entities and value.kind != "lazy":
        return Object(value.model, value.loc, loaded=True, first=value.first, fetched=value.fetched)
    if not isinstance(value, Group) or not value.items:
        return None
    item = value.items[0] if len(set(value.items)) == 1 else _any_of(value.items)
    return replace(item, once=not value.open) if isinstance(item, Job) else item


def _any_of(items: tuple[Abstract, ...]) -> Object | None:
    """What is known of whichever of some objects; None where they are not of one class and session."""
    objects = [item for item in items if isinstance(item, Object)]
    if len(objects) < len(items) or len({(each.model, each.loc, each.first) for each in objects}) > 1:
        return None
    told = {name: values.pop() if len(values := {getattr(each, name) for each in objects}) == 1 else None for name in ("at", "expired", "detached", "fetched")}
    return replace(
        plain(objects[0]), **told, made=False, written=None, loaded=all(each.loaded for each in objects), new=any(each.new for each in objects),
        undone=any(each.undone for each in objects), gone=any(each.gone for each in objects), mixed=next((each.mixed for each in objects if each.mixed), None),
    )  # fmt: skip


def sessions_in(value: Abstract) -> tuple[Loc, ...]:
    """The sessions that a value holds themselves, not merely rows of theirs."""
    match value:
        case Rows() | Handle() | Job():
            return ()
        case Group(items) | Bound(items):
            return tuple(loc for item in items for loc in sessions_in(item))
        case Pending(_, arguments, receiver, used):
            return tuple(loc for item in (receiver, *arguments, *used) for loc in sessions_in(item))
    return locs_in(value)


def renamed(value: Abstract, names: dict[Loc, Loc]) -> Abstract:
    """The same value with other names for its sessions."""
    match value:
        case Ref(loc):
            return Ref(names.get(loc, loc))
        case Rows(loc):
            return replace(value, loc=names.get(loc, loc))
        case Object(loc=loc, copy=copy) if loc is not None or copy is not None:
            return replace(value, loc=names.get(loc, loc) if loc is not None else None, copy=names.get(copy, copy) if copy is not None else None)
        case Handle(loc, kind, at):
            return Handle(names.get(loc, loc), kind, at)
        case Group(items, more):
            return Group(tuple(renamed(item, names) for item in items), more)
        case Bound(items, used, unknown):
            return Bound(tuple(renamed(item, names) for item in items), _renamed(used, names), unknown)
        case Job(items, at, started, once):
            return Job(_renamed(items, names), at, started, once)
        case Record(path, qualname, fields):
            return Record(path, qualname, tuple((name, renamed(field, names)) for name, field in fields))
        case Pending(call, arguments, receiver, used):
            return Pending(call, tuple(renamed(item, names) for item in arguments), renamed(receiver, names), _renamed(used, names))
        case Scope(kind, inner, at):
            return Scope(kind, renamed(inner, names), at)
        case Managed(function, env, resume):
            return Managed(function, Frozen((name, renamed(item, names)) for name, item in env), resume)
    return value


def _renamed(refs: tuple[Ref, ...], names: dict[Loc, Loc]) -> tuple[Ref, ...]:
    return tuple(Ref(names.get(ref.loc, ref.loc)) for ref in refs)
