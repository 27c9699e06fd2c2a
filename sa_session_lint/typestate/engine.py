"""Sessions carried through sketches: the fixed point, and what it comes to for whoever called the function.

A function is followed once for each state of the sessions that it is handed. Cycles and what grows too large end in the answer of an unknown call.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from sa_session_lint.flow.graph import ABANDONED, RAISED, RETURNED
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.facts import Facts
from sa_session_lint.typestate.followed import Followed, Key, Met, certain
from sa_session_lint.typestate.sketch import Sketch
from sa_session_lint.typestate.state import (
    NO_ENV,
    SLOT,
    Abstract,
    Disjunct,
    Frozen,
    Known,
    Loc,
    Object,
    Ref,
    SessionState,
    Some,
    mapped,
    objects_in,
    plain,
)
from sa_session_lint.typestate.summaries import CALLEES, CALLERS, Case, Effect, Summaries
from sa_session_lint.typestate.trail import leaves
from sa_session_lint.typestate.transfer import Transfer
from sa_session_lint.typestate.way import ANYTHING, Way

CROWD = 12
"""As many ways to one step are told apart by all that is known of them, more only by what can be a fault."""
DISJUNCTS = 44
"""As many ways to one step are followed; a function with more is coarse."""
ROOM = 6000
"""As many arrivals are followed in one function."""
CASES = 12
class Engine:
    """Follows sketches, with the answers of `facts`."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.summaries = Summaries()
        self.coarse = 0
        self.within: dict[Place, Place] = {}  # of a call that comes to a fault in the function it calls, where that is
        self.transfers: dict[int, Transfer] = {}

    def transfer(self, sketch: Sketch) -> Transfer:
        if id(sketch) not in self.transfers:
            self.transfers[id(sketch)] = Transfer(sketch, self)
        return self.transfers[id(sketch)]

    def follow(self, sketch: Sketch, starts: list[tuple[int, Disjunct]], stop_at_yield: bool = False) -> Followed:
        """Every way through a sketch from these starts."""
        found = Followed(sketch, coarse=sketch.coarse)
        transfer = self.transfer(sketch)
        queue: deque[Key] = deque()
        crowds: dict[int, set[Disjunct]] = {}
        for start in starts:
            if start not in found.came:
                found.came[start] = None
                found.ways.setdefault(start[0], {})[start[1]] = None
                queue.append(start)
        while queue:
            here = queue.popleft()
            step = sketch.steps.get(here[0])
            if step is None or (stop_at_yield and step.op == "yield"):
                continue
            for to, way in transfer.after(step, here[1]):
                for kind, loc, related in way.faults:
                    found.met.append(Met(kind, here[0], loc, related, here[1]))
                way.forget(transfer.wanted.get(to, frozenset()), sketch.me)
                ways = found.ways.setdefault(to, {})
                if len(ways) >= CROWD:
                    way.simplify()
                elif way.raising is not None:
                    way.forget_models()  # who handles an error seldom asks for relationships
                disjunct = way.frozen()
                if disjunct in ways:
                    continue
                if len(ways) >= CROWD:
                    kinds = crowds.setdefault(to, set())
                    if not kinds:
                        kinds.update(way.outline() for way in ways)
                    outline = disjunct.outline()
                    if outline in kinds:
                        continue  # one like it goes on already
                    kinds.add(outline)
                if len(ways) >= DISJUNCTS and to > ABANDONED:
                    found.coarse = True
                    continue
                there = (to, disjunct)
                ways[disjunct] = None
                found.came[there] = here
                queue.append(there)
            if len(found.came) > ROOM:
                found.coarse = True
                break
        return found

    def entry(self, sketch: Sketch, given: dict[str, SessionState], split: frozenset[str]) -> list[tuple[int, Disjunct]]:
        """How a function starts when nobody knows its caller: `given` are parameters that are sessions, `split` those that may be None."""
        starts = [Way(Disjunct(conditions=self.facts.settled(sketch)))]
        for name, state in given.items():
            for way in starts:
                loc: Loc = ("parameter", name)
                way.heap[loc] = state
                way.env[name] = Ref(loc)
        for name in sorted(split):
            for way in list(starts):
                other = way.copy()
                other.env[name] = Known(None)
                if name not in given:
                    way.env[name] = Some()
                starts.append(other)
        return [(sketch.start, way.frozen()) for way in starts[:8]]

    def effect(self, sketch: Sketch, resume: int | None, env: dict[object, Abstract], heap: dict[Loc, SessionState], raising: str | None, stop: bool) -> Effect | None:
        """What a call with these values and states comes to, or the resumption of a generator at a `yield`; None when that is too much."""
        disjunct = Disjunct(Frozen(env.items()), Frozen(heap.items()), self.facts.settled(sketch), raising)
        key = (sketch.function.path, sketch.function.qualname, resume, disjunct, stop)

        def find() -> Effect | None:
            starts = [(sketch.start, disjunct)]
            if resume is not None:
                starts = [(to, way.frozen()) for to, way in self._resumptions(sketch, resume, disjunct)]
            return self.summary(self.follow(sketch, starts, stop), stop)

        return self.summaries.ask(key, (sketch.function.path, sketch.function.qualname), find)

    def summary(self, found: Followed, stop: bool) -> Effect | None:
        """What following a sketch has come to, for whoever called it."""
        sketch = found.sketch
        cases: dict[Case, None] = {}
        for end in (RETURNED, RAISED):
            for each in found.ends(end):
                values = dict(each.env)
                me = values.get(sketch.me) if sketch.me is not None else None
                kept: Abstract = values.get("return") if end == RETURNED else None
                objects = {(SLOT, o.at.at): o for held in values.values() for o in objects_in(held) if o.at is not None and o.at.path == SLOT} if end == RETURNED else {}
                told: list[tuple[object, Abstract]] = [*objects.items(), *((("self", me),) if me is not None else ())]
                cases[Case(end, _unplaced(each.heap, end == RAISED), kept, each.raising, Frozen(told) if told else NO_ENV)] = None
        if stop:
            for at, step in sketch.steps.items():
                if step.op == "yield":
                    for each in found.ways.get(at, ()):
                        value = self.transfer(sketch).evaluate(step.value, Way(each)) if step.value is not None else None
                        cases[Case(at, _unplaced(each.heap), value, None, Frozen((k, v) for k, v in each.env if not isinstance(k, int)))] = None
        if len(cases) > CASES:
            cases = {_plain(case): None for case in cases}
        if found.coarse or len(cases) > CASES:
            return None
        faults = tuple(dict.fromkeys((_kind(m, sketch), m.loc, _told(m, sketch)) for m in certain(found) if m.kind != "not awaited"))
        return Effect(tuple(cases), faults)

    def _resumptions(self, sketch: Sketch, at: int, disjunct: Disjunct) -> list[tuple[int, Way]]:
        step = sketch.steps[at]
        way = Way(disjunct)
        if disjunct.raising is not None:
            return [(step.error, way)] if step.error is not None else []
        return [(step.next[0], way)]

def _plain(case: Case) -> Case:
    """The same end of a call, with nothing said about objects."""
    heap = Frozen((loc, state._replace(swept=None if state.swept is None else ("forget",), models=state.models and ANYTHING)) for loc, state in case.heap)
    env: Frozen[object, Abstract] = Frozen((key, value) for key, value in case.env if not isinstance(value, Object))
    return replace(case, heap=heap, value=mapped(case.value, plain), env=env)


def _unplaced(heap: Frozen[Loc, SessionState], raised: bool = False) -> Frozen[Loc, SessionState]:
    """The same states, with no more said about what a function has written than that it has, nor about objects when it `raised`."""
    if all(state.unsaved in {None, CALLERS} and not (raised and (state.swept is not None or state.models)) for _, state in heap):
        return heap
    told = ((loc, _forgotten(state) if raised else state) for loc, state in heap)
    return Frozen((loc, state if state.unsaved in {None, CALLERS} else state._replace(unsaved=CALLEES)) for loc, state in told)


def _forgotten(state: SessionState) -> SessionState:
    return state._replace(swept=state.swept if state.swept is None else ("forget",), models=frozenset())


def _kind(met: Met, sketch: Sketch) -> str:
    """What a fault is in the answer about a call: whether its error comes out of that is told."""
    return "caught use of inactive" if met.kind == "use of inactive" and not leaves(sketch, met.step, met.disjunct) else met.kind


def _told(met: Met, sketch: Sketch) -> Place | None:
    """The place that goes with a fault in the answer about a call: of a wait where it is, of a write only whether it is the caller's."""
    if met.kind == "held across":
        return Place(sketch.function.path, sketch.steps[met.step].at)
    if met.kind in {"lost", "saved", "written"}:
        return met.related if met.related == CALLERS else CALLEES
    return met.related


