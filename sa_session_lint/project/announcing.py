"""What a function tells workers of rows that nobody else can see yet: they were added to a session that has not committed since.

    session.add(order)
    session.flush()
    order_id = order.id
    deliver.delay(order_id)         Announced(step, way, order_id, Object(Order))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from sa_session_lint.model.expression import Attribute, Call, Expression, Name, Row, Table, Text
from sa_session_lint.model.value import External
from sa_session_lint.project.enqueuing import asks_for, enqueued
from sa_session_lint.project.mapping import is_key
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.typestate.followed import Followed, Key
from sa_session_lint.typestate.state import Disjunct, Loc, Object
from sa_session_lint.typestate.trail import state_of
from sa_session_lint.typestate.way import Way

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


class Announced(NamedTuple):
    """A step that sends a task, on one way to it, the argument that names a new row by its key, and the session that the row is in."""

    step: int
    way: Disjunct
    given: Expression
    loc: Loc


def announced(index: Index, found: Followed, scope: Scope) -> tuple[Announced, ...]:
    """Each key of a row not committed yet that a function sends to a task which asks for such rows."""
    function = found.sketch.function
    return index.once(("announced", function.path, function.qualname), lambda: () if found.coarse else tuple(_Announcing(index, found, scope).search()))


class _Announcing:
    def __init__(self, index: Index, found: Followed, scope: Scope) -> None:
        self.index, self.found, self.scope = index, found, scope
        self.path = found.sketch.function.path
        self.transfer = engine_of(index).transfer(found.sketch)

    def search(self) -> Iterator[Announced]:
        for at, step in self.found.sketch.steps.items():
            call = step.value
            what = enqueued(self.index, call, self.scope, self.path) if step.op == "call" and isinstance(call, Call) else None
            if what is None or not what.at_once or what.task is None:
                continue
            for way in self.found.ways.get(at, ()):
                for given in what.given:
                    for new in self.added(given, (at, way)):
                        if new.loc is not None and new.model is not None and asks_for(self.index, what.task, new.model):
                            state = state_of(way, new.loc)
                            if state is not None and state.unsaved is not None:
                                yield Announced(at, way, given, new.loc)

    def added(self, given: Expression, here: Key) -> Iterator[Object]:
        """The new rows that an argument names by their keys: those that were added since the last commit."""
        match given:
            case Attribute(owner, name):
                held = self.transfer.evaluate(owner, Way(here[1]))
                if isinstance(held, Object) and held.new and not held.loaded and held.model is not None and is_key(self.index, held.model, name):
                    yield held
            case Name(name) if (bound := self.bound(name, here)) is not None:
                yield from (new for new in self.added(*bound) if new.loc is not None and self.is_unbroken(bound[1], here, new.loc))
            case Call(function, arguments) if self.index.value(function, self.scope, self.path) in _PLAIN:
                for argument in arguments:
                    yield from self.added(argument, here)
            case Row(items) | Text(items):
                for item in items:
                    yield from self.added(item, here)
            case Table(pairs):
                for _, item in pairs:
                    yield from self.added(item, here)

    def bound(self, name: str, here: Key) -> tuple[Expression, Key] | None:
        """What a name was bound to last on the way to a step, and where."""
        before = self.found.came.get(here)
        while before is not None:
            step = self.found.sketch.steps.get(before[0])
            value = next((value for target, value in step.targets if target == Name(name)), None) if step is not None else None
            if step is not None and value is not None:
                return (value, before) if step.op == "bind" else None
            before = self.found.came.get(before)
        return None

    def is_unbroken(self, first: Key, last: Key, loc: Loc) -> bool:
        """Whether a session has neither committed nor rolled back between two steps on one way."""
        wanted = state_of(last[1], loc)
        here: Key | None = last
        while here is not None and here != first:
            state = state_of(here[1], loc)
            if wanted is None or state is None or state.unsaved != wanted.unsaved:
                return False
            here = self.found.came.get(here)
        return True


_PLAIN = frozenset({External("builtins.str"), External("builtins.int"), External("builtins.repr")})
