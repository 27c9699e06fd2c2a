"""session-use-after-close (SAS203): a session works on after its close: it opens again, and nobody closes it."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.flow.graph import RETURNED
from sa_session_lint.typestate.followed import Met
from sa_session_lint.typestate.sketch import ENDS
from sa_session_lint.typestate.trail import reachable, state_of


class SessionUseAfterClose(FlowCheck):
    rule = "session-use-after-close"
    kinds = frozenset({"use after close"})

    def fault(self, met: Met) -> None:
        known = state_of(met.disjunct, met.loc)
        if known is not None and known.closed is None:
            return  # the function that is called here closes it
        ends = (RETURNED,) if RETURNED in reachable(self.found.sketch, met.step) else ENDS
        if all(state.reopened is None for end in ends for way in self.found.ends(end) for loc, state in way.heap if loc == met.loc):
            return  # whoever uses it closes it again
        node = self.node(met.step)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
