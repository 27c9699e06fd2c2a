"""Questions about the project as a whole: who calls this, who depends on it, who uses this session, who removes it.

Each reads only the files whose bytes hold the names in question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Await, Call, Choice, Enter, Expression, Imported, Item, Name, Row, Table
from sa_session_lint.model.value import UNKNOWN, Function, Method, Module, Place, Registry, Session, Value
from sa_session_lint.project.annotation import depended, is_depends
from sa_session_lint.project.entry import receivers
from sa_session_lint.project.modules import is_aside, stem
from sa_session_lint.project.outline import Outline, Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a session or registry is put to work, and the function around it."""

    path: str
    qualname: str
    place: Place


def same_function(value: Value, path: str, qualname: str) -> bool:
    return isinstance(value, Function) and value.path == path and value.qualname == qualname


def callers(index: Index, path: str, scope: Scope) -> tuple[tuple[Outline, Scope, Call], ...]:
    """The calls of a function or method, as far as they can be traced."""

    def search() -> tuple[tuple[Outline, Scope, Call], ...]:
        word = scope.owner.name if scope.owner is not None else stem(path)
        calling = re.compile(rb"(?<!\w)" + re.escape(scope.name.encode()) + rb"[\s\\]*\(")
        files = [path, *(f for f in index.files_with(scope.name, word) if f != path and calling.search(index.data(f) or b""))]
        return tuple(
            (found, function, call)
            for found, function, call in _calls(index, files)
            if called_name(call.function) == scope.name
            and same_function(index.value(call.function, function, found.path), path, scope.qualname)
        )

    return index.once(("callers", path, scope.qualname), search)


def caller_at(index: Index, place: Place) -> tuple[Outline, Scope] | None:
    """The function or class that makes the call at a place; None where a module does."""
    outline = index.outline(place.path)
    scope = next((s for s in outline.scopes.values() if any(call.at == place.at for call in s.calls)), None) if outline is not None else None
    return (outline, scope) if outline is not None and scope is not None else None


def all_callers(index: Index, path: str, scope: Scope, depth: int = 3) -> tuple[tuple[Outline, Scope], ...]:
    """The functions that call a function, themselves or through others; not those of tests and the like, which are no sign of how the program runs."""

    def search() -> tuple[tuple[Outline, Scope], ...]:
        found: dict[tuple[str, str], tuple[Outline, Scope]] = {}
        for outline, caller, _ in callers(index, path, scope):
            if caller.kind == "function" and not is_aside(outline.path):
                found[outline.path, caller.qualname] = outline, caller
                for more in all_callers(index, outline.path, caller, depth - 1) if depth > 1 else ():
                    found.setdefault((more[0].path, more[1].qualname), more)
        return tuple(found.values())

    return index.once(("all callers", path, scope.qualname, depth), search)


def _calls(index: Index, files: list[str]) -> Iterator[tuple[Outline, Scope, Call]]:
    for file in files:
        found = index.outline(file)
        if found is not None:
            for scope in (found.module, *found.scopes.values()):
                for call in scope.calls:
                    yield found, scope, call


def called_name(expression: Expression) -> str | None:
    return expression.name if isinstance(expression, (Name, Attribute)) else None


def dependents(index: Index, path: str, qualname: str) -> tuple[Place, ...]:
    """Where `Depends(...)` names this function."""

    def search() -> tuple[Place, ...]:
        name = qualname.rpartition(".")[2]
        found: list[Place] = []
        for word in ("Depends", "Security"):
            for outline, scope, call in index.calls_with(word, name):
                if not is_depends(index, call, scope, outline.path):
                    continue
                target = depended(call)
                if target is not None and same_function(index.value(target, scope, outline.path), path, qualname):
                    found.append(Place(outline.path, call.at))
        return tuple(found)

    return index.once(("dependents", path, qualname), search)


def uses(index: Index, found: Outline, scope: Scope) -> tuple[tuple[Place, Registry | Session], ...]:
    """The calls of a function that work with a session that outlives it: a registry's, or one shared through a name."""

    def search() -> tuple[tuple[Place, Registry | Session], ...]:
        seen: list[tuple[Place, Registry | Session]] = []
        for call in scope.calls:
            worked = _worked(index, call, scope, found.path)
            if worked is not None:
                seen.append((Place(found.path, call.at), worked))
        return tuple(seen)

    return index.once(("uses", found.path, scope.qualname), search)


def _worked(index: Index, call: Call, scope: Scope, path: str) -> Registry | Session | None:
    """The session or registry whose method a call is, also further down its chain: `Session.query(...).all()`, `User.query.get(1)`."""
    if not isinstance(call.function, Attribute):
        return None
    for part in (call.function, *receivers(call.function)):
        value = index.value(part, scope, path) if isinstance(part, Attribute) else UNKNOWN
        if not isinstance(value, Method) or value.name not in v.SESSION_CALLS:
            continue
        owner = value.receiver
        if isinstance(owner, Registry) and owner.scope != "framework":
            return owner
        if isinstance(owner, Session) and owner.how in {"shared", "registry"} and owner.place is not None:
            return owner
    return None


def opened(index: Index, found: Outline, scope: Scope) -> tuple[tuple[Place, Registry], ...]:
    """The calls of a function that take the session of a registry: `db = ScopedSession()`."""

    def search() -> tuple[tuple[Place, Registry], ...]:
        values = ((call, index.value(call.function, scope, found.path)) for call in scope.calls)
        return tuple((Place(found.path, call.at), value) for call, value in values if isinstance(value, Registry))

    return index.once(("opened", found.path, scope.qualname), search)


def registry_of(index: Index, value: Registry | Session) -> Registry | None:
    """The registry behind a session that one gave."""
    if isinstance(value, Registry):
        return value
    if value.how == "registry" and value.place is not None:
        found = index.outline(value.place.path)
        if found is not None:
            for scope in (found.module, *found.scopes.values()):
                for call in scope.calls:
                    if call.at == value.place.at:
                        made = index.value(call.function, scope, found.path)
                        return made if isinstance(made, Registry) else None
    return None


def removals(index: Index, registry: Registry) -> tuple[Use, ...]:
    """Where `remove()` is called on this registry, or on something that may be it."""

    def search() -> tuple[Use, ...]:
        found: list[Use] = []
        for outline, scope, call in index.calls_with("remove"):
            function = call.function
            if not isinstance(function, Attribute) or function.name != "remove" or call.arguments or call.keywords:
                continue
            value = index.value(function.value, scope, outline.path)
            if value is UNKNOWN or (isinstance(value, Registry) and value.place == registry.place):
                found.append(Use(outline.path, scope.qualname, Place(outline.path, call.at)))
        for outline, scope in index.scopes_with("remove"):
            for call in scope.calls:  # handed over as a callback: atexit.register(Session.remove), stack.callback(Session.remove)
                for argument in (*call.arguments, *(value for _, value in call.keywords)):
                    if isinstance(argument, Attribute) and argument.name == "remove":
                        found.append(Use(outline.path, scope.qualname, Place(outline.path, call.at)))
        return tuple(found)

    return index.once(("removals", registry.place), search)


def is_imported(index: Index, path: str) -> bool:
    """Whether any other file of the project imports this one; a file that nobody imports is a script, unless a framework loads it."""

    def search() -> bool:
        for other in index.files_with(stem(path)):
            found = index.outline(other) if other != path else None
            for what in found.imports if found is not None else ():
                module = index.modules.find(what.module, what.level, other)
                if module == path or (module is not None and names_module(index, what, other, path)):
                    return True
        return False

    return index.once(("imported", path), search)


def names_module(index: Index, what: Imported, importer: str, path: str) -> bool:
    """Whether `from package import name` gives a module: one of that name lies in the package, or the package imports it under the name."""
    inside = f"{what.module}.{what.name}" if what.module else str(what.name)
    found = index.outline(importer)
    return what.name is not None and found is not None and (index.modules.find(inside, what.level, importer) == path or index.value(what, found.module, importer) == Module(path))


def loads(index: Index, path: str, other: str) -> bool:
    """Whether importing one file imports another, directly or not."""

    def search() -> frozenset[str]:
        seen: set[str] = set()
        queue = [path]
        while queue:
            file = queue.pop()
            found = index.outline(file) if file not in seen else None
            seen.add(file)
            for what in found.imports if found is not None else ():
                module = index.modules.find(what.module, what.level, file)
                if module is None:
                    continue
                queue.append(module)
                folder = module.removesuffix("/__init__.py").removesuffix("/")
                inner = index.modules.file_of(folder, what.name) if what.name is not None and not module.endswith(f"{stem(module)}.py") else None
                if inner is not None:
                    queue.append(inner)
        return frozenset(seen)

    return other in index.once(("loads", path), search)


def is_zope(index: Index) -> bool:
    """Whether zope.sqlalchemy ends the project's sessions."""
    return bool(index.files_with("zope", "sqlalchemy") and any(b"zope.sqlalchemy" in (index.data(p) or b"") for p in index.files_with("zope")))


def framework(index: Index, path: str | None = None) -> str | None:
    """The framework because of which code of this project runs concurrently or for long; of one file where `path` is given."""
    if path is not None:
        data = index.data(path) or b""
        return next((name for module, name in v.CONCURRENT.items() if _imports(module).search(data)), None)

    def search() -> str | None:
        for file in sorted(index.modules.files):
            if not is_aside(file):
                name = framework(index, file)
                if name is not None:
                    return name
        return None

    return index.once(("framework",), search)


def starts_threads(index: Index) -> bool:
    """Whether code of the project imports what starts threads."""

    def search() -> bool:
        return any(_imports(module).search(index.data(path) or b"") for path in index.modules.files if not is_aside(path) for module in v.THREADS)

    return index.once(("threads",), search)


def holders(scope: Scope, made: Call) -> set[Expression]:
    """A call and the local names that what it gives, or something made with it, may be found under."""
    held: set[Expression] = {made}
    for _ in range(3):
        held |= {Name(name) for name, bindings in scope.bindings.items() if any(mentions(b.value, held) for b in bindings)}
    return held


def mentions(value: Expression, held: set[Expression]) -> bool:
    """Whether one of these expressions is part of another."""
    if value in held:
        return True
    match value:
        case Call(function, arguments, keywords):
            return any(mentions(part, held) for part in (function, *arguments, *(given for _, given in keywords)))
        case Attribute(inner, _) | Await(inner) | Enter(inner) | Item(inner, _):
            return mentions(inner, held)
        case Row(items) | Choice(items):
            return any(mentions(part, held) for part in items)
        case Table(pairs):
            return any(mentions(part, held) for _, part in pairs)
    return False


_PATTERNS: dict[str, re.Pattern[bytes]] = {}


def _imports(module: str) -> re.Pattern[bytes]:
    if module not in _PATTERNS:
        name = re.escape(module.encode())
        head, _, tail = module.encode().rpartition(b".")
        also = rb"|from\s+" + re.escape(head) + rb"\s+import\s[^\n]*\b" + re.escape(tail) if head else b""
        _PATTERNS[module] = re.compile(rb"^[ \t]*(?:import\s+" + name + rb"\b|from\s+" + name + rb"\b" + also + rb")", re.MULTILINE)
    return _PATTERNS[module]
