"""connection-not-closed (SAS204): a Core connection that some way out of the function leaves open."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Followed
from sa_session_lint.typestate.verdict import leaks


class ConnectionNotClosed(FlowCheck):
    rule = "connection-not-closed"

    def function(self, found: Followed) -> None:
        for leak in leaks(found):
            if leak.state.is_connection and leak.state.opened is not None and not leak.closes:
                opened = self.at(leak.state.opened)
                self.report(opened, self.trail(leak.end, leak.disjunct, leak.loc), call=self.code(opened), name=self.name(leak.disjunct, leak.loc))
