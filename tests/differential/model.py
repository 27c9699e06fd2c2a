"""The model's side: a program followed, and its ways walked along what really happened.

What is not compared, and why:

- Of a session that code outside has had (and may have still), on which an unknown method was called, or whose `get()` found something after a failed flush,
  the model says that it knows nothing (the state ANY): what it does not know of work there or of an earlier close is no claim, and an `add()` is not believed
  to raise. What it does claim is compared.
- Work of a session whose flush has failed (INACTIVE): it is lost whatever the program does, nobody can save it any more.
- Work thrown away by a `close()` while an exception is on its way, after a failed flush, or in a function that was handed the session: the model calls a loss
  what no error explains, and blames who opened the session.
- That something unknown fails while a session that it does not get waits for its rollback: that errors meet is not followed.
- What the end of a block saves of a session of which the state is not known.
- The use of a closed session that was begun, entered, committed or rolled back since: that is how it is started anew on purpose.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import libcst as cst

from sa_session_lint.flow.graph import RAISED, RETURNED
from sa_session_lint.model.expression import Attribute, Call, Name
from sa_session_lint.model.protocol import ANY, CTXDONE, HOLDING, INACTIVE, METHODS, Operation, Txn
from sa_session_lint.project.index import Index
from sa_session_lint.project.tracking import engine_of, followed
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.sketch import SketchStep
from sa_session_lint.typestate.state import Disjunct, Loc, Managed, Ref, Scope, SessionState
from tests.differential.reality import HELPERS, Event, Trace

PATH = "programs.py"
CALLED = frozenset({*HELPERS, "outside"})
CLOSING = frozenset({"close", "leave session", "leave maker", "leave managed"})
MISUSES = frozenset({"use of inactive", "use of done", "begin of begun"})


class Here(NamedTuple):
    """A step on a way of the model; `error` is what is on its way, `doubt` the sessions of whose past nothing is known."""

    at: int
    way: Disjunct
    error: type[BaseException] | None
    doubt: frozenset[Loc] = frozenset()

    def state(self, name: str) -> SessionState | None:
        loc = self.loc(name)
        return self.way.heap.mapping.get(loc) if loc is not None else None

    def loc(self, name: str) -> Loc | None:
        value = self.way.env.mapping.get(name)
        return value.loc if isinstance(value, Ref) else None

    def txn(self, name: str) -> Txn:
        state = self.state(name)
        return ANY if state is None else state.txn


Faults = frozenset[tuple[str, Loc]]
Outcome = tuple[int, Disjunct, Faults]


@dataclass(slots=True)
class Counts:
    """How much was compared: events, the cells of the table at which they were (by the model's state), runs that ended in what the model does not claim to
    know, runs with too many ways."""

    events: int = 0
    unknown: int = 0
    coarse: int = 0
    cells: Counter[tuple[Txn, Operation]] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        self.events, self.unknown, self.coarse = self.events + other.events, self.unknown + other.unknown, self.coarse + other.coarse
        self.cells.update(other.cells)


class Model:
    """The programs of one text."""

    def __init__(self, text: str, root: Path, counts: Counts) -> None:
        self.index = Index(root, (PATH,))
        self.index.put(PATH, text.encode())
        found = self.index.outline(PATH)
        assert found is not None, self.index.failures
        self.outline = found
        self.counts = counts
        self.known: dict[str, Followed] = {}

    def line(self, step: SketchStep) -> int:
        source = self.index.source(PATH)
        assert source is not None
        return source.span_of(self.outline.nodes[step.at]).line

    def disagreement(self, name: str, trace: Trace) -> str | None:
        """Why a run is no way of the model; None when it is one."""
        if name not in self.known:
            found = followed(self.index, self.outline, self.outline.scopes[name])
            assert found is not None
            self.known[name] = found
        if self.known[name].coarse:
            self.counts.coarse += 1
            return None
        try:
            return _Walk(self, self.known[name], trace).run()
        except _Unclaimed:
            self.counts.unknown += 1
            return None


class _Unclaimed(Exception):
    """From here on the model claims nothing."""


class _Walk:
    def __init__(self, model: Model, found: Followed, trace: Trace) -> None:
        self.model, self.found, self.trace = model, found, trace
        self.transfer = engine_of(model.index).transfer(found.sketch)

    def run(self) -> str | None:
        start = self.found.sketch.start
        here = self.closure({Here(start, way, None) for way in self.found.ways[start]})
        for number, event in enumerate(self.trace.events, 1):
            self.model.counts.events += 1
            at = {h for h in here if self.is_at(h, event)}
            where = f"line {event.line}, event {number}, {event.what}"
            if not at:
                return f"{where}: not on any way of the model"
            fit = {h for h in at if self.fits(h, event.states, event.work)}
            if not fit:
                return f"{where}: really {shown(event.states, event.work)}, in the model {[self.shown(h) for h in at]}"
            if event.name is not None:
                for txn in {h.txn(event.name) for h in fit}:
                    self.model.counts.cells[txn, event.operation] += 1
            if event.fault == "use after close":
                return self.closed_for_good(where, fit, event)
            after = {then for h in fit for then in self.through(h, event)}
            if not after:
                if self.is_unclaimed(event, fit):
                    raise _Unclaimed
                return f"{where}: {ending(event)}, which the model denies in {shown(event.states, event.work)}"
            here = self.closure(after)
        end = RETURNED if self.trace.error is None else RAISED
        last = [h for h in here if h.at == end]
        if not any(self.fits(h, self.trace.states, self.trace.work) and self.holds(h) for h in last):
            really = f"{shown(self.trace.states, self.trace.work)}, {self.trace.out} out"
            return f"end {end}: really {really}; in the model {[self.shown(h) for h in last]}"
        return None

    def is_unclaimed(self, event: Event, fit: set[Here]) -> bool:
        """Whether the model says nothing of what comes next: an error, or what the end of a block saves, of a session whose state it does not know; and that
        something unknown fails while a session that it does not get waits for its rollback."""
        if (event.error is not None or event.what.startswith("leave")) and any(h.txn(name) is ANY for h in fit for name in event.states):
            return True
        return event.what == "outside" and event.error is not None and any(h.txn(name) is INACTIVE for h in fit for name in event.states)

    def closed_for_good(self, where: str, fit: set[Here], event: Event) -> str | None:
        """The run ends at the use of a session that was closed: the model has to know that."""
        if event.pardoned or event.what == "outside" or any(h.doubt or state.owner in {"given", "passed"} for h in fit for _, state in h.way.heap):
            raise _Unclaimed
        if any(kind == "use after close" for h in fit for _, _, faults in self.after(h) for kind, _ in faults):
            return None
        return f"{where}: used after its close, which the model denies"

    # -- states -------------------------------------------------------------------------------------------------------

    def holds(self, here: Here) -> bool:
        states = [state.txn for _, state in here.way.heap]
        out = sum(state in HOLDING for state in states)
        return out <= self.trace.out <= out + states.count(ANY)

    def fits(self, here: Here, states: dict[str, Txn], work: frozenset[str]) -> bool:
        return all(here.txn(name) in {ANY, state} and (state is INACTIVE or self.works(here, name, name in work)) for name, state in states.items())

    def works(self, here: Here, name: str, work: bool) -> bool:
        """Whether what the model says of unsaved work is so."""
        state = here.state(name)
        if state is None:
            return True
        return work if state.unsaved is not None else (not work or here.loc(name) in here.doubt)

    def shown(self, here: Here) -> str:
        names = {name: here.state(name) for name, value in here.way.env if isinstance(name, str) and isinstance(value, Ref)}
        return shown({n: here.txn(n) for n in names}, frozenset(n for n, state in names.items() if state is not None and state.unsaved is not None))

    # -- events -------------------------------------------------------------------------------------------------------

    def what(self, step: SketchStep, way: Disjunct) -> str | None:
        """The operation that a step is, if reality notes it."""
        if step.op == "leave":
            manager = way.env.mapping.get(("with", step.at))
            return f"leave {manager.kind}" if isinstance(manager, Scope) else "leave managed" if isinstance(manager, Managed) else "leave"
        if step.op != "call" or not isinstance(step.value, Call):
            return None
        function = step.value.function
        if isinstance(function, Name):
            return function.name if function.name in CALLED else None
        if not isinstance(function, Attribute) or function.value == Name("SessionLocal"):
            return None
        inner = function.value
        if function.name == "all":
            return function.name if isinstance(inner, Call) and isinstance(inner.function, Attribute) and inner.function.name == "query" else None
        return function.name if function.name in {*METHODS, "prepare"} else None

    def is_at(self, here: Here, event: Event) -> bool:
        step = self.found.sketch.steps.get(here.at)
        return step is not None and self.what(step, here.way) == event.what and step.raising == event.raising and self.model.line(step) == event.line

    def after(self, here: Here) -> list[Outcome]:
        step = self.found.sketch.steps[here.at]
        return [(to, way.frozen(), frozenset((kind, loc) for kind, loc, _ in way.faults)) for to, way in self.transfer.after(step, here.way)]

    def through(self, here: Here, event: Event) -> list[Here]:
        """Where the model goes on when the operation ended as it really did."""
        step = self.found.sketch.steps[here.at]
        outcomes = self.after(here)
        if self.trace.permanent and not here.doubt and event.fault is None:
            outcomes = [each for each in outcomes if not any(kind == "use after close" for kind, _ in each[2])]
        if event.error is None:
            going = step.error if step.op == "leave" and event.raising else step.next[0]
            doubt = self.doubted(here, event, step)
            return [Here(to, way, here.error, doubt) for to, way, faults in outcomes if to == going and self.keeps(here, faults, event)]
        error = step.error if step.error is not None else step.misuse if step.misuse is not None else RAISED
        known = event.what not in CALLED and step.op == "call" and event.operation != "any" and (event.name is None or here.txn(event.name) is not ANY)
        meant = {event.fault} if event.fault is not None else set()
        return [
            Here(to, way, event.error, self.doubted(here, event, step)) for to, way, faults in outcomes
            if to == error and (not known or {kind for kind, _ in faults} & MISUSES == meant)
        ]  # fmt: skip

    def doubted(self, here: Here, event: Event, step: SketchStep) -> frozenset[Loc]:
        """The sessions of whose past nothing is known after an operation."""
        argument = step.value.arguments[0] if isinstance(step.value, Call) and step.value.arguments else None
        name = argument.name if event.what == "outside" and isinstance(argument, Name) else event.name
        loc = here.loc(name) if name is not None else None
        spared = name is not None and here.txn(name) is INACTIVE and event.operation == "get" and event.error is None
        if loc is not None and (event.what == "outside" or event.operation == "any" or spared):
            return here.doubt | {loc}
        return here.doubt - {loc} if event.operation in {"commit", "rollback", "close"} and event.error is None else here.doubt

    def keeps(self, here: Here, faults: Faults, event: Event) -> bool:
        """Whether what the model says of work saved or lost by an operation that came back is so."""
        for name in event.states:
            loc, state = here.loc(name), here.state(name)
            if loc is None or state is None or state.txn in {INACTIVE, CTXDONE}:
                continue
            gone = name in event.work and name not in event.left
            saved, lost = gone and event.committed, gone and not event.committed
            says_saved, says_lost = ("saved", loc) in faults, ("lost", loc) in faults
            if (says_saved and not saved) or (says_lost and not lost):
                return False
            if loc in here.doubt or event.what == "outside" or event.operation == "any":
                continue
            if says_saved != saved or (lost and not says_lost and event.what in CLOSING and here.way.raising is None):
                return False
        return True

    def closure(self, start: set[Here]) -> set[Here]:
        """Everything up to the next operations that reality notes."""
        seen, stack = set(start), list(start)
        while stack:
            here = stack.pop()
            step = self.found.sketch.steps.get(here.at)
            if step is None or self.what(step, here.way) is not None:
                continue
            for then in self.silent(here, step):
                if then not in seen:
                    seen.add(then)
                    stack.append(then)
        return seen

    def silent(self, here: Here, step: SketchStep) -> list[Here]:
        """The followers of a step that reality does not note; only `raise` raises there."""
        error, node = here.error, self.model.outline.nodes[step.at]
        wanted: set[int | None] = set(step.next)
        if step.op == "raise":
            assert isinstance(node, cst.Raise)
            wanted = {step.error}
            error = error if node.exc is None else _Own
        elif step.op == "dispatch":
            steps = self.found.sketch.steps
            catches = (to for to in step.next if to in steps and steps[to].op == "catch")
            wanted = {next((to for to in catches if _caught(steps[to].names, error)), step.error)}
        elif step.op in {"test", "fork"} and len(step.next) == 2 and isinstance(node, cst.Name):
            wanted = {step.next[0 if self.trace.flag else 1]}
        return [Here(to, way, error, here.doubt) for to, way, _ in self.after(here) if to in wanted]


def shown(states: dict[str, Txn], work: frozenset[str]) -> str:
    return ", ".join(f"{name} {txn!r}{' with work' if name in work else ''}" for name, txn in states.items())


def ending(event: Event) -> str:
    if event.error is not None:
        return f"raised {event.error.__name__} ({event.fault})"
    return f"returned, committed {event.committed}, work left {sorted(event.left)}"


class _Own(Exception):
    pass


def _caught(names: tuple[str, ...], error: type[BaseException] | None) -> bool:
    return error is not None and any(base.__name__ in names for base in error.__mro__)
