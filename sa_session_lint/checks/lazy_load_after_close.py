"""lazy-load-after-close (SAS401): a relationship or deferred column is read for the first time when the session is gone that would load it."""

from __future__ import annotations

from sa_session_lint.checks.read_check import ReadCheck


class LazyLoadAfterClose(ReadCheck):
    kinds = frozenset({"lazy read"})
