"""async-session-shared-by-tasks (SAS605): coroutines that run at once use one AsyncSession."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Met


class AsyncSessionSharedByTasks(FlowCheck):
    rule = "async-session-shared-by-tasks"
    kinds = frozenset({"shared"})

    def site(self, met: Met) -> object:
        return met.related, self.state(met).kind

    def fault(self, met: Met) -> None:
        if met.related is not None and self.state(met).kind == "async":
            start = self.at(met.related)
            self.report(start, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(start))
