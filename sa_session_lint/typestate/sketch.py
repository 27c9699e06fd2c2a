"""A function cut down to what can touch a session: the steps of its flow graph, with expressions instead of syntax nodes.

    def names():                          0 call SessionLocal() -> 1 !raised      what a name stands for is asked of the index, not decided here
        s = SessionLocal()                1 bind s -> 2
        greet()                           2 may -> 3 !raised                      whatever else may raise
        return s.query(User).all()        ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from sa_session_lint.flow.graph import ABANDONED, RAISED, RETURNED
from sa_session_lint.model.expression import (
    Attribute,
    Await,
    Call,
    Choice,
    Const,
    Each,
    Enter,
    Expression,
    Item,
    Lambda,
    Name,
    Reads,
    Row,
    Series,
    Star,
    Table,
    Text,
)
from sa_session_lint.typestate.state import Condition

if TYPE_CHECKING:
    from sa_session_lint.model.value import Function

Op = Literal[
    "call", "await", "yield", "test", "fork", "pick", "bind", "drop", "enter", "leave", "next", "dispatch", "catch", "return", "raise", "may", "end"
]
ENDS = (RETURNED, RAISED, ABANDONED)


class SketchStep(NamedTuple):
    """One step. `value` is the expression concerned, `targets` what a `bind`, `enter` or `next` binds, `at` the number of its node in the file,
    of a `next` that of what is looped over, `filled` the container that surely holds something then."""

    op: Op
    at: int
    next: tuple[int, ...]
    error: int | None = None
    base: int | None = None
    value: Expression | None = None
    targets: tuple[tuple[Expression, Expression], ...] = ()
    condition: Condition | None = None
    raising: bool = False
    option: int = 0
    names: tuple[str, ...] = ()
    handler: int = 0
    lazy: bool = False
    misuse: int | None = None
    filled: str | None = None


def call_at(step: SketchStep) -> int:
    """The number of the call that a step makes or awaits; of any other step its own."""
    return step.value.value.at if isinstance(step.value, Await) and isinstance(step.value.value, Call) else step.at


@dataclass(slots=True, eq=False)
class Sketch:
    """The steps of a function by number; 0, 1 and 2 are its ends. `parameters` in order, each with its default.

    `kept` are the parameters that it never binds anew and reads but once; `within` numbers the `if`, loops and handlers around its calls.
    `handled` are the parameters that sessions are given: their objects go with a call. `spawns`: it may start what runs beside it. `seeded` are the steps that bind the first row of a table, which is there;
    `once` the loops over one thing.
    """

    function: Function
    steps: dict[int, SketchStep]
    start: int
    parameters: tuple[tuple[str, Expression | None], ...]
    locals: frozenset[str]
    is_async: bool
    is_generator: bool
    manages: bool
    coarse: bool = False
    me: str | None = None
    closures: dict[str, frozenset[str]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    within: dict[int, tuple[int, ...]] = field(default_factory=dict)
    spawns: bool = False
    handled: frozenset[str] = frozenset()
    seeded: frozenset[int] = frozenset()
    once: frozenset[int] = frozenset()


def is_count(value: Expression) -> bool:
    """Whether a value counts the turns of a loop from 0: the first part of what `enumerate(...)` gives."""
    match value:
        case Item(Each(Call(Name("enumerate"), (_,), ())), Const(0)):
            return True
    return False


def names_in(expression: Expression, found: set[str], calls: list[Call]) -> None:
    """Collect the names that an expression reads and the calls in it."""
    match expression:
        case Name(name):
            found.add(name)
        case Series(value, _, source):
            names_in(value, found, calls)
            if source is not None:
                names_in(source, found, calls)
        case Attribute(value, _) | Await(value) | Enter(value) | Each(value) | Star(value) | Lambda(value):
            names_in(value, found, calls)
        case Call():
            calls.append(expression)
            names_in(expression.function, found, calls)
            for argument in expression.arguments:
                names_in(argument, found, calls)
            for _, argument in expression.keywords:
                names_in(argument, found, calls)
        case Item(value, key):
            names_in(value, found, calls)
            names_in(key, found, calls)
        case Row(items) | Choice(items) | Text(items) | Reads(items):
            for item in items:
                names_in(item, found, calls)
        case Table(pairs):
            for key, item in pairs:
                names_in(key, found, calls)
                names_in(item, found, calls)
        case Const():
            pass


def attributes_in(part: object) -> Iterator[tuple[str, str]]:
    """Names, each with an attribute that an expression, or the key of a condition, reads of it. What is called is not read."""
    match part:
        case Attribute(Name(name), attribute) | ("attribute", ("name", str() as name), str() as attribute):
            yield name, attribute
        case Call(function, arguments, keywords):
            if isinstance(function, Attribute):
                yield from attributes_in(function.value)
            for each in (*arguments, *(value for _, value in keywords)):
                yield from attributes_in(each)
        case Attribute(value, _) | Await(value) | Enter(value) | Each(value) | Star(value):
            yield from attributes_in(value)
        case Item(value, key):
            yield from attributes_in(value)
            yield from attributes_in(key)
        case Row(items) | Text(items) | Reads(items):
            for each in items:
                if isinstance(each, Name) and isinstance(part, Text):
                    yield each.name, "__str__"
                yield from attributes_in(each)
        case tuple():
            for each in part:
                yield from attributes_in(each)
