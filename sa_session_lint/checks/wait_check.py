"""What a check is that asks who waits for something else while a session holds a connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.value import Place
from sa_session_lint.project.local import is_local
from sa_session_lint.project.pooling import is_all_unpooled, is_roomy, is_unpooled, takes_lock
from sa_session_lint.project.reach import runs_by_itself
from sa_session_lint.project.slowness import is_brief, is_long, is_passed
from sa_session_lint.project.tracking import engine_of, followed
from sa_session_lint.typestate.followed import Followed, Met
from sa_session_lint.typestate.sketch import SketchStep
from sa_session_lint.typestate.verdict import comes_again, firsts, waits_in


class WaitCheck(FlowCheck):
    """Base of the checks of slow calls during which a connection is held; `wanted` says which of them a rule speaks of, `long` whether they are long."""

    long: ClassVar[bool]

    def function(self, found: Followed) -> None:
        waits = waits_in(found)
        if all(self.is_long(met) is not self.long for met in waits):
            return
        waits = {met: steps for met, steps in waits.items() if self.is_minded(met)}
        if not waits or takes_lock(self.index, self.around, self.file.path):
            return
        seen: set[int] = set()
        for met in self.wanted(waits):
            step = found.sketch.steps[met.step]
            if step.at not in seen and (met.related is None or (self.is_sure(step) and is_passed(self.index, met.related) and not self.is_told_there(met, met.related))):
                seen.add(step.at)
                node = self.node(met.step)
                self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))

    def wanted(self, waits: dict[Met, list[int]]) -> Iterable[Met]:
        """Those of the slow calls, each with the steps since the connection was taken, that are to be reported."""
        raise NotImplementedError

    def is_minded(self, met: Met) -> bool:
        """Whether others may have to wait for the connection that is held, or for the rows that were written; what the next flush is to send locks none."""
        state = self.state(met)
        if (state.unsaved is None or state.pending) and (is_local(self.index, state.pool) or self.is_alone(met)):
            return False
        return not (is_all_unpooled(self.index) or (state.maker is not None and is_unpooled(self.index, state.maker)))

    def is_alone(self, met: Met) -> bool:
        """Whether nobody else asks for connections meanwhile: synchronous work of a coroutine keeps its event loop to itself, and a worker does one task at a time."""
        waited = self.found.sketch.steps[met.step].op in {"await", "enter", "next"}
        return (self.around.is_async and not waited) or runs_by_itself(self.index, self.file.outline, self.around)

    def is_long(self, met: Met) -> bool:
        """Whether the function waits long, or again and again, for as long as the connection is held. Where there are more connections than requests are served
        at a time, and nothing was written, what is asked again and again harms nobody."""
        return self.calls_long(met) or (not self.is_spare(met) and comes_again(self.found, met.step, met.loc))

    def calls_long(self, met: Met) -> bool:
        value = self.found.sketch.steps[met.step].value
        if value is not None and self.state(met).unsaved is None and is_brief(self.index, value, self.around, self.file.path):
            return False
        return value is not None and is_long(self.index, value, self.around, self.file.path, again=not self.is_spare(met))

    def is_spare(self, met: Met) -> bool:
        """Whether there are more connections than requests that are served at a time, and nothing was written."""
        return self.state(met).unsaved is None and is_roomy(self.index, self.file.path) and not self.around.is_async

    def is_sure(self, step: SketchStep) -> bool:
        """Whether the function that is called with the session waits on every way through it."""
        return step.value is not None and engine_of(self.index).facts.waits(step.value, self.found.sketch)

    def is_told_there(self, met: Met, inside: Place) -> bool:
        """Whether the function that is called holds the connection by statements of its own, and is reported itself: there it is not known to come again."""
        outline = self.index.outline(inside.path)
        known = outline.values.get(id(outline.nodes[inside.at])) if outline is not None else None
        found = followed(self.index, outline, known[1]) if outline is not None and known is not None else None
        if found is None or not any(found.sketch.steps[other.step].at == inside.at for other in firsts(waits_in(found))):
            return False
        return self.calls_long(met) or not comes_again(self.found, met.step, met.loc)
