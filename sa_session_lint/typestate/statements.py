"""What the text of a query or a write tells: whether it writes, whether it asks for whole objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa_session_lint.model.expression import Attribute, Call, Expression, Name, Row, Series, Star
from sa_session_lint.model.value import Class, External

if TYPE_CHECKING:
    from sa_session_lint.typestate.transfer import Transfer


def is_new(of: Transfer, call: Call) -> bool:
    """Whether what is added was surely made in this function; other objects may be added to be read. What is deleted is a write."""
    name = call.function.name if isinstance(call.function, Attribute) else ""
    if name == "merge":
        return False
    if name not in {"add", "add_all"} or not call.arguments:
        return True
    first = call.arguments[0]
    parts = first.items if isinstance(first, Row) else (first.value,) if isinstance(first, Series) else (first,)
    return all(isinstance(part, (Name, Call)) and of.is_made(part) for part in parts)


def is_dml(of: Transfer, call: Call) -> bool:
    """Whether what is executed is an INSERT, UPDATE or DELETE that SQLAlchemy's functions make."""
    first = call.arguments[0] if call.arguments else None
    while isinstance(first, Call):
        function = first.function
        if isinstance(function, Attribute) and isinstance(function.value, (Call, Attribute)):
            first = function.value
            continue
        value = of.value(function)
        return isinstance(value, External) and value.dotted.startswith("sqlalchemy") and value.dotted.rpartition(".")[2] in {"insert", "update", "delete"}
    return False


def has_entities(of: Transfer, call: Call) -> bool:
    """Whether a query asks for whole objects, as far as its text tells: columns survive the session, as do rows read ahead."""
    if any(key == "execution_options" for key, _ in call.keywords):
        return False
    return False if not call.arguments else any(asks_entity(of, argument) for argument in call.arguments)


def asks_entity(of: Transfer, argument: Expression) -> bool:
    """Whether a column of a query is a class of the project, itself or within `select()`."""
    if isinstance(argument, Star):
        return False
    if isinstance(argument, Call):
        function = argument.function
        if isinstance(function, Attribute) and isinstance(function.value, Call):
            return asks_entity(of, function.value)
        value = of.value(function)
        if isinstance(value, External) and value.dotted.rpartition(".")[2] == "select":
            return any(asks_entity(of, inner) for inner in argument.arguments)
        return False
    return isinstance(of.value(argument), Class)
