"""begin-after-autobegin (SAS503) begin() on a session whose transaction has begun by itself."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.flow.graph import RAISED
from sa_session_lint.typestate.followed import Met


class BeginAfterAutobegin(FlowCheck):
    rule = "begin-after-autobegin"
    kinds = frozenset({"begin of begun"})

    def fault(self, met: Met) -> None:
        caught = self.found.sketch.steps.get(self.found.sketch.steps[met.step].error or RAISED)
        if caught is not None and "InvalidRequestError" in caught.names:
            return
        node = self.node(met.step)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
