"""async-lazy-load (SAS901): under asyncio an attribute is read that must be loaded first, where nothing can wait for that."""

from __future__ import annotations

from sa_session_lint.checks.response_check import ResponseCheck


class AsyncLazyLoad(ResponseCheck):
    kinds = frozenset({"async read"})
