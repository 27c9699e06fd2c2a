"""read-after-rollback (SAS306): an attribute is read that a rollback has expired and no session can load again."""

from __future__ import annotations

from sa_session_lint.checks.read_check import ReadCheck


class ReadAfterRollback(ReadCheck):
    kinds = frozenset({"expired read"})
    undone = True
