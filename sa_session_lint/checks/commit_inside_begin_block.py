"""commit-inside-begin-block (SAS504) the transaction of a with-block was ended within it, and the session is used again."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Met


class CommitInsideBeginBlock(FlowCheck):
    rule = "commit-inside-begin-block"
    kinds = frozenset({"use of done"})

    def fault(self, met: Met) -> None:
        node = self.node(met.step)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))
