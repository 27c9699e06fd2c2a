"""session-held-across-slow-call (SAS552): a connection is held while the function waits for something slow."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.value import Place
from sa_session_lint.project.pooling import is_all_unpooled, is_local, is_unpooled, takes_lock
from sa_session_lint.project.reach import runs_by_itself
from sa_session_lint.project.slowness import is_long, is_passed, is_repeated
from sa_session_lint.project.tracking import engine_of, followed
from sa_session_lint.typestate.followed import Followed, Met
from sa_session_lint.typestate.sketch import SketchStep
from sa_session_lint.typestate.verdict import waiting


class SessionHeldAcrossSlowCall(FlowCheck):
    rule = "session-held-across-slow-call"

    def function(self, found: Followed) -> None:
        seen: set[int] = set()
        if any(waiting(found)) and takes_lock(self.index, self.around, self.file.path):
            return
        for met in waiting(found):
            step = found.sketch.steps[met.step]
            maker, unsaved = self.state(met).maker, self.state(met).unsaved
            if unsaved is None and is_local(self.index):
                continue
            if is_all_unpooled(self.index) if maker is None else is_unpooled(self.index, maker):
                continue
            if unsaved is None and not self.is_long(met) and runs_by_itself(self.index, self.file.outline, self.around):
                continue
            if step.at not in seen and (met.related is None or (self.is_sure(step) and is_passed(self.index, met.related) and not self.is_met_there(met.related))):
                seen.add(step.at)
                node = self.node(met.step)
                self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))

    def is_sure(self, step: SketchStep) -> bool:
        """Whether the function that is called with the session waits on every way through it."""
        return step.value is not None and engine_of(self.index).facts.waits(step.value, self.found.sketch)

    def is_long(self, met: Met) -> bool:
        """Whether the function waits long, or again and again, for as long as the connection is held: a worker may spare it for a short request."""
        steps = [self.found.sketch.steps[each.step] for each in self.found.met if each.kind == "held across" and each.loc == met.loc]
        calls = {call.at: call for call in self.around.calls}
        return any(
            (step.value is not None and is_long(self.index, step.value, self.around, self.file.path))
            or (step.at in calls and is_repeated(self.file.outline, self.around, calls[step.at]))
            for step in steps
        )

    def is_met_there(self, inside: Place) -> bool:
        """Whether the function that is called holds the connection by statements of its own, and is reported itself."""
        outline = self.index.outline(inside.path)
        known = outline.values.get(id(outline.nodes[inside.at])) if outline is not None else None
        found = followed(self.index, outline, known[1]) if outline is not None and known is not None else None
        return found is not None and any(found.sketch.steps[met.step].at == inside.at for met in waiting(found))
