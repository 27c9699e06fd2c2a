"""second-session-while-holding-first (SAS804): a second connection of a pool is taken while the first is held, here or by a caller."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.value import Place
from sa_session_lint.project.local import is_local
from sa_session_lint.project.nesting import surrounded
from sa_session_lint.project.pooling import is_roomy, takes_lock
from sa_session_lint.project.reach import runs_by_itself
from sa_session_lint.project.usage import caller_at
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.leaving import leaks
from sa_session_lint.typestate.verdict import crowding


class SecondSessionWhileHoldingFirst(FlowCheck):
    rule = "second-session-while-holding-first"

    def function(self, found: Followed) -> None:
        seen: set[int] = set()
        for each in (found, *surrounded(self.index, self.file.outline, self.around, found)):
            self.found = each
            crowded = [met for met in crowding(each) if not self.is_alone(met.related)]
            left = {leak.opened for leak in leaks(each)} if crowded else set()  # what is not given back by mistake is told there
            for met in crowded:
                at = each.sketch.steps[met.step].at
                if at not in seen and met.related not in left and not (is_local(self.index, self.state(met).pool) and self.state(met).unsaved is None) and not takes_lock(self.index, self.around, self.file.path):
                    seen.add(at)
                    first = self.note(met.related, "the first session was opened here, or holds its connection during this call")
                    self.report(self.node(met.step), [first, *self.trail(met.step, met.disjunct, met.loc)], name=self.name(met.disjunct, met.loc))

    def is_alone(self, first: Place | None) -> bool:
        """Whether nobody else, or but a few, ask for connections while the first session holds one: synchronous work of a coroutine keeps its event loop to
        itself, a worker does one task at a time, and one of a WSGI server few requests."""
        if is_roomy(self.index, self.file.path) and not self.around.is_async:
            return True
        holder = caller_at(self.index, first) if first is not None else None
        if holder is None:
            return False
        outline, scope = holder
        return (scope.is_async and not self.around.is_async) or runs_by_itself(self.index, outline, scope)
