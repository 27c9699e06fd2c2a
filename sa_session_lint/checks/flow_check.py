"""What a check is that asks how a session got where it is: it reads a function as the engine has followed it.

    class SessionUseAfterClose(FlowCheck):
        kinds = frozenset({"use after close"})

        def fault(self, met: Met) -> None:
            self.report(self.node(met.step), self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.finding import Note
from sa_session_lint.model.expression import Attribute, Call
from sa_session_lint.model.value import Place
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.tracking import engine_of, followed
from sa_session_lint.typestate.engine import Followed, Met, certain
from sa_session_lint.typestate.state import Disjunct, Loc, SessionState, locs_in
from sa_session_lint.typestate.verdict import history, name_of
from sa_session_lint.typestate.way import Way


def _loops(node: cst.CSTNode) -> Iterator[cst.While]:
    for child in node.children:
        if isinstance(child, cst.While):
            yield child
        if isinstance(child, (cst.BaseStatement, cst.BaseSuite, cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase)):
            yield from _loops(child)


class FlowCheck(Check):
    """Base of the checks that follow sessions. `kinds` are the faults that `fault` wants to hear of, each once for each node."""

    kinds: ClassVar[frozenset[str]] = frozenset()
    found: Followed
    around: Scope

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        found = followed(self.index, self.file.outline, scope) if scope is not None else None
        if scope is None or found is None:
            return
        self.found, self.around = found, scope
        self.function(found)

    def function(self, found: Followed) -> None:
        """Read what was found of one function; by default its faults of the wanted kinds."""
        seen: set[tuple[int, str]] = set()
        for met in certain(found):
            key = (found.sketch.steps[met.step].at, met.kind)
            if met.kind in self.kinds and key not in seen:
                seen.add(key)
                self.fault(met)

    def fault(self, met: Met) -> None:
        """Judge and report one fault."""

    # -- help ---------------------------------------------------------------------------------------------------------

    def node(self, step: int) -> cst.CSTNode:
        """The syntax of a step."""
        return self.file.outline.nodes[self.found.sketch.steps[step].at]

    def at(self, place: Place) -> cst.CSTNode:
        """The syntax at a place of this file."""
        return self.file.outline.nodes[place.at]

    def state(self, met: Met) -> SessionState:
        return dict(met.disjunct.heap)[met.loc]

    def trail(self, step: int, disjunct: Disjunct, loc: Loc) -> list[Note | None]:
        """What happened to the session on the way."""
        return [self.note(station.place, station.text) for station in history(self.found, step, disjunct, loc)]

    def worker_loop(self, met: Met) -> cst.While | None:
        """The endless loop that swallowed an error of a session opened before it."""
        state = self.state(met)
        node = self.file.outline.nodes[self.around.at]
        loops = [loop for loop in _loops(node) if isinstance(loop.test, cst.Name) and loop.test.value == "True"] if isinstance(node, cst.FunctionDef) else []
        for loop in loops:
            if self.holds(loop, self.node(met.step)) and state.poisoned is not None and state.poisoned.path == self.file.path:
                poisoned = self.at(state.poisoned)
                if (self.holds(loop, poisoned) or not self.holds(node, poisoned)) and state.opened is not None and not self.holds(loop, self.at(state.opened)):
                    return loop
        return None

    def holds(self, outer: cst.CSTNode, inner: cst.CSTNode) -> bool:
        """Whether one node stands within another."""
        around, within = self.file.source.span_of(outer), self.file.source.span_of(inner)
        return (around.line, around.column) <= (within.line, within.column) and (within.end_line, within.end_column) <= (around.end_line, around.end_column)

    def uses(self, loc: Loc) -> list[cst.CSTNode]:
        """The calls by which a function works with a session, in the order of the text."""
        engine = engine_of(self.index)
        transfer = engine.transfer(self.found.sketch)
        nodes: list[cst.CSTNode] = []
        for at, step in self.found.sketch.steps.items():
            call = step.value
            if step.op != "call" or not isinstance(call, Call):
                continue
            parts = [*call.arguments, *(value for _, value in call.keywords)]
            if isinstance(call.function, Attribute):
                parts.append(call.function.value)
            for way in self.found.ways.get(at, ()):
                if any(loc in locs_in(transfer.evaluate(part, Way(way))) for part in parts):
                    nodes.append(self.file.outline.nodes[step.at])
                    break
        return sorted(nodes, key=self.file.source.span_of)

    def name(self, disjunct: Disjunct, loc: Loc) -> str:
        """How the session is called where something happens to it."""
        name = name_of(disjunct, loc)
        if name is not None:
            return name
        for way in self.found.came:
            name = name_of(way[1], loc)
            if name is not None:
                return name
        if loc[0] == "ambient" and isinstance(loc[1], str):
            return loc[1]
        return "the session"
