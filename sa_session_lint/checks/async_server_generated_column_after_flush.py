"""async-server-generated-column-after-flush (SAS905): under asyncio a column is read that the database has set by the last UPDATE, and that nobody has loaded since."""

from __future__ import annotations

from sa_session_lint.checks.response_check import ResponseCheck
from sa_session_lint.model.expression import Attribute
from sa_session_lint.typestate.instances import Read


class AsyncServerGeneratedColumnAfterFlush(ResponseCheck):
    kinds = frozenset({"server read"})

    def counts(self, read: Read) -> bool:
        """Whether the function does not set the column itself: then the database does not."""
        return not any(isinstance(store.target, Attribute) and store.target.name == read.attribute for store in self.around.stores)
