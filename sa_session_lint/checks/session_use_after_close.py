"""session-use-after-close (SAS203): a session works on after its close: it opens again, and nobody closes it."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Met


class SessionUseAfterClose(FlowCheck):
    rule = "session-use-after-close"
    kinds = frozenset({"use after close"})

    def fault(self, met: Met) -> None:
        node = self.node(met.step)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
