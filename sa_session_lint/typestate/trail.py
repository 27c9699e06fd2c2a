"""How it came to something: the ways of a function read backwards, from a step to where a session was opened, failed or was caught."""

from __future__ import annotations

from dataclasses import dataclass

from sa_session_lint.flow.graph import RAISED
from sa_session_lint.model.protocol import CONN, HOLDING, INACTIVE, Txn
from sa_session_lint.model.value import Place
from sa_session_lint.model.vocabulary import FLUSH_ERRORS, PENDING_ERRORS
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.sketch import Sketch, SketchStep
from sa_session_lint.typestate.state import Disjunct, Loc, Ref, Scope, SessionState

FAILED = "a flush may fail here"


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
            now, then = state_of(here[1], loc), state_of(before[1], loc)
            if now != then and before[0] in found.sketch.steps:
                text = _change(then, now)
                if text is not None:
                    at = Place(found.sketch.function.path, found.sketch.steps[before[0]].at)
                    if text == FAILED and now is not None and now.poisoned is not None and now.poisoned != at:
                        raises = here[1].raising is not None
                        stations.append(Station(at, "the call passes the error on" if raises else "the call comes back all the same"))
                        at, text = now.poisoned, FAILED if raises else f"{FAILED}, and nothing is rolled back"
                    stations.append(Station(at, text))
            if before[0] in found.sketch.steps and found.sketch.steps[before[0]].op == "catch" and now is not None and now.txn is INACTIVE:
                stations.append(Station(Place(found.sketch.function.path, found.sketch.steps[before[0]].at), "the error is caught here"))
        here = before
    stations.reverse()
    return stations if len(stations) <= limit else [stations[0], *stations[-limit + 1 :]]


def since(found: Followed, step: int, disjunct: Disjunct, loc: Loc, txn: Txn) -> int | None:
    """The step that brought the transaction of a session to the state in which it is at a step."""
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None and (state := state_of(here[1], loc)) is not None:
        before = found.came.get(here)
        if state.txn is txn and before is not None and ((then := state_of(before[1], loc)) is None or then.txn is not txn):
            return before[0]
        here = before
    return None


def handlers(found: Followed, step: int, disjunct: Disjunct, loc: Loc) -> list[tuple[int, Disjunct]]:
    """The handlers that a session came to on this way since its flush had failed, the last one first; some may be of a clean-up on the way."""
    entered: list[tuple[int, Disjunct]] = []
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None and (now := state_of(here[1], loc)) is not None and now.txn is INACTIVE:
        of = found.sketch.steps.get(here[0])
        if of is not None and of.op == "catch":
            entered.append(here)
        here = found.came.get(here)
    return entered


def caught(found: Followed, step: int, disjunct: Disjunct, loc: Loc) -> tuple[int, Disjunct] | None:
    """The handler that a session came to on this way when its flush had failed."""
    entered = handlers(found, step, disjunct, loc)
    return entered[-1] if entered else None


def catches(found: Followed, handler: int) -> bool:
    """Whether a handler gets what a failed flush raises, and not what something else made of it."""
    return not FLUSH_ERRORS.isdisjoint(found.sketch.steps[handler].names)


def came_back(found: Followed, step: int, disjunct: Disjunct, loc: Loc) -> bool:
    """Whether what made a session inactive on the way to a step raised nothing: a call that swallowed the error itself."""
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None:
        before = found.came.get(here)
        then = state_of(before[1], loc) if before is not None else None
        if then is None or then.txn is not INACTIVE:
            return here[1].raising is None
        here = before
    return True


def intact(found: Followed, step: int, disjunct: Disjunct, loc: Loc) -> SessionState | None:
    """A session as it was before the flush that failed on the way to a step."""
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None and (state := state_of(here[1], loc)) is not None:
        if state.txn is not INACTIVE:
            return state
        here = found.came.get(here)
    return None


def reachable(sketch: Sketch, step: int, opened: Place | None = None) -> set[int]:
    """The steps, and the ends, that may follow a step when all goes well, before a session is `opened` anew."""
    found: set[int] = set()
    stack = list(sketch.steps[step].next)
    while stack:
        at = stack.pop()
        if at not in found:
            found.add(at)
            if at in sketch.steps and opened == Place(sketch.function.path, sketch.steps[at].at):
                continue
            stack += sketch.steps[at].next if at in sketch.steps else ()
    return found


def leaves(sketch: Sketch, step: int, disjunct: Disjunct) -> bool:
    """Whether the error of a step that uses a session whose flush has failed goes out of the function, or a handler there raises one in its place."""
    found: set[int] = set()
    stack = [_error(sketch.steps[step])]
    while stack and RAISED not in stack:
        at = stack.pop()
        if at in found or at not in sketch.steps:
            continue
        found.add(at)
        match sketch.steps[at]:
            case SketchStep(op="dispatch", next=handlers) as error:
                stack.append(next((each for each in handlers if not PENDING_ERRORS.isdisjoint(sketch.steps[each].names)), _error(error)))
            case SketchStep(op="leave", raising=True, at=block, next=behind) as error:
                stack += behind if disjunct.env.mapping.get(("with", block)) == Scope("suppress") else (_error(error),)
            case SketchStep(next=behind) as other:
                stack += behind or (_error(other),)
    return RAISED in stack


def _error(step: SketchStep) -> int:
    return step.error if step.error is not None else step.misuse if step.misuse is not None else RAISED


def name_of(disjunct: Disjunct, loc: Loc) -> str | None:
    """The name under which a session goes on a way."""
    names = sorted(key for key, value in disjunct.env if isinstance(key, str) and key != "return" and isinstance(value, Ref) and value.loc == loc)
    return names[0] if names else None


def state_of(disjunct: Disjunct, loc: Loc) -> SessionState | None:
    for key, state in disjunct.heap:
        if key == loc:
            return state
    return None


def origin_of(loc: Loc) -> Loc:
    while loc and loc[0] == "older":
        loc = loc[1]  # type: ignore[assignment]  # a Loc within a Loc
    return loc


def _change(then: SessionState | None, now: SessionState | None) -> str | None:
    if now is None:
        return None
    if then is None:
        return "opened here" if now.owner in {"here", "with"} else FAILED if now.txn is INACTIVE else "takes a connection here" if now.txn is CONN else None
    if now.closed is not None and then.closed is None:
        return "closed here"
    if now.txn is INACTIVE and then.txn is not INACTIVE:
        return FAILED
    if then.txn is not now.txn and not now.blocks and now.given_back and now.txn not in HOLDING and then.txn in HOLDING:
        return "committed here" if now.saved and not then.saved else "ended here"
    if len(now.blocks) > len(then.blocks):
        return "the block begins here"
    if now.unsaved is not None and then.unsaved is None:
        return "written here"
    if now.txn is CONN and then.txn is not CONN:
        return "takes a connection here"
    return None
