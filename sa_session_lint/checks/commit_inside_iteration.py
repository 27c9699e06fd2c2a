"""commit-inside-iteration (SAS303): a loop over objects commits in each turn, so that each next object has to be loaded once more."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.read_check import ReadCheck
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.followed import Met, turns


class CommitInsideIteration(ReadCheck):
    kinds = frozenset({"reload"})
    undone = False

    def site(self, met: Met) -> object:
        return met.loc, met.related

    def fault(self, met: Met) -> None:
        read = self.read(met) if turns(self.found, met) else None
        loops = {Place(self.file.path, step.at) for step in self.found.sketch.steps.values() if step.op == "next"}
        if read is not None and read.of.at in loops and not self.is_rare(met):  # one of those that the loop goes through
            super().fault(met)

    def is_rare(self, met: Met) -> bool:
        """Whether only some turns commit: how many of the objects those are, nobody can tell."""
        if met.related is None or met.related.path != self.file.path:
            return False
        around = self.around_of(self.file.outline.nodes[self.around.at], self.at(met.related))
        loop = max((depth for depth, outer in enumerate(around) if isinstance(outer, (cst.For, cst.While))), default=0)
        return any(isinstance(outer, (cst.If, cst.ExceptHandler, cst.MatchCase)) for outer in around[loop:])
