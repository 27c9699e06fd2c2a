"""Branches that run while a table is empty, once in the life of a database: the row of settings that is made where there is none.

    settings = db.query(Settings).first()
    if settings is None:
        settings = Settings()
        db.add(settings)
        db.commit()

Nothing in the query depends on the call, so from the second call on there is a row, and what the branch does is not worth a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model.expression import Attribute, Await, Call, Const, Expression, Name
from sa_session_lint.model.value import Class, External, Registry, Session
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_FIRST = frozenset({"first", "one_or_none", "scalar_one_or_none", "scalar", "get"})
_ASKING = frozenset({"query", "scalars", "scalar", "execute", "exec", "get"})


def seeded(index: Index, found: Outline, scope: Scope) -> frozenset[str]:
    """The names of a function that hold the first row of a table, which is made where there is none."""
    candidates = {name for name, bindings in scope.bindings.items() if len(bindings) > 1 and is_shared_row(index, bindings[0].value, found, scope)}
    return frozenset(_made(found.nodes[scope.at], candidates)) if candidates else frozenset()


def is_shared_row(index: Index, value: Expression, found: Outline, scope: Scope) -> bool:
    """Whether a value is the first row of a query that names mapped classes and constants only."""
    value = value.value if isinstance(value, Await) else value
    return isinstance(value, Call) and isinstance(value.function, Attribute) and value.function.name in _FIRST and _is_constant(index, value, found, scope)


def _is_constant(index: Index, part: Expression, found: Outline, scope: Scope, behind: frozenset[str] = frozenset()) -> bool:
    """Whether an expression names classes, constants and a session only; `behind` are the names whose value it is part of."""
    if isinstance(part, (Name, Attribute)):
        known = index.value(part, scope, found.path)
        if isinstance(known, (Session, Registry, Class)) or (isinstance(known, External) and _is_class(known.dotted)):
            return True
    match part:
        case Const():
            return True
        case Name(name) if name not in behind and len(scope.bindings.get(name, ())) == 1 and scope.bindings[name][0].how == "=":
            return _is_constant(index, scope.bindings[name][0].value, found, scope, behind | {name})  # `result = db.execute(...)`
        case Attribute(Name(name), method) if method in _ASKING and any(parameter.name == name and parameter.annotation is None for parameter in scope.parameters):
            return True  # a session that only the caller knows
        case Attribute(inner, _) | Await(inner):
            return _is_constant(index, inner, found, scope, behind)
        case Call(function, arguments, keywords):
            return all(_is_constant(index, each, found, scope, behind) for each in (function, *arguments, *(given for _, given in keywords)))
    return False


def _is_class(dotted: str) -> bool:
    """Whether a name of a library, or of a module that is not there, is SQLAlchemy's or a class by its first letter."""
    return dotted.startswith(("sqlalchemy.", "sqlmodel.")) or dotted.rpartition(".")[2][:1].isupper()


def _made(node: cst.CSTNode, names: set[str]) -> Iterator[str]:
    """The names to which an `if not name` or `if name is None` gives a value."""
    for child in children(node):
        if isinstance(child, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            continue
        if isinstance(child, cst.If) and (name := _missing(child.test)) in names and name is not None and any(_binds(line, name) for line in _lines(child.body)):
            yield name
        yield from _made(child, names)


def _missing(test: cst.BaseExpression) -> str | None:
    """The name in `not name` and `name is None`."""
    match test:
        case cst.UnaryOperation(operator=cst.Not(), expression=cst.Name(value=name)):
            return name
        case cst.Comparison(left=cst.Name(value=name), comparisons=[cst.ComparisonTarget(operator=cst.Is() | cst.Equal(), comparator=cst.Name(value="None"))]):
            return name
    return None


def _lines(body: cst.BaseSuite) -> Iterator[cst.CSTNode]:
    for statement in body.body:
        yield from statement.body if isinstance(statement, cst.SimpleStatementLine) else (statement,)


def _binds(line: cst.CSTNode, name: str) -> bool:
    return isinstance(line, cst.Assign) and any(isinstance(t.target, cst.Name) and t.target.value == name for t in line.targets)
