"""What the class of an object says about its attributes: which of them a session saves, which there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Const, Expression, Item, Name, Row, Table
from sa_session_lint.model.value import Class, External, Function, Made, Method, Place, Value
from sa_session_lint.project.outline import Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


_BASES = 5
"""How many classes up attributes are looked for."""


def is_column(index: Index, model: Class, name: str, depth: int = _BASES, table: bool = False) -> bool:
    """Whether a class, or one that it inherits from, maps an attribute: `Column(...)`, `Mapped[...]`, a field of an SQLModel, which is a `table`."""
    found = index.outline(model.path)
    if found is None or not depth:
        return False
    scope = found.scopes[model.qualname]
    is_table = table or ("table", Const(True)) in scope.keywords
    for binding in scope.bindings.get(name, ()):
        if _maps(binding.value) or (binding.annotation is not None and (is_table or _is_mapped(binding.annotation))):
            return True
    bases = (index.value(base, scope.parent or found.module, model.path) for base in scope.bases)
    return any(isinstance(base, Class) and base != model and is_column(index, base, name, depth - 1, is_table) for base in bases)


def is_mapped(index: Index, model: Class) -> bool:
    """Whether the objects of a class surely are objects of a mapped class: it, or one that it inherits from, names its table, or is a Flask-SQLAlchemy model."""
    return any(
        not {"__tablename__", "__table__"}.isdisjoint(scope.bindings) or ("table", Const(True)) in scope.keywords
        or any(isinstance(base, Method) and base.name == "Model" and isinstance(base.receiver, Made) for base in bases)
        for scope, bases in lineage(index, model)
    )  # fmt: skip


def has(index: Index, model: Class, name: str) -> bool:
    """Whether a class, or one of the project that it inherits from, has an attribute."""
    return any(name in scope.bindings for scope, _ in lineage(index, model))


def is_key(index: Index, model: Class, name: str) -> bool:
    """Whether an attribute of a mapped class is a key by which a row is found: `Column(..., primary_key=True)`, or unique and generated."""
    scopes = [scope for scope, _ in lineage(index, model)]
    return any(_is_key(binding.value) for scope in scopes for binding in scope.bindings.get(name, ())) or any(
        isinstance(binding.value, Row) and any(isinstance(each, Call) and _last(each.function) == "PrimaryKeyConstraint" and each.arguments == (Const(name),) for each in binding.value.items)
        for scope in scopes
        for binding in scope.bindings.get("__table_args__", ())
    )


def _is_key(made: Expression) -> bool:
    if not isinstance(made, Call) or made.keyword("primary_key") == Const(True):
        return isinstance(made, Call)
    return made.keyword("unique") == Const(True) and any(made.keyword(how) is not None for how in ("default", "default_factory", "server_default"))


def lineage(index: Index, model: Class, depth: int = _BASES) -> Iterator[tuple[Scope, tuple[Value, ...]]]:
    """A class and those of the project that it inherits from, each with what its bases are."""
    found = index.outline(model.path)
    if found is None or not depth:
        return
    scope = found.scopes[model.qualname]
    bases = tuple(index.value(base, scope.parent or found.module, model.path) for base in scope.bases)
    yield scope, bases
    for base in bases:
        if isinstance(base, Class) and base != model:
            yield from lineage(index, base, depth - 1)


def identifies(index: Index, model: Class, name: str) -> bool:
    """Whether a column has no value twice: it says so, or comes from a base of which the project does not hold the code, as primary keys do."""
    foreign = False
    for scope, bases in lineage(index, model):
        for binding in scope.bindings.get(name, ()):
            return isinstance(binding.value, Call) and any(binding.value.keyword(key) == Const(True) for key in ("primary_key", "unique"))
        foreign |= any(isinstance(base, External) for base in bases)
    return foreign


def attribute(index: Index, model: Class, name: str, depth: int = _BASES, table: bool = False) -> str | None:
    """What an attribute of a mapped class is: "column", "deferred", or a relationship: "eager", "lazy", or "lazy one" if it may lead to one object, which the
    session may have in memory; None for whatever else.
    https://docs.sqlalchemy.org/en/20/orm/queryguide/relationships.html"""
    found = index.outline(model.path)
    if found is None or not depth:
        return None
    scope = found.scopes[model.qualname]
    is_table = table or ("table", Const(True)) in scope.keywords
    bindings = scope.bindings.get(name, [])
    if len(bindings) > 1:
        return None
    if bindings:
        made, annotation = bindings[0].value, bindings[0].annotation
        if isinstance(made, Call) and _last(made.function) in v.RELATIONSHIPS:
            return _relationship(index, model, made, annotation)
        if isinstance(made, Call) and _last(made.function) in v.MAPPING:
            return "deferred" if _last(made.function) == "deferred" or made.keyword("deferred") not in {None, Const(False)} else "column"
        return "column" if annotation is not None and (_is_mapped(annotation) or (is_table and not isinstance(annotation, Attribute))) else None
    for base in scope.bases:
        value = index.value(base, scope.parent or found.module, model.path)
        if isinstance(value, Class) and value != model and (above := attribute(index, value, name, depth - 1, is_table)) is not None:
            return above
    return None


def is_generated(index: Index, model: Class, name: str) -> bool:
    """Whether an attribute of a mapped class is a primary key that is unknown until the object is saved, unless it is set: no constructor and no factory gives one.
    https://docs.sqlalchemy.org/en/20/orm/session_basics.html#flushing"""
    scopes = [scope for scope, _ in lineage(index, model)]
    if any(scope.decorators or not {"__init__", "__mapper_args__"}.isdisjoint(scope.bindings) for scope in scopes):
        return False
    made = [binding.value for binding in next((scope.bindings[name] for scope in scopes if name in scope.bindings), [])]
    key = made[0] if len(made) == 1 else None
    return isinstance(key, Call) and _maps(key) and key.keyword("primary_key") == Const(True) and key.keyword("default_factory") is key.keyword("sa_column") is None


def renewed(index: Index, model: Class) -> frozenset[str]:
    """The columns of a mapped class that the database sets whenever a row is changed, `Column(..., onupdate=func.now())`, and that no RETURNING loads then.
    https://docs.sqlalchemy.org/en/20/orm/mapping_api.html#sqlalchemy.orm.Mapper.params.eager_defaults"""
    return _renewed(index, model, _BASES) or frozenset()


def _renewed(index: Index, model: Class, depth: int) -> frozenset[str] | None:
    """The same; None where all that an UPDATE sets may be loaded."""
    found = index.outline(model.path)
    if found is None or not depth:
        return frozenset()
    scope = found.scopes[model.qualname]
    options = [binding.value for binding in scope.bindings.get("__mapper_args__", ())]
    if any(not isinstance(each, Table) or any(key == Const("eager_defaults") for key, _ in each.items) for each in options):
        return None
    names = frozenset(name for name, bindings in scope.bindings.items() if any(_is_renewed(index, each.value, scope, model.path) for each in bindings))
    for base in scope.bases:
        value = index.value(base, scope.parent or found.module, model.path)
        above = _renewed(index, value, depth - 1) if isinstance(value, Class) and value != model else frozenset()
        if above is None:
            return None
        names |= above - scope.bindings.keys()
    return names


def _is_renewed(index: Index, made: Expression, scope: Scope, path: str) -> bool:
    """Whether a column is set by an SQL expression in every UPDATE, or by the database itself."""
    column = made.keyword("sa_column") or made if isinstance(made, Call) else made
    if not isinstance(made, Call) or not isinstance(column, Call) or not (_maps(made) or _maps(column)):
        return False
    further = made.keyword("sa_column_kwargs")
    given: dict[object, Expression] = dict(column.keywords)
    given |= {key.value: value for key, value in further.items if isinstance(key, Const)} if isinstance(further, Table) else {}
    expression = given.get("onupdate")
    sent = index.value(expression.function, scope, path) if isinstance(expression, Call) else None
    return isinstance(given.get("server_onupdate"), Call) or (isinstance(sent, External) and sent.dotted.startswith("sqlalchemy."))


def is_sqlmodel(index: Index, model: Class) -> bool:
    """Whether a class inherits from SQLModel."""
    return any(External("sqlmodel.SQLModel") in bases for _, bases in lineage(index, model))


_CALLED = frozenset({"property", "hybrid_property"})


def computed(index: Index, model: Class, name: str) -> tuple[Function, str] | None:
    """The function that is called when an attribute of an object is read, with the name of its parameter: of a property or hybrid, of `__str__` the method that formats."""
    for each in (name, "__repr__") if name == "__str__" else (name,):
        found = index.member(model.path, model.qualname, each)
        outline = index.outline(found.path) if isinstance(found, Function) else None
        if isinstance(found, Function) and outline is not None:
            scope = outline.scopes[found.qualname]
            if scope.parameters and (name == "__str__" or any(_last(decorator) in _CALLED for decorator in scope.decorators)):
                return found, scope.parameters[0].name
    return None


def left_unloaded(index: Index, model: Class) -> tuple[str, ...]:
    """The attributes of a mapped class that no query loads of itself: relationships and deferred columns, in the order of the text."""
    names = dict.fromkeys(name for scope, _ in lineage(index, model) for name in scope.bindings)
    return tuple(name for name in names if attribute(index, model, name) in {"lazy", "lazy one", "deferred"})


def _relationship(index: Index, model: Class, made: Call, annotation: Expression | None) -> str | None:
    """How a relationship is loaded, as far as its arguments tell."""
    lazy = made.keyword("lazy")
    further = made.keyword("sa_relationship_kwargs")
    if further is not None:
        if not isinstance(further, Table):
            return None
        lazy = next((value for key, value in further.items if key == Const("lazy")), lazy)
    if lazy is not None and not isinstance(lazy, Const):
        return None
    if lazy is not None and lazy.value not in {"select", None, True}:
        return "eager" if lazy.value in {"joined", "selectin", "subquery", "immediate", False} else None
    inner = annotation.key if isinstance(annotation, Item) and _is_mapped(annotation) else annotation
    if isinstance(inner, Item) and _last(inner.value) in v.COLLECTIONS:
        return "lazy"
    if inner is None and made.keyword("uselist") is None and made.keyword("remote_side") is None and not _has_foreign_key(index, model):
        return "lazy"
    return "lazy one"


def _has_foreign_key(index: Index, model: Class, depth: int = _BASES) -> bool:
    """Whether the columns of a class, as far as they are known, may have a foreign key."""
    found = index.outline(model.path)
    if found is None or not depth:
        return True
    scope = found.scopes[model.qualname]
    if any(isinstance(call.function, (Name, Attribute)) and _last(call.function) in {"ForeignKey", "Table"} for call in scope.calls) or "__table__" in scope.bindings:
        return True
    bases = (index.value(base, scope.parent or found.module, model.path) for base in scope.bases)
    return any(isinstance(base, Class) and (base == model or _has_foreign_key(index, base, depth - 1)) for base in bases)


def is_refused(index: Index, model: Class, call: Call) -> bool:
    """Whether the constructor that SQLAlchemy gives a mapped class raises TypeError: it takes the attributes of the class by name, and no other.
    https://docs.sqlalchemy.org/en/20/orm/mapping_styles.html#default-constructor"""
    named = [name for name, _ in call.keywords if name is not None]
    attributes = index.once(("attributes", model), lambda: _attributes(index, model)) if named else None
    return attributes is not None and any(name not in attributes and not _is_given_later(index, model, name) for name in named)


def _attributes(index: Index, model: Class, depth: int = _BASES) -> frozenset[str] | None:
    """The names of all attributes of a mapped class that has no constructor of its own, but those of SQLAlchemy's base; None where that is not known."""
    found = index.outline(model.path)
    if found is None or not depth:
        return None
    scope = found.scopes[model.qualname]
    names = frozenset(scope.bindings)
    if scope.decorators or scope.keywords or not (scope.bases or depth < _BASES) or names & {"__init__", "__getattr__", "__table__", "__init_subclass__"}:
        return None
    for base in scope.bases:
        value = index.value(base, scope.parent or found.module, model.path)
        above = _attributes(index, value, depth - 1) if isinstance(value, Class) and value != model else frozenset() if _is_plain_base(index, value) else None
        if above is None:
            return None
        names |= above
    return names


def _is_plain_base(index: Index, value: Value) -> bool:
    """Whether a class is a base of mapped classes that brings no attribute of its own: `declarative_base()`, `DeclarativeBase`, `db.Model`."""
    match value:
        case External(dotted):
            return dotted in v.MAPPED_BASES
        case Made(dotted, Place() as place) if dotted.rpartition(".")[2] == "declarative_base":
            return _is_made_plainly(index, place)
        case Method(Made("flask_sqlalchemy.SQLAlchemy", Place() as place), "Model"):
            return _is_made_plainly(index, place)
    return False


def _is_made_plainly(index: Index, place: Place) -> bool:
    there = index.call_at(place)
    return there is not None and not any(name in {None, "cls", "constructor", "metaclass", "model_class"} for name, _ in there[2].keywords)


def _is_given_later(index: Index, model: Class, name: str) -> bool:
    """Whether something else may give a class an attribute: a `backref` of that name, an assignment to the class."""
    later = re.compile(rb"backref[^\n]*[\"']%b[\"']|\b%b\.%b\s*=(?!=)" % (name.encode(), model.qualname.rpartition(".")[2].encode(), name.encode()))
    return any(later.search(index.data(path) or b"") for path in index.files_with(name))


def _maps(value: Expression) -> bool:
    return isinstance(value, Call) and _last(value.function) in v.MAPPING


def _is_mapped(annotation: Expression) -> bool:
    return isinstance(annotation, Item) and _last(annotation.value) == "Mapped"


def _last(expression: Expression) -> str | None:
    return expression.name if isinstance(expression, (Name, Attribute)) else None
