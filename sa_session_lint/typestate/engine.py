"""Sessions carried through sketches: the fixed point, calls of functions of the project, and where a state came from.

A function is followed once for each state of the sessions that it is handed: `invoke` renames them to slots, so that callers in the same
situation share the answer. Cycles and what grows too large end in the answer of an unknown call.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from sa_session_lint.flow.graph import ABANDONED, RAISED, RETURNED
from sa_session_lint.model.expression import Call, Const, Name
from sa_session_lint.model.protocol import BEGUN, CONN, CTXDONE, INACTIVE
from sa_session_lint.model.value import Class, Function, Place, Session
from sa_session_lint.typestate.facts import Facts
from sa_session_lint.typestate.sketch import Sketch
from sa_session_lint.typestate.state import (
    NO_CONDITIONS,
    NO_ENV,
    Abstract,
    Disjunct,
    Frozen,
    Known,
    Loc,
    Managed,
    Object,
    Record,
    Ref,
    Scope,
    SessionState,
    Some,
    is_reached,
    locs_in,
    renamed,
)
from sa_session_lint.typestate.summaries import Summaries
from sa_session_lint.typestate.transfer import Transfer
from sa_session_lint.typestate.way import Way

CROWD = 12
"""As many ways to one step are told apart by all that is known of them, more only by what can be a fault."""
DISJUNCTS = 32
"""As many ways to one step are followed; a function with more is coarse."""
ROOM = 6000
"""As many arrivals are followed in one function."""
CASES = 12
LEADING = {"use of inactive": {INACTIVE}, "use of done": {CTXDONE}, "begin of begun": {BEGUN, CONN, INACTIVE}}
"""The states of a transaction in which an operation must raise, by the fault that it is."""
CALLERS, CALLEES = Place("", 0), Place("", 1)
"""Where a session was written to, closed or lost to a failed flush, as the answer about a call tells it: in the caller, or somewhere in the called function."""

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

    def ends(self, end: int) -> list[Disjunct]:
        return list(self.ways.get(end, ()))


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a call ends: it returned (or raised, or yielded), with these states and this value."""

    end: int
    heap: Frozen[Loc, SessionState]
    value: Abstract
    raising: str | None
    env: Frozen[object, Abstract] = NO_ENV


@dataclass(frozen=True, slots=True)
class Effect:
    """All ways in which a call ends; `faults` are those that its sessions, as they were handed in, surely meet inside."""

    cases: tuple[Case, ...]
    faults: tuple[tuple[str, Loc, Place | None], ...] = ()


class Engine:
    """Follows sketches, with the answers of `facts`."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.summaries: Summaries[Effect] = Summaries()
        self.coarse = 0
        self.transfers: dict[int, Transfer] = {}

    def transfer(self, sketch: Sketch) -> Transfer:
        if id(sketch) not in self.transfers:
            self.transfers[id(sketch)] = Transfer(sketch, self)
        return self.transfers[id(sketch)]

    # -- the fixed point ----------------------------------------------------------------------------------------------

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
                way.forget(transfer.wanted.get(to, set()), sketch.me)
                disjunct = way.frozen()
                there = (to, disjunct)
                if there in found.came:
                    continue
                ways = found.ways.setdefault(to, {})
                if len(ways) >= CROWD:
                    kinds = crowds.setdefault(to, set())
                    if not kinds:
                        kinds.update(way.outline() for way in ways)
                    if disjunct.outline() in kinds:
                        continue  # one like it goes on already
                    kinds.add(disjunct.outline())
                if len(ways) >= DISJUNCTS and to > ABANDONED:
                    found.coarse = True
                    continue
                ways[disjunct] = None
                found.came[there] = here
                queue.append(there)
            if len(found.came) > ROOM:
                found.coarse = True
                break
        return found

    def entry(self, sketch: Sketch, given: dict[str, SessionState], split: frozenset[str]) -> list[tuple[int, Disjunct]]:
        """How a function starts when nobody knows its caller: `given` are parameters that are sessions, `split` those that may be None."""
        starts = [Way(Disjunct())]
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

    # -- calls --------------------------------------------------------------------------------------------------------

    def bound(
        self, sketch: Sketch, call: Call, arguments: tuple[Abstract, ...], receiver: Abstract, function: Function
    ) -> dict[object, Abstract]:
        """What the parameters of a function hold in a call."""
        env: dict[object, Abstract] = {}
        names = [name for name, _ in sketch.parameters]
        if sketch.me is not None and (receiver is not None or function.receiver is not None):
            if isinstance(receiver, (Record, Some)):
                env[sketch.me] = receiver  # Some: it is the caller's own object
            names = names[1:]
        elif sketch.me is not None and sketch.function.qualname.endswith("__init__"):
            names = names[1:]
        positional = arguments[: len(call.arguments)]
        env.update({name: value for name, value in zip(names, positional, strict=False) if value is not None and not isinstance(value, Object)})
        for (key, _), value in zip(call.keywords, arguments[len(call.arguments) :], strict=True):
            if key in names and value is not None and not isinstance(value, Object):
                env[key] = value
        passed = {*names[: len(positional)], *(key for key, _ in call.keywords)}
        if None not in passed:
            for name, default in sketch.parameters:
                if isinstance(default, Const) and name not in passed and name not in env and name != sketch.me:
                    env[name] = Known(default.value)
        return env

    def effect(self, sketch: Sketch, resume: int | None, env: dict[object, Abstract], heap: dict[Loc, SessionState], raising: str | None, stop: bool) -> Effect | None:
        """What a call with these values and states comes to, or the resumption of a generator at a `yield`; None when that is too much."""
        disjunct = Disjunct(Frozen(env.items()), Frozen(heap.items()), NO_CONDITIONS, raising)
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
                cases[Case(end, _unplaced(each.heap), kept, each.raising, Frozen((("self", me),)) if me is not None else NO_ENV)] = None
        if stop:
            for at, step in sketch.steps.items():
                if step.op == "yield":
                    for each in found.ways.get(at, ()):
                        value = self.transfer(sketch).evaluate(step.value, Way(each)) if step.value is not None else None
                        cases[Case(at, _unplaced(each.heap), value, None, Frozen((k, v) for k, v in each.env if not isinstance(k, int)))] = None
        if found.coarse or len(cases) > CASES:
            return None
        faults = tuple(dict.fromkeys((m.kind, m.loc, _told(m, sketch)) for m in certain(found) if m.kind != "not awaited"))
        return Effect(tuple(cases), faults)

    def _resumptions(self, sketch: Sketch, at: int, disjunct: Disjunct) -> list[tuple[int, Way]]:
        step = sketch.steps[at]
        way = Way(disjunct)
        if disjunct.raising is not None:
            return [(step.error, way)] if step.error is not None else []
        return [(step.next[0], way)]

    def invoke(
        self, sketch: Sketch, env: dict[object, Abstract], way: Way, at: Place, resume: int | None = None, raising: str | None = None,
        stop: bool = False, keep_self: bool = False,
    ) -> tuple[list[tuple[Way, Abstract]], list[Way]]:  # fmt: skip
        """Call a function of the project: the ways on which it comes back, each with its value, and those on which it raises."""
        cases = self.cases(sketch, env, way, at, resume, raising, stop)
        if cases is None:
            _escape(env, sketch, way)
            return [(way, None)], [way.copy()]
        back: list[tuple[Way, Abstract]] = []
        raised: list[Way] = []
        for case, each in cases:
            if case.end == RAISED:
                each.raising = case.raising or "other"
                raised.append(each)
            elif case.end == RETURNED:
                me = dict(case.env).get("self")
                if isinstance(me, Record) and not keep_self:
                    for name, old in list(each.env.items()):
                        if isinstance(old, Record) and old == env.get(sketch.me):
                            each.env[name] = me
                back.append((each, me if keep_self else case.value))
        return back, raised

    def cases(
        self, sketch: Sketch, env: dict[object, Abstract], way: Way, at: Place, resume: int | None, raising: str | None, stop: bool
    ) -> list[tuple[Case, Way]] | None:
        """The ends of a call, in the names of the caller; None when they are not known."""
        reach: dict[Loc, None] = {}
        for value in env.values():
            for loc in locs_in(value):
                reach[loc] = None
        mine = isinstance(env.get(sketch.me), Some)
        for loc in way.heap:
            if is_reached(loc, mine):
                reach[loc] = None
        slots: dict[Loc, Loc] = {}
        for loc in reach:
            slots[loc] = loc if loc[0] == "ambient" else ("slot", len(slots))
        owners = {loc: way.state(loc) for loc in reach}
        heap = {slots[loc]: _handed(state) for loc, state in owners.items()}
        wanted = self.transfer(sketch).wanted.get(sketch.start if resume is None else resume, set())
        inner = {
            name: renamed(value if not isinstance(value, Known) or value.value is None else Some() if value.value else Known(False), slots)
            for name, value in env.items()
            if name in wanted or name == sketch.me or not isinstance(name, str) or not isinstance(value, (Known, Some))
        }
        effect = self.effect(sketch, resume, inner, heap, raising, stop)
        if effect is None:
            return None
        back = {slot: loc for loc, slot in slots.items()}
        found: list[tuple[Case, Way]] = []
        for case in effect.cases:
            each = way.copy()
            each.faults = list(way.faults)
            names: dict[Loc, Loc] = dict(back)
            for loc, state in case.heap:
                if loc in back:
                    own = owners[back[loc]]
                    each.heap[back[loc]] = _returned(state, own, at)
                    if case.end == RETURNED and state.ended is not None and state.worked and not own.halfway:
                        each.faults.append(("ended by callee", back[loc], state.ended))
                elif is_reached(loc, mine):
                    each.heap[loc] = state if state.unsaved is None else state._replace(unsaved=at)
                else:
                    named: Loc = ("in", at, loc) if _nesting(loc) < 3 else ("in", at)
                    names[loc] = named
                    if len(named) > 2:
                        each.make_room(named)
                    each.heap[named] = state if state.unsaved is None else state._replace(unsaved=at)
            value = renamed(case.value, names)
            for loc in locs_in(value):
                state = each.state(loc)
                if loc not in reach and loc[0] == "in" and state.owner in {"here", "returned"}:
                    each.heap[loc] = state._replace(owner="here", opened=at)
            for loc in [each_loc for each_loc in each.heap if each_loc[0] == "in" and each_loc[1] == at and each_loc not in locs_in(value) and each_loc not in reach and not stop]:
                del each.heap[loc]
            for kind, loc, related in effect.faults:
                if loc in back:
                    own = owners[back[loc]]
                    if kind in SOMETIMES and own.txn not in LEADING[kind]:
                        continue  # what went before happened in the called function as well
                    if kind == "lost":
                        continue  # who closes the session of another ends that other's transaction, which is a fault of its own
                    if kind in {"saved", "written"}:
                        each.faults.append((kind, back[loc], own.unsaved if related == CALLERS else at))
                    elif kind == "held across":
                        each.faults.append((kind, back[loc], related))
                    elif kind in BESIDE:
                        each.faults.append((kind, back[loc], own.lent or (None if self.told(sketch, env, back[loc]) else at)))
                    else:
                        each.faults.append((kind, back[loc], own.poisoned or related))
            env_back = Frozen((name, renamed(v, names)) for name, v in case.env)
            found.append((Case(case.end, case.heap, value, case.raising, env_back), each))
        return found

    def told(self, sketch: Sketch, env: dict[object, Abstract], loc: Loc) -> bool:
        """Whether a function knows by itself that what it is handed is a session, so that its faults are told there."""
        names = [name for name, value in env.items() if isinstance(name, str) and loc in locs_in(value)]
        return any(isinstance(self.facts.value(Name(name), sketch), Session) for name in names)

    # -- generators as context managers -------------------------------------------------------------------------------

    def managed(self, function: Function, env: dict[object, Abstract], way: Way, at: Place) -> tuple[list[tuple[Way, Abstract, Abstract]], list[Way]]:
        """Enter a context manager that a generator makes: run it to its `yield`."""
        sketch = self.facts.sketch(function)
        cases = self.cases(sketch, env, way, at, None, None, True) if sketch is not None else None
        if sketch is None or cases is None:
            _escape(env, sketch, way)
            return [(way, None, None)], [way.copy()]
        back: list[tuple[Way, Abstract, Abstract]] = []
        raised: list[Way] = []
        for case, each in cases:
            if case.end == RAISED:
                each.raising = case.raising or "other"
                raised.append(each)
            elif case.end > ABANDONED:
                for loc, state in list(each.heap.items()):
                    if loc[0] == "in" and loc[1] == at and state.owner in {"here", "yielded"}:
                        each.heap[loc] = state._replace(owner="with", opened=at)
                back.append((each, case.value, Managed(function, case.env, case.end)))
        return back, raised

    def entered(self, owner: Class, way: Way, at: Place) -> tuple[list[tuple[Way, Abstract, Abstract]], list[Way]] | None:
        """Enter an object of the project whose `__enter__` opens a session; None where that is not known."""
        method = self.facts.method(owner, "__enter__") or self.facts.method(owner, "__aenter__")
        sketch = self.facts.sketch(method) if method is not None else None
        if sketch is None or sketch.me is None:
            return None
        cases = self.cases(sketch, {sketch.me: Record(owner.path, owner.qualname, ())}, way, at, None, None, False)
        back: list[tuple[Way, Abstract, Abstract]] = []
        raised: list[Way] = []
        for case, each in cases or ():
            if case.end == RAISED:
                each.raising = case.raising or "other"
                raised.append(each)
            else:
                for loc in locs_in(case.value):
                    if loc[0] == "in" and loc[1] == at and each.state(loc).owner == "here":
                        each.update(loc, owner="with", opened=at)
                back.append((each, case.value, Scope("object", dict(case.env).get("self"))))
        return (back, raised) if any(locs_in(value) for _, value, _ in back) else None

    def exited(self, me: Record, way: Way, at: Place, raising: bool) -> tuple[list[Way], list[Way], list[Way]]:
        """Leave such an object: call its `__exit__`."""
        owner = Class(me.path, me.qualname)
        method = self.facts.method(owner, "__exit__") or self.facts.method(owner, "__aexit__")
        sketch = self.facts.sketch(method) if method is not None else None
        before = way.copy()
        cases = None
        if sketch is not None and sketch.me is not None:
            names = [name for name, _ in sketch.parameters][1:]
            env: dict[object, Abstract] = {name: Some() if raising else Known(None) for name in names} if len(names) == 3 else {}
            cases = self.cases(sketch, {**env, sketch.me: me}, way, at, None, None, False)
        if cases is None:
            way.escape(me)
            return [way], [], []
        back: list[Way] = []
        raised: list[Way] = []
        swallowed: list[Way] = []
        for case, each in cases:
            for loc, state in before.heap.items():
                now = each.heap.get(loc)
                if not raising and case.end == RETURNED and now is not None and _loses(state, now):
                    each.faults.append(("lost", loc, state.unsaved))
            if case.end == RAISED:
                each.raising = case.raising or "other"
                (back if raising else raised).append(each)
            else:
                (swallowed if raising and case.value == Known(True) else back).append(each)
        return back, raised, swallowed

    def resumed(
        self, function: Function, env: dict[object, Abstract], resume: int, way: Way, at: Place, raising: bool
    ) -> tuple[list[Way], list[Way], list[Way]]:
        """Leave such a context manager: run it from its `yield` to its end."""
        sketch = self.facts.sketch(function)
        before = way.copy()
        cases = self.cases(sketch, env, way, at, resume, way.raising or "other" if raising else None, False) if sketch is not None else None
        if cases is None:
            _escape(env, sketch, way)
            return [way], [], []
        back: list[Way] = []
        raised: list[Way] = []
        swallowed: list[Way] = []
        for case, each in cases:
            each.env = dict(before.env)
            for loc, state in before.heap.items():
                now = each.heap.get(loc)
                if not raising and case.end == RETURNED and now is not None and _loses(state, now):
                    each.faults.append(("lost", loc, state.unsaved))
            if case.end == RAISED:
                each.raising = case.raising or "other"
                (back if raising else raised).append(each)
            elif case.end == RETURNED:
                (swallowed if raising else back).append(each)
        return back, raised, swallowed


def _escape(env: dict[object, Abstract], sketch: Sketch | None, way: Way) -> None:
    """A call that is not followed may have done anything to what it was handed and to what it can reach."""
    for value in env.values():
        way.escape(value)
    way.escape_reached(sketch is not None and isinstance(env.get(sketch.me), Some))


def _loses(state: SessionState, now: SessionState) -> bool:
    """Whether leaving a block, which made the second state of the first, threw the work in it away."""
    return state.unsaved is not None and state.owner == "with" and now.unsaved is None and now.closed is not None and not now.saved


def _handed(state: SessionState) -> SessionState:
    """A caller's session as a callee sees it."""
    halfway = state.halfway or state.unsaved is not None or "begin" in state.blocks
    unsaved, closed, poisoned = (None if place is None else CALLERS for place in (state.unsaved, state.closed, state.poisoned))
    return state._replace(
        unsaved=unsaved, closed=closed, poisoned=poisoned, owner="parameter", opened=None, given_back=False, saved=False, halfway=halfway, ended=None, worked=False
    )


def _unplaced(heap: Frozen[Loc, SessionState]) -> Frozen[Loc, SessionState]:
    """The same states, with no more said about what a function has written than that it has."""
    if all(state.unsaved in {None, CALLERS} for _, state in heap):
        return heap
    return Frozen((loc, state if state.unsaved in {None, CALLERS} else state._replace(unsaved=CALLEES)) for loc, state in heap)


def _told(met: Met, sketch: Sketch) -> Place | None:
    """The place that goes with a fault in the answer about a call: of a wait where it is, of a write only whether it is the caller's."""
    if met.kind == "held across":
        return Place(sketch.function.path, sketch.steps[met.step].at)
    if met.kind in {"lost", "saved", "written"}:
        return met.related if met.related == CALLERS else CALLEES
    return met.related


def _returned(state: SessionState, own: SessionState, at: Place) -> SessionState:
    """A session as the caller has it back: its own, unless the callee let somebody else have it. What the callee has written or lent, the call has."""
    if state.lent is not None and state.lent != own.lent:
        state = state._replace(lent=at)
    owner = own.owner if state.owner in {"parameter", "with", "yielded"} else "shared" if own.owner == "with" else "given"
    if own.owner not in {"here", "with"}:
        owner = own.owner
    ended = own.ended
    if own.halfway and ended is None and state.ended is not None:
        ended = state.ended if state.worked else at  # what only ends a transaction is a commit by another name
    unsaved = own.unsaved if state.unsaved == CALLERS else None if state.unsaved is None else at
    return state._replace(
        owner=owner, opened=own.opened, given_back=own.given_back or state.given_back, unsaved=unsaved,
        closed=own.closed if state.closed == CALLERS else state.closed, poisoned=own.poisoned if state.poisoned == CALLERS else state.poisoned,
        halfway=own.halfway, ended=ended, worked=own.worked or (own.halfway and state.worked),
    )  # fmt: skip


def _nesting(loc: Loc) -> int:
    return 1 + _nesting(loc[2]) if loc and loc[0] == "in" and len(loc) > 2 else 0  # type: ignore[arg-type]  # a Loc within a Loc


BESIDE = frozenset({"shared", "closed while lent", "to process"})
"""Faults of sessions that somebody else has as well: what goes with them is where that one was started."""

CERTAIN = frozenset({"use after close", "rows after close", "not awaited"})
"""Faults that are faults only when every way to their step meets them."""
SOMETIMES = frozenset(LEADING)
"""Faults that surely raise on the ways that meet them, whatever other ways do. Where ways are not told apart, none of them can be believed."""


def certain(found: Followed) -> list[Met]:
    """The faults that may be believed: those that must hold on every way, if they do."""
    if found.coarse:
        return [m for m in found.met if m.kind not in CERTAIN | SOMETIMES]
    counts: dict[tuple[int, str, Loc], set[Disjunct]] = {}
    for met in found.met:
        counts.setdefault((met.step, met.kind, met.loc), set()).add(met.disjunct)
    kept: list[Met] = []
    for met in found.met:
        if met.kind in CERTAIN and len(counts[met.step, met.kind, met.loc]) < sum(not _had(way, met) for way in found.ways[met.step]):
            continue
        if met.kind == "use of inactive" and met.related is None:
            continue  # `begin_nested()` flushes, and who tries a savepoint seldom plans for what was added before
        kept.append(met)
    return kept


def _had(way: Disjunct, met: Met) -> bool:
    """Whether a way has met this fault before: it is the next turn of a loop."""
    return met.kind == "use after close" and any(loc == met.loc and state.reopened == met.related for loc, state in way.heap)
