"""What an annotation promises: `Session`, `Annotated[Session, Depends(get_db)]` and its aliases, `Callable[[], Session]`, ...

An annotation says what kind of thing a name is, not whose it is: a session so found belongs to whoever handed it in.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Choice, Const, Expression, Imported, Item, Name, Row
from sa_session_lint.model.value import (
    NOTHING,
    UNKNOWN,
    Class,
    Coroutine,
    External,
    Function,
    Generator,
    Gives,
    Instance,
    Made,
    Maker,
    Manager,
    Module,
    Options,
    Place,
    Registry,
    Session,
    SessionClass,
    Value,
    join,
)
from sa_session_lint.project.outline import Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_DOTTED = re.compile(r"\s*(?:(?:typing\.)?Optional\[)?\s*([A-Za-z_][\w.]*)\s*\]?\s*(?:\|\s*None)?\s*\Z")
_WRAPPERS = frozenset({"ClassVar", "Final", "Required", "NotRequired", "ReadOnly", "InitVar"})
_STREAMS = frozenset({"Generator", "Iterator", "Iterable", "AsyncGenerator", "AsyncIterator", "AsyncIterable"})
_MANAGERS = frozenset({"ContextManager", "AbstractContextManager", "AsyncContextManager", "AbstractAsyncContextManager"})


def annotated(index: Index, expression: Expression | None, scope: Scope, path: str, depth: int = 0) -> Value:
    """A value of the type that `expression` names; UNKNOWN for types that say nothing."""
    if expression is None or depth > 8:
        return UNKNOWN
    match expression:
        case Const(None):
            return NOTHING
        case Const(str(text)):
            return _quoted(index, text, scope, path, depth)
        case Choice(options):
            return join([annotated(index, option, scope, path, depth + 1) for option in options])
        case Item(base, key):
            return _generic(index, base, key, scope, path, depth)
        case Name() | Attribute():
            alias = _definition(index, expression, scope, path)
            if alias is not None:
                return annotated(index, alias[0], alias[1], alias[2], depth + 1)
            return _of_type(index.value(expression, scope, path), Place(path, 0))
    return UNKNOWN


def promised(index: Index, expression: Expression, scope: Scope, path: str, is_generator: bool) -> Value:
    """What a function so annotated gives; for a generator, what it yields."""
    if is_generator and isinstance(expression, Item):
        first = expression.key.items[0] if isinstance(expression.key, Row) and expression.key.items else expression.key
        return annotated(index, first, scope, path)
    return annotated(index, expression, scope, path) if not is_generator else UNKNOWN


def dependency(index: Index, expression: Expression | None, scope: Scope, path: str) -> Value:
    """What FastAPI puts in the place of `Depends(f)`."""
    if not isinstance(expression, Call) or not is_depends(index, expression, scope, path):
        return UNKNOWN
    target = depended(expression)
    if target is None:
        return UNKNOWN
    function = index.value(target, scope, path)
    value = provided(index, function)
    return replace(value, how="depends") if isinstance(value, Session) else value


def is_depends(index: Index, call: Call, scope: Scope, path: str) -> bool:
    """Whether a call is `Depends(...)` or `Security(...)`."""
    function = index.value(call.function, scope, path)
    return isinstance(function, External) and function.dotted in v.DEPENDS


def depended(call: Call) -> Expression | None:
    """The dependency named in `Depends(f)`."""
    return call.arguments[0] if call.arguments else call.keyword("dependency")


def provided(index: Index, function: Value) -> Value:
    """What a dependency gives to the function that depends on it."""
    match function:
        case Function():
            value = index.result(function.path, function.qualname)
        case Gives(inner):
            value = inner
        case Instance(cls, qualname):
            member = index.member(cls, qualname, "__call__")
            value = index.result(member.path, member.qualname) if isinstance(member, Function) else UNKNOWN
        case Class(cls, qualname):
            value = Instance(cls, qualname)
        case Maker() | SessionClass():
            value = Session(function.kind, function.options, None, "depends")
        case Registry():
            value = Session(function.kind, function.options, function.place, "registry")
        case _:
            value = UNKNOWN
    if isinstance(value, (Generator, Coroutine, Manager)):
        value = value.value
    return value


def depends_in(index: Index, expression: Expression | None, scope: Scope, path: str, depth: int = 0) -> tuple[Call, Scope, str] | None:
    """The `Depends(...)` of an `Annotated[...]` or of an alias of it, with the place where it stands."""
    if expression is None or depth > 8:
        return None
    if isinstance(expression, Item) and isinstance(expression.key, Row):
        for part in expression.key.items[1:]:
            if isinstance(part, Call) and is_depends(index, part, scope, path):
                return part, scope, path
    if isinstance(expression, (Name, Attribute)):
        alias = _definition(index, expression, scope, path)
        if alias is not None:
            return depends_in(index, *alias, depth=depth + 1)
    return None


def _quoted(index: Index, text: str, scope: Scope, path: str, depth: int) -> Value:
    match = _DOTTED.match(text)
    if match is None:
        return UNKNOWN
    first, *rest = match.group(1).split(".")
    expression: Expression = Name(first)
    for name in rest:
        expression = Attribute(expression, name)
    return annotated(index, expression, scope, path, depth + 1)


def _generic(index: Index, base: Expression, key: Expression, scope: Scope, path: str, depth: int) -> Value:
    name = base.name if isinstance(base, (Name, Attribute)) else ""
    keys = key.items if isinstance(key, Row) else (key,)
    if name == "Annotated":
        for part in keys[1:]:
            if isinstance(part, Call):
                found = dependency(index, part, scope, path)
                if isinstance(found, Session):
                    return found
        return annotated(index, keys[0], scope, path, depth + 1)
    if name == "Optional" or name in _WRAPPERS:
        return annotated(index, keys[0], scope, path, depth + 1)
    if name == "Union":
        return join([annotated(index, part, scope, path, depth + 1) for part in keys])
    if name == "Callable":
        return Gives(annotated(index, keys[-1], scope, path, depth + 1))
    if name in {"Awaitable", "Coroutine"}:
        return Coroutine(annotated(index, keys[-1], scope, path, depth + 1))
    if name in _MANAGERS:
        return Manager(annotated(index, keys[0], scope, path, depth + 1), name.startswith("A") and "Async" in name)
    if name in {"type", "Type"}:
        return UNKNOWN
    if name in _STREAMS:
        return UNKNOWN
    return _of_type(index.value(base, scope, path), Place(path, 0))


def _of_type(value: Value, place: Place) -> Value:
    match value:
        case SessionClass(kind, _, _):
            return Session(kind, Options(None, autoflush=False), None, "given")
        case Class(path, qualname):
            return Instance(path, qualname)
        case External(dotted):
            role = v.ROLES.get(dotted)
            if role is None:
                return Made(dotted, place) if "." in dotted and not dotted.startswith(("builtins.", "typing.")) else UNKNOWN
            if role[0] == "session class":
                return Session(role[1], Options(None, autoflush=False), None, "given")
            if role[0] == "maker":
                return Maker(role[1] if role[1] == "async" else None, Options(None, autocommit=True), None)  # bound to who knows what
            if role[0] == "registry":
                return Registry(role[1], Options(None), "custom", place)
            if role[0] == "flask-sqlalchemy":
                return Made("flask_sqlalchemy.SQLAlchemy", place)
    return UNKNOWN


def _definition(index: Index, expression: Expression, scope: Scope, path: str, depth: int = 0) -> tuple[Expression, Scope, str] | None:
    """The right-hand side of a type alias (`SessionDep = Annotated[...]`), through imports; None for anything else."""
    if depth > 8:
        return None
    if isinstance(expression, Attribute):
        module = index.value(expression.value, scope, path)
        return _exported(index, module.path, expression.name, depth) if isinstance(module, Module) else None
    if not isinstance(expression, Name):
        return None
    for place in scope.enclosing():
        bindings = place.bindings.get(expression.name)
        if bindings is None:
            continue
        if len(bindings) != 1:
            return None
        value = bindings[0].value
        if isinstance(value, Imported):
            if value.name is None:
                return None
            module_path = index.modules.find(value.module, value.level, path)
            return _exported(index, module_path, value.name, depth) if module_path is not None else None
        if isinstance(value, (Item, Choice, Name, Attribute)):
            return value, place, path
        return None
    found = index.outline(path)
    for star in found.stars if found is not None else ():
        module_path = index.modules.find(star.module, star.level, path)
        alias = _exported(index, module_path, expression.name, depth + 1) if module_path is not None else None
        if alias is not None:
            return alias
    return None


def _exported(index: Index, module: str, name: str, depth: int) -> tuple[Expression, Scope, str] | None:
    found = index.outline(module)
    if found is None:
        return None
    return _definition(index, Name(name), found.module, module, depth + 1)
