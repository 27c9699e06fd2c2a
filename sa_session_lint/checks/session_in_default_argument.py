"""A session as a parameter's default: made once, when the function is defined, and shared by all its calls."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.project.value import Session


class SessionInDefaultArgument(Check):
    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        params = node.params
        for param in (*params.posonly_params, *params.params, *params.kwonly_params):
            if not isinstance(param.default, (cst.Call, cst.Await)):
                continue
            value = self.value(param.default)
            if isinstance(value, Session) and value.how in {"new", "registry", "given"}:
                trail = [self.note(value.place, "opened here, when the function is defined")]
                self.report(param.default, trail, parameter=param.name.value, function=node.name.value)
