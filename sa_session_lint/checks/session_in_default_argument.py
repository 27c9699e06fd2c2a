"""A session as a parameter's default: made once, when the function is defined, and shared by all its calls.

A session that is only promised by an annotation does not count: what stands there may be a marker that is replaced at each call.
"""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.value import Session


class SessionInDefaultArgument(Check):
    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.judge(node.params, node.name.value)

    def visit_Lambda(self, node: cst.Lambda) -> None:
        self.judge(node.params, "lambda")

    def judge(self, params: cst.Parameters, function: str) -> None:
        for param in (*params.posonly_params, *params.params, *params.kwonly_params):
            if not isinstance(param.default, (cst.Call, cst.Await)):
                continue
            value = self.value(param.default)
            if isinstance(value, Session) and value.how in {"new", "registry", "given"} and value.place is not None:
                trail = [self.note(value.place, "opened here, when the function is defined")]
                self.report(param.default, trail, parameter=param.name.value, function=function)
