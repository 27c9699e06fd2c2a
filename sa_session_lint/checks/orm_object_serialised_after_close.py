"""orm-object-serialised-after-close (SAS710): an object becomes a model of pydantic when its session is closed, and that reads what is not loaded."""

from __future__ import annotations

from sa_session_lint.checks.response_check import ResponseCheck


class OrmObjectSerialisedAfterClose(ResponseCheck):
    kinds = frozenset({"serialised read"})
