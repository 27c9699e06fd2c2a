"""close-not-in-finally (SAS202): a close that an exception, or a `return` before it, skips."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.leaving import Leak

_FINDING_OUT = frozenset({"one", "scalar_one", "get_one"})
"""What raises where rows are missing or too many: https://docs.sqlalchemy.org/en/20/core/connections.html#sqlalchemy.engine.Result.one"""


class CloseNotInFinally(FlowCheck):
    rule = "close-not-in-finally"

    def function(self, found: Followed) -> None:
        for leak in self.leaks():
            if leak.closes and not leak.state.is_connection and not self.is_all_but_there(leak):
                close = self.at(leak.closes[0])
                self.report(close, self.trail(leak.end, leak.disjunct, leak.loc), call=self.code(close), function=self.around.name)

    def is_all_but_there(self, leak: Leak) -> bool:
        """Whether a session is closed in a `finally`, and only its very first statement, which finds nothing out by an exception, stands before the `try`."""
        if leak.raised is None or not leak.state.unsure:
            return False
        node = self.file.outline.nodes[leak.raised]
        function = node.func if isinstance(node, cst.Call) else node
        finds_out = isinstance(function, cst.Attribute) and function.attr.value in _FINDING_OUT
        return not finds_out and any(isinstance(outer, cst.Finally) for close in leak.closes for outer in self.around_of(self.file.outline.nodes[self.around.at], self.at(close)))
