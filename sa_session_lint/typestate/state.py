"""What is known at one step on one way there: values of names, states of sessions, conditions passed. Small, frozen, hashable.

A `Disjunct` is one such way; a step has many. Two names for one session hold the same `Ref`, so that whatever happens to the session
happens to it under every name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from sa_session_lint.model.expression import Call, Expression
from sa_session_lint.model.protocol import ANY, Txn
from sa_session_lint.model.value import Function, Place

Loc: TypeAlias = "tuple[object, ...]"
"""A session, named by where it comes from: `("new", place)`, `("parameter", name)`, `("ambient", key)`, `("in", place of a call, loc)`, `("older", loc)`."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A session, or a Core connection."""

    loc: Loc


@dataclass(frozen=True, slots=True)
class Handle:
    """What `begin()` gives, not entered yet: `kind` "begin", "nested", or "maker" for `Factory.begin()`, whose session is still to come."""

    loc: Loc
    kind: str
    at: Place


@dataclass(frozen=True, slots=True)
class Rows:
    """A query that is not sent ("query"), a result that is not read ("result"), or a generator over either ("lazy")."""

    loc: Loc
    kind: str
    entities: bool = True


@dataclass(frozen=True, slots=True)
class Pending:
    """A coroutine: the call is made when it is awaited. `task` is where it was started to run by itself."""

    call: Call
    arguments: tuple[Abstract, ...]
    receiver: Abstract
    task: Place | None = None


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
    env: frozenset[tuple[object, Abstract]]
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

    value: str | int | bool | None


@dataclass(frozen=True, slots=True)
class Some:
    """Something that is not None and true."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A function that takes values with it: a closure, a bound method, a partial; or what `runs` beside the caller with them."""

    inner: tuple[Abstract, ...]
    runs: bool = False


Abstract: TypeAlias = "Ref | Handle | Rows | Pending | Scope | Managed | Record | Group | Known | Some | Bound | None"
"""What a name holds; None: nothing that is followed."""


class SessionState(NamedTuple):
    """One session on one way. Places are where something last happened that a finding may have to name."""

    txn: Txn
    kind: str | None = None
    owner: str = "here"
    blocks: tuple[str, ...] = ()
    unsaved: Place | None = None
    fresh: bool = True
    closed: Place | None = None
    lent: Place | None = None
    begun: Place | None = None
    maker: Place | None = None
    opened: Place | None = None
    given_back: bool = False
    poisoned: Place | None = None
    saved: bool = False
    reopened: Place | None = None
    removed: bool = False
    stored: Place | None = None

    @property
    def is_connection(self) -> bool:
        return self.kind == "connection"


UNKNOWN_STATE = SessionState(ANY, owner="given", fresh=False)


class Condition(NamedTuple):
    """A test that may come again: of an expression, or of some text; `names` are what it depends on."""

    kind: str
    subject: Expression | None
    key: object
    names: frozenset[str]


class Disjunct(NamedTuple):
    """One way to a step. `env` by name, by number of a call for what an expression has given so far; `raising` what kind of exception is on its way."""

    env: frozenset[tuple[object, Abstract]] = frozenset()
    heap: frozenset[tuple[Loc, SessionState]] = frozenset()
    conditions: frozenset[tuple[object, bool]] = frozenset()
    raising: str | None = None


def locs_in(value: Abstract) -> tuple[Loc, ...]:
    """The sessions that a value leads to."""
    match value:
        case Ref(loc) | Rows(loc) | Handle(loc):
            return (loc,)
        case Group(items) | Bound(items):
            return tuple(loc for item in items for loc in locs_in(item))
        case Record(_, _, fields):
            return tuple(loc for _, field in fields for loc in locs_in(field))
        case Pending(_, arguments, receiver):
            return tuple(loc for item in (receiver, *arguments) for loc in locs_in(item))
        case Scope(_, inner):
            return locs_in(inner)
        case Managed(_, env):
            return tuple(loc for _, item in env for loc in locs_in(item))
    return ()


def sessions_in(value: Abstract) -> tuple[Loc, ...]:
    """The sessions that a value holds themselves, not merely rows of theirs."""
    match value:
        case Rows() | Handle():
            return ()
        case Group(items) | Bound(items):
            return tuple(loc for item in items for loc in sessions_in(item))
        case Pending(_, arguments, receiver):
            return tuple(loc for item in (receiver, *arguments) for loc in sessions_in(item))
    return locs_in(value)


def renamed(value: Abstract, names: dict[Loc, Loc]) -> Abstract:
    """The same value with other names for its sessions."""
    match value:
        case Ref(loc):
            return Ref(names.get(loc, loc))
        case Rows(loc, kind, entities):
            return Rows(names.get(loc, loc), kind, entities)
        case Handle(loc, kind, at):
            return Handle(names.get(loc, loc), kind, at)
        case Group(items, more):
            return Group(tuple(renamed(item, names) for item in items), more)
        case Bound(items, runs):
            return Bound(tuple(renamed(item, names) for item in items), runs)
        case Record(path, qualname, fields):
            return Record(path, qualname, tuple((name, renamed(field, names)) for name, field in fields))
        case Pending(call, arguments, receiver, task):
            return Pending(call, tuple(renamed(item, names) for item in arguments), renamed(receiver, names), task)
        case Scope(kind, inner, at):
            return Scope(kind, renamed(inner, names), at)
        case Managed(function, env, resume):
            return Managed(function, frozenset((name, renamed(item, names)) for name, item in env), resume)
    return value
