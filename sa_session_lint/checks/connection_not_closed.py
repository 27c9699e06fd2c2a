"""connection-not-closed (SAS204): a Core connection that is closed nowhere."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Followed


class ConnectionNotClosed(FlowCheck):
    rule = "connection-not-closed"

    def function(self, found: Followed) -> None:
        for leak in self.leaks():
            if not leak.closes and leak.state.is_connection:
                self.unclosed(leak)
