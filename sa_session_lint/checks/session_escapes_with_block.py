"""session-escapes-with-block (SAS104): a session leaves the block that closes it."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.flow.graph import RETURNED
from sa_session_lint.project.usage import dependents
from sa_session_lint.typestate.engine import Followed, Met
from sa_session_lint.typestate.state import Bound, Disjunct, Record, Ref, sessions_in


class SessionEscapesWithBlock(FlowCheck):
    rule = "session-escapes-with-block"
    kinds = frozenset({"stored"})

    def function(self, found: Followed) -> None:
        super().function(found)
        if dependents(self.index, self.file.path, self.around.qualname):
            return  # the business of fastapi-dependency-returns-session
        seen: set[int] = set()
        for disjunct in found.ends(RETURNED):
            value, heap = dict(disjunct.env).get("return"), dict(disjunct.heap)
            for loc in sessions_in(value):
                state = heap.get(loc)
                step = self.returned_at(found, disjunct)
                if isinstance(value, (Ref, Bound, Record)) and not (isinstance(value, Bound) and value.runs) and state is not None and state.owner in {"with", "here"} and state.closed is not None and step is not None and step not in seen:
                    seen.add(step)
                    self.report(self.node(step), self.trail(RETURNED, disjunct, loc), name=self.name(disjunct, loc), function=self.around.name)

    def returned_at(self, found: Followed, disjunct: Disjunct) -> int | None:
        """The `return` by which control came to the end."""
        here: tuple[int, Disjunct] | None = (RETURNED, disjunct)
        while here is not None:
            step = found.sketch.steps.get(here[0])
            if step is not None and step.op == "return":
                return here[0]
            here = found.came.get(here)
        return None

    def fault(self, met: Met) -> None:
        if met.related is None:
            return
        node = self.at(met.related)
        self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), function=self.around.name)
