"""async-session-shared-by-tasks (SAS605): coroutines that run at once use one AsyncSession."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.typestate.followed import Met


class AsyncSessionSharedByTasks(FlowCheck):
    rule = "async-session-shared-by-tasks"
    kinds = frozenset({"shared"})

    def site(self, met: Met) -> object:
        return met.related, self.state(met).kind

    def fault(self, met: Met) -> None:
        if met.related is not None and self.state(met).kind == "async":
            start, use = self.at(met.related), self.node(met.step)
            trail = self.trail(met.step, met.disjunct, met.loc)
            inside = engine_of(self.index).within.get(met.related)
            if inside is not None:
                trail.append(self.note(inside, "coroutines that use it run at once here"))
            elif not self.holds(use, start):
                trail.append(self.note(use, "used here while that runs"))
            self.report(start, trail, name=self.name(met.disjunct, met.loc), call=self.code(start))
