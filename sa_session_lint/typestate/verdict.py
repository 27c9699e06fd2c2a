"""How a session came to be what it is at a step, in words, and what it is called there."""

from __future__ import annotations

from dataclasses import dataclass

from sa_session_lint.model.protocol import CONN, HOLDING, INACTIVE
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.engine import Followed
from sa_session_lint.typestate.state import Disjunct, Loc, Ref, SessionState


@dataclass(frozen=True, slots=True)
class Station:
    """Where something happened to a session, and what."""

    place: Place
    text: str


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
