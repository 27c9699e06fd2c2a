"""swallowed-error-without-rollback (SAS501): a failed flush was caught and not rolled back, and the session works on."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Met


class SwallowedErrorWithoutRollback(FlowCheck):
    rule = "swallowed-error-without-rollback"
    kinds = frozenset({"use of inactive"})

    def fault(self, met: Met) -> None:
        if self.found.sketch.steps[met.step].handler == 0 and self.worker_loop(met) is None:
            node = self.node(met.step)
            self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
