"""generated-value-before-flush (SAS308): a primary key is read that the database has not given yet."""

from __future__ import annotations

from sa_session_lint.checks.read_check import ReadCheck
from sa_session_lint.typestate.followed import Met


class GeneratedValueBeforeFlush(ReadCheck):
    kinds = frozenset({"unflushed read"})

    def site(self, met: Met) -> object:
        return met.loc, met.related

    def fault(self, met: Met) -> None:
        read = self.read(met)
        formatted = read is not None and read.by is not None and read.by.qualname.endswith("__")  # a log line that shows no key does no harm
        if not formatted and self.found.sketch.steps[met.step].op != "test":  # who asks whether it is there knows that it may not be
            super().fault(met)
