"""What following a function has shown, put together: what leaks, what is lost, what is begun and not ended, and how it came to that."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from sa_session_lint.flow.graph import RAISED, RETURNED
from sa_session_lint.model.expression import Attribute, Await, Call
from sa_session_lint.model.protocol import CONN, HOLDING, INACTIVE, METHODS, Txn
from sa_session_lint.model.value import Place
from sa_session_lint.model.vocabulary import FLUSH_ERRORS
from sa_session_lint.typestate.followed import Followed, Met, certain
from sa_session_lint.typestate.sketch import Sketch
from sa_session_lint.typestate.state import Abstract, Disjunct, Known, Loc, Ref, SessionState, holding, locs_in

FOREIGN = frozenset({"given", "shared", "stored", "yielded", "parameter", "depends", "ambient"})
"""The owners of a session that is not, or no longer, the function's own to close."""

FAILED = "a flush may fail here"


@dataclass(frozen=True, slots=True)
class Station:
    """Where something happened to a session, and what."""

    place: Place
    text: str


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
            origin = _origin(loc)
            if state.closed is not None and before is not None and (then := _state(before[1], loc)) is not None and then.closed is None:
                closes.setdefault(origin, {})[Place(path, found.sketch.steps[before[0]].at)] = None
            if state.owner in FOREIGN:
                foreign.add(origin)
            if state.owner == "passed":
                passed.add(origin)
    foreign |= passed - closes.keys()  # who closes a session itself relies on nobody else for that
    foreign |= {_origin(loc) for disjunct in found.ends(RETURNED) for loc in locs_in(dict(disjunct.env).get("return"))}
    names = {name for name, _ in found.sketch.parameters}
    # `session = session or Session()`
    foreign |= {_origin(loc) for _, way in found.came for key, value in way.env if key in names for loc in locs_in(value)}
    seen: set[Loc] = set()
    for end in (RETURNED, RAISED):
        for disjunct in sorted(found.ends(end), key=lambda way: any(state.unsure for _, state in way.heap)):
            value = dict(disjunct.env).get("return")
            for loc, state in sorted(disjunct.heap, key=repr):
                origin = _origin(loc)
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


def _is_meant(found: Followed, step: int, disjunct: Disjunct, loc: Loc, write: Place) -> bool:
    """Whether a way on which a write is lost should have saved it: no error led there, and the commits of other ways are under no condition of their own."""
    passed: set[int] = set()
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None:
        state = _state(here[1], loc)
        if here[0] != step and (state is None or state.unsaved != write):
            break
        if here[1].raising is not None:
            return False
        passed.add(here[0])
        here = found.came.get(here)
    within = found.sketch.within
    around = set(within.get(write.at, ()))
    commits = {met.step for met in found.met if met.kind == "saved" and met.related == write}
    if commits and (_is_refusal(dict(disjunct.env).get("return")) or _is_left_by_another(found, loc, write)):
        return False
    return not commits or (commits.isdisjoint(passed) and any(around.issuperset(within.get(found.sketch.steps[each].at, ())) for each in commits))


def _is_refusal(value: Abstract) -> bool:
    """Whether a function gives nothing, or False: where it saves what it has written on other ways, it may have found here that there is nothing to save."""
    return isinstance(value, Known) and not value.value


def intrusions(found: Followed) -> Iterator[Met]:
    """Each call that ended the transaction of a session, and did more with it, in the middle of work that the function commits as a whole."""
    if found.coarse:
        return
    ended = {(met.step, met.loc) for met in found.met if met.kind == "ended by callee"}
    for met in found.met:
        if met.kind != "ended by callee":
            continue
        state = _state(met.disjunct, met.loc)
        if state is not None and state.unsaved is not None and _is_left_by_another(found, met.loc, state.unsaved):
            continue
        later = reachable(found.sketch, met.step, state.opened if state is not None else None)
        after = [other for other in found.met if other.loc == met.loc and other.step in later]
        written = {other.related for other in after if other.kind == "written"}
        if any(
            other.kind == "saved" and other.related in written and (other.step, other.loc) not in ended
            and other.related != Place(found.sketch.function.path, found.sketch.steps[other.step].at)
            for other in after
        ) or (state is not None and "begin" in state.blocks and any(other.kind == "use of done" for other in after)):  # fmt: skip
            yield met


def _is_left_by_another(found: Followed, loc: Loc, unsaved: Place) -> bool:
    """Whether what is unsaved was written by a called function that saves its work itself, unless it fails."""
    steps = {met.step for met in found.met if met.kind == "written" and met.loc == loc and met.related == unsaved}
    saving = {met.step for met in found.met if met.kind == "saved" and met.loc == loc}
    return bool(steps) and steps <= saving


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
            state = _state(before[1], loc)
            is_commit = isinstance(call, Call) and isinstance(call.function, Attribute) and METHODS.get(call.function.name) == "commit"
            return is_commit and state is not None and state.txn is CONN and not state.pending and state.unsaved is None
        here = before
    return False


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


def held(found: Followed, step: int, disjunct: Disjunct, loc: Loc) -> list[int] | None:
    """The steps since a session took the connection that it holds at a step, the last one first; None where something was raised meanwhile."""
    steps: list[int] = []
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None:
        if here[1].raising is not None:
            return None
        state = _state(here[1], loc)
        if state is None or state.txn is not CONN:
            break
        if state.unsure:
            return None
        steps.append(here[0])
        here = found.came.get(here)
    return steps


def waiting(found: Followed) -> Iterator[Met]:
    """Each slow call during which a session holds a connection, the first one since that was taken."""
    met = [met for met in certain(found) if met.kind == "held across"]
    slow: dict[Loc, set[int]] = {}
    for each in met:
        slow.setdefault(each.loc, set()).add(each.step)
    for each in met:
        steps = held(found, each.step, each.disjunct, each.loc)
        if steps is not None and slow[each.loc].isdisjoint(step for step in steps if step != each.step):
            yield each


def pools_held(way: Disjunct, left: Container[Place] = ()) -> frozenset[Place]:
    """The pools of which sessions hold a connection on a way; those that a name still leads to, without those that were opened at the places `left`."""
    heap = dict(way.heap)
    named = {loc for _, value in way.env for loc in locs_in(value)}
    pools = (heap[loc].pool for loc in holding(heap) if (heap[loc].owner != "here" or loc in named) and heap[loc].opened not in left)
    return frozenset(pool for pool in pools if pool is not None)


def crowding(found: Followed) -> Iterator[Met]:
    """Each place where a session takes a connection while another one of its pool holds one. A session that is committed is meant to be independent."""
    committed = {met.loc for met in found.met if met.kind == "saved"}
    for (_, disjunct), before in found.came.items():
        if before is not None and before[0] in found.sketch.steps and found.sketch.steps[before[0]].op in {"call", "await"}:
            then = dict(before[1].heap)
            committed |= {loc for loc, state in disjunct.heap if state.saved and loc in then and not then[loc].saved}
    for met in certain(found):
        if met.kind == "second" and met.loc not in committed and any(
            held(found, met.step, met.disjunct, loc) is not None
            for loc, state in met.disjunct.heap
            if state.txn is CONN and state.opened == met.related and loc != met.loc
        ):
            yield met


def since(found: Followed, step: int, disjunct: Disjunct, loc: Loc, txn: Txn) -> int | None:
    """The step that brought the transaction of a session to the state in which it is at a step."""
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None and (state := _state(here[1], loc)) is not None:
        before = found.came.get(here)
        if state.txn is txn and before is not None and ((then := _state(before[1], loc)) is None or then.txn is not txn):
            return before[0]
        here = before
    return None


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


def caught(found: Followed, step: int, disjunct: Disjunct, loc: Loc) -> tuple[int, Disjunct] | None:
    """The handler that a session came to on this way when its flush had failed."""
    here: tuple[int, Disjunct] | None = (step, disjunct)
    entered = None
    while here is not None and (now := _state(here[1], loc)) is not None and now.txn is INACTIVE:
        of = found.sketch.steps.get(here[0])
        entered = here if of is not None and of.op == "catch" else entered
        here = found.came.get(here)
    return entered


def catches(found: Followed, handler: int) -> bool:
    """Whether a handler gets what a failed flush raises, and not what something else made of it."""
    return not FLUSH_ERRORS.isdisjoint(found.sketch.steps[handler].names)


def came_back(found: Followed, step: int, disjunct: Disjunct, loc: Loc) -> bool:
    """Whether what made a session inactive on the way to a step raised nothing: a call that swallowed the error itself."""
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None:
        before = found.came.get(here)
        then = _state(before[1], loc) if before is not None else None
        if then is None or then.txn is not INACTIVE:
            return here[1].raising is None
        here = before
    return True


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
