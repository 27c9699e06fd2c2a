"""session-outlives-worker-loop (SAS108): an endless loop swallows an error of a session that was opened before it."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Followed, Met


class SessionOutlivesWorkerLoop(FlowCheck):
    rule = "session-outlives-worker-loop"
    kinds = frozenset({"use of inactive", "caught use of inactive"})

    def function(self, found: Followed) -> None:
        self.reported: set[int] = set()
        super().function(found)

    def fault(self, met: Met) -> None:
        loop = self.worker_loop(met)
        if loop is None or id(loop) in self.reported:
            return
        self.reported.add(id(loop))
        first = next((node for node in self.uses(met.loc) if self.holds(loop, node)), self.node(met.step))
        self.report(first, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(first))
