"""session-held-across-request (SAS555): a connection is held while the function waits for the answer to one request."""

from __future__ import annotations

from collections.abc import Iterable

from sa_session_lint.checks.wait_check import WaitCheck
from sa_session_lint.typestate.followed import Met
from sa_session_lint.typestate.verdict import firsts


class SessionHeldAcrossRequest(WaitCheck):
    rule = "session-held-across-request"
    long = False

    def wanted(self, waits: dict[Met, list[int]]) -> Iterable[Met]:
        """The first of the slow calls, where none of them is long."""
        long = {step for met, steps in waits.items() if self.is_long(met) for step in steps}
        return (met for met in firsts(waits) if met.step not in long)
