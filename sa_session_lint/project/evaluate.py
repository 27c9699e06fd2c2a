"""What an expression stands for: names through scopes, imports and re-exports; calls through the functions they reach.

Everything here is a question of *what* a thing is, never of *when*: a name is the join of all that is ever bound to it, and a
contradiction is UNKNOWN. Questions about named things (a name of a scope, a function's result, a member of a class) are queries
of the index, so that they are answered once and may go round in circles.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model import waits
from sa_session_lint.model.expression import (
    Attribute,
    Await,
    Call,
    Choice,
    Const,
    Defined,
    Each,
    Enter,
    Expression,
    Imported,
    Item,
    Lambda,
    Name,
    Row,
    Table,
)
from sa_session_lint.model.protocol import METHODS
from sa_session_lint.model.settings import ConfiguredMaker
from sa_session_lint.model.value import (
    NOTHING,
    UNKNOWN,
    Class,
    Constant,
    Coroutine,
    Engine,
    External,
    Function,
    Generator,
    Gives,
    Instance,
    Made,
    Maker,
    Manager,
    Many,
    Mapping,
    Method,
    Module,
    Options,
    Place,
    Registry,
    Session,
    SessionClass,
    Value,
    join,
    shared,
)
from sa_session_lint.project.annotation import annotated, dependency, promised
from sa_session_lint.project.library import call_external, call_method, instantiate
from sa_session_lint.project.modules import is_test
from sa_session_lint.project.outline import Binding, Scope, Store

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_BUILTINS = frozenset(dir(builtins))
_SAVING = frozenset(METHODS) | {"__enter__", "__exit__", "__aenter__", "__aexit__"}
"""Methods of a session that may commit if its class has them of its own."""


def evaluate(index: Index, expression: Expression, scope: Scope, path: str) -> Value:
    """The value of `expression` as met in `scope` of `path`; UNKNOWN when in doubt. Never raises."""
    if not isinstance(expression, (Call, Attribute)):
        return _evaluate(index, expression, scope, path)
    known = index.known(expression, scope)
    return known if known is not None else index.remember(expression, scope, _evaluate(index, expression, scope, path))


def _evaluate(index: Index, expression: Expression, scope: Scope, path: str) -> Value:
    match expression:
        case Name(name, upto):
            return lookup(index, name, scope, path, upto)
        case Attribute(value, name):
            return attribute(index, evaluate(index, value, scope, path), name)
        case Call():
            return _call(index, expression, scope, path)
        case Await(value):
            return _awaited(evaluate(index, value, scope, path))
        case Enter(value):
            return entered(index, evaluate(index, value, scope, path))
        case Each(value):
            return _each(evaluate(index, value, scope, path))
        case Item(value, key):
            found = _item(evaluate(index, value, scope, path), key)
            return index.ask(Kept(path, value.name)) if found is UNKNOWN and isinstance(value, Name) and value.name not in scope.bindings else found
        case Choice(options):
            return join([evaluate(index, option, scope, path) for option in options])
        case Const(value):
            return NOTHING if value is None else Constant(value)
        case Row(items):
            return Many(tuple(evaluate(index, item, scope, path) for item in items)) if len(items) <= 8 else UNKNOWN
        case Table(items):
            if len(items) > 32:
                return UNKNOWN
            return Mapping(tuple((k.value, evaluate(index, i, scope, path)) for k, i in items if isinstance(k, Const) and isinstance(k.value, str)))
        case Lambda(body):
            return Gives(evaluate(index, body, scope, path))
        case Imported():
            return imported(index, expression, path)
        case Defined(qualname):
            return defined(index, path, qualname)
    return UNKNOWN


# -- names --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Named:
    """The value of a name that a scope (the module's where `qualname` is empty) binds."""

    path: str
    qualname: str
    name: str
    upto: int = 0

    def answer(self, index: Index) -> Value:
        found = index.outline(self.path)
        if found is None:
            return UNKNOWN
        scope = found.scopes[self.qualname] if self.qualname else found.module
        values: list[Value] = []
        for position, parameter in enumerate(scope.parameters):
            if parameter.name == self.name:
                values.append(_parameter(index, scope, position, self.path))
        values += [_bound(index, binding, scope, self.path) for binding in scope.final(self.name, self.upto)]
        value = join(values)
        if value is NOTHING and scope.kind == "module":
            value = join([value, *_stored_from_elsewhere(index, self)])
        return value


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept in a dictionary of a module, if that is a factory or an engine, perhaps with others: `factories[url] = sessionmaker(engine)`."""

    path: str
    name: str

    def answer(self, index: Index) -> Value:
        found = index.outline(self.path)
        bindings = found.module.bindings.get(self.name, []) if found is not None else []
        if found is None or len(bindings) != 1 or not isinstance(bindings[0].value, (Table, Call)):
            return UNKNOWN
        kept = [
            evaluate(index, store.value, scope, self.path)
            for scope in (found.module, *found.scopes.values())
            for store in scope.stores
            if isinstance(store.target, Item) and store.target.value == Name(self.name) and (scope is found.module or self.name not in scope.bindings)
        ]
        value = join(kept) if kept else UNKNOWN
        parts = value.items if isinstance(value, Many) else (value,)
        return value if any(isinstance(part, Maker) for part in parts) and not any(isinstance(part, Session) for part in parts) else UNKNOWN


def lookup(index: Index, name: str, scope: Scope, path: str, upto: int = 0) -> Value:
    """What `name` means in `scope`, there after its first `upto` bindings (0: after all)."""
    for place in scope.enclosing():
        if name in place.outer and place.kind == "function":
            continue
        if name in place.bindings or any(p.name == name for p in place.parameters):
            value = index.ask(Named(path, place.qualname, name, upto if place is scope else 0))
            return value if place is scope else shared(value) if place.kind == "module" else value
    found = index.outline(path)
    for star in found.stars if found is not None else ():
        value = _from_star(index, star, name, path)
        if value is not UNKNOWN:
            return shared(value)
    return External(f"builtins.{name}") if name in _BUILTINS else UNKNOWN


def _bound(index: Index, binding: Binding, scope: Scope, path: str) -> Value:
    if binding.how == "annotation":
        return annotated(index, binding.annotation, scope, path) if binding.annotation is not None else UNKNOWN
    value = evaluate(index, binding.value, binding.within or scope, path)
    if value is UNKNOWN and binding.annotation is not None:
        value = annotated(index, binding.annotation, scope, path)
    return value


def _parameter(index: Index, scope: Scope, position: int, path: str) -> Value:
    parameter = scope.parameters[position]
    owner = scope.owner
    if position == 0 and owner is not None:
        decorators = {name for d in scope.decorators if (name := _plain(d)) is not None}
        if "staticmethod" not in decorators:
            if "classmethod" in decorators or scope.name in {"__new__", "__init_subclass__", "__class_getitem__"}:
                return Class(path, owner.qualname)
            return Instance(path, owner.qualname)
    around = scope.parent if scope.parent is not None else scope
    found: Value = UNKNOWN
    if parameter.annotation is not None:
        found = annotated(index, parameter.annotation, around, path)
    if found is UNKNOWN or isinstance(found, (Session, Maker)):
        injected = dependency(index, parameter.default, around, path)
        if isinstance(injected, Session):
            contradicted = isinstance(found, Session) and None not in {found.kind, injected.kind} and found.kind != injected.kind
            return UNKNOWN if contradicted else injected
        if injected is NOTHING and all(is_test(file) for file in index.files_with("dependency_overrides")):  # a dependency that always raises, or is still to be written
            return UNKNOWN
    return found


def _plain(expression: Expression) -> str | None:
    return expression.name if isinstance(expression, Name) else None


def imported(index: Index, what: Imported, path: str) -> Value:
    """What an import binds."""
    module = index.modules.find(what.module, what.level, path)
    if what.name is None:
        return Module(module) if module is not None else External(what.module)
    if module is None:
        if what.level:
            return UNKNOWN
        return External(f"{what.module}.{what.name}")
    return export(index, module, what.name)


def export(index: Index, module: str, name: str) -> Value:
    """What `module.name` is, for a file or folder of the project."""
    found = index.outline(module)
    folder = module.removesuffix("/") if module.endswith("/") else module.removesuffix("/__init__.py") if module.endswith("/__init__.py") else None
    if module == "__init__.py":
        folder = ""
    submodule = index.modules.file_of(folder, name) if folder is not None else None
    if found is not None and name in found.module.bindings:
        value = shared(index.ask(Named(module, "", name)))
        if value is not NOTHING or submodule is None:  # a package that imports from itself imports its modules
            return value
    if submodule is not None:
        return Module(submodule)
    for star in found.stars if found is not None else ():
        value = _from_star(index, star, name, module)
        if value is not UNKNOWN:
            return shared(value)
    if found is not None:
        return join(_stored_from_elsewhere(index, Named(module, "", name)) or [UNKNOWN])
    return UNKNOWN


@dataclass(frozen=True, slots=True)
class Starred:
    """What a star import brings in under a name."""

    path: str
    star: Imported
    name: str

    def answer(self, index: Index) -> Value:
        module = index.modules.find(self.star.module, self.star.level, self.path)
        if module is None:
            if self.star.module in v.STAR_MODULES and f"{self.star.module}.{self.name}" in v.ROLES:
                return External(f"{self.star.module}.{self.name}")
            return UNKNOWN
        found = index.outline(module)
        exported = found.exported() if found is not None else None
        if (exported is not None and self.name not in exported) or (exported is None and self.name.startswith("_")):
            return UNKNOWN
        return export(index, module, self.name)


def _from_star(index: Index, star: Imported, name: str, path: str) -> Value:
    value = index.ask(Starred(path, star, name))
    return UNKNOWN if value is NOTHING else value


def _stored_from_elsewhere(index: Index, named: Named) -> list[Value]:
    """Values that other modules assign: `db.Session = sessionmaker(engine)` at start-up."""
    module = named.path.removesuffix("/__init__.py").removesuffix(".py").rpartition("/")[2]
    values: list[Value] = []
    for found, scope in index.scopes_with(named.name, module):
        if found.path == named.path:
            continue
        for store in scope.stores:
            if isinstance(store.target, Attribute) and store.target.name == named.name:
                if evaluate(index, store.target.value, scope, found.path) == Module(named.path):
                    values.append(shared(evaluate(index, store.value, scope, found.path)))
    return values


def defined(index: Index, path: str, qualname: str) -> Value:
    """A function or class of the project; a subclass of Session is one of its makers."""
    found = index.outline(path)
    if found is None:
        return UNKNOWN
    scope = found.scopes[qualname]
    if scope.kind == "function":
        return Function(path, qualname)
    return index.ask(ClassValue(path, qualname))


@dataclass(frozen=True, slots=True)
class ClassValue:
    """A class, or the SessionClass that it is."""

    path: str
    qualname: str

    def answer(self, index: Index) -> Value:
        found = index.outline(self.path)
        if found is None:
            return UNKNOWN
        scope = found.scopes[self.qualname]
        for base in scope.bases:
            value = evaluate(index, base, scope.parent or found.module, self.path)
            kind = value.kind if isinstance(value, SessionClass) else None
            role = v.ROLES.get(value.dotted) if isinstance(value, External) else None
            if role is not None and role[0] == "session class":
                kind = role[1]
            if kind is not None:
                options = value.options if isinstance(value, SessionClass) else Options()
                if "__init__" in scope.bindings or "__new__" in scope.bindings:
                    options = Options(None, autoflush=False)
                if not _SAVING.isdisjoint(scope.bindings):
                    options = replace(options, autocommit=True)
                return SessionClass(kind, options, Place(self.path, scope.at))
        return Class(self.path, self.qualname)


# -- attributes -----------------------------------------------------------------------------------------------------------


def attribute(index: Index, value: Value, name: str) -> Value:
    """`value.name`."""
    match value:
        case Module(path):
            return export(index, path, name)
        case External(dotted):
            return External(f"{dotted}.{name}")
        case Instance(path, qualname) | Class(path, qualname):
            found = index.ask(Member(path, qualname, name))
            if isinstance(found, Function) and isinstance(value, Instance) and _is_decorated(index, found, _PROPERTIES):
                return shared(index.ask(Result(found.path, found.qualname)))
            return replace(found, receiver=_receiver(index, found, value)) if isinstance(found, Function) else found
        case Made("flask_sqlalchemy.SQLAlchemy", place):
            if name == "session":
                return Registry("sync", Options(None), "framework", place)
            return Engine("sync", place) if name == "engine" else Method(value, name)
        case Session(kind="async") if name == "sync_session":
            return replace(value, kind="sync")
        case Maker() if name == "class_":
            return SessionClass(value.kind, value.options)
        case Registry() if name == "session_factory":
            return Maker(value.kind, value.options, value.place)
        case Session() | Maker() | Registry() | Engine() | Made() | Generator() | SessionClass():
            return Method(value, name)
    return UNKNOWN


@dataclass(frozen=True, slots=True)
class Member:
    """An attribute of a class of the project or of its instances, from its body, its methods' `self.x = ...`, or its bases."""

    path: str
    qualname: str
    name: str

    def answer(self, index: Index) -> Value:
        found = index.outline(self.path)
        if found is None:
            return UNKNOWN
        scope = found.scopes[self.qualname]
        values = [
            shared(_bound(index, binding, scope, self.path)) for binding in scope.bindings.get(self.name, ()) if binding.how != "annotation"
        ]
        for method, store in index.once(("stores", self.path, self.qualname), lambda: _self_stores(found.scopes, scope)):
            if isinstance(store.target, Attribute) and store.target.name == self.name:
                values.append(shared(evaluate(index, store.value, method, self.path)))
        value = join(values) if values else NOTHING
        if value is NOTHING or value is UNKNOWN:
            declared = [b.annotation for b in scope.bindings.get(self.name, ()) if b.annotation is not None]
            for _, store in index.once(("stores", self.path, self.qualname), lambda: _self_stores(found.scopes, scope)):
                if isinstance(store.target, Attribute) and store.target.name == ":":
                    inner = store.target.value
                    if isinstance(inner, Attribute) and inner.name == self.name:
                        declared.append(store.value)
            if declared:
                return join([annotated(index, a, scope, self.path) for a in declared])
        if values:
            return value
        for base in scope.bases:
            parent = evaluate(index, base, scope.parent or found.module, self.path)
            if isinstance(parent, Class) and (parent.path, parent.qualname) != (self.path, self.qualname):
                inherited = index.ask(Member(parent.path, parent.qualname, self.name))
                if inherited is not UNKNOWN:
                    return inherited
            elif isinstance(parent, Method) and isinstance(parent.receiver, Made) and parent.name == "Model" and self.name == "query":
                session = evaluate(index, Attribute(base.value, "session"), scope.parent or found.module, self.path) if isinstance(base, Attribute) else UNKNOWN
                if isinstance(session, Registry):  # https://flask-sqlalchemy.palletsprojects.com/en/stable/legacy-query/
                    return Method(session, "query")
            elif isinstance(parent, Made):
                assigned = _assigned(index, parent, self.name)
                if assigned is not UNKNOWN:
                    return assigned
        return _assigned(index, Class(self.path, self.qualname), self.name)


def _assigned(index: Index, owner: Class | Made, name: str) -> Value:
    """What the file that makes a class or object assigns to its attribute: `Base.query = Session.query_property()`."""
    path = owner.path if isinstance(owner, Class) else owner.place.path
    found = index.outline(path)
    values: list[Value] = []
    for scope in (found.module, *found.scopes.values()) if found is not None else ():
        for store in scope.stores:
            if isinstance(store.target, Attribute) and store.target.name == name and isinstance(store.target.value, Name):
                if evaluate(index, store.target.value, scope, path) == owner:
                    values.append(shared(evaluate(index, store.value, scope, path)))
    return join(values) if values else UNKNOWN


def _self_stores(scopes: dict[str, Scope], owner: Scope) -> list[tuple[Scope, Store]]:
    """Every assignment to an attribute of the first parameter in the methods of a class."""
    found: list[tuple[Scope, Store]] = []
    for method in scopes.values():
        if method.owner is owner and method.parameters:
            me = method.parameters[0].name
            for store in method.stores:
                target = store.target
                while isinstance(target, Attribute) and target.name == ":":
                    target = target.value
                if isinstance(target, Attribute) and isinstance(target.value, Name) and target.value.name == me:
                    found.append((method, store))
    return found


_PROPERTIES = frozenset({"property", "cached_property", "hybrid_property", "classproperty", "reify"})


def _is_decorated(index: Index, function: Function, names: frozenset[str]) -> bool:
    """Whether a decorator of a function goes by one of these names."""
    found = index.outline(function.path)
    decorators = found.scopes[function.qualname].decorators if found is not None else ()
    return any(isinstance(decorator, (Name, Attribute)) and decorator.name in names for decorator in decorators)


def _receiver(index: Index, method: Function, owner: Instance | Class) -> Instance | Class | None:
    """What the first parameter of a method is bound to, when it is taken from an object or from its class."""
    if _is_decorated(index, method, frozenset({"staticmethod"})):
        return None
    if _is_decorated(index, method, frozenset({"classmethod"})):
        return Class(owner.path, owner.qualname)
    return owner if isinstance(owner, Instance) else None


# -- calls ----------------------------------------------------------------------------------------------------------------


def _call(index: Index, call: Call, scope: Scope, path: str) -> Value:
    function = evaluate(index, call.function, scope, path)
    return called(index, function, call, scope, path)


def called(index: Index, function: Value, call: Call, scope: Scope, path: str) -> Value:
    """What calling `function` in this call gives."""
    place = Place(path, call.at)
    configured = _configured(index, function, place)
    if configured is not None:
        return configured
    match function:
        case External(dotted):
            return call_external(index, dotted, call, scope, path)
        case SessionClass() | Maker() | Registry():
            return instantiate(index, function, call, scope, path)
        case Class(cls, qualname):
            return Instance(cls, qualname)
        case Function():
            return index.ask(Result(function.path, function.qualname))
        case Gives(value):
            return value
        case Method(receiver, name):
            return call_method(index, receiver, name, call, scope, path)
        case Instance(cls, qualname):
            member = index.ask(Member(cls, qualname, "__call__"))
            return index.ask(Result(member.path, member.qualname)) if isinstance(member, Function) else UNKNOWN
    return UNKNOWN


def _configured(index: Index, function: Value, place: Place) -> Value | None:
    makers = index.settings.makers
    if not makers:
        return None
    if isinstance(function, External):
        names = frozenset({function.dotted})
    elif isinstance(function, (Function, Class)):
        names = frozenset(f"{module}.{function.qualname}" for module in index.modules.dotted(function.path))
    else:
        return None
    for name in sorted(names):
        maker = makers.get(name) or index.once(("configured",), lambda: _renamed(index)).get(name)
        if maker is not None:
            return Session(maker.kind, Options(maker.expire), place, "with" if maker.closes else "new")
    return None


def _renamed(index: Index) -> dict[str, ConfiguredMaker]:
    """Configured makers under the names that the project's modules import them by."""
    found: dict[str, ConfiguredMaker] = {}
    for name, maker in index.settings.makers.items():
        module, _, attribute = name.rpartition(".")
        path = index.modules.find(module, 0, "") if module else None
        value = export(index, path, attribute) if path is not None else UNKNOWN
        if isinstance(value, External):
            found[value.dotted] = maker
    return found


@dataclass(frozen=True, slots=True)
class Result:
    """What calling a function of the project gives: its returns, what it yields, as its decorators make of it."""

    path: str
    qualname: str

    def answer(self, index: Index) -> Value:
        found = index.outline(self.path)
        if found is None:
            return UNKNOWN
        scope = found.scopes[self.qualname]
        around = scope.parent or found.module
        seen = {_decorator(index, d, around, self.path) for d in scope.decorators}
        if "unknown" in seen:
            return UNKNOWN
        given = scope.yields if scope.is_generator else scope.returns
        values = [evaluate(index, g.value, scope, self.path) for g in given]
        value = join(values) if values else NOTHING
        if value is UNKNOWN and scope.result is not None:
            value = promised(index, scope.result, around, self.path, scope.is_generator)
        if seen & {"contextmanager", "asynccontextmanager"}:
            return Manager(value, "asynccontextmanager" in seen)
        if scope.is_generator:
            return Generator(value, Function(self.path, self.qualname), scope.is_async)
        if "cache" in seen:
            value = shared(value)
        return Coroutine(value) if scope.is_async else value


def _decorator(index: Index, decorator: Expression, scope: Scope, path: str) -> str:
    head = decorator.function if isinstance(decorator, Call) else decorator
    value = evaluate(index, head, scope, path)
    if not isinstance(value, External):
        return "unknown"
    name = value.dotted
    if name in v.CONTEXT_MANAGER:
        return "contextmanager"
    if name in v.ASYNC_CONTEXT_MANAGER:
        return "asynccontextmanager"
    if name in v.CACHES:
        return "cache"
    if name in v.TRANSPARENT or name in {"builtins.staticmethod", "builtins.classmethod", "builtins.property"}:
        return "transparent"
    return "transparent" if name.rpartition(".")[2] in {"override", "cached_property", "deprecated", "abstractmethod", "hybrid_property"} else "unknown"


def _awaited(value: Value) -> Value:
    return value.value if isinstance(value, Coroutine) else UNKNOWN


def _each(value: Value) -> Value:
    match value:
        case Generator(inner):
            return inner
        case Many(items):
            return join(list(items))
    return UNKNOWN


def _item(value: Value, key: Expression) -> Value:
    match value, key:
        case Many(items), Const(int(position)) if -len(items) <= position < len(items):
            return items[position]
        case Mapping(items), Const(str(name)):
            return next((inner for k, inner in items if k == name), UNKNOWN)
        case (External() | Class() | SessionClass()), _:
            return value
    return UNKNOWN


def entered(index: Index, value: Value) -> Value:
    """What a with-block binds."""
    match value:
        case Session():
            return replace(value, how="with") if value.how == "new" else value
        case Manager(inner):
            return replace(inner, how="with") if isinstance(inner, Session) and inner.how == "new" else inner
        case Coroutine(inner):
            return entered(index, inner)
        case Made(dotted) if dotted in waits.SLOW_CLIENTS or dotted in waits.SLOW_SERVICES or dotted in v.THREAD_POOLS | v.PROCESS_POOLS or dotted.startswith("contextlib."):
            return value
        case Instance(path, qualname):
            for name in ("__enter__", "__aenter__"):
                member = index.ask(Member(path, qualname, name))
                if isinstance(member, Function):
                    result = index.ask(Result(member.path, member.qualname))
                    return shared(result.value if isinstance(result, Coroutine) else result)
    return UNKNOWN
