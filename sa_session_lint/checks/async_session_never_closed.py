"""async-session-never-closed (SAS210): the same of an AsyncSession."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Followed
from sa_session_lint.typestate.verdict import leaks


class AsyncSessionNeverClosed(FlowCheck):
    rule = "async-session-never-closed"

    def function(self, found: Followed) -> None:
        for leak in leaks(found):
            state = leak.state
            if state.kind == "async" and not leak.closes and state.opened is not None:
                trail = self.trail(leak.end, leak.disjunct, leak.loc)
                self.report(self.at(state.opened), trail, name=self.name(leak.disjunct, leak.loc), function=self.around.name)
