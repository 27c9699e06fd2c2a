"""enqueue-before-commit (SAS611): a task is told of a row that its sender commits only afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.finding import Note
from sa_session_lint.flow.graph import RETURNED
from sa_session_lint.model.expression import Attribute, Call, Expression, Name, Row, Table, Text
from sa_session_lint.model.value import External, Place
from sa_session_lint.project.enqueuing import asks_for, enqueued
from sa_session_lint.project.mapping import is_key
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.tracking import commits_behind, engine_of
from sa_session_lint.typestate.followed import Followed, Key
from sa_session_lint.typestate.state import Disjunct, Loc, Object
from sa_session_lint.typestate.trail import reachable, state_of
from sa_session_lint.typestate.way import Way


class EnqueueBeforeCommit(FlowCheck):
    rule = "enqueue-before-commit"

    def function(self, found: Followed) -> None:
        if found.coarse or is_aside(self.file.path):
            return
        for at, step in found.sketch.steps.items():
            if step.op == "call" and isinstance(step.value, Call):
                self.sent(at, step.value)

    def sent(self, at: int, call: Call) -> None:
        """Report a call that tells a worker of a row which is committed later, on some way."""
        what = enqueued(self.index, call, self.around, self.file.path)
        if what is None or not what.at_once or what.task is None:
            return
        for way in self.found.ways.get(at, ()):
            for given in what.given:
                for new in self.added(given, (at, way)):
                    commit = self.saved(at, way, new.loc) if new.loc is not None else None
                    if commit is not None and new.loc is not None and new.model is not None and asks_for(self.index, what.task, new.model):
                        node = self.node(at)
                        self.report(node, [*self.trail(at, way, new.loc), commit], call=self.code(node), name=self.written(node, given))
                        return

    def added(self, given: Expression, here: Key) -> Iterator[Object]:
        """The new rows that an argument names by their keys: those that were added since the last commit."""
        match given:
            case Attribute(owner, name):
                held = engine_of(self.index).transfer(self.found.sketch).evaluate(owner, Way(here[1]))
                if isinstance(held, Object) and held.new and not held.loaded and held.model is not None and is_key(self.index, held.model, name):
                    yield held
            case Name(name) if (bound := self.bound(name, here)) is not None:
                yield from (new for new in self.added(*bound) if new.loc is not None and self.is_unbroken(bound[1], here, new.loc))
            case Call(function, arguments) if self.index.value(function, self.around, self.file.path) in _PLAIN:
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

    def saved(self, at: int, way: Disjunct, loc: Loc) -> Note | None:
        """Where a session saves after a step what it has not saved there: in the function, or when the dependency that gave it goes on."""
        state = state_of(way, loc)
        if state is None or state.unsaved is None:
            return None
        later = reachable(self.found.sketch, at, state.opened)
        step = next((m.step for m in self.found.met if m.kind == "saved" and m.loc == loc and m.step in later and m.related == state.unsaved), None)
        if step is not None:
            return self.note(Place(self.file.path, self.found.sketch.steps[step].at), "committed only here")
        given = next((p for p in self.around.parameters if loc == ("parameter", p.name) and state.owner == "depends"), None)
        ends = [end for end in self.found.ends(RETURNED) if (left := state_of(end, loc)) is not None and left.unsaved == state.unsaved]
        place = commits_behind(self.index, given, self.around, self.file.path) if given is not None and ends else None
        return None if place is None else self.note(place, "committed only after this, when the function is over")


_PLAIN = frozenset({External("builtins.str"), External("builtins.int"), External("builtins.repr")})
