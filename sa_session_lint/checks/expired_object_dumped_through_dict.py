"""expired-object-dumped-through-dict (SAS311): what an object has in memory is taken for what it has, after a commit has expired it all."""

from __future__ import annotations

from sa_session_lint.checks.read_check import ReadCheck


class ExpiredObjectDumpedThroughDict(ReadCheck):
    kinds = frozenset({"expired dump"})
