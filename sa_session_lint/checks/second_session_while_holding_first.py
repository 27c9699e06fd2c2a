"""second-session-while-holding-first (SAS804) a second connection is taken while the first is held."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Met


class SecondSessionWhileHoldingFirst(FlowCheck):
    rule = "second-session-while-holding-first"
    kinds = frozenset({"second"})

    def fault(self, met: Met) -> None:
        node = self.node(met.step)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
