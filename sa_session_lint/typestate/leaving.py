"""What a function leaves behind at its ends: sessions that hold a connection, work that nobody commits, transactions that nobody ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sa_session_lint.flow.graph import RAISED, RETURNED
from sa_session_lint.model.expression import Attribute, Await, Call
from sa_session_lint.model.protocol import CONN, HOLDING, METHODS
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.sketch import call_at
from sa_session_lint.typestate.state import Abstract, Disjunct, Known, Loc, SessionState, locs_in
from sa_session_lint.typestate.trail import origin_of, state_of

FOREIGN = frozenset({"given", "shared", "stored", "yielded", "parameter", "depends", "ambient"})
"""The owners of a session that is not, or no longer, the function's own to close."""


@dataclass(slots=True, eq=False)
class Leak:
    """A session of the function's own that holds a connection at an end. `closes` are where it is closed on other ways: there, or by a call there;
    `raised` is the node of what raised, by number, on a way that needs an exception."""

    loc: Loc
    state: SessionState
    opened: Place
    end: int
    disjunct: Disjunct
    closes: tuple[Place, ...]
    raised: int | None = None


def leaks(found: Followed) -> Iterator[Leak]:
    """One leak for each session, the one that needs no exception first."""
    if found.coarse:
        return
    path = found.sketch.function.path
    closes: dict[Loc, dict[Place, None]] = {}
    foreign: set[Loc] = set()
    passed: set[Loc] = set()
    for (_, disjunct), before in found.came.items():
        for loc, state in disjunct.heap:
            origin = origin_of(loc)
            if state.closed is not None and before is not None and (then := state_of(before[1], loc)) is not None and then.closed is None:
                closes.setdefault(origin, {})[Place(path, found.sketch.steps[before[0]].at)] = None
            if state.owner in FOREIGN:
                foreign.add(origin)
            if state.owner == "passed":
                passed.add(origin)
    foreign |= passed - closes.keys()  # who closes a session itself relies on nobody else for that
    foreign |= {origin_of(loc) for disjunct in found.ends(RETURNED) for loc in locs_in(dict(disjunct.env).get("return"))}
    names = {name for name, _ in found.sketch.parameters}
    # `session = session or Session()`
    foreign |= {origin_of(loc) for _, way in found.came for key, value in way.env if key in names for loc in locs_in(value)}
    seen: set[Loc] = set()
    for end in (RETURNED, RAISED):
        for disjunct in sorted(found.ends(end), key=lambda way: any(state.unsure for _, state in way.heap)):
            value = dict(disjunct.env).get("return")
            for loc, state in sorted(disjunct.heap, key=repr):
                origin = origin_of(loc)
                if state.owner not in {"here", "passed"} or state.txn not in HOLDING or origin in foreign or origin in seen:
                    continue
                if state.reopened is not None or state.begun is not None or state.opened is None or state.opened.path != path:
                    continue
                if end == RETURNED and loc in locs_in(value):
                    continue
                if state.is_connection and state.fresh:
                    continue  # nothing was asked of it: it goes with the last name that leads to it
                if end == RAISED and _saves_nothing(found, disjunct, loc):
                    continue
                if origin in closes and _passes(found, (end, disjunct), closes[origin], state.opened):
                    continue  # a helper is reached that does not close it: that is the helper's fault
                seen.add(origin)
                last = _raised_at(found, end, disjunct)
                every = tuple(closes.get(origin, ()))
                yield Leak(loc, state, state.opened, end, disjunct, tuple(close for close in every if last is None or close.at > last) or every, last)


@dataclass(slots=True, eq=False)
class Loss:
    """Work that a session of the function's own never commits, though nothing is raised: `write` is its first write."""

    loc: Loc
    state: SessionState
    write: Place
    step: int
    disjunct: Disjunct


def losses(found: Followed) -> Iterator[Loss]:
    """Each first write that some way loses, unless it passed a commit or went round one that stands under a condition."""
    if found.coarse:
        return
    foreign = {loc for _, disjunct in found.came for loc, state in disjunct.heap if state.owner in FOREIGN}
    seen: set[Place] = set()
    for met in found.met:
        if met.kind == "lost" and met.related is not None and met.related not in seen and met.loc not in foreign and _is_meant(found, met.step, met.disjunct, met.loc, met.related):
            seen.add(met.related)
            yield Loss(met.loc, dict(met.disjunct.heap)[met.loc], met.related, met.step, met.disjunct)
    for disjunct in found.ends(RETURNED):
        value = dict(disjunct.env).get("return")
        for loc, state in disjunct.heap:
            if state.unsaved is None or state.owner != "here" or loc in foreign or state.unsaved in seen or loc in locs_in(value):
                continue
            if _is_meant(found, RETURNED, disjunct, loc, state.unsaved):
                seen.add(state.unsaved)
                yield Loss(loc, state, state.unsaved, RETURNED, disjunct)


def unended(found: Followed) -> Iterator[tuple[Place, Loc, Disjunct]]:
    """Each `begin()` of a session of the function's own after which some way ends, nothing raised, with the transaction still open."""
    if found.coarse:
        return
    seen: set[Place] = set()
    for disjunct in found.ends(RETURNED):
        given = locs_in(dict(disjunct.env).get("return"))
        for loc, state in sorted(disjunct.heap, key=repr):
            if state.begun is not None and state.owner == "here" and state.begun not in seen and loc not in given:
                seen.add(state.begun)
                yield state.begun, loc, disjunct


def is_left_by_another(found: Followed, loc: Loc, unsaved: Place) -> bool:
    """Whether what is unsaved was written by a called function that saves its work itself, unless it fails."""
    steps = {met.step for met in found.met if met.kind == "written" and met.loc == loc and met.related == unsaved}
    saving = {met.step for met in found.met if met.kind == "saved" and met.loc == loc}
    return bool(steps) and steps <= saving


def _is_meant(found: Followed, step: int, disjunct: Disjunct, loc: Loc, write: Place) -> bool:
    """Whether a way on which a write is lost should have saved it: no error led there, and the commits of other ways are under no condition of their own."""
    passed: set[int] = set()
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None:
        state = state_of(here[1], loc)
        if here[0] != step and (state is None or state.unsaved != write):
            break
        if here[1].raising is not None:
            return False
        passed.add(here[0])
        here = found.came.get(here)
    within = found.sketch.within
    around = set(within.get(write.at, ()))
    commits = {met.step for met in found.met if met.kind == "saved" and met.related == write}
    if commits and (_is_refusal(dict(disjunct.env).get("return")) or is_left_by_another(found, loc, write)):
        return False
    return not commits or (commits.isdisjoint(passed) and any(around.issuperset(within.get(call_at(found.sketch.steps[each]), ())) for each in commits))


def _is_refusal(value: Abstract) -> bool:
    """Whether a function gives nothing, or False: where it saves what it has written on other ways, it may have found here that there is nothing to save."""
    return isinstance(value, Known) and not value.value


def _raised_at(found: Followed, end: int, way: Disjunct) -> int | None:
    """The node of the step that raised what ends a way, by number; None when nothing did."""
    here: tuple[int, Disjunct] | None = (end, way)
    while here is not None and here[1].raising is not None:
        here = found.came.get(here)
    step = found.sketch.steps.get(here[0]) if here is not None and end == RAISED else None
    return step.at if step is not None else None


def _passes(found: Followed, here: tuple[int, Disjunct] | None, places: Iterable[Place], opened: Place) -> bool:
    """Whether a way leads past one of these places since a session was opened."""
    numbers = {place.at for place in places}
    while here is not None and ((step := found.sketch.steps.get(here[0])) is None or step.at != opened.at):
        if step is not None and step.at in numbers:
            return True
        here = found.came.get(here)
    return False


def _saves_nothing(found: Followed, way: Disjunct, loc: Loc) -> bool:
    """Whether what raises at last on a way is the commit of a session that has, as far as is known, nothing to save: a lost connection alone does that."""
    here: tuple[int, Disjunct] | None = (RAISED, way)
    while here is not None and (before := found.came.get(here)) is not None:
        step = found.sketch.steps[before[0]]
        if step.op in {"call", "await"} and step.error == here[0]:
            call = step.value.value if isinstance(step.value, Await) else step.value
            state = state_of(before[1], loc)
            is_commit = isinstance(call, Call) and isinstance(call.function, Attribute) and METHODS.get(call.function.name) == "commit"
            return is_commit and state is not None and state.txn is CONN and not state.pending and state.unsaved is None
        here = before
    return False
