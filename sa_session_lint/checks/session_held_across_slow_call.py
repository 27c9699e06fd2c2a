"""session-held-across-slow-call (SAS552): a connection is held while the function waits long for something."""

from __future__ import annotations

from collections.abc import Iterable

from sa_session_lint.checks.wait_check import WaitCheck
from sa_session_lint.typestate.followed import Met
from sa_session_lint.typestate.verdict import firsts


class SessionHeldAcrossSlowCall(WaitCheck):
    rule = "session-held-across-slow-call"
    long = True

    def wanted(self, waits: dict[Met, list[int]]) -> Iterable[Met]:
        """The first long one for which a connection is held."""
        return firsts({met: steps for met, steps in waits.items() if self.is_long(met)})
