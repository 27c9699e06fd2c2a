"""`max_overflow=-1`: a connection pool that never says no."""

from __future__ import annotations

import re

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.value import Constant, Engine

_POOLER = re.compile(r"bouncer|pooler|pgcat|odyssey", re.IGNORECASE)


class UnlimitedOverflow(Check):
    def visit_Call(self, node: cst.Call) -> None:
        for argument in node.args:
            if argument.keyword is not None and argument.keyword.value == "max_overflow" and self.value(argument.value) == Constant(-1):
                if isinstance(self.value(node), Engine) and not self.is_explained(node):
                    self.report(argument, call=f"{self.code(node.func)}()")

    def is_explained(self, node: cst.Call) -> bool:
        """Whether a comment in or just above the call names a pooler of its own, which holds the limit."""
        span = self.file.source.span_of(node)
        return any(span.line - 1 <= c.line <= span.end_line and _POOLER.search(c.text) for c in self.file.source.comments)
