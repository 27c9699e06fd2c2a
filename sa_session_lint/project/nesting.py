"""A function as it goes when it is called by one that holds a connection meanwhile.

    def count(author): ...        opens a session of its own
    def report(): ...             holds a connection and calls `count`: followed as if `count` had found that connection taken
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.model.expression import NONE, Attribute, Await, Call
from sa_session_lint.model.protocol import CONN
from sa_session_lint.model.value import Function, Place
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.running import runs_as_script
from sa_session_lint.project.tracking import engine_of, followed, given_to, sketch_of
from sa_session_lint.project.usage import callers
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.invocation import bound
from sa_session_lint.typestate.leaving import leaks
from sa_session_lint.typestate.sketch import Sketch
from sa_session_lint.typestate.state import UNKNOWN_STATE, Abstract, Disjunct, Frozen, Known, Loc, Record, Ref, SessionState, Some, sessions_in
from sa_session_lint.typestate.verdict import pools_held
from sa_session_lint.typestate.way import Way

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

FRAMES = 3
"""How many calls further out a connection may be held."""


def surrounded(index: Index, found: Outline, scope: Scope, alone: Followed) -> Iterator[Followed]:
    """A function that takes connections of its own, followed for each call of it during which one of the same pool is held."""
    taken = {state.pool for _, way in alone.came for _, state in way.heap if state.txn is CONN and state.pool is not None}
    if not taken or scope.is_generator:
        return
    for outline, caller, call in callers(index, found.path, scope):
        held = _held_during(index, outline, caller, call, scope, taken, FRAMES)
        around = sketch_of(index, outline, caller)
        if held and around is not None:
            ways = _ways_to(index, outline, caller, call, scope)
            way = next((way for way in ways if not held.keys().isdisjoint(pools_held(way))), ways[0])
            yield _within(index, found, scope, alone.sketch, around, call, way, held)


def _ways_to(index: Index, outline: Outline, caller: Scope, call: Call, callee: Scope) -> list[Disjunct]:
    """The ways on which a function runs a call itself: not in a lambda, not as a task. Tests, scripts and generators, of which nobody knows when they run, have none."""
    aside = is_aside(outline.path) or runs_as_script(index, outline.path, caller)
    sketch = None if aside or caller.is_generator else sketch_of(index, outline, caller)
    there = followed(index, outline, caller)
    found: list[Disjunct] = []
    for at, step in sketch.steps.items() if sketch is not None else ():
        made = step.value.value if callee.is_async and isinstance(step.value, Await) else step.value
        if made is call and step.op == ("await" if callee.is_async else "call"):
            found += there.ways.get(at, ()) if there is not None else [Disjunct()]
    return [way for way in found if way.raising is None]


def _held_during(
    index: Index, outline: Outline, caller: Scope, call: Call, callee: Scope, pools: set[Place], frames: int
) -> dict[Place, Place]:  # fmt: skip
    """Of which of these pools a connection is held during a call, by the function that makes it or by one further out; each with the call of the one who holds."""
    ways = _ways_to(index, outline, caller, call, callee)
    there = followed(index, outline, caller) if ways else None
    left = {leak.opened for leak in leaks(there)} if there is not None else set()  # what is not given back by mistake is told there
    held = {pool: Place(outline.path, call.at) for way in ways for pool in pools_held(way, left) if pool in pools}
    if ways and not held and frames > 1:
        for found, scope, further in callers(index, outline.path, caller):
            held.update(_held_during(index, found, scope, further, caller, pools, frames - 1))
    return held


def _within(
    index: Index, found: Outline, scope: Scope, sketch: Sketch, around: Sketch, call: Call, way: Disjunct, outer: dict[Place, Place]
) -> Followed:  # fmt: skip
    """Follow a function as one call of it starts it, with connections of these pools taken."""
    engine = engine_of(index)
    of = engine.transfer(around)
    arguments = tuple(of.evaluate(argument, Way(way)) for argument in (*call.arguments, *(value for _, value in call.keywords)))
    receiver = of.evaluate(call.function.value, Way(way)) if isinstance(call.function, Attribute) else None
    value = of.value(call.function)
    taken = bound(sketch, call, arguments, receiver, value if isinstance(value, Function) else sketch.function)
    sessions = {**{str(name): UNKNOWN_STATE for name, given in taken.items() if name != sketch.me and sessions_in(given)}, **given_to(index, found, scope)}
    env: dict[object, Abstract] = {name: Some() for name, default in sketch.parameters if default == NONE}
    env.update({name: given for name, given in taken.items() if not sessions_in(given)})
    heap: dict[Loc, SessionState] = {("outer", pool): SessionState(CONN, owner="given", pool=pool, opened=at) for pool, at in outer.items()}
    for name, state in sessions.items():
        if not isinstance(taken.get(name), Known):
            env[name], heap["parameter", name] = Ref(("parameter", name)), state._replace(pool=None)
    me = taken.get(sketch.me) if sketch.me is not None else None
    if sketch.me is not None and isinstance(me, Record) and sessions_in(me):
        kept: dict[str, Loc] = {field: ("parameter", f"{sketch.me}.{field}") for field, value in me.fields if isinstance(value, Ref)}
        heap.update({loc: UNKNOWN_STATE._replace(pool=None) for loc in kept.values()})
        env[sketch.me] = replace(me, fields=tuple((field, Ref(kept[field]) if field in kept else None) for field, _ in me.fields))
    return engine.follow(sketch, [(sketch.start, Disjunct(Frozen(env.items()), Frozen(heap.items()), engine.facts.settled(sketch)))])
