"""Whether and why the objects of a class live as long as the process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Item, Name
from sa_session_lint.model.value import Class, External, Place
from sa_session_lint.project.entry import kinds_of
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import framework, is_imported, starts_threads

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

Because = tuple[Place, str]
"""Where it is decided that an object stays, and why."""


def family(index: Index, cls: Class) -> Iterator[tuple[Outline, Scope]]:
    """A class and its bases in the project."""
    queue, seen = [cls], set[Class]()
    while queue:
        one = queue.pop()
        found = index.outline(one.path) if one not in seen else None
        seen.add(one)
        if found is not None:
            scope = found.scopes[one.qualname]
            yield found, scope
            bases = (index.value(base, scope.parent or found.module, one.path) for base in scope.bases)
            queue += [base for base in bases if isinstance(base, Class)]


def at_exit(index: Index, found: Outline, owner: Scope, method: Scope) -> Place | None:
    """Where a method is registered to run when the process ends."""
    for other in found.scopes.values():
        for call in other.calls if other.owner is owner else ():
            if call.arguments and index.value(call.function, other, found.path) == External("atexit.register"):
                handed = call.arguments[0]
                if isinstance(handed, Attribute) and handed.name == method.name:
                    return Place(found.path, call.at)
    return None


def long_lived(index: Index, cls: Class, depth: int = 0) -> Because | None:
    """Where and why instances of a class live as long as the process; None where that is not known."""
    return index.once(("long lived", cls, depth), lambda: _long_lived(index, cls, depth))


def singleton(index: Index, cls: Class) -> Because | None:
    """A metaclass that keeps instances, or a `__new__` that does."""
    found = index.outline(cls.path)
    if found is None:
        return None
    scope = found.scopes[cls.qualname]
    for key, value in scope.keywords:
        if key == "metaclass":
            meta = index.value(value, scope.parent or found.module, cls.path)
            if isinstance(meta, Class) and _keeps(index, meta, "__call__"):
                return Place(cls.path, scope.at), "its metaclass keeps one instance for the process"
    if _keeps(index, cls, "__new__"):
        return Place(cls.path, scope.at), "`__new__` keeps one instance for the process"
    return None


def _long_lived(index: Index, cls: Class, depth: int) -> Because | None:
    found = index.outline(cls.path)
    if found is None or depth > 2 or (framework(index) is None and not starts_threads(index)):
        return None
    scope = found.scopes[cls.qualname]
    for method in found.scopes.values():
        until = at_exit(index, found, scope, method) if method.owner is scope else None
        if until is not None:
            return until, "ended only when the process ends"
    if framework(index) is None:
        return None
    for base in sorted(kinds_of(index, cls)):
        if base in v.LONG_LIVED_BASES:
            return Place(cls.path, scope.at), v.LONG_LIVED_BASES[base]
    single = singleton(index, cls)
    if single is not None:
        return single
    return _of_instances(index, cls, scope.name, depth)


def _of_instances(index: Index, cls: Class, name: str, depth: int) -> Because | None:
    """Judged by where the class, or one derived from it, is instantiated."""
    for path in index.files_with(name):
        outline = index.outline(path) if not is_aside(path) else None
        if outline is None:
            continue
        for place in (outline.module, *outline.scopes.values()):
            for call in place.calls:
                if _called(call) == name and index.value(call.function, place, outline.path) == cls:
                    because = _kept(index, call, place, outline, depth)
                    if because is not None:
                        return because
        for derived in outline.scopes.values():
            around = derived.parent or outline.module
            if derived.kind == "class" and any(index.value(base, around, outline.path) == cls for base in derived.bases):
                because = long_lived(index, Class(outline.path, derived.qualname), depth + 1)
                if because is not None:
                    return because
    return None


def _keeps(index: Index, cls: Class, method: str) -> bool:
    found = index.outline(cls.path)
    scope = found.scopes.get(f"{cls.qualname}.{method}") if found is not None else None
    if scope is None or not scope.parameters:
        return False
    me = scope.parameters[0].name
    for store in scope.stores:
        target = store.target.value if isinstance(store.target, Item) else store.target
        if isinstance(target, Attribute) and target.value in {Name(me), Name(cls.qualname)}:
            return True
    return False


def _kept(index: Index, call: Call, place: Scope, found: Outline, depth: int) -> Because | None:
    """Whether the instance that a call makes is kept for the life of the process."""
    where = Place(found.path, call.at)
    if place.under_main:
        return None
    if place.kind in {"module", "class"}:
        if framework(index, found.path) is None and not is_imported(index, found.path):
            return None  # a script
        bound = any(b.value is call and not b.under_main for bindings in place.bindings.values() for b in bindings)
        return (where, "made once, at module level") if bound else None
    for bindings in found.module.bindings.values():
        if any(b.within is place and b.value is call for b in bindings):
            return where, "kept in a global"
    if place.owner is not None and place.parameters and place.name == "__init__":
        for store in place.stores:
            if store.value is call and isinstance(store.target, Attribute) and store.target.value == Name(place.parameters[0].name):
                if long_lived(index, Class(found.path, place.owner.qualname), depth + 1) is not None:
                    return where, f"kept by `{place.owner.name}`, which lives as long as the process"
    return None


def _called(call: Call) -> str | None:
    return call.function.name if isinstance(call.function, (Name, Attribute)) else None
