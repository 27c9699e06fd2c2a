"""A generator that owns a session, called by hand: `next(get_db())` drops it, and with it the session is closed."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.vocabulary import SESSION_CALLS
from sa_session_lint.project.outline import Given
from sa_session_lint.project.value import External, Generator, Method, Place, Session, Value

_OF_GENERATORS = frozenset({"close"})


class YieldDependencyCalledDirectly(Check):
    def visit_Call(self, node: cst.Call) -> None:
        function = self.value(node.func)
        dropped: cst.BaseExpression | None = None
        if isinstance(function, External) and function.dotted in {"builtins.next", "builtins.anext"} and len(node.args) == 1:
            dropped = node.args[0].value
        elif isinstance(function, Method) and function.name in {"__next__", "__anext__"} and isinstance(node.func, cst.Attribute):
            dropped = node.func.value
        if not isinstance(dropped, cst.Call):
            return
        made = self.value(dropped)
        if self.owns(made):
            assert isinstance(made, Generator)
            self.report(node, self.trail(made), call=self.code(node), function=made.function.qualname)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        if node.attr.value not in SESSION_CALLS - _OF_GENERATORS:
            return
        made = self.value(node.value)
        if isinstance(made, Generator) and isinstance(made.value, Session):
            self.report(node, self.trail(made), call=self.code(node), function=made.function.qualname)

    def owns(self, made: Value) -> bool:
        """Whether a generator closes the session that it yields when it is dropped."""
        if not isinstance(made, Generator) or not isinstance(made.value, Session):
            return False
        if made.value.how == "with":
            return True
        found = self.index.outline(made.function.path)
        if found is None or made.value.how not in {"new", "registry"}:
            return False
        scope = found.scopes[made.function.qualname]
        return any(_ends(call.function) for call in scope.calls)

    def trail(self, made: Generator) -> list:  # type: ignore[type-arg]
        found = self.index.outline(made.function.path)
        first: Given | None = found.scopes[made.function.qualname].yields[0] if found is not None else None
        if first is None:
            return []
        return [self.note(Place(made.function.path, first.at), "yields its session here, and closes it when it is dropped")]


def _ends(function: object) -> bool:
    return getattr(function, "name", "") in {"close", "aclose", "remove"}
