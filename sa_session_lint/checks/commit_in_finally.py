"""commit-in-finally (SAS502): a commit that an error leads to, while the work of the `try` block is half done."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.expression import Attribute, Await, Call
from sa_session_lint.project.tracking import is_fixture
from sa_session_lint.typestate.followed import Followed, Met


class CommitInFinally(FlowCheck):
    rule = "commit-in-finally"

    def function(self, found: Followed) -> None:
        function = self.file.outline.nodes[self.around.at]
        if found.coarse or any(is_fixture(self.index, d, self.around, self.file.path) for d in self.around.decorators):
            return
        seen: set[int] = set()
        for met in found.met:
            at = found.sketch.steps[met.step].at
            if met.kind in {"saved", "use of inactive"} and met.disjunct.raising is not None and at not in seen and self.is_half(met, function):
                seen.add(at)
                node = self.node(met.step)
                self.report(node, self.trail(met.step, met.disjunct, met.loc), call=self.code(node), name=self.name(met.disjunct, met.loc))

    def is_half(self, met: Met, function: cst.CSTNode) -> bool:
        """Whether a commit in `finally` saves what was written in the `try` block, and nothing that was written because of the error."""
        commit, write = self.node(met.step), met.related if met.kind == "saved" else self.state(met).unsaved
        if met.kind == "use of inactive" and not self.is_commit(met.step):
            return False
        around = self.around_of(function, commit)
        for depth, clause in enumerate(around):
            statement = around[depth - 1]
            if not isinstance(clause, cst.Finally) or not isinstance(statement, (cst.Try, cst.TryStar)):
                continue
            guarded = any(isinstance(inner, cst.If) and not self.asks_for_session(inner, met) for inner in around[depth:])
            cleanup = [clause, *statement.handlers]
            outcome = any(m.kind == "written" and m.loc == met.loc and any(self.holds(c, self.node(m.step)) for c in cleanup) for m in self.found.met)
            return not guarded and not outcome and write is not None and write.path == self.file.path and self.holds(statement.body, self.at(write))
        return False

    def is_commit(self, step: int) -> bool:
        value = self.found.sketch.steps[step].value
        call = value.value if isinstance(value, Await) else value
        return isinstance(call, Call) and isinstance(call.function, Attribute) and call.function.name == "commit"

    def asks_for_session(self, node: cst.If, met: Met) -> bool:
        """Whether a condition only asks whether there is a session."""
        test = node.test
        if isinstance(test, cst.Comparison) and len(test.comparisons) == 1 and isinstance(test.comparisons[0].operator, cst.IsNot):
            test = test.left
        return self.code(test) in self.names(met.disjunct, met.loc)
