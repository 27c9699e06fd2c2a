"""reload-after-commit (SAS302): a commit has expired an object, and to read it in the session, which is still open, loads it again."""

from __future__ import annotations

from sa_session_lint.checks.read_check import ReadCheck
from sa_session_lint.typestate.followed import Met, turns


class ReloadAfterCommit(ReadCheck):
    kinds = frozenset({"reload"})
    undone = False

    def site(self, met: Met) -> object:
        return met.loc, met.related

    def fault(self, met: Met) -> None:
        if not turns(self.found, met):
            super().fault(met)
