"""A function cut down to what can touch a session: the steps of its flow graph, with expressions instead of syntax nodes.

    def names():                          0 call SessionLocal() -> 1 !raised      what a name stands for is asked of the index, not decided here
        s = SessionLocal()                1 bind s -> 2
        greet()                           2 may -> 3 !raised                      whatever else may raise
        return s.query(User).all()        ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

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
    Row,
    Series,
    Star,
    Table,
)
from sa_session_lint.typestate.state import Condition

if TYPE_CHECKING:
    from sa_session_lint.model.value import Function

Op = Literal[
    "call", "await", "yield", "test", "fork", "pick", "bind", "drop", "enter", "leave", "next", "dispatch", "catch", "return", "raise", "may", "end"
]
ENDS = (RETURNED, RAISED, ABANDONED)


@dataclass(frozen=True, slots=True)
class SketchStep:
    """One step. `value` is the expression concerned, `targets` what a `bind`, `enter` or `next` binds, `at` the node's number in its file."""

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


@dataclass(slots=True, eq=False)
class Sketch:
    """The steps of a function by number; 0, 1 and 2 are its ends. `parameters` in order, each with whether it may be None by default.

    `kept` are the parameters that it never binds anew and reads but once; `within` numbers the `if`, loops and handlers around its calls.
    """

    function: Function
    steps: dict[int, SketchStep]
    start: int
    parameters: tuple[tuple[str, bool], ...]
    locals: frozenset[str]
    is_async: bool
    is_generator: bool
    manages: bool
    coarse: bool = False
    me: str | None = None
    closures: dict[str, frozenset[str]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    within: dict[int, tuple[int, ...]] = field(default_factory=dict)


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
        case Row(items) | Choice(items):
            for item in items:
                names_in(item, found, calls)
        case Table(pairs):
            for key, item in pairs:
                names_in(key, found, calls)
                names_in(item, found, calls)
        case Const():
            pass


def wanted(sketch: Sketch) -> dict[int, set[object]]:
    """What matters still at each step: the names that it or a later one may read, the conditions that may be asked again."""
    found: dict[int, set[object]] = {}
    bound: dict[int, set[str]] = {}
    for at, step in sketch.steps.items():
        names: set[str] = set()
        for expression in (step.value, *(value for _, value in step.targets), *(target for target, _ in step.targets if not isinstance(target, Name))):
            if expression is not None:
                names_in(expression, names, [])
        if step.condition is not None:
            names |= step.condition.names
        for name in names & sketch.closures.keys():
            names |= sketch.closures[name]
        found[at] = {*names} if step.condition is None else {*names, step.condition.key}
        bound[at] = {target.name for target, _ in step.targets if isinstance(target, Name)} if step.op == "bind" else set()
    growing = True
    while growing:
        growing = False
        for at in reversed(list(found)):
            step, here = sketch.steps[at], found[at]
            before = len(here)
            for to in (*step.next, step.error, step.base):
                if to in found:
                    here |= found[to] - bound[at]
            growing |= len(here) != before
    return found


def contract(steps: dict[int, SketchStep], start: int, keep: Callable[[SketchStep], bool]) -> tuple[dict[int, SketchStep], int]:
    """Leave out what need not be kept: a step that only passes control on vanishes, one that may raise becomes a `may`."""
    alias: dict[int, int] = {at: at for at in ENDS}

    def resolve(at: int) -> int:
        chain: list[int] = []
        while alias.get(at, at) != at:
            chain.append(at)
            at = alias[at]
        for each in chain:
            alias[each] = at
        return at

    light: dict[int, SketchStep] = {}
    for at, step in steps.items():
        if keep(step):
            light[at] = step
        elif step.op == "leave" and step.raising and step.error is not None:
            alias[at] = step.error  # what is not followed swallows nothing
        elif step.error is not None and step.op != "next":
            light[at] = SketchStep("may", step.at, step.next[:1], step.error)
        elif len(step.next) > 1:
            light[at] = SketchStep("fork", step.at, step.next, step.error)
        elif step.next:
            alias[at] = step.next[0]
        else:
            light[at] = step
    changed = True
    while changed:
        changed = False
        for at, step in list(light.items()):
            if resolve(at) != at:
                continue
            if step.op == "fork":
                to = tuple(dict.fromkeys(resolve(n) for n in step.next if resolve(n) != at))
                if len(to) == 1 and step.error is None:
                    alias[at] = to[0]
                    changed = True
            elif step.op == "may":
                then = resolve(step.next[0])
                after = light.get(then)
                if then != at and after is not None and after.op == "may" and step.error is not None and after.error is not None:
                    if resolve(after.error) == resolve(step.error):
                        alias[at] = then
                        changed = True
    final: dict[int, SketchStep] = {}
    stack = [resolve(start)]
    while stack:
        at = stack.pop()
        if at in final or at in ENDS:
            continue
        step = light[at]
        to = tuple(resolve(n) for n in step.next)
        if step.op in {"fork", "dispatch"}:
            to = tuple(dict.fromkeys(to))
        error = None if step.error is None else resolve(step.error)
        base = None if step.base is None else resolve(step.base)
        final[at] = _moved(step, to, error, base)
        stack += [n for n in (*to, error, base) if n is not None]
    return final, resolve(start)


def _moved(step: SketchStep, to: tuple[int, ...], error: int | None, base: int | None) -> SketchStep:
    return SketchStep(
        step.op, step.at, to, error, base, step.value, step.targets, step.condition, step.raising, step.option, step.names, step.handler, step.lazy
    )
