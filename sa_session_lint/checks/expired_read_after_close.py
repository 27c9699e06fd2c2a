"""expired-read-after-close (SAS301): an attribute is read that a commit has expired and no session can load again."""

from __future__ import annotations

from sa_session_lint.checks.read_check import ReadCheck


class ExpiredReadAfterClose(ReadCheck):
    kinds = frozenset({"expired read"})
    undone = False
