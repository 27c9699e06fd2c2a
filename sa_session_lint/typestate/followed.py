"""What following a sketch has found: the ways to each step, whence each came, and the faults met on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from sa_session_lint.model.protocol import BEGUN, CONN, CTXDONE, INACTIVE
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.sketch import Sketch
from sa_session_lint.typestate.state import (
    Disjunct,
    Loc,
    Object,
)

LEADING = {"use of inactive": {INACTIVE}, "caught use of inactive": {INACTIVE}, "use of done": {CTXDONE}, "begin of begun": {BEGUN, CONN, INACTIVE}}
"""The states of a transaction in which an operation must raise, by the fault that it is. `caught` by the function that was called, it did not come out of that."""

CERTAIN = frozenset({"use after close", "rows after close", "not awaited", "expired read", "lazy read", "async read", "reload", "unflushed read", "expired dump", "stale read", "other session", "not persistent", "serialised read", "merged read", "merged key", "merged use", "merged write", "lost change"})
"""Faults that are faults only when every way to their step meets them."""
SOMETIMES = frozenset({*LEADING, "server read"})
"""Faults that surely raise on the ways that meet them, whatever other ways do. Where ways are not told apart, none of them can be believed."""

Key: TypeAlias = "tuple[int, Disjunct]"



@dataclass(slots=True, eq=False)
class Met:
    """A fault on one way: what, where, of which session, and the place that goes with it."""

    kind: str
    step: int
    loc: Loc
    related: Place | None
    disjunct: Disjunct


@dataclass(slots=True, eq=False)
class Followed:
    """A sketch with its ways: `ways[step]` the disjuncts there, `came[step, disjunct]` whence."""

    sketch: Sketch
    ways: dict[int, dict[Disjunct, None]] = field(default_factory=dict)
    came: dict[Key, Key | None] = field(default_factory=dict)
    met: list[Met] = field(default_factory=list)
    coarse: bool = False
    believed: list[Met] | None = None  # once somebody has asked

    def steps_to(self, step: int, disjunct: Disjunct) -> list[int]:
        """The steps of a way to a step, the last one first."""
        steps: list[int] = []
        here: Key | None = (step, disjunct)
        while here is not None:
            steps.append(here[0])
            here = self.came.get(here)
        return steps

    def ends(self, end: int) -> list[Disjunct]:
        return list(self.ways.get(end, ()))


def certain(found: Followed) -> list[Met]:
    """The faults that may be believed: those that must hold on every way, if they do."""
    if found.believed is None:
        found.believed = _certain(found)
    return found.believed


def _certain(found: Followed) -> list[Met]:
    if found.coarse:
        return [m for m in found.met if m.kind not in CERTAIN | SOMETIMES]
    counts: dict[tuple[int, str, Loc], set[Disjunct]] = {}
    for met in found.met:
        counts.setdefault((met.step, met.kind, met.loc), set()).add(met.disjunct)
    kept: list[Met] = []
    for met in found.met:
        meeting = counts[met.step, met.kind, met.loc]
        if met.kind in CERTAIN and len(meeting) < sum(not _had(way, met) for way in found.ways[met.step]) and not _comes_round(found, met, meeting):
            continue
        if met.kind in {"use of inactive", "caught use of inactive"} and met.related is None:
            continue  # `begin_nested()` flushes, and who tries a savepoint seldom plans for what was added before
        kept.append(met)
    return kept


def _comes_round(found: Followed, met: Met, meeting: set[Disjunct]) -> bool:
    """Whether a fault is met in every turn of a loop but the first: what has led to it stands in the loop, and no way that went past that is spared on
    which the object is known."""
    if not turns(found, met):
        return False
    names = [name for name, value in met.disjunct.env if isinstance(value, Object) and met.related in {value.expired, value.detached}]
    spared = [way for way in found.ways[met.step] if way not in meeting and any(isinstance(way.env.mapping.get(name), Object) for name in names)]
    return not any(_cause(found, met) in found.steps_to(met.step, way) for way in spared)


def turns(found: Followed, met: Met) -> bool:
    """Whether a loop has begun a new turn between what has led to a fault and the fault."""
    steps, cause = found.steps_to(met.step, met.disjunct), _cause(found, met)
    if cause not in steps:
        return False
    last = steps.index(cause)
    return any(found.sketch.steps[at].op == "next" for at in steps[:last] if at in steps[last:])


def _cause(found: Followed, met: Met) -> int | None:
    """The step at the place that goes with a fault."""
    return next((at for at, step in found.sketch.steps.items() if step.op in {"call", "await"} and met.related == Place(found.sketch.function.path, step.at)), None)


def _had(way: Disjunct, met: Met) -> bool:
    """Whether a way has met this fault before: it is the next turn of a loop."""
    return met.kind == "use after close" and any(loc == met.loc and state.reopened == met.related for loc, state in way.heap)
