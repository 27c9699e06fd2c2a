"""commit-inside-iteration (SAS303): a loop over objects commits in each turn, so that each next object has to be loaded once more."""

from __future__ import annotations

from sa_session_lint.checks.read_check import ReadCheck
from sa_session_lint.typestate.followed import Met, turns


class CommitInsideIteration(ReadCheck):
    kinds = frozenset({"reload"})
    undone = False

    def site(self, met: Met) -> object:
        return met.loc, met.related

    def fault(self, met: Met) -> None:
        if turns(self.found, met):
            super().fault(met)
