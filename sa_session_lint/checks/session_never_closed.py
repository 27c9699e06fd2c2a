"""session-never-closed (SAS201): a function opens a session, works with it, and on no way out gives it back."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Followed
from sa_session_lint.typestate.verdict import leaks


class SessionNeverClosed(FlowCheck):
    rule = "session-never-closed"

    def function(self, found: Followed) -> None:
        for leak in leaks(found):
            state = leak.state
            if state.is_connection or leak.closes or state.opened is None or state.kind == "async":
                continue
            trail = self.trail(leak.end, leak.disjunct, leak.loc)
            self.report(self.at(state.opened), trail, name=self.name(leak.disjunct, leak.loc), function=self.around.name)
