"""swallowed-error-without-rollback (SAS501): a failed flush was caught and not rolled back, and the session works on."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.engine import Followed, Met


class SwallowedErrorWithoutRollback(FlowCheck):
    rule = "swallowed-error-without-rollback"
    kinds = frozenset({"use of inactive"})

    def function(self, found: Followed) -> None:
        self.told: set[Place | None] = set()
        super().function(found)

    def fault(self, met: Met) -> None:
        """Report what comes first after an error; what comes later fails for the same mistake."""
        failed = self.state(met).poisoned
        if met.disjunct.raising is None and self.found.sketch.steps[met.step].handler == 0 and failed not in self.told and self.worker_loop(met) is None:
            self.told.add(failed)
            node = self.node(met.step)
            self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
