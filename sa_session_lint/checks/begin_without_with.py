"""begin-without-with (SAS207): what `Factory.begin()` gives is used as a session."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.engine import Met


class BeginWithoutWith(FlowCheck):
    rule = "begin-without-with"
    kinds = frozenset({"manager as session"})

    def fault(self, met: Met) -> None:
        if met.related is not None and met.related.path == self.file.path:
            begin = self.at(met.related)
            self.report(begin, [self.note(self.node(met.step), "used as a session here")], call=self.code(begin))
