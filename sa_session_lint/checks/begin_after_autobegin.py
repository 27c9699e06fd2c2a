"""begin-after-autobegin (SAS503) begin() on a session whose transaction has begun by itself."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Met


class BeginAfterAutobegin(FlowCheck):
    rule = "begin-after-autobegin"
    kinds = frozenset({"begin of begun"})

    def fault(self, met: Met) -> None:
        node = self.node(met.step)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
