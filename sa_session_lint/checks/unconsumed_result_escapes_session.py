"""unconsumed-result-escapes-session (SAS105): a query or result leaves the block that closes its session."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.flow.graph import RETURNED
from sa_session_lint.typestate.followed import Followed, Met
from sa_session_lint.typestate.state import Rows


class UnconsumedResultEscapesSession(FlowCheck):
    rule = "unconsumed-result-escapes-session"
    kinds = frozenset({"rows after close"})

    def fault(self, met: Met) -> None:
        node = self.node(met.step)
        name = self.name(met.disjunct, met.loc)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=name, call=self.code(getattr(node, "iter", node)), function=self.around.name)

    def function(self, found: Followed) -> None:
        super().function(found)
        seen: set[int] = set()
        for step, disjunct, value in self.handed_out(found):
            if not isinstance(value, Rows) or (not value.entities and value.kind == "result") or step in seen:
                continue
            state = dict(disjunct.heap).get(value.loc)
            if state is not None and state.owner in {"with", "shared", "here"} and state.closed is not None:
                seen.add(step)
                node, name = self.node(step), self.name(disjunct, value.loc)
                shown = getattr(node, "value", None) or node
                self.report(node, self.trail(RETURNED, disjunct, value.loc), name=name, call=self.code(shown), function=self.around.name)
