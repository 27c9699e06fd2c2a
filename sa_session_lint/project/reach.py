"""Whether anything that runs can reach a function: from the statements of loaded modules, from routes and other decorated functions, and from what
a library may call, through whatever names it.

Found backwards, by name: who names this function, who names those, until one of them surely may run, or none is left. In doubt a function is reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Expression, Item, Name
from sa_session_lint.model.value import Class, External, Function, Value
from sa_session_lint.project.entry import entry
from sa_session_lint.project.loading import ENTRIES, applications, importers, is_included, is_started, is_unloaded, may_be_loaded, router_of
from sa_session_lint.project.mentions import Mention, mentions, mentions_in
from sa_session_lint.project.modules import is_test, stem
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.running import goes_on, is_command, runs_as_script, starts_what_lasts
from sa_session_lint.project.usage import called_name, callers, same_function

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_PLAIN = frozenset({"staticmethod", "classmethod", "property", "cached_property", "abstractmethod", "contextmanager", "asynccontextmanager", "dataclass"})
"""Decorators that hand what they decorate to nobody."""
_ASKING = frozenset({"wraps", "update_wrapper", "iscoroutinefunction", "callable", "isinstance", "signature"})
"""What a decorator may do with what it decorates, and nothing comes of it."""
_JOBS = frozenset({"task", "shared_task", "periodic_task", "actor", "scheduled_job"})
"""Last names of the decorators by which workers and schedulers find what they run."""
_SENT = frozenset({"task", "shared_task", "actor"})
"""Of these, those whose functions run when somebody sends them, or a schedule does."""
_SENDING = ("delay", "apply_async", "send_with_options")
_PLAIN_BASES = frozenset({"object", "abc.ABC", "typing.Generic", "typing.Protocol", "builtins.object"})
_MOST = 60
"""The mentions of a name, and the functions on the way, up to which it is worth while to follow them."""


def is_dead(index: Index, scope: Scope) -> bool:
    """Whether nothing in the project but its definition names a plain function: nobody calls it, no framework finds it."""
    if scope.kind != "function" or scope.decorators or scope.owner is not None or scope.parent is None or scope.parent.kind != "module":
        return False
    return not mentions(index, scope.name)


def is_left_over(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether nothing that runs names a function or method, or the class that it belongs to: nobody has called it for long. In a project that makes no
    application, what nobody names is for others to call, unless something beside it is in use."""
    while scope.parent is not None and scope.parent.kind == "function":
        scope = scope.parent
    outer = scope.owner or scope
    if outer.parent is not outline.module or scope.kind != "function":
        return False
    if applications(index) - {outline.path}:
        return not _is_reached(index, outline.path, scope.qualname)
    return _is_defined_anew(scope) or _is_unnamed_beside_others(index, outline, scope)


def serves_commands(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether all that leads to a method or function are commands of a command line and scripts, after which the process ends."""
    outer = scope.owner or scope
    return outer.parent is outline.module and scope.kind == "function" and bool(started := _starts(index, outline.path, scope.qualname)) and started <= {"command", "script"}


def runs_by_itself(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether all that leads to a method or function are tasks of a worker, jobs of a scheduler, commands and scripts: a process does one of them at a time."""
    while scope.parent is not None and scope.parent.kind == "function":
        scope = scope.parent
    outer = scope.owner or scope
    started = _starts(index, outline.path, scope.qualname) if outer.parent is outline.module and scope.kind == "function" else frozenset()
    return bool(started) and "any" not in started


def _is_reached(index: Index, path: str, unit: str, depth: int = 3) -> bool:
    """Whether what surely may run leads to a function, method or class; `depth` is how often the class of a method on the way is itself asked about."""
    return bool(_starts(index, path, unit, depth))


Start: TypeAlias = Literal["command", "job", "script", "any"]


def _starts(index: Index, path: str, unit: str, depth: int = 3) -> frozenset[Start]:
    """How what leads to a function, method or class is started: nohow, by commands, scripts or as jobs alone, or in any other way."""

    def search() -> frozenset[Start]:
        seen: set[tuple[str, str]] = set()
        queue = [(path, unit)]
        started: set[Start] = set()
        while queue:
            at = queue.pop()
            if at in seen:
                continue
            seen.add(at)
            found = _function(index, *at)
            users = _users(index, *at, depth) if len(seen) <= _MOST else None
            if users == set() and len(seen) > 1 and _is_handed_over(index, *at, depth):
                users = None
            if users != set() and found is not None and _is_job(index, *found):
                started.add("job")
            elif users is not None:
                queue.extend(users)
            elif found is not None and is_command(index, at[0], found[1]):
                started.add("command")
            elif found is not None and runs_as_script(index, at[0], found[1]):
                started.add("script")
            else:
                return frozenset({"any"})
        ends = all(not goes_on(*each) and not starts_what_lasts(each[1]) for at in seen if (each := _function(index, *at)) is not None)
        if not (ends or started.isdisjoint({"command", "script"})):
            return frozenset({"any"})
        return frozenset(started)

    return index.once(("starts", path, unit, depth), search)


def _is_job(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether a worker or a scheduler runs a function: `@app.task`, `@scheduler.scheduled_job("cron")`, `scheduler.add_job(f)`."""
    found = entry(index, outline, scope)
    if found is not None and found.kind == "task":
        return True
    if any(called_name(each.function if isinstance(each, Call) else each) in _JOBS for each in scope.decorators):
        return True
    adding = {(found.path, _unit_of(found, at)) for found, at, call in index.calls_with("add_job", scope.name) if called_name(call.function) == "add_job"}
    named = {(one.path, one.unit) for one in mentions(index, scope.name) if one.how != "text" and not is_test(one.path)}
    return bool(named) and named <= adding and all((found.path, _unit_of(found, at)) not in named for found, at, _ in callers(index, outline.path, scope))


def _is_unsent(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether it is a task of a worker that nothing names but its definition and tests, in a project that sends others: nobody sends it, and no schedule has it.
    By a computed name any may be sent."""
    made = [called_name(each.function if isinstance(each, Call) else each) for each in scope.decorators]
    if scope.owner is not None or len(made) != 1 or made[0] not in _SENT or any(isinstance(each, Call) and each.keyword("name") is not None for each in scope.decorators):
        return False
    found = entry(index, outline, scope)
    if found is None or found.kind != "task" or index.files_with("send_task"):
        return False
    sending = any(not is_test(path) and path != outline.path for word in _SENDING for path in index.files_with(word))
    return sending and not is_started(index, scope.name) and all(is_test(one.path) for one in mentions(index, scope.name))


def _is_handed_over(index: Index, path: str, unit: str, depth: int) -> bool:
    """Whether it is a method that nothing names, of a class that is made: whoever is given its object may call it, as a server does with its handler."""
    found = _function(index, path, unit)
    owner = found[1].owner if found is not None else None
    if found is None or owner is None or mentions(index, found[1].name) or _is_defined_anew(found[1]):
        return False
    return not depth or _is_reached(index, path, owner.qualname, depth - 1)


def _function(index: Index, path: str, unit: str) -> tuple[Outline, Scope] | None:
    outline = index.outline(path)
    scope = outline.scopes.get(unit) if outline is not None else None
    return (outline, scope) if outline is not None and scope is not None and scope.kind == "function" else None


def _users(index: Index, path: str, unit: str, depth: int) -> set[tuple[str, str]] | None:
    """What names a function, method or class, or what stands in a module; None where it may run in any case."""
    outline = index.outline(path)
    if outline is None:
        return None
    if is_unloaded(index, path):
        return set()
    scope = outline.scopes.get(unit)
    if scope is not None and _is_defined_anew(scope):
        return set()
    if scope is None or _is_called_from_outside(index, outline, scope) or (may_be_loaded(index, path, (scope.owner or scope).name) and not _is_in_use(index, outline, scope)):
        return None
    if _is_unsent(index, outline, scope):
        return set()
    if not all(_is_plain(index, outline, each) for each in scope.decorators):
        routers = [router_of(index, outline, each) for each in scope.decorators]
        gone = scope.owner is None and all(each is not None and not is_included(index, outline, each) for each in routers)
        return set() if gone else None
    owner = scope.owner
    if owner is not None and depth and not _is_reached(index, path, owner.qualname, depth - 1):
        return set()
    if scope.name.startswith("__") and scope.name.endswith("__"):
        return None
    named = [one for one in mentions(index, scope.name) if not is_test(one.path)]
    if len(named) > _MOST:
        return None
    inherited = {base for base in _ancestors(index, outline, owner) if isinstance(base, Class)} if owner is not None else set()
    around = {(one.path, one.unit) for one in named if _may_mean(index, one, outline, scope) and not _is_within(one, path, unit)}
    return {at for at in around if owner is None or not _means_others(index, *at, outline, scope, inherited)}


def _is_plain(index: Index, outline: Outline, decorator: Expression) -> bool:
    """Whether a decorator hands what it decorates to nobody: it changes how that runs, as one of the project's own does that gives a function around it."""
    head = decorator.function if isinstance(decorator, Call) else decorator
    if called_name(head) in _PLAIN:
        return True
    value = index.value(head, outline.module, outline.path)
    if isinstance(value, External):
        return value.dotted in v.TRANSPARENT | v.RETRYING or value.dotted.startswith(("django.", "rest_framework.decorators."))
    found = index.outline(value.path) if isinstance(value, Function) else None
    maker = found.scopes.get(value.qualname) if found is not None and isinstance(value, Function) else None
    return found is not None and maker is not None and _wraps(found, maker)


def _wraps(found: Outline, maker: Scope) -> bool:
    """Whether a function gives one that it defines, and stores and hands on nothing: `def logged(f): def inner(): return f(); return inner`."""
    inner = [scope for scope in found.scopes.values() if scope.kind == "function" and scope.qualname.startswith(f"{maker.qualname}.")]
    names = {Name(scope.name) for scope in inner}
    makers = [maker, *(scope for scope in inner if any(each.value in names for each in scope.returns))]
    taken = {Name(parameter.name) for scope in makers for parameter in scope.parameters}
    handed = any(not taken.isdisjoint((*call.arguments, *(value for _, value in call.keywords))) and called_name(call.function) not in _ASKING for scope in (maker, *inner) for call in scope.calls)
    own = any(each.value == Name(parameter.name) for scope in inner for each in scope.returns for parameter in scope.parameters)
    return bool(maker.returns) and all(each.value in names for each in maker.returns) and not (handed or own or any(scope.stores for scope in (maker, *inner)))


def _is_within(one: Mention, path: str, unit: str) -> bool:
    return one.path == path and (one.unit == unit or one.unit.startswith(f"{unit}."))


def _is_called_from_outside(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether something that the project does not name may use a function, make a class, or call a method: a library, a registry of subclasses, a command."""
    if scope.kind == "class":
        return _is_open(index, outline, scope) or "__tablename__" in scope.bindings or is_started(index, scope.name) or _is_offered(index, outline, scope)
    if scope.owner is not None:
        return "__tablename__" not in scope.owner.bindings and _is_open(index, outline, scope.owner)
    return scope.name in ENTRIES or is_started(index, scope.name)


def _is_offered(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether a package offers a class that inherits from another, so that it can be asked for by a name that only a table or a setting has."""
    packages = [index.outline(file) for file in importers(index, outline.path) if file.endswith("__init__.py")] if scope.bases else []
    return any(found is not None and (found.stars or any(what.name == scope.name for what in found.imports)) for found in packages)


def _is_open(index: Index, outline: Outline, owner: Scope) -> bool:
    """Whether a class inherits from a library's, or from one that knows its subclasses."""
    bases = _ancestors(index, outline, owner)
    if owner.keywords or any(not isinstance(base, Class) and not (isinstance(base, External) and base.dotted in _PLAIN_BASES) for base in bases):
        return True
    names = [(base.path, base.qualname.rpartition(".")[2]) for base in bases if isinstance(base, Class)]
    asked = [index.data(path) or b"" for path in index.files_with("__subclasses__")]
    return any(
        path in index.files_with("__init_subclass__") or path in index.files_with("__subclasses__") or any(f"{name}.__subclasses__".encode() in data for data in asked)
        for path, name in names
    )


def _ancestors(index: Index, outline: Outline, owner: Scope, depth: int = 5) -> list[Value]:
    """What a class inherits from, itself or through others."""
    found: list[Value] = []
    for base in owner.bases:
        value = index.value(base.value if isinstance(base, Item) else base, outline.module, outline.path)
        found.append(value)
        above = index.outline(value.path) if isinstance(value, Class) else None
        scope = above.scopes.get(value.qualname) if above is not None and isinstance(value, Class) else None
        if above is not None and scope is not None and depth:
            found.extend(_ancestors(index, above, scope, depth - 1))
    return found


def _may_mean(index: Index, one: Mention, outline: Outline, scope: Scope) -> bool:
    """Whether a mention of a name may be one of a function, method or class that has it."""
    if one.how == "text":
        return True
    if scope.owner is not None:
        return one.how == "attribute" or one.path == outline.path
    if one.path == outline.path:
        return one.how == "name"
    if one.how == "attribute":
        return any(one.path in importers(index, door) for door in _doors(index, outline.path, scope.name))
    found = index.outline(one.path)
    if found is None or found.stars:
        return True
    meant = [index.value(what, found.module, found.path) for what in found.imports if what.name == scope.name]
    return any(not isinstance(value, (Function, Class)) or (value.path == outline.path and value.qualname == scope.qualname) for value in meant)


def _doors(index: Index, path: str, name: str) -> set[str]:
    """The modules as whose attribute a function or class is found: its own, and those that import it by its name."""
    doors: set[str] = set()
    queue = [path]
    while queue:
        door = queue.pop()
        if door not in doors:
            doors.add(door)
            found = [(file, index.outline(file)) for file in importers(index, door)]
            queue.extend(file for file, outline in found if outline is not None and (outline.stars or any(what.name == name for what in outline.imports)))
    return doors


def _means_others(index: Index, path: str, unit: str, outline: Outline, scope: Scope, inherited: set[Class]) -> bool:
    """Whether all that says a method's name in some function are calls of methods that other classes have."""
    found = index.outline(path)
    if found is None:
        return False
    said = sum(1 for one in mentions(index, scope.name) if one.path == path and one.unit == unit)
    places = [place for place in (found.module, *found.scopes.values()) if _unit_of(found, place) == unit]
    calls = [(call, place) for place in places for call in place.calls if isinstance(call.function, Attribute) and call.function.name == scope.name]
    values = [index.value(call.function, place, path) for call, place in calls]
    others = (isinstance(value, External) or (isinstance(value, Function) and not _is_or_overridden(value, outline, scope, inherited)) for value in values)
    return len(values) >= said and all(others)


def _is_or_overridden(value: Function, outline: Outline, scope: Scope, inherited: set[Class]) -> bool:
    return same_function(value, outline.path, scope.qualname) or any(same_function(value, base.path, f"{base.qualname}.{scope.name}") for base in inherited)


def _unit_of(outline: Outline, place: Scope) -> str:
    """The function, method or class around a scope that is not within another function."""
    while place.parent is not None and place.parent is not outline.module and not (place.owner is not None and place.owner.parent is outline.module):
        place = place.parent
    return place.qualname if place is not outline.module else ""


def _is_defined_anew(scope: Scope) -> bool:
    """Whether another definition of the same name takes a function's place before anybody can call it."""
    last = scope.parent.bindings[scope.name][-1] if scope.parent is not None and scope.parent.bindings.get(scope.name) else None
    return not scope.decorators and last is not None and last.how == "def" and last.sure and last.at != scope.at and scope.kind == "function"


def _is_unnamed_beside_others(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether nothing names a function, or its class, while what stands beside it is in use."""
    return any(one is not None and _users(index, outline.path, one.qualname, 0) == set() and _is_used_beside(index, outline, one) for one in (scope.owner, scope))


def _is_in_use(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether a module that may be loaded by a computed name is used by the names of what it has, and so no plugin of which more may be called."""
    return _is_used_beside(index, outline, scope) or (scope.owner is not None and _is_named_elsewhere(index, outline, [scope.owner.name]))


def _is_used_beside(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether a file that names the module names something that stands beside a function, method or class."""
    beside = [other.name for other in outline.scopes.values() if other.parent is scope.parent and other is not scope and not other.name.startswith("__")]
    return _is_named_elsewhere(index, outline, beside)


def _is_named_elsewhere(index: Index, outline: Outline, names: list[str]) -> bool:
    others = [path for path in index.files_with(stem(outline.path)) if path != outline.path]
    return any(next(mentions_in(index, name, path), None) for name in names for path in others if path in index.files_with(name))
