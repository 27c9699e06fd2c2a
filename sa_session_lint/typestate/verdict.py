"""What following a function has shown between sessions and along a way, put together: who ends another's transaction, who waits with a connection, or for one."""

from __future__ import annotations

from collections.abc import Container, Iterator

from sa_session_lint.model.protocol import CONN
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.followed import Followed, Met, certain
from sa_session_lint.typestate.leaving import is_left_by_another
from sa_session_lint.typestate.state import Disjunct, Loc, holding, locs_in
from sa_session_lint.typestate.trail import reachable, state_of


def intrusions(found: Followed) -> Iterator[Met]:
    """Each call that ended the transaction of a session, and did more with it, in the middle of work that the function commits as a whole."""
    if found.coarse:
        return
    ended = {(met.step, met.loc) for met in found.met if met.kind == "ended by callee"}
    for met in found.met:
        if met.kind != "ended by callee":
            continue
        state = state_of(met.disjunct, met.loc)
        if state is not None and state.unsaved is not None and is_left_by_another(found, met.loc, state.unsaved):
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


def held(found: Followed, step: int, disjunct: Disjunct, loc: Loc) -> list[int] | None:
    """The steps since a session took the connection that it holds at a step, the last one first; None where something was raised meanwhile."""
    steps: list[int] = []
    here: tuple[int, Disjunct] | None = (step, disjunct)
    while here is not None:
        if here[1].raising is not None:
            return None
        state = state_of(here[1], loc)
        if state is None or state.txn is not CONN:
            break
        if state.unsure:
            return None
        steps.append(here[0])
        here = found.came.get(here)
    return steps


def waits_in(found: Followed) -> dict[Met, list[int]]:
    """Each slow call during which a session holds a connection, with the steps since that was taken, the call's own first."""
    slow = ((met, held(found, met.step, met.disjunct, met.loc)) for met in certain(found) if met.kind == "held across")
    return {met: steps for met, steps in slow if steps is not None}


def firsts(waits: dict[Met, list[int]]) -> Iterator[Met]:
    """Those slow calls that no other one of the same session precedes since it took its connection."""
    slow: dict[Loc, set[int]] = {}
    for met in waits:
        slow.setdefault(met.loc, set()).add(met.step)
    return (met for met, steps in waits.items() if slow[met.loc].isdisjoint(steps[1:]))


def comes_again(found: Followed, step: int, loc: Loc) -> bool:
    """Whether a step follows itself when all goes well, the session keeping the connection that it holds there."""
    seen: set[int] = set()
    stack = list(found.sketch.steps[step].next)
    while stack:
        at = stack.pop()
        if at not in seen and any(state is not None and state.txn is CONN for state in (state_of(way, loc) for way in found.ways.get(at, ()))):
            seen.add(at)
            stack += found.sketch.steps[at].next if at in found.sketch.steps else ()
    return step in seen


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


