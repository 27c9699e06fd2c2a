"""session-never-closed (SAS201): a function opens a session, works with it, and on no way out gives it back."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Followed


class SessionNeverClosed(FlowCheck):
    rule = "session-never-closed"

    def function(self, found: Followed) -> None:
        for leak in self.leaks():
            if not leak.closes and leak.state.kind not in {"async", "connection"}:
                self.unclosed(leak)
