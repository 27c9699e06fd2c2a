"""async-lazy-load (SAS901): under asyncio an attribute is read that must be loaded first, where nothing can wait for that."""

from __future__ import annotations

from sa_session_lint.checks.read_check import ReadCheck


class AsyncLazyLoad(ReadCheck):
    kinds = frozenset({"async read"})
