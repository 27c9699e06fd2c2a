"""session-used-in-except-before-rollback (SAS508): the handler of a failed flush uses the session before it rolls back."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Met


class SessionUsedInExceptBeforeRollback(FlowCheck):
    rule = "session-used-in-except-before-rollback"
    kinds = frozenset({"use of inactive"})

    def fault(self, met: Met) -> None:
        if self.found.sketch.steps[met.step].handler:
            node = self.node(met.step)
            self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
