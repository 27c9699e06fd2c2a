"""The model's side: a program followed, and its ways walked along what really happened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import libcst as cst

from sa_session_lint.flow.graph import RAISED, RETURNED
from sa_session_lint.model.expression import Attribute, Call, Name
from sa_session_lint.model.protocol import ANY, HOLDING, METHODS, Txn
from sa_session_lint.project.index import Index
from sa_session_lint.project.tracking import engine_of, followed
from sa_session_lint.typestate.engine import Followed
from sa_session_lint.typestate.sketch import SketchStep
from sa_session_lint.typestate.state import Disjunct, Ref, Scope
from tests.differential.reality import Event, Trace

PATH = "programs.py"
HELPERS = {"commits", "rolls_back", "closes", "writes"}
QUERIES = {"all"}
Here = tuple[int, Disjunct, "type[BaseException] | None"]
Outcome = tuple[int, Disjunct, frozenset[str]]


@dataclass(slots=True)
class Counts:
    """How much was compared: events, those at which a state was not known, programs with too many ways."""

    events: int = 0
    unknown: int = 0
    coarse: int = 0


class Model:
    """The programs of one text."""

    def __init__(self, text: str, root: Path) -> None:
        self.index = Index(root, (PATH,))
        self.index.put(PATH, text.encode())
        found = self.index.outline(PATH)
        assert found is not None, self.index.failures
        self.outline = found
        self.counts = Counts()

    def line(self, step: SketchStep) -> int:
        source = self.index.source(PATH)
        assert source is not None
        return source.span_of(self.outline.nodes[step.at]).line

    def disagreement(self, name: str, trace: Trace) -> str | None:
        """Why a run is no way of the model; None when it is one."""
        found = followed(self.index, self.outline, self.outline.scopes[name])
        assert found is not None
        if found.coarse:
            self.counts.coarse += 1
            return None
        return _Walk(self, found, trace).run()


class _Walk:
    def __init__(self, model: Model, found: Followed, trace: Trace) -> None:
        self.model, self.found, self.trace = model, found, trace
        self.transfer = engine_of(model.index).transfer(found.sketch)

    def run(self) -> str | None:
        here = self.closure({(self.found.sketch.start, way, None) for way in self.found.ways[self.found.sketch.start]})
        for number, event in enumerate(self.trace.events, 1):
            self.model.counts.events += 1
            at = {h for h in here if self.is_at(h, event)}
            where = f"line {event.line}, event {number}, {event.what}"
            if not at:
                return f"{where}: not on any way of the model"
            fit = {h for h in at if self.fits(h[1], event.states)}
            if not fit:
                return f"{where}: really {event.states}, in the model {[self.shown(h[1]) for h in at]}"
            if any(self.txn(h[1], name) is ANY for h in fit for name in event.states):
                self.model.counts.unknown += 1
            after = {then for h in fit for then in self.through(h, event)}
            if not after:
                ended = "returned" if event.error is None else f"raised {event.error.__name__} ({event.fault})"
                return f"{where}: {ended}, which the model denies in {event.states}"
            here = self.closure(after)
        end = RETURNED if self.trace.error is None else RAISED
        last = [h for h in here if h[0] == end]
        if not any(self.fits(h[1], self.trace.states) and self.holds(h[1]) for h in last):
            return f"end {end}: really {self.trace.states}, {self.trace.out} out; in the model {[self.shown(h[1]) for h in last]}"
        return None

    def holds(self, way: Disjunct) -> bool:
        states = [state.txn for _, state in way.heap]
        out = sum(state in HOLDING for state in states)
        return out <= self.trace.out <= out + states.count(ANY)

    def txn(self, way: Disjunct, name: str) -> Txn:
        value = dict(way.env).get(name)
        return dict(way.heap)[value.loc].txn if isinstance(value, Ref) else ANY

    def fits(self, way: Disjunct, states: dict[str, Txn]) -> bool:
        return all(self.txn(way, name) in {ANY, state} for name, state in states.items())

    def shown(self, way: Disjunct) -> dict[str, Txn]:
        return {name: self.txn(way, name) for name, value in way.env if isinstance(name, str) and isinstance(value, Ref)}

    def what(self, step: SketchStep, way: Disjunct) -> str | None:
        """The operation that a step is, if reality notes it."""
        if step.op == "leave":
            manager = dict(way.env).get(("with", step.at))
            return f"leave {manager.kind}" if isinstance(manager, Scope) else "leave"
        if step.op != "call" or not isinstance(step.value, Call):
            return None
        function = step.value.function
        if isinstance(function, Name):
            return function.name if function.name in HELPERS else None
        if not isinstance(function, Attribute) or function.value == Name("SessionLocal"):
            return None
        inner = function.value
        if function.name in QUERIES:
            return function.name if isinstance(inner, Call) and isinstance(inner.function, Attribute) and inner.function.name == "query" else None
        return function.name if function.name in METHODS else None

    def is_at(self, here: Here, event: Event) -> bool:
        step = self.found.sketch.steps.get(here[0])
        return step is not None and self.what(step, here[1]) == event.what and step.raising == event.raising and self.model.line(step) == event.line

    def after(self, here: Here) -> list[Outcome]:
        step = self.found.sketch.steps[here[0]]
        return [(to, way.frozen(), frozenset(kind for kind, _, _ in way.faults)) for to, way in self.transfer.after(step, here[1])]

    def through(self, here: Here, event: Event) -> list[Here]:
        """Where the model goes on when the operation ended as it really did."""
        step = self.found.sketch.steps[here[0]]
        going = step.error if step.op == "leave" and event.raising and event.error is None else step.next[0]
        error = RAISED if step.error is None else step.error
        outcomes = self.after(here)
        if event.error is None:
            return [(to, way, here[2]) for to, way, _ in outcomes if to == going]
        misuses = {"use of inactive", "use of done", "begin of begun"}
        exact = event.what not in HELPERS and step.op == "call"
        return [
            (to, way, event.error) for to, way, faults in outcomes
            if to == error and (not exact or faults & misuses == ({event.fault} if event.fault and event.what != "flush" else set()))
        ]  # fmt: skip

    def closure(self, start: set[Here]) -> set[Here]:
        """Everything up to the next operations that reality notes."""
        seen, stack = set(start), list(start)
        while stack:
            here = stack.pop()
            step = self.found.sketch.steps.get(here[0])
            if step is None or self.what(step, here[1]) is not None:
                continue
            for then in self.silent(here, step):
                if then not in seen:
                    seen.add(then)
                    stack.append(then)
        return seen

    def silent(self, here: Here, step: SketchStep) -> list[Here]:
        """The followers of a step that reality does not note; only `raise` raises there."""
        error, node = here[2], self.model.outline.nodes[step.at]
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
        return [(to, way, error) for to, way, _ in self.after(here) if to in wanted]


class _Own(Exception):
    pass


def _caught(names: tuple[str, ...], error: type[BaseException] | None) -> bool:
    return error is not None and any(base.__name__ in names for base in error.__mro__)
