"""generator-holds-session (SAS106): a generator yields rows while the session that it opened holds a connection."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Followed, Met


class GeneratorHoldsSession(FlowCheck):
    rule = "generator-holds-session"
    kinds = frozenset({"held at yield"})

    def function(self, found: Followed) -> None:
        self.reported = False
        super().function(found)

    def fault(self, met: Met) -> None:
        if not self.reported:
            self.reported = True
            name = self.name(met.disjunct, met.loc)
            self.report(self.node(met.step), self.trail(met.step, met.disjunct, met.loc), name=name, function=self.around.name)
