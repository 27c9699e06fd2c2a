"""close-not-in-finally (SAS202): a close that an exception, or a `return` before it, skips."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.state import Disjunct
from sa_session_lint.typestate.verdict import Leak


class CloseNotInFinally(FlowCheck):
    rule = "close-not-in-finally"

    def function(self, found: Followed) -> None:
        for leak in self.leaks():
            if leak.closes and not leak.state.is_connection and not self.is_reached(leak):
                close = self.at(leak.closes[0])
                self.report(close, self.trail(leak.end, leak.disjunct, leak.loc), call=self.code(close), function=self.around.name)

    def is_reached(self, leak: Leak) -> bool:
        """Whether the way passes a close after all, which a helper does not make: that is the helper's fault."""
        here: tuple[int, Disjunct] | None = (leak.end, leak.disjunct)
        while here is not None:
            step = self.found.sketch.steps.get(here[0])
            if step is not None and any(step.at == close.at for close in leak.closes):
                return True
            if step is not None and step.at == leak.opened.at:
                return False
            here = self.found.came.get(here)
        return False
