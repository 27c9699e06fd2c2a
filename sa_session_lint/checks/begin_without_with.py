"""begin-without-with (SAS207): what `Factory.begin()` gives is used as a session, or nobody ends what `begin()` has begun."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.flow.graph import RETURNED
from sa_session_lint.typestate.followed import Followed, Met
from sa_session_lint.typestate.leaving import unended


class BeginWithoutWith(FlowCheck):
    rule = "begin-without-with"
    kinds = frozenset({"manager as session"})

    def function(self, found: Followed) -> None:
        super().function(found)
        for begun, loc, disjunct in unended(found):
            if begun.path == self.file.path:
                self.report(self.at(begun), self.trail(RETURNED, disjunct, loc), call=self.code(self.at(begun)))

    def fault(self, met: Met) -> None:
        if met.related is not None and met.related.path == self.file.path:
            begin = self.at(met.related)
            self.report(begin, [self.note(self.node(met.step), "used as a session here")], call=self.code(begin))
