"""What following a function has shown, put together: what leaks, what is begun and not ended, and how it came to that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_session_lint.flow.graph import RAISED, RETURNED
from sa_session_lint.model.protocol import CONN, HOLDING, INACTIVE
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.engine import Followed
from sa_session_lint.typestate.state import Disjunct, Loc, Ref, SessionState, locs_in

FOREIGN = frozenset({"given", "stored", "yielded", "parameter", "depends", "ambient"})
"""The owners of a session that is not, or no longer, the function's own to close."""


@dataclass(frozen=True, slots=True)
class Station:
    """Where something happened to a session, and what."""

    place: Place
    text: str


@dataclass(slots=True, eq=False)
class Leak:
    """A session of the function's own that holds a connection at an end. `closes` are where it is closed on other ways: there, or by a call there."""

    loc: Loc
    state: SessionState
    opened: Place
    end: int
    disjunct: Disjunct
    closes: tuple[Place, ...]


def leaks(found: Followed) -> Iterator[Leak]:
    """One leak for each session, the one that needs no exception first."""
    if found.coarse:
        return
    path = found.sketch.function.path
    closes: dict[Loc, dict[Place, None]] = {}
    foreign: set[Loc] = set()
    for (_, disjunct), before in found.came.items():
        for loc, state in disjunct.heap:
            origin = _origin(loc)
            if state.closed is not None and before is not None and (then := _state(before[1], loc)) is not None and then.closed is None:
                closes.setdefault(origin, {})[Place(path, found.sketch.steps[before[0]].at)] = None
            if state.owner in FOREIGN:
                foreign.add(origin)
    foreign |= {_origin(loc) for disjunct in found.ends(RETURNED) for loc in locs_in(dict(disjunct.env).get("return"))}
    names = {name for name, _ in found.sketch.parameters}
    # `session = session or Session()`
    foreign |= {_origin(loc) for _, way in found.came for key, value in way.env if key in names for loc in locs_in(value)}
    seen: set[Loc] = set()
    for end in (RETURNED, RAISED):
        for disjunct in found.ends(end):
            value = dict(disjunct.env).get("return")
            for loc, state in sorted(disjunct.heap, key=repr):
                origin = _origin(loc)
                if state.owner != "here" or state.txn not in HOLDING or origin in foreign or origin in seen:
                    continue
                if state.reopened is not None or state.begun is not None or state.opened is None or state.opened.path != path:
                    continue
                if end == RETURNED and loc in locs_in(value):
                    continue
                seen.add(origin)
                yield Leak(loc, state, state.opened, end, disjunct, tuple(closes.get(origin, ())))


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


def history(found: Followed, step: int, disjunct: Disjunct, loc: Loc, limit: int = 6) -> list[Station]:
    """What happened to a session on the way to a step, in order."""
    stations: list[Station] = []
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None:
        before = found.came.get(here)
        if before is not None:
            now, then = _state(here[1], loc), _state(before[1], loc)
            if now != then and before[0] in found.sketch.steps:
                text = _change(then, now)
                if text is not None:
                    stations.append(Station(Place(found.sketch.function.path, found.sketch.steps[before[0]].at), text))
            if before[0] in found.sketch.steps and found.sketch.steps[before[0]].op == "catch" and now is not None and now.txn is INACTIVE:
                stations.append(Station(Place(found.sketch.function.path, found.sketch.steps[before[0]].at), "the error is caught here"))
        here = before
    stations.reverse()
    return stations if len(stations) <= limit else [stations[0], *stations[-limit + 1 :]]


def name_of(disjunct: Disjunct, loc: Loc) -> str | None:
    """The name under which a session goes on a way."""
    names = sorted(key for key, value in disjunct.env if isinstance(key, str) and key != "return" and isinstance(value, Ref) and value.loc == loc)
    return names[0] if names else None


def _state(disjunct: Disjunct, loc: Loc) -> SessionState | None:
    for key, state in disjunct.heap:
        if key == loc:
            return state
    return None


def _origin(loc: Loc) -> Loc:
    while loc and loc[0] == "older":
        loc = loc[1]  # type: ignore[assignment]  # a Loc within a Loc
    return loc


def _change(then: SessionState | None, now: SessionState | None) -> str | None:
    if now is None:
        return None
    if then is None:
        return "opened here" if now.owner in {"here", "with"} else None
    if now.closed is not None and then.closed is None:
        return "closed here"
    if now.txn is INACTIVE and then.txn is not INACTIVE:
        return "a flush may fail here"
    if then.txn is not now.txn and not now.blocks and now.given_back and now.txn not in HOLDING and then.txn in HOLDING:
        return "committed here" if now.saved and not then.saved else "ended here"
    if len(now.blocks) > len(then.blocks):
        return "the block begins here"
    if now.unsaved is not None and then.unsaved is None:
        return "written here"
    if now.txn is CONN and then.txn is not CONN:
        return "takes a connection here"
    return None
