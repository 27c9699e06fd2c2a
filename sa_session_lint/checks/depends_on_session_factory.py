"""`Depends(SessionLocal)`: FastAPI calls the factory for every request, and nobody closes what it gives."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.project.annotation import depended, is_depends
from sa_session_lint.project.expression import Call, text
from sa_session_lint.project.value import Gives, Maker, Registry, Session, Value


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
        if _opens(value):
            place = value.place if isinstance(value, (Maker, Registry)) else None
            self.report(node, [self.note(place, "made the factory here")], call=text(call))


def _opens(value: Value) -> bool:
    if isinstance(value, (Maker, Registry)):
        return True
    return isinstance(value, Gives) and isinstance(value.value, Session) and value.value.how in {"new", "registry"}
