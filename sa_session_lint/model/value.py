"""What an expression stands for, as far as sessions are concerned. Equal values are interchangeable; UNKNOWN says nothing.

`Place` names where a value was made: a file and a node of its outline. It is what a trail points at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from sa_session_lint.model.vocabulary import Kind


class Place(NamedTuple):
    """Node `at` of the outline of `path`. A tuple, since most of what is hashed and compared is made of places."""

    path: str
    at: int

    @property
    def is_promise(self) -> bool:
        """Whether it stands for what an annotation promises, wherever that is made: several may be meant by one."""
        return self.at == 0


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything: silence."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """None."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant other than None."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Options:
    """What the sessions of a maker are set to; `expire` None: not known. `given` lists the keywords that were spelled out.

    `autocommit`: what they write may be saved though they never commit: by their engine, by whose connection they have, by a method of their own class.
    `autoflush`: their queries surely flush first. `momentary`: without `begin()` each statement may have a connection for itself alone, which it gives back, as in
    the autocommit mode of SQLAlchemy 1: https://docs.sqlalchemy.org/en/14/orm/session_transaction.html#autocommit-mode
    """

    expire: bool | None = True
    given: frozenset[str] = frozenset()
    autocommit: bool = False
    autoflush: bool = True
    momentary: bool = False


@dataclass(frozen=True, slots=True)
class Engine:
    """`autocommit`: it may be set to the isolation level of this name."""

    kind: Kind
    place: Place
    autocommit: bool = False


@dataclass(frozen=True, slots=True)
class SessionClass:
    """`Session`, `AsyncSession` or a subclass; `place` is the subclass's definition."""

    kind: Kind | None
    options: Options = Options()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Maker:
    """A `sessionmaker`: calling it opens a session. `place` is where it was made; None where only an annotation promises one."""

    kind: Kind | None
    options: Options
    place: Place | None


@dataclass(frozen=True, slots=True)
class Registry:
    """A `scoped_session`; `scope` is "thread", "custom" (a scopefunc) or "framework" (removed by Flask-SQLAlchemy)."""

    kind: Kind | None
    options: Options
    scope: Literal["thread", "custom", "framework"]
    place: Place
    zope: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A session. `how`: "new" by the call itself; "with": closed by its block; "given" by a caller or an annotation;
    "depends": by a framework's dependency; "shared": read from a module, an object or a cache; "registry": the registry's own."""

    kind: Kind | None
    options: Options
    place: Place | None
    how: Literal["new", "with", "given", "depends", "shared", "registry"]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the project; `receiver` is what its first parameter is bound to."""

    path: str
    qualname: str
    receiver: Value | None = None


@dataclass(frozen=True, slots=True)
class Class:
    path: str
    qualname: str


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class of the project."""

    path: str
    qualname: str


@dataclass(frozen=True, slots=True)
class Module:
    """A module or package of the project: its file, or its folder with a closing `/` where it has no `__init__.py`."""

    path: str


@dataclass(frozen=True, slots=True)
class External:
    """A name from outside of the project."""

    dotted: str


@dataclass(frozen=True, slots=True)
class Made:
    """What calling an external name gives: `Made("flask.Flask")` is an application."""

    dotted: str
    place: Place


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a session, maker, registry, engine or external object."""

    receiver: Value
    name: str


@dataclass(frozen=True, slots=True)
class Gives:
    """A callable of which only the result is known: `Callable[[], Session]`, a lambda, a partial."""

    value: Value


@dataclass(frozen=True, slots=True)
class Coroutine:
    value: Value


@dataclass(frozen=True, slots=True)
class Generator:
    """A generator object; `function` made it."""

    value: Value
    function: Function
    is_async: bool = False


@dataclass(frozen=True, slots=True)
class Manager:
    """A context manager that binds `value`; `begins` for `Factory.begin()`."""

    value: Value
    is_async: bool = False


@dataclass(frozen=True, slots=True)
class Many:
    """A tuple."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    items: tuple[tuple[str, Value], ...]


Value: TypeAlias = (
    Unknown | Nothing | Constant | Engine | SessionClass | Maker | Registry | Session | Function | Class | Instance | Module | External
    | Made | Method | Gives | Coroutine | Generator | Manager | Many | Mapping
)  # fmt: skip

UNKNOWN = Unknown()
NOTHING = Nothing()


def join(values: list[Value]) -> Value:
    """The one thing that all of `values` are; None does not count, anything unknown or contradictory makes UNKNOWN."""
    left: list[Value] = []
    for value in values:
        if value not in left and value is not NOTHING:
            left.append(value)
    if not left:
        return NOTHING if values else UNKNOWN
    if any(value is UNKNOWN for value in left):
        return UNKNOWN
    first = left[0]
    for value in left[1:]:
        first = _common(first, value)
    return first


def _common(first: Value, second: Value) -> Value:
    if isinstance(first, Session) and isinstance(second, Session):
        return replace(
            first,
            kind=first.kind if first.kind == second.kind else None,
            options=options_of_both(first.options, second.options),
            how=first.how if first.how == second.how else "given",
        )
    if isinstance(first, Maker) and isinstance(second, Maker):
        kind = first.kind if first.kind == second.kind else None
        return replace(first, kind=kind, options=options_of_both(first.options, second.options))
    if isinstance(first, Registry) and isinstance(second, Registry):
        return replace(first, kind=first.kind if first.kind == second.kind else None, zope=first.zope or second.zope)
    if isinstance(first, Engine) and isinstance(second, Engine):
        return replace(first, autocommit=first.autocommit or second.autocommit) if first.kind == second.kind else UNKNOWN
    return UNKNOWN


def options_of_both(first: Options, second: Options) -> Options:
    expire = first.expire if first.expire == second.expire else None
    return Options(expire, first.given & second.given, first.autocommit or second.autocommit, first.autoflush and second.autoflush, first.momentary or second.momentary)


def shared(value: Value) -> Value:
    """The value as it is found under a module's or an object's name: a session there is nobody's fresh one."""
    return replace(value, how="shared") if isinstance(value, Session) and value.how == "new" else value


def is_sessional(value: Value) -> bool:
    """Whether a value is a session or a tuple of which one is a part, or gives one when awaited, entered or iterated over."""
    while isinstance(value, (Manager, Generator, Coroutine)):
        value = value.value
    return isinstance(value, Session) or (isinstance(value, Many) and any(is_sessional(item) for item in value.items))
