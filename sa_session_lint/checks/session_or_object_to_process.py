"""session-or-object-to-process (SAS603) a session is sent to another process."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Met


class SessionOrObjectToProcess(FlowCheck):
    rule = "session-or-object-to-process"
    kinds = frozenset({"to process"})

    def fault(self, met: Met) -> None:
        node = self.node(met.step)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
