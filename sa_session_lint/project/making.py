"""How the objects of a class are made: what each of the calls that make them gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa_session_lint.model.expression import Attribute, Call, Const, Name, Star
from sa_session_lint.model.value import Class
from sa_session_lint.project.modules import is_test
from sa_session_lint.project.outline import Outline, Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


def is_always_given(index: Index, outline: Outline, owner: Scope, field: str) -> bool:
    """Whether every call in the project that makes an object of a class, there being one, gives what its `__init__` keeps as `field` for good."""
    return index.once(("always given", outline.path, owner.qualname, field), lambda: _is_always_given(index, outline, owner, field))


def _is_always_given(index: Index, outline: Outline, owner: Scope, field: str) -> bool:
    made = outline.scopes.get(f"{owner.qualname}.__init__")
    if made is None or not made.parameters:
        return False
    names = [parameter.name for parameter in made.parameters]
    kept = {store.value.name for store in made.stores if store.target == Attribute(Name(names[0]), field) and isinstance(store.value, Name)}
    elsewhere = (scope for scope in outline.scopes.values() if scope.owner is owner and scope is not made)
    if len(kept) != 1 or not kept <= set(names) or any(isinstance(s.target, Attribute) and s.target.name == field for scope in elsewhere for s in scope.stores):
        return False
    (name,) = kept
    cls = Class(outline.path, owner.qualname)
    calls: list[Call] = []
    for found, scope in index.scopes_with(owner.name):
        if is_test(found.path):
            continue
        if scope.kind == "class" and any(index.value(base, scope.parent or found.module, found.path) == cls for base in scope.bases):
            return False  # made by way of another class, too
        calls += [call for call in scope.calls if index.value(call.function, scope, found.path) == cls]
    return bool(calls) and all(_gives(call, name, names.index(name) - 1) for call in calls)


def _gives(call: Call, name: str, position: int) -> bool:
    given = call.keyword(name)
    if given is None and position < len(call.arguments) and not any(isinstance(each, Star) for each in call.arguments):
        given = call.arguments[position]
    return given is not None and given != Const(None)
