"""enqueue-before-commit (SAS611): a task is told of a row that its sender commits only afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from sa_session_lint.checks.check import File
from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.finding import Note
from sa_session_lint.flow.graph import RETURNED
from sa_session_lint.model.expression import Attribute, Await, Call
from sa_session_lint.model.value import Function, Place
from sa_session_lint.project.announcing import Announced, announced
from sa_session_lint.project.enqueuing import has_queue, may_enqueue
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.sharing import parameters
from sa_session_lint.project.tracking import commits_behind, engine_of, followed
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.sketch import SketchStep
from sa_session_lint.typestate.state import Disjunct, Loc, Ref
from sa_session_lint.typestate.trail import reachable, state_of
from sa_session_lint.typestate.way import Way


class EnqueueBeforeCommit(FlowCheck):
    rule = "enqueue-before-commit"

    def function(self, found: Followed) -> None:
        if found.coarse or is_aside(self.file.path) or not has_queue(self.index):
            return
        seen: set[int] = set()
        for each in announced(self.index, found, self.around):
            node, call_at = self.node(each.step), found.sketch.steps[each.step].at
            commit = self.saved(each.step, each.way, each.loc) if call_at not in seen else None
            if commit is not None:
                seen.add(call_at)
                self.report(node, [*self.trail(each.step, each.way, each.loc), commit], call=self.code(node), name=self.written(node, each.given))
        for at, step in found.sketch.steps.items():
            call = step.value.value if step.op == "await" and isinstance(step.value, Await) else step.value if step.op == "call" else None
            if isinstance(call, Call) and call.at not in seen and self.helped(at, step, call):
                seen.add(call.at)

    def helped(self, at: int, step: SketchStep, call: Call) -> bool:
        """Report a call of a function that tells a worker of a row, and leaves it to its caller to commit; whether it is one."""
        for helper, each in self.left_by(call):
            for way in self.found.ways.get(at, ()):
                loc = self.loc(each.loc, call, way)
                for then in self.found.ways.get(step.next[0], ()) if loc is not None else ():
                    state = state_of(then, loc) if loc is not None else None
                    commit = self.saved(at, then, loc) if loc is not None and state is not None and state.unsaved == Place(self.file.path, call.at) else None
                    if commit is not None:
                        sent = helper.node(each.step)
                        node = self.at(Place(self.file.path, call.at))
                        self.report(node, [helper.note(sent, "sent here"), commit], call=self.code(node), name=helper.written(sent, each.given))
                        return True
        return False

    def left_by(self, call: Call) -> Iterator[tuple[EnqueueBeforeCommit, Announced]]:
        """What a function of the project that is called tells of rows that it does not commit itself, on any way."""
        target = self.index.value(call.function, self.around, self.file.path)
        outline = self.index.outline(target.path) if isinstance(target, Function) else None
        source = self.index.source(outline.path) if outline is not None else None
        scope = outline.scopes[target.qualname] if outline is not None and isinstance(target, Function) else None
        found = followed(self.index, outline, scope) if outline is not None and scope is not None and may_enqueue(scope) else None
        if source is None or outline is None or scope is None or found is None:
            return
        helper = EnqueueBeforeCommit(File(outline.path, source, outline, self.index))
        helper.found, helper.around = found, scope
        left = [each for each in announced(self.index, found, scope) if helper.saved(each.step, each.way, each.loc) is None]
        yield from ((helper, each) for each in left if {other.way for other in left if other.step == each.step} == set(found.ways[each.step]))

    def loc(self, inner: Loc, call: Call, way: Disjunct) -> Loc | None:
        """The session here that a called function knows as one of its own."""
        if inner[0] == "ambient":
            own = isinstance(call.function, Attribute) and engine_of(self.index).transfer(self.found.sketch).is_me(call.function.value)
            return inner if own or not isinstance(inner[1], str) else None
        target = self.index.value(call.function, self.around, self.file.path)
        names = parameters(self.index, target) if isinstance(target, Function) else ()
        given = [*zip(names, call.arguments, strict=False), *call.keywords]
        part = next((value for name, value in given if inner == ("parameter", name)), None)
        held = engine_of(self.index).transfer(self.found.sketch).evaluate(part, Way(way)) if part is not None else None
        return held.loc if isinstance(held, Ref) else None

    def saved(self, at: int, way: Disjunct, loc: Loc) -> Note | None:
        """Where a session saves after a step what it has not saved there: in the function, or when the dependency that gave it goes on."""
        state = state_of(way, loc)
        if state is None or state.unsaved is None:
            return None
        later = reachable(self.found.sketch, at, state.opened)
        step = next((m.step for m in self.found.met if m.kind == "saved" and m.loc == loc and m.step in later and m.related == state.unsaved), None)
        if step is not None:
            return self.note(Place(self.file.path, self.found.sketch.steps[step].at), "committed only here")
        given = next((p for p in self.around.parameters if loc == ("parameter", p.name) and state.owner == "depends"), None)
        ends = [end for end in self.found.ends(RETURNED) if (left := state_of(end, loc)) is not None and left.unsaved == state.unsaved]
        place = commits_behind(self.index, given, self.around, self.file.path) if given is not None and ends else None
        return None if place is None else self.note(place, "committed only after this, when the function is over")
