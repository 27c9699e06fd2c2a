"""async-session-outlives-scope-in-task (SAS606): a task works on with a session that its block has closed."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Met


class AsyncSessionOutlivesScopeInTask(FlowCheck):
    rule = "async-session-outlives-scope-in-task"
    kinds = frozenset({"closed while lent"})

    def site(self, met: Met) -> object:
        return met.related, self.state(met).kind

    def fault(self, met: Met) -> None:
        if met.related is not None and self.state(met).kind == "async":
            start = self.at(met.related)
            closed = self.note(self.node(met.step), "closed here, whether the task has ended or not")
            self.report(start, [*self.trail(met.step, met.disjunct, met.loc), closed], name=self.name(met.disjunct, met.loc), call=self.code(start))
