"""second-session-while-holding-first (SAS804): a second connection of a pool is taken while the first is held, here or by a caller."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.project.nesting import surrounded
from sa_session_lint.project.pooling import is_local, takes_lock
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.leaving import leaks
from sa_session_lint.typestate.verdict import crowding


class SecondSessionWhileHoldingFirst(FlowCheck):
    rule = "second-session-while-holding-first"

    def function(self, found: Followed) -> None:
        seen: set[int] = set()
        for each in (found, *surrounded(self.index, self.file.outline, self.around, found)):
            self.found = each
            crowded = list(crowding(each))
            left = {leak.opened for leak in leaks(each)} if crowded else set()  # what is not given back by mistake is told there
            for met in crowded:
                at = each.sketch.steps[met.step].at
                if at not in seen and met.related not in left and not (is_local(self.index) and self.state(met).unsaved is None) and not takes_lock(self.index, self.around, self.file.path):
                    seen.add(at)
                    first = self.note(met.related, "the first session was opened here, or holds its connection during this call")
                    self.report(self.node(met.step), [first, *self.trail(met.step, met.disjunct, met.loc)], name=self.name(met.disjunct, met.loc))
