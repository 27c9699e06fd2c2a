"""`Depends(SessionLocal)`: FastAPI refuses every request, for it takes the factory's parameters from the query.

A lambda around the factory has no parameters, so it is called; then nobody closes the session that it gives.
"""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Call, text
from sa_session_lint.model.value import Gives, Maker, Registry, Session
from sa_session_lint.project.annotation import depended, is_depends

_REFUSED = "its `{parameter}` becomes a required query parameter, every request is answered with 422"
_LEFT_OPEN = "nothing closes the session after the request, its connection stays out until garbage collection"


class DependsOnSessionFactory(Check):
    def visit_Call(self, node: cst.Call) -> None:
        call = self.expression(node)
        scope = self.scope(node)
        if not isinstance(call, Call) or not is_depends(self.index, call, scope, self.file.path):
            return
        target = depended(call)
        if target is None:
            return
        value = self.index.value(target, scope, self.file.path)
        if isinstance(value, (Maker, Registry)):
            consequence = _REFUSED.format(parameter="local_kw" if isinstance(value, Maker) else "kw")
            self.report(node, [self.note(value.place, "made the factory here")], call=text(call), consequence=consequence)
        elif isinstance(value, Gives) and isinstance(value.value, Session) and value.value.how == "new":
            wrapped = target.arguments[0] if isinstance(target, Call) and target.arguments else None  # a partial keeps the factory's parameters
            refused = wrapped is not None and isinstance(self.index.value(wrapped, scope, self.file.path), Maker)
            consequence = _REFUSED.format(parameter="local_kw") if refused else _LEFT_OPEN
            self.report(node, [self.note(value.value.place, "opened here")], call=text(call), consequence=consequence)
