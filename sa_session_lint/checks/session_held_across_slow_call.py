"""session-held-across-slow-call (SAS552) a connection is held while the function waits for something slow."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Met


class SessionHeldAcrossSlowCall(FlowCheck):
    rule = "session-held-across-slow-call"
    kinds = frozenset({"held across"})

    def fault(self, met: Met) -> None:
        node = self.node(met.step)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
