"""close-not-in-finally (SAS202): a close that an exception, or a `return` before it, skips."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Followed


class CloseNotInFinally(FlowCheck):
    rule = "close-not-in-finally"

    def function(self, found: Followed) -> None:
        for leak in self.leaks():
            if leak.closes and not leak.state.is_connection:
                close = self.at(leak.closes[0])
                self.report(close, self.trail(leak.end, leak.disjunct, leak.loc), call=self.code(close), function=self.around.name)
