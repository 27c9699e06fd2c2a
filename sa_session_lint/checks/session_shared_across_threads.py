"""session-shared-across-threads (SAS601): threads, or a thread and who started it, use one session at once."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Met


class SessionSharedAcrossThreads(FlowCheck):
    rule = "session-shared-across-threads"
    kinds = frozenset({"shared", "closed while lent"})

    def site(self, met: Met) -> object:
        return met.related, self.state(met).kind

    def fault(self, met: Met) -> None:
        state = self.state(met)
        if met.related is not None and state.kind != "async":
            start = self.at(met.related)
            used = self.note(self.node(met.step), "used here at the same time")
            self.report(start, [*self.trail(met.step, met.disjunct, met.loc), used], name=self.name(met.disjunct, met.loc), call=self.code(start))
