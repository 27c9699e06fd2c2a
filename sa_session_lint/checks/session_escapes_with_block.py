"""session-escapes-with-block (SAS104): a session leaves the block that closes it."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.flow.graph import RETURNED
from sa_session_lint.project.usage import dependents
from sa_session_lint.typestate.followed import Followed, Met
from sa_session_lint.typestate.state import Abstract, Bound, Record, Ref, sessions_in


class SessionEscapesWithBlock(FlowCheck):
    rule = "session-escapes-with-block"
    kinds = frozenset({"stored"})

    def function(self, found: Followed) -> None:
        super().function(found)
        seen: set[int] = set()
        for step, disjunct, value in self.handed_out(found):
            for loc in sessions_in(value) if leads_on(value) and step not in seen else ():
                state = dict(disjunct.heap).get(loc)
                if state is not None and state.owner in {"with", "shared", "here"} and state.closed is not None:
                    if dependents(self.index, self.file.path, self.around.qualname):
                        return  # the business of fastapi-dependency-returns-session
                    seen.add(step)
                    self.report(self.node(step), self.trail(RETURNED, disjunct, loc), name=self.name(disjunct, loc), function=self.around.name)
                    break

    def fault(self, met: Met) -> None:
        if met.related is not None and met.related.path == self.file.path:
            node = self.at(met.related)
            self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), function=self.around.name)


def leads_on(value: Abstract) -> bool:
    """Whether whoever is given a value surely works with its session: the session, an object around it, a function that takes it along."""
    return isinstance(value, (Ref, Record)) or (isinstance(value, Bound) and not value.unknown)
