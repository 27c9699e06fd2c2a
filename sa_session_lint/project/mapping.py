"""What the class of an object says about its attributes: which of them a session saves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Const, Expression, Item, Name
from sa_session_lint.model.value import Class

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


def is_column(index: Index, model: Class, name: str, depth: int = 5) -> bool:
    """Whether a class, or one that it inherits from, maps an attribute: `Column(...)`, `Mapped[...]`, a field of an SQLModel table."""
    found = index.outline(model.path)
    if found is None or not depth:
        return False
    scope = found.scopes[model.qualname]
    is_table = ("table", Const(True)) in scope.keywords
    for binding in scope.bindings.get(name, ()):
        if _maps(binding.value) or (binding.annotation is not None and (is_table or _is_mapped(binding.annotation))):
            return True
    bases = (index.value(base, scope.parent or found.module, model.path) for base in scope.bases)
    return any(isinstance(base, Class) and base != model and is_column(index, base, name, depth - 1) for base in bases)


def _maps(value: Expression) -> bool:
    return isinstance(value, Call) and _last(value.function) in v.MAPPING


def _is_mapped(annotation: Expression) -> bool:
    return isinstance(annotation, Item) and _last(annotation.value) == "Mapped"


def _last(expression: Expression) -> str | None:
    return expression.name if isinstance(expression, (Name, Attribute)) else None
