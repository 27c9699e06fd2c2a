"""The project's `scoped_session` registries: what they are called, who uses them, and which hooks end them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sa_session_lint.model.expression import Attribute, Call, Enter, Expression, Name
from sa_session_lint.model.value import Class, External, Method, Place, Registry, Session
from sa_session_lint.model.vocabulary import CELERY_APPS, TASK_CLASSES
from sa_session_lint.project.entry import entry, kinds_of
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import Use, dependents, framework, opened, registry_of, uses

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


@dataclass(frozen=True, slots=True)
class Served:
    """A use of a registry by code that a framework runs."""

    kind: Literal["asgi", "flask", "task", "handler"]
    framework: str
    place: Place


def registries(index: Index) -> tuple[Registry, ...]:
    """Every registry that the project makes at module level."""

    def search() -> tuple[Registry, ...]:
        found: list[Registry] = []
        for outline, scope, call in index.calls_with("scoped_session"):
            value = index.value(call, scope, outline.path) if scope.kind == "module" and not is_aside(outline.path) else None
            if isinstance(value, Registry) and value.place == Place(outline.path, call.at):
                found.append(value)
        return tuple(found)

    return index.once(("registries",), search)


def name_of(scope: Scope, call: Call) -> str | None:
    """The name that a scope binds the result of a call to."""
    return next((name for name, bindings in scope.bindings.items() if any(b.value is call for b in bindings)), None)


def binding_name(index: Index, place: Place) -> str | None:
    """The module-level name of what was made at a place."""
    found = index.outline(place.path)
    if found is None:
        return None
    for name, bindings in found.module.bindings.items():
        if any(isinstance(b.value, Call) and b.value.at == place.at for b in bindings):
            return name
    return None


def is_handed_on(scope: Scope, name: str) -> bool:
    """Whether a local name is returned, yielded, stored, or given to a call."""
    me = Name(name)
    if any(g.value == me for g in (*scope.returns, *scope.yields)) or any(store.value == me for store in scope.stores):
        return True
    return any(me in call.arguments or any(value == me for _, value in call.keywords) for call in scope.calls)


def kind_of_use(index: Index, registry: Registry) -> Served | None:
    """How a registry is used, judged by the first function that a framework enters and that works with it."""

    def search() -> Served | None:
        name = binding_name(index, registry.place)
        weak: Served | None = None
        words = _words(index, registry, name)
        for path in dict.fromkeys(path for word in words for path in index.files_with(word)):
            if is_aside(path):
                continue
            found = index.outline(path)
            if found is None:
                continue
            for scope in found.scopes.values():
                if scope.kind != "function":
                    continue
                for place, worked in (*uses(index, found, scope), *opened(index, found, scope)):
                    behind = registry_of(index, worked)
                    if behind is None or behind.place != registry.place:
                        continue
                    entered = entry(index, found, scope)
                    if entered is not None:
                        return Served(entered.kind, entered.framework, place)
                    if dependents(index, path, scope.qualname):
                        return Served("asgi", "FastAPI", place)
                    weak = weak or _by_import(index, path, place)
                    break
        return weak

    return index.once(("kind of use", registry.place), search)


def _words(index: Index, registry: Registry, name: str | None) -> tuple[str, ...]:
    """Names by which a registry may be reached: its own, those it was assigned to, and `query` of a class it serves."""
    found = index.outline(registry.place.path)
    if found is None or name is None:
        return ()
    names = {name}
    for other, bindings in found.module.bindings.items():
        if any(b.value == Name(name) for b in bindings):
            names.add(other)
    if any(isinstance(call.function, Attribute) and call.function.name == "query_property" for call in found.module.calls):
        names.add("query")
    return tuple(sorted(names))


def _by_import(index: Index, path: str, place: Place) -> Served | None:
    name = framework(index, path)
    if name in {"FastAPI", "Starlette"}:
        return Served("asgi", name, place)
    if name == "Flask":
        return Served("flask", name, place)
    return None


def is_closed(index: Index, registry: Registry, used: Place) -> bool:
    """Whether the function that uses the registry also closes its session, or a hook does: nothing of the work is left."""
    found = index.outline(used.path)
    users = [s for s in found.scopes.values() if any(call.at == used.at for call in s.calls)] if found is not None else []
    if found is not None and any(closes(index, found, scope, registry) for scope in users):
        return True
    hooks = [(o, s) for o, s in index.scopes_with("close") if s.kind == "function" and entry(index, o, s) is None]
    return any(closes(index, outline, scope, registry, blocks=False) for outline, scope in hooks)


def closes(index: Index, outline: Outline, scope: Scope, registry: Registry, blocks: bool = True) -> bool:
    """Whether a function closes the registry's session, or works in a block that does (not counted without `blocks`)."""
    names = {"close", "begin"} if blocks else {"close"}
    ended = [c.function.value for c in scope.calls if isinstance(c.function, Attribute) and c.function.name in names]
    if blocks:
        ended += [b.value.value for bs in scope.bindings.values() for b in bs if isinstance(b.value, Enter)]
    values = [index.value(expression, scope, outline.path) for expression in ended]
    behind = [registry_of(index, value) for value in values if isinstance(value, (Registry, Session))]
    return any(found is not None and found.place == registry.place for found in behind)


def is_set_up(index: Index, use: Use) -> bool:
    """Whether a `remove()` only makes way for `configure()`, which is no teardown."""
    found = index.outline(use.path)
    scope = found.scopes.get(use.qualname) if found is not None else None
    return scope is not None and any(isinstance(c.function, Attribute) and c.function.name == "configure" for c in scope.calls)


def is_task_hook(index: Index, use: Use) -> bool:
    """Whether a `remove()` stands where it runs at the end of tasks: in a signal's receiver, a task class, a wrapper of tasks."""
    found = index.outline(use.path)
    scope = found.scopes.get(use.qualname) if found is not None else None
    if found is None or scope is None:
        return True  # at module level: a callback handed to something
    for decorator in scope.decorators:
        head = decorator.function if isinstance(decorator, Call) else decorator
        value = index.value(head, scope.parent or found.module, use.path)
        if isinstance(value, External) and value.dotted.startswith("celery."):
            return True
    if scope.owner is not None and kinds_of(index, Class(use.path, scope.owner.qualname)) & TASK_CLASSES:
        return True
    return entry(index, found, scope) is None and b"celery" in (index.data(use.path) or b"").lower()


def is_ended_by_tasks(index: Index, registry: Registry) -> bool:
    """Whether a task class of the project ends the registry's transaction around each task: `class ContextTask(app.Task)` whose `__call__` commits."""

    def search() -> bool:
        for outline, scope in index.scopes_with("__call__", "Task"):
            if scope.name == "__call__" and scope.owner is not None and any(_is_task_class(index, base, scope.owner, outline) for base in scope.owner.bases):
                for call in scope.calls:
                    if isinstance(call.function, Attribute) and call.function.name in {"commit", "rollback"}:
                        value = index.value(call.function.value, scope, outline.path)
                        behind = registry_of(index, value) if isinstance(value, (Registry, Session)) else None
                        if behind is not None and behind.place == registry.place:
                            return True
        return False

    return index.once(("ended by tasks", registry.place), search)


def _is_task_class(index: Index, base: Expression, owner: Scope, outline: Outline) -> bool:
    value = index.value(base, owner.parent or outline.module, outline.path)
    if isinstance(value, Method):
        return value.name == "Task" and not CELERY_APPS.isdisjoint(kinds_of(index, value.receiver))
    return not TASK_CLASSES.isdisjoint(kinds_of(index, value))
