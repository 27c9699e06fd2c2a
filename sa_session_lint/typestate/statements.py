"""What the text of a query or a write tells: whether it writes, whether it asks for whole objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sa_session_lint.model.expression import Attribute, Call, Const, Expression, Name, Row, Series, Table
from sa_session_lint.model.value import UNKNOWN, Class, External, Made, Method
from sa_session_lint.typestate.state import Object

if TYPE_CHECKING:
    from sa_session_lint.typestate.values import Values
    from sa_session_lint.typestate.way import Way


def is_new(of: Values, call: Call, way: Way) -> bool:
    """Whether what is added was surely made in this function, or is given to it and not looked at again: other objects may be added to be read.
    What is deleted is a write."""
    name = call.function.name if isinstance(call.function, Attribute) else ""
    if name == "merge":
        return False
    if name not in {"add", "add_all"} or not call.arguments:
        return True
    held = of.evaluate(call.arguments[0], way)
    if isinstance(held, Object) and held.loc is None:
        return held.made
    if isinstance(call.arguments[0], Name) and call.arguments[0].name in of.sketch.kept:
        return True
    first = of.facts.origin(call.arguments[0], of.sketch)
    first = first if isinstance(first, (Row, Series)) else call.arguments[0]
    parts = first.items if isinstance(first, Row) else (first.value,) if isinstance(first, Series) else (first,)
    return all(isinstance(part, (Name, Call)) and of.is_made(part) for part in parts)


_DML = ("insert", "update", "delete", "merge", "replace")
_ENDINGS = ("commit", "rollback", "end")


def is_dml(of: Values, call: Call) -> bool:
    """Whether what is executed writes, as far as its text tells."""
    first = of.facts.origin(call.arguments[0], of.sketch) if call.arguments else None
    literal = literal_of(of, first)
    if literal is not None:
        return literal.startswith(_DML)
    while isinstance(first, Call):
        function = first.function
        if isinstance(function, Attribute) and isinstance(function.value, (Call, Attribute)):
            first = function.value
            continue
        value = of.value(function)
        return isinstance(value, External) and value.dotted.startswith("sqlalchemy") and value.dotted.rpartition(".")[2] in {"insert", "update", "delete"}
    return False


def unsynchronized(of: Values, call: Call, asked: Class | None) -> tuple[Class, frozenset[str]] | None:
    """The class whose rows a statement updates without a look at the objects in memory, and the columns that it sets: `execute(update(User).values(...))` with
    `synchronize_session=False`, or of `User.__table__`; or `query(User).update({...})`, where `asked` is the class of the query.
    https://docs.sqlalchemy.org/en/20/orm/queryguide/dml.html#selecting-a-synchronization-strategy"""
    if asked is not None:
        given = call.keyword("synchronize_session") or (call.arguments[1] if len(call.arguments) == 2 else None)
        columns = _columns(call.arguments[0]) if call.arguments else None
        return (asked, columns) if given == Const(False) and columns else None
    query = query_of(of, call.arguments[0]) if len(call.arguments) == 1 and not call.keyword("params") else Query(None)
    root, methods = query.root, {each.function.name: each for each in query.methods if isinstance(each.function, Attribute)}
    value = of.value(root.function) if isinstance(root, Call) else None
    if not isinstance(root, Call) or len(root.arguments) != 1 or query.perhaps or not isinstance(value, External) or value.dotted.rpartition(".")[2] != "update":
        return None
    target, options, values = root.arguments[0], call.keyword("execution_options"), methods.get("values")
    spelled = methods["execution_options"].keyword("synchronize_session") if "execution_options" in methods else None
    if isinstance(options, Table):
        spelled = next((held for key, held in options.items if key == Const("synchronize_session")), spelled)
    plain = isinstance(target, Attribute) and target.name == "__table__"
    model = of.value(target.value if isinstance(target, Attribute) and plain else target)
    columns = None if values is None else _columns(values.arguments[0]) if values.arguments else frozenset(key or "" for key, _ in values.keywords)
    known = {"where", "values", "execution_options"} >= methods.keys() and len(methods) == len(query.methods)
    return (model, columns) if isinstance(model, Class) and columns and known and (plain or spelled == Const(False)) else None


def _columns(values: Expression) -> frozenset[str] | None:
    """The attributes that a dict of new values names, if all of them are seen."""
    names = [key.name if isinstance(key, Attribute) else key.value if isinstance(key, Const) else None for key, _ in values.items] if isinstance(values, Table) else [None]
    return frozenset(str(name) for name in names) if None not in names else None


def is_ending(of: Values, call: Call) -> bool:
    """Whether what is executed ends the transaction: `text("COMMIT")`."""
    literal = literal_of(of, of.facts.origin(call.arguments[0], of.sketch)) if call.arguments else None
    return literal is not None and literal.startswith(_ENDINGS)


def literal_of(of: Values, statement: Expression | None) -> str | None:
    """The SQL of `text("...")`, in small letters."""
    if not isinstance(statement, Call) or not statement.arguments:
        return None
    value = of.value(statement.function)
    literal = of.facts.origin(statement.arguments[0], of.sketch)
    if isinstance(value, External) and value.dotted.startswith("sqlalchemy") and value.dotted.endswith(".text") and isinstance(literal, Const):
        return str(literal.value).strip().lower()
    return None


class Query(NamedTuple):
    """What the text of a query is built of: `root` is what it begins with, a `select(...)` or a class; `methods` are the calls that refine it, and `perhaps` those
    that do so on some ways only."""

    root: Expression | None
    methods: tuple[Call, ...] = ()
    perhaps: tuple[Call, ...] = ()

    def is_reshaped(self) -> bool:
        """Whether it may give something else than what it began with."""
        return any(isinstance(each.function, Attribute) and each.function.name in _RESHAPED for each in (*self.methods, *self.perhaps))


_RESHAPED = frozenset({"with_only_columns", "add_columns", "column", "subquery", "cte", "scalar_subquery", "exists", "union", "union_all", "returning"})


def query_of(of: Values, expression: Expression | None) -> Query:
    """Unfold a query, also one that was bound to a name and refined under it: `query = query.where(...)`."""
    methods: list[Call] = []
    perhaps: list[Call] = []
    for _ in range(_UNFOLDED):
        if isinstance(expression, Name):
            first, *later = of.facts.refined(expression, of.sketch)
            for each in later:
                while isinstance(each, Call) and isinstance(each.function, Attribute):
                    perhaps.append(each)
                    each = each.function.value
            if not isinstance(first, Call):
                break
            expression = first
        elif isinstance(expression, Call) and isinstance(expression.function, Attribute) and is_query(of, expression.function.value):
            methods.append(expression)
            expression = expression.function.value
        else:
            break
    return Query(expression, tuple(methods), tuple(perhaps))


_UNFOLDED = 40


def is_query(of: Values, expression: Expression) -> bool:
    """Whether an expression may be a query itself: a call, or a name of the function for one."""
    named = isinstance(expression, Name) and expression.name in of.sketch.locals and isinstance(of.facts.refined(expression, of.sketch)[0], Call)
    return named or isinstance(expression, Call)


def model_of(of: Values, call: Call) -> Class | None:
    """The class whose objects a query gives: `query(User)`, `scalars(select(User).where(...))`, `get(User, 1)`."""
    query = query_of(of, call.arguments[0] if call.arguments else None)
    root = query.root
    if isinstance(root, Call):
        root = root.arguments[0] if is_select(of, root) and len(root.arguments) == 1 and not query.is_reshaped() else None
    found = of.value(root) if root is not None else None
    return found if isinstance(found, Class) else None


def is_select(of: Values, call: Call) -> bool:
    match of.value(call.function):
        case External(dotted):
            return dotted.rpartition(".")[2] == "select"
        case Method(Made("flask_sqlalchemy.SQLAlchemy"), "select"):  # `db.select(User)`
            return True
    return False


EAGER = frozenset({"selectinload", "joinedload", "subqueryload", "immediateload", "contains_eager", "undefer"})
"""The options of a query that load what they name with it: https://docs.sqlalchemy.org/en/20/orm/queryguide/relationships.html"""


def fetched_by(of: Values, call: Call) -> frozenset[str] | None:
    """What a query loads beside the columns: `scalars(select(User).options(selectinload(User.posts)))`, `get(User, 1, options=[...])`; None where that is not known."""
    found: frozenset[str] = frozenset()
    given = call.keyword("options")
    if given is not None:
        loaded = fetched_in(of, Call(given, given.items if isinstance(given, Row) else (given,), (), 0))
        if loaded is None:
            return None
        found |= loaded
    query = query_of(of, call.arguments[0] if call.arguments else None)
    if any(isinstance(each.function, Attribute) and each.function.name == "options" for each in query.perhaps):
        return None
    for each in query.methods:
        if isinstance(each.function, Attribute) and each.function.name == "options":
            loaded = fetched_in(of, each)
            if loaded is None:
                return None
            found |= loaded
    return found


def fetched_in(of: Values, call: Call) -> frozenset[str] | None:
    """What the options among the arguments of a call load of the objects of a query."""
    found: set[str] = set()
    for option in call.arguments:
        while isinstance(option, Call) and isinstance(option.function, Attribute) and isinstance(option.function.value, Call):
            option = option.function.value  # `selectinload(User.posts).joinedload(Post.tags)`
        if not isinstance(option, Call) or not isinstance(option.function, (Name, Attribute)) or option.function.name not in EAGER:
            return None
        for argument in option.arguments[:1]:
            if isinstance(argument, Attribute):
                found.add(argument.name)
            elif isinstance(argument, Const) and isinstance(argument.value, str) and argument.value != "*":
                found.add(argument.value.partition(".")[0])
            else:
                return None
    return frozenset(found)


def has_entities(of: Values, call: Call) -> bool:
    """Whether a query asks for whole objects, as far as its text tells: columns survive the session, as do rows read ahead."""
    if any(key == "execution_options" for key, _ in call.keywords):
        return False
    return False if not call.arguments else any(asks_entity(of, argument) for argument in call.arguments)


def may_have_entities(of: Values, call: Call) -> bool:
    """Whether a query asks for what the function was given, which may be a class or a column: `session.query(model)`."""
    if len(call.arguments) != 1 or not isinstance(argument := call.arguments[0], Name):
        return False
    return of.value(argument) is UNKNOWN and any(name == argument.name for name, _ in of.sketch.parameters)


def asks_entity(of: Values, argument: Expression) -> bool:
    """Whether a column of a query is a class of the project, itself or within `select()`."""
    query = query_of(of, argument)
    if isinstance(query.root, Call):
        return is_select(of, query.root) and not query.is_reshaped() and any(asks_entity(of, inner) for inner in query.root.arguments)
    return query.root is not None and isinstance(of.value(query.root), Class)
