"""Calls of functions of the project: what they are handed, and what their answer means to the caller.

A callee knows the sessions it is handed as slots, so that callers in the same situation share an answer; here they get their names back. Context managers
made by generators, and objects with an `__enter__` of the project's own, are calls in two halves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.flow.graph import ABANDONED, RAISED, RETURNED
from sa_session_lint.model.expression import Call, Const, Name
from sa_session_lint.model.protocol import ANY, CONN, IDLE, INACTIVE
from sa_session_lint.model.value import Class, Function, Place, Session
from sa_session_lint.typestate.followed import LEADING
from sa_session_lint.typestate.sketch import Sketch
from sa_session_lint.typestate.state import (
    SLOT,
    Abstract,
    Frozen,
    Known,
    Loc,
    Managed,
    Object,
    Record,
    Scope,
    SessionState,
    Some,
    is_reached,
    locs_in,
    mapped,
    objects_in,
    renamed,
)
from sa_session_lint.typestate.summaries import CALLERS, Case
from sa_session_lint.typestate.way import ANYTHING, DELETED, SOMETHING, Way, swept

if TYPE_CHECKING:
    from sa_session_lint.typestate.engine import Engine

BESIDE = frozenset({"shared", "closed while lent", "to process"})
"""Faults of sessions that somebody else has as well: what goes with them is where that one was started."""

OF_LOADED = frozenset({"lazy read", "async read"})
"""Faults of objects of which a query has not loaded enough."""


class Invocation:
    """The calls that functions make of others."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.facts = engine.facts

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
        held = {each.loc for value in way.env.values() for each in objects_in(value)}
        models = {loc: frozenset(each.model for value in env.values() for each in objects_in(value) if each.loc == loc and each.model is not None) for loc in reach}
        heap = {slots[loc]: _handed(state, loc in held or state.swept is not None, models[loc]) for loc, state in owners.items()}
        wanted = self.engine.transfer(sketch).wanted.get(sketch.start if resume is None else resume, set())
        passed = list(dict.fromkeys(value for value in env.values() if isinstance(value, Object)))
        env = {name: replace(value, at=Place(SLOT, passed.index(value))) if isinstance(value, Object) else value for name, value in env.items()}
        inner = {
            name: renamed(value if not isinstance(value, Known) or value.value is None else Some() if value.value else Known(False), slots)
            for name, value in env.items()
            if name in wanted or name == sketch.me or not isinstance(name, str) or not isinstance(value, (Known, Some))
        }
        effect = self.engine.effect(sketch, resume, inner, heap, raising, stop)
        if effect is None:
            return None
        back = {slot: loc for loc, slot in slots.items()}
        mended = {loc for case in effect.cases if case.end == RETURNED for loc, state in case.heap if loc in back and state.txn is not INACTIVE}
        saved = {loc for case in effect.cases if case.end == RETURNED for loc, state in case.heap if loc in back and state.txn is IDLE and state.saved}
        found: list[tuple[Case, Way]] = []
        for case in effect.cases:
            each = way.copy()
            each.faults = list(way.faults)
            for number, value in enumerate(passed):
                each.become(value, _held(number))
            names: dict[Loc, Loc] = dict(back)
            for loc, state in case.heap:
                if loc in back:
                    own = owners[back[loc]]
                    each.heap[back[loc]] = _returned(state, own, at, case.end == RAISED)
                    for event in state.swept or ():
                        each.sweep(back[loc], event, at)
                    if own.txn is INACTIVE and state.txn is INACTIVE and loc in mended:
                        each.update(back[loc], txn=ANY)  # rolled back on some ways: which one is taken is the callee's secret
                    if case.end == RETURNED and state.txn is CONN and loc in saved:
                        each.update(back[loc], unsure=True)  # committed on others
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
            value = mapped(renamed(case.value, names), lambda found: replace(found, at=passed[found.at.at].at if found.at is not None and found.at.path == SLOT else at))
            value = mapped(value, lambda found: _met_before(found, owners))
            for loc in locs_in(value):
                state = each.state(loc)
                if loc not in reach and loc[0] == "in" and state.owner in {"here", "returned"}:
                    each.heap[loc] = state._replace(owner="here", opened=at)
            for loc in [each_loc for each_loc in each.heap if each_loc[0] == "in" and each_loc[1] == at and each_loc not in locs_in(value) and each_loc not in reach and not stop]:
                del each.heap[loc]
            for kind, loc, related in effect.faults:
                if loc in back:
                    own = owners[back[loc]]
                    if own.models and kind in OF_LOADED:
                        continue  # what the session has given before may have loaded more
                    if kind in LEADING and own.txn not in LEADING[kind]:
                        continue  # what went before happened in the called function as well
                    if kind in {"lost", "ended by callee"}:
                        continue  # who closes the session of another ends that other's transaction, which is a fault of its own; and whose work was halfway is known there
                    if kind in {"saved", "written"}:
                        each.faults.append((kind, back[loc], own.unsaved if related == CALLERS else at))
                    elif kind == "held across":
                        each.faults.append((kind, back[loc], related))
                    elif kind in BESIDE:
                        if related is not None and related != at:
                            self.engine.within[at] = related
                        each.faults.append((kind, back[loc], own.lent or (None if self.told(sketch, env, back[loc]) else at)))
                    else:
                        each.faults.append((kind, back[loc], own.poisoned or related))
            changed = dict(case.env)
            for number, value in enumerate(passed):
                now = renamed(changed.get((SLOT, number)), names)
                now = replace(now, at=value.at) if isinstance(now, Object) else swept(value, "forget", at)
                if value.detached is not None and now.detached is None:
                    each.becomes_alone(_held(number), now, at)
                    each.comes_back(now, at)
                (each.become if now == value or now.expired is not None else each.loads)(_held(number), now)
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


def bound(
    sketch: Sketch, call: Call, arguments: tuple[Abstract, ...], receiver: Abstract, function: Function
) -> dict[object, Abstract]:
    """What the parameters of a function hold in a call."""
    env: dict[object, Abstract] = {}
    names = [name for name, _ in sketch.parameters]
    if sketch.me is not None and (receiver is not None or function.receiver is not None):
        if isinstance(receiver, (Record, Some)) or (isinstance(receiver, Object) and _goes(receiver, sketch.me, sketch)):
            env[sketch.me] = receiver  # Some: it is the caller's own object
        names = names[1:]
    elif sketch.me is not None and sketch.function.qualname.endswith("__init__"):
        names = names[1:]
    positional = arguments[: len(call.arguments)]
    env.update({name: value for name, value in zip(names, positional, strict=False) if value is not None and _goes(value, name, sketch)})
    for (key, _), value in zip(call.keywords, arguments[len(call.arguments) :], strict=True):
        if key in names and value is not None and _goes(value, key, sketch):
            env[key] = value
    passed = {*names[: len(positional)], *(key for key, _ in call.keywords)}
    if None not in passed:
        for name, default in sketch.parameters:
            if isinstance(default, Const) and name not in passed and name not in env and name != sketch.me:
                env[name] = Known(default.value)
    return env


def _held(number: int) -> Object:
    """What stands for an object while a call has it."""
    return Object(None, at=Place("held", number))


def _goes(value: Abstract, name: str, sketch: Sketch) -> bool:
    """Whether what a call is given goes with it: of objects those that the function gives to a session."""
    return not isinstance(value, Object) or name in sketch.handled


def _escape(env: dict[object, Abstract], sketch: Sketch | None, way: Way) -> None:
    """A call that is not followed may have done anything to what it was handed and to what it can reach."""
    for value in env.values():
        way.escape(value)
    way.escape_reached(sketch is not None and isinstance(env.get(sketch.me), Some))


def _loses(state: SessionState, now: SessionState) -> bool:
    """Whether leaving a block, which made the second state of the first, threw the work in it away."""
    return state.unsaved is not None and state.owner == "with" and now.unsaved is None and now.closed is not None and not now.saved


def _handed(state: SessionState, has_objects: bool, models: frozenset[Class]) -> SessionState:
    """A caller's session as a callee sees it, with objects of these classes: what else it has given is told when the call comes back."""
    halfway = state.halfway or state.unsaved is not None or "begin" in state.blocks
    unsaved, closed, poisoned = (None if place is None else CALLERS for place in (state.unsaved, state.closed, state.poisoned))
    return state._replace(
        unsaved=unsaved, closed=closed, poisoned=poisoned, owner="parameter", opened=None, given_back=False, saved=False, halfway=halfway, ended=None, worked=False, swept=() if has_objects else None,
        models=models,
    )


def _met_before(found: Object, owners: dict[Loc, SessionState]) -> Object:
    """An object that a call gives, as its caller knows it: of a class of which the session has given some before it may have more loaded, and may be deleted."""
    own = owners.get(found.loc) if found.loc is not None and found.loaded else None
    if own is None or (found.at is not None and found.at.path == SLOT):
        return found
    if not own.models.isdisjoint({found.model, found.first, SOMETHING}):
        found = replace(found, fetched=None)
    return replace(found, gone=True) if DELETED in own.models else found


def _returned(state: SessionState, own: SessionState, at: Place, raised: bool) -> SessionState:
    """A session as the caller has it back: its own, unless the callee let somebody else have it. What the callee has written or lent, the call has. When
    it `raised`, the session may have given objects of any class."""
    if state.lent is not None and state.lent != own.lent:
        state = state._replace(lent=at)
    owner = own.owner if state.owner in {"parameter", "with", "yielded"} else "shared" if own.owner == "with" else "given"
    if state.owner == "passed" and own.owner == "here":
        owner = "passed"
    if own.owner not in {"here", "with"}:
        owner = own.owner
    ended = own.ended
    if own.halfway and ended is None and state.ended is not None:
        ended = state.ended if state.worked else at  # what only ends a transaction is a commit by another name
    unsaved = own.unsaved if state.unsaved == CALLERS else None if state.unsaved is None else at
    return state._replace(
        owner=owner, opened=own.opened, given_back=own.given_back or state.given_back, unsaved=unsaved,
        closed=own.closed if state.closed == CALLERS else state.closed, poisoned=own.poisoned if state.poisoned == CALLERS else state.poisoned,
        halfway=own.halfway, ended=ended, worked=own.worked or (own.halfway and state.worked), swept=own.swept,
        models=ANYTHING if raised else own.models | state.models,
    )  # fmt: skip


def _nesting(loc: Loc) -> int:
    return 1 + _nesting(loc[2]) if loc and loc[0] == "in" and len(loc) > 2 else 0  # type: ignore[arg-type]  # a Loc within a Loc


