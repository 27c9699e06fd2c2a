"""What a check is that asks how a session got where it is: it reads a function as the engine has followed it.

    class SessionUseAfterClose(FlowCheck):
        kinds = frozenset({"use after close"})

        def fault(self, met: Met) -> None:
            self.report(self.node(met.step), self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc))
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import ClassVar

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.finding import Note
from sa_session_lint.flow.graph import RETURNED
from sa_session_lint.model.expression import Attribute, Call, Name, Row
from sa_session_lint.model.protocol import INACTIVE
from sa_session_lint.model.value import Made, Place
from sa_session_lint.model.vocabulary import ENDLESS
from sa_session_lint.project.handlers import reads
from sa_session_lint.project.mapping import is_column
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.pooling import is_lent, is_private, is_unpooled
from sa_session_lint.project.running import goes_on, is_batch
from sa_session_lint.project.tracking import engine_of, followed
from sa_session_lint.typestate.followed import Followed, Met, certain
from sa_session_lint.typestate.leaving import Leak, leaks
from sa_session_lint.typestate.state import UNKNOWN_STATE, Abstract, Disjunct, Loc, Object, Ref, SessionState, locs_in
from sa_session_lint.typestate.trail import history, name_of, since
from sa_session_lint.typestate.way import Way
from sa_session_lint.walk import children


def compounds(node: cst.CSTNode) -> Iterator[cst.BaseCompoundStatement]:
    """The compound statements in a node, in order."""
    for child in children(node):
        if isinstance(child, cst.BaseCompoundStatement):
            yield child
        if isinstance(child, (cst.BaseStatement, cst.BaseSuite, cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase)):
            yield from compounds(child)


class FlowCheck(Check):
    """Base of the checks that follow sessions. `kinds` are the faults that `fault` wants to hear of, each once for each `site`."""

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
        seen: set[object] = set()
        for met in certain(found):
            if met.kind in self.kinds and (site := self.site(met)) not in seen:
                seen.add(site)
                self.fault(met)

    def site(self, met: Met) -> object:
        """What one report of a fault speaks for: others like it are not reported."""
        return self.found.sketch.steps[met.step].at, met.kind

    def fault(self, met: Met) -> None:
        """Judge and report one fault."""

    def misread(self, handler: tuple[int, Disjunct], loc: Loc) -> cst.Attribute | None:
        """What a handler reads first of an object that the failed flush of its session has expired: that raises, until the session is rolled back."""
        names = {key: value for key, value in handler[1].env if isinstance(value, Object) and value.loaded and value.loc == loc}
        for read in reads(self.node(handler[0])):
            found = names.get(read.value.value) if isinstance(read.value, cst.Name) else None
            if found is not None and found.model is not None and is_column(self.index, found.model, read.attr.value):
                return read
        return None

    # -- help ---------------------------------------------------------------------------------------------------------

    def node(self, step: int) -> cst.CSTNode:
        """The syntax of a step."""
        return self.file.outline.nodes[self.found.sketch.steps[step].at]

    def at(self, place: Place) -> cst.CSTNode:
        """The syntax at a place of this file."""
        return self.file.outline.nodes[place.at]

    def state(self, met: Met) -> SessionState:
        """The session as it was when it met the fault, or came in sight by it."""
        known = dict(met.disjunct.heap).get(met.loc)
        return known or next((state for _, way in self.found.came for loc, state in way.heap if loc == met.loc), UNKNOWN_STATE)

    def trail(self, step: int, disjunct: Disjunct, loc: Loc) -> list[Note | None]:
        """What happened to the session on the way; if nothing did, where it comes from."""
        stations = [self.note(station.place, station.text) for station in history(self.found, step, disjunct, loc)]
        given = next((p for p in self.around.parameters if loc == ("parameter", p.name)), None) if not stations else None
        return stations if given is None else [self.note(Place(self.file.path, given.at), "given here")]

    def handed_out(self, found: Followed) -> Iterator[tuple[int, Disjunct, Abstract]]:
        """Each `return` with what it hands out, as that is once the function has ended; the first way of each. Nothing of a coarse function."""
        seen: set[tuple[int, Abstract]] = set()
        for disjunct in found.ends(RETURNED) if not found.coarse else ():
            value = dict(disjunct.env).get("return")
            here = found.came.get((RETURNED, disjunct))
            while here is not None and ((step := found.sketch.steps.get(here[0])) is None or step.op != "return"):
                here = found.came.get(here)
            if here is not None and (here[0], value) not in seen:
                seen.add((here[0], value))
                yield here[0], disjunct, value

    def leaks(self) -> tuple[Leak, ...]:
        """What this function opens and does not give back on every way; several rules ask."""
        function = self.found.sketch.function

        def search() -> tuple[Leak, ...]:
            left = tuple(leak for leak in leaks(self.found) if not self.is_spared(leak))
            ends = bool(left) and is_batch(self.index) and not goes_on(self.file.outline, self.around)
            return () if ends else left

        return self.index.once(("leaks", function.path, function.qualname), search)

    def is_spared(self, leak: Leak) -> bool:
        """Whether what is not given back belongs to whoever has lent it, or comes of an engine for whose connections nobody waits."""
        made = leak.state.maker or leak.opened
        return is_lent(self.index, made) or is_private(self.index, leak.opened) or (leak.state.is_connection and is_unpooled(self.index, leak.opened))

    def unclosed(self, leak: Leak) -> None:
        """Report a leak where it was opened."""
        opened = self.at(leak.opened)
        trail = self.trail(leak.end, leak.disjunct, leak.loc)
        self.report(opened, trail, name=self.name(leak.disjunct, leak.loc), call=self.code(opened), function=self.around.name)

    def worker_loop(self, met: Met) -> cst.While | cst.For | None:
        """The endless loop that swallowed an error of a session opened before it."""
        opened, failed = self.state(met).opened, since(self.found, met.step, met.disjunct, met.loc, INACTIVE)
        for loop in compounds(self.file.outline.nodes[self.around.at]):
            if not isinstance(loop, (cst.While, cst.For)):
                continue
            if opened is not None and failed is not None and self.is_endless(loop) and not self.holds(loop, self.at(opened)):
                if self.holds(loop, self.node(failed)) and self.holds(loop, self.node(met.step)):
                    return loop
        return None

    def is_endless(self, loop: cst.While | cst.For) -> bool:
        """Whether a loop is left by nothing but a `break`, a `return` or an exception."""
        if isinstance(loop, cst.While):
            return isinstance(loop.test, (cst.Name, cst.Integer)) and loop.test.value in {"True", "1"}
        value = self.value(loop.iter)
        return isinstance(value, Made) and value.dotted in ENDLESS

    def holds(self, outer: cst.CSTNode, inner: cst.CSTNode) -> bool:
        """Whether one node stands within another."""
        return self.file.source.holds(outer, inner)

    def around_of(self, outer: cst.CSTNode, inner: cst.CSTNode) -> list[cst.CSTNode]:
        """The nodes from one down to another within it, without the last."""
        found: list[cst.CSTNode] = []
        here: cst.CSTNode | None = outer
        while here is not None and here is not inner:
            found.append(here)
            here = next((child for child in children(here) if child is inner or self.holds(child, inner)), None)
        return found

    def is_elsewhere(self, name: str, but: Container[int]) -> bool:
        """Whether somebody else is given an object, who may have added it: another object takes it along. `but` are the calls that do not count."""
        given = [part for call in self.around.calls if call.at not in but for part in (*call.arguments, *(value for _, value in call.keywords))]
        given += [store.value for store in self.around.stores]
        given += [binding.value for bindings in self.around.bindings.values() for binding in bindings]
        return any(part == Name(name) or (isinstance(part, Row) and Name(name) in part.items) for part in given)

    def names(self, disjunct: Disjunct, loc: Loc) -> set[str]:
        """The names under which a session goes on a way."""
        return {key for key, value in disjunct.env if isinstance(key, str) and isinstance(value, Ref) and value.loc == loc}

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
        if loc[0] in {"ambient", "engine"} and isinstance(loc[1], str):
            return loc[1]
        shared = loc[1] if loc[0] == "ambient" else None
        outline = self.index.outline(shared.path) if isinstance(shared, Place) else None
        for bound, bindings in outline.module.bindings.items() if outline is not None else ():
            if any(isinstance(b.value, Call) and shared == Place(outline.path, b.value.at) for b in bindings if outline is not None):
                return bound
        return "the session"
