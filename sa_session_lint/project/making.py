"""How the objects of a class are made: what each of the calls that make them gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sa_session_lint.model.expression import NONE, Attribute, Choice, Expression, Name, Star
from sa_session_lint.model.value import Class
from sa_session_lint.project.modules import is_test
from sa_session_lint.project.outline import Outline, Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


def is_always_given(index: Index, outline: Outline, owner: Scope, field: str) -> bool:
    """Whether every call in the project that makes an object of a class, there being one, gives what its `__init__` keeps as `field` for good."""
    return _given(index, outline, owner, field) == {True}


def is_never_given(index: Index, outline: Outline, owner: Scope, field: str) -> bool:
    """Whether no such call gives it, so that `field` stays None."""
    return _given(index, outline, owner, field) == {False}


def _given(index: Index, outline: Outline, owner: Scope, field: str) -> frozenset[bool]:
    """Whether the calls that make an object give what it keeps as a field: some do, some do not; empty where that is not known."""

    def search() -> frozenset[bool]:
        answers = frozenset(_search(index, outline, owner, field))
        return frozenset() if None in answers else frozenset(answer is True for answer in answers)

    return index.once(("given", outline.path, owner.qualname, field), search)


def _search(index: Index, outline: Outline, owner: Scope, field: str) -> Iterator[bool | None]:
    """For each call whether it gives the field; None where that is not known."""
    made = outline.scopes.get(f"{owner.qualname}.__init__")
    if made is None or not made.parameters:
        return
    me, *given = made.parameters
    kept = [parameter for store in made.stores if store.target == Attribute(Name(me.name), field) for parameter in given if store.value == Name(parameter.name)]
    elsewhere = (scope for scope in outline.scopes.values() if scope.owner is owner and scope is not made)
    stored = [store for scope in (made, *elsewhere) for store in scope.stores if isinstance(store.target, Attribute) and store.target.name == field]
    if len(kept) != 1 or len(stored) != 1 or kept[0].default != NONE or _is_set_from_outside(index, field, me.name):
        return
    cls = Class(outline.path, owner.qualname)
    position = given.index(kept[0])
    for found, scope in index.scopes_with(owner.name):
        if is_test(found.path):
            continue
        if scope.kind == "class" and any(index.value(base, scope.parent or found.module, found.path) == cls for base in scope.bases):
            yield None  # made by way of another class, too
        for call in scope.calls:
            if index.value(call.function, scope, found.path) == cls:
                value = call.keyword(kept[0].name) or (call.arguments[position] if position < len(call.arguments) else NONE)
                unclear = any(isinstance(each, Star) for each in call.arguments) or any(name is None for name, _ in call.keywords)
                yield None if unclear else _is_something(value, scope)


def _is_something(value: Expression, scope: Scope) -> bool | None:
    """Whether what a call gives is not None; None where it may be: an attribute, or what the function itself may have been given or not."""
    if value == NONE:
        return False
    if not isinstance(value, Name):
        return None if isinstance(value, (Attribute, Choice)) else True
    optional = any(parameter.name == value.name and parameter.default == NONE for parameter in scope.parameters)
    return None if optional or any(binding.value == NONE for binding in scope.bindings.get(value.name, ())) else True


def _is_set_from_outside(index: Index, field: str, me: str) -> bool:
    """Whether code of the project sets an attribute of that name on anything but the object of a method."""
    setting = re.compile(rb"(\w+)\.%b\s*=(?!=)" % field.encode())
    return index.once(("set from outside", field, me), lambda: any(name != me.encode() for path in index.files_with(field) for name in setting.findall(index.data(path) or b"")))
