"""What one turn of a loop undoes of the turns before it.

    for row in rows:
        try:
            session.add(User(**row))        the second turn comes here with what the first has written and not committed
            session.flush()
        except IntegrityError:
            session.rollback()              undoes both
    session.commit()                        saves what came after
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sa_session_lint.model.expression import Attribute, Await, Call
from sa_session_lint.model.protocol import IDLE, INACTIVE
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.sketch import SketchStep
from sa_session_lint.typestate.state import Disjunct, Frozen, Loc
from sa_session_lint.typestate.trail import state_of

if TYPE_CHECKING:
    from sa_session_lint.typestate.engine import Engine

_EARLIER = Place("", 2)
"""Where a session was written to in an earlier turn."""


@dataclass(frozen=True, slots=True)
class Turns:
    """A loop: the steps with which each turn begins, and all that belong to it."""

    heads: frozenset[int]
    steps: frozenset[int]


@dataclass(frozen=True, slots=True)
class Undone:
    """A rollback, `step`, in the handler of an error that undoes what an earlier turn has `written` to a session, and the commit that saves what later turns write."""

    step: int
    disjunct: Disjunct
    loc: Loc
    written: Place
    saved: int


def undone(found: Followed, engine: Engine, turns: Turns) -> Iterator[Undone]:
    """The rollbacks in a loop that undo what earlier turns of it have written; the loop goes on, and what comes after is committed."""
    sketch = found.sketch
    places = {Place(sketch.function.path, sketch.steps[step].at) for step in turns.steps}
    commits = {met.loc for met in found.met if met.kind == "saved" and met.step in turns.steps and not _is_commit(sketch.steps[met.step])}
    for loc in dict.fromkeys(met.loc for met in found.met if met.kind == "written" and met.step in turns.steps and met.loc not in commits):
        first = engine.follow(sketch, _at_heads(found, turns, loc, None))
        wrote = [state.unsaved for head in turns.heads for way in first.ways.get(head, ()) if (state := state_of(way, loc)) is not None and state.unsaved in places]
        later = engine.follow(sketch, _at_heads(first, turns, loc, _EARLIER)) if wrote else first
        for (to, after), before in later.came.items() if wrote else ():
            if before is None or before[0] not in turns.steps or not sketch.steps[before[0]].handler or not _is_rolled_back(later, before, after, loc):
                continue
            rest = engine.follow(sketch, [(to, after)])
            saved = next((met for met in rest.met if met.kind == "saved" and met.loc == loc), None)
            if saved is not None and wrote[0] is not None and not turns.heads.isdisjoint(rest.ways) and not (first.coarse or later.coarse or rest.coarse):
                yield Undone(*before, loc, wrote[0], saved.step)


def _is_commit(step: SketchStep) -> bool:
    """Whether a step commits by itself, and not by a function that commits on some ways only."""
    call = step.value.value if isinstance(step.value, Await) else step.value
    return isinstance(call, Call) and isinstance(call.function, Attribute) and call.function.name == "commit"


def _at_heads(found: Followed, turns: Turns, loc: Loc, written: Place | None) -> list[tuple[int, Disjunct]]:
    """The ways on which a turn begins, as if the session had been `written` to there; of `_EARLIER` those alone on which it has been, and nothing has failed."""
    ways = ((head, way, state_of(way, loc)) for head in sorted(turns.heads) for way in found.ways.get(head, ()))
    return [(head, _written(way, loc, written)) for head, way, state in ways if state is not None and (written is None or (state.unsaved is not None and state.txn is not INACTIVE))]


def _written(way: Disjunct, loc: Loc, place: Place | None) -> Disjunct:
    """The same way, on which a session was written to at a place."""
    return way._replace(heap=Frozen((key, state._replace(unsaved=place) if key == loc else state) for key, state in way.heap))


def _is_rolled_back(later: Followed, before: tuple[int, Disjunct], after: Disjunct, loc: Loc) -> bool:
    """Whether a step throws away what was written in an earlier turn, and the session is there for the next one."""
    then, now = state_of(before[1], loc), state_of(after, loc)
    failed = then.poisoned if then is not None else None
    if failed is not None and failed.path == later.sketch.function.path and any(step.at == failed.at and _is_commit(step) for step in later.sketch.steps.values()):
        return False  # a commit that fails loses all that it was to save, whoever rolls back
    if then is None or now is None or then.unsaved != _EARLIER or now.unsaved is not None or now.txn is not IDLE or now.closed is not None:
        return False
    return after.raising is None and not any(met.kind == "saved" and (met.step, met.disjunct, met.loc) == (*before, loc) for met in later.met)
