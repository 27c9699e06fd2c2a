"""session-use-after-close (SAS203): a session works on after its close: it opens again, and nobody closes it."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Met
from sa_session_lint.typestate.sketch import ENDS


class SessionUseAfterClose(FlowCheck):
    rule = "session-use-after-close"
    kinds = frozenset({"use after close"})

    def fault(self, met: Met) -> None:
        closed = self.state(met).closed
        intruded = any(other.kind == "ended by callee" and other.loc == met.loc and other.related == closed for other in self.found.met)
        ends = (state for end in ENDS for way in self.found.ends(end) for loc, state in way.heap if loc == met.loc)
        if not intruded and all(state.reopened is None for state in ends):
            return  # whoever uses it closes it again
        node = self.node(met.step)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
