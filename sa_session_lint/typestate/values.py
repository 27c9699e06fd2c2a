"""What expressions hold on a way, once the calls in them have been made.

    db.session              the shared session of a registry, found when it is first asked for
    (session, user)         a group of what its parts hold
    session.commit          a bound method: whoever gets it has the session
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import (
    Attribute,
    Await,
    Call,
    Choice,
    Const,
    Each,
    Expression,
    Item,
    Lambda,
    Name,
    Row,
    Series,
    Star,
    Table,
    Text,
    dotted,
)
from sa_session_lint.model.protocol import ANY, INACTIVE
from sa_session_lint.model.value import Class, External, Instance, Made, Method, Place, Registry, Session, Value
from sa_session_lint.typestate.sketch import Sketch, names_in
from sa_session_lint.typestate.state import (
    Abstract,
    Caught,
    Group,
    Known,
    Loc,
    Object,
    Pending,
    Record,
    Ref,
    Rows,
    Scope,
    SessionState,
    Some,
    each_of,
    is_followed,
    locs_in,
)
from sa_session_lint.typestate.way import Way

if TYPE_CHECKING:
    from sa_session_lint.typestate.concurrency import Concurrency
    from sa_session_lint.typestate.facts import Facts


class Values:
    """Reads the expressions of one sketch."""

    concurrency: Concurrency

    def __init__(self, sketch: Sketch, facts: Facts) -> None:
        self.sketch = sketch
        self.facts = facts
        self.path = sketch.function.path
        self.known_values: dict[int, tuple[Expression, Value]] = {}
        self.waiting: dict[tuple[type[Expression], int], bool] = {}

    def place(self, at: int) -> Place:
        return Place(self.path, at)

    def value(self, expression: Expression) -> Value:
        known = self.known_values.get(id(expression))
        if known is None:
            known = self.known_values[id(expression)] = expression, self.facts.value(expression, self.sketch)
        return known[1]

    def waits(self, expression: Expression, at: int) -> bool:
        """Whether a call, an `await` or the entering of a block, numbered `at`, surely waits for something else."""
        key = type(expression), at
        if key not in self.waiting:
            self.waiting[key] = self.facts.waits(expression, self.sketch)
        return self.waiting[key]

    def evaluate(self, expression: Expression, way: Way) -> Abstract:
        """What an expression, whose calls have been made, holds."""
        match expression:
            case Name(name):
                if name in way.env:
                    return way.env[name]
                if name in self.sketch.closures:
                    return self.concurrency.closure(name, way)
                if name in self.sketch.locals:
                    return None
                return self.ambient(expression, way)
            case Call(function=Name("str" | "repr"), arguments=(told,)) if isinstance(self.evaluate(told, way), (Some, Caught)):
                return Some()  # the text of an exception
            case Call(at=at) | Choice(at=at):
                return way.env.get(at)
            case Await(value, at):
                return way.env.get(at)
            case Attribute(value, name):
                return self.attribute(expression, way)
            case Item(value, key):
                whole = self.evaluate(value, way)
                self.taken_for_result(value, whole, way)
                return self.item(whole, key)
            case Const(value):
                return Known(value)
            case Text():
                return Some()
            case Row(items):
                row = tuple(self.evaluate(item, way) for item in items)
                if not items:
                    return Group(()) if self.sketch.spawns else None
                return Group(row) if any(is_followed(each) or each in _VERDICTS for each in row) else Some()
            case Table(pairs):
                values = tuple(self.evaluate(value, way) for _, value in pairs)
                return Group(values, open=True) if any(is_followed(each) for each in values) else None
            case Series(value, lazy, source):
                read = self.evaluate(source, way) if lazy and source is not None else None
                if isinstance(read, Rows):
                    return replace(read, kind="lazy")
                inner = self.evaluate(value, way)
                over = self.evaluate(source, way) if source is not None else None
                one = self.made_within(value, inner) or (isinstance(over, Group) and not over.open and len(over.items) == 1)
                return Group((inner,), open=not one) if is_followed(inner) else None
            case Star(value):
                return self.evaluate(value, way)
            case Each(value):
                held = self.evaluate(value, way)
                return each_of(held)
            case Lambda(body):
                return self.concurrency.function(body, way)
        return None

    def made_within(self, expression: Expression, value: Abstract) -> bool:
        """Whether each evaluation of an expression makes sessions of its own."""
        calls: list[Call] = []
        names_in(expression, set(), calls)
        places = {self.place(call.at) for call in calls}
        return bool(locs_in(value)) and all(loc[0] in {"new", "in"} and loc[1] in places for loc in locs_in(value))

    def is_made(self, expression: Expression) -> bool:
        """Whether an expression surely gives an object made by this function: a call of a class, or a name for the outcome of one."""
        if isinstance(expression, Name) and any(expression.name == name for name, _ in self.sketch.parameters):
            return False
        value = self.value(expression.function) if isinstance(expression, Call) else self.value(expression)
        if isinstance(value, External if isinstance(expression, Call) else Made):
            return value.dotted.rpartition(".")[2][:1].isupper()
        return isinstance(value, Class if isinstance(expression, Call) else Instance)

    def attribute(self, expression: Attribute, way: Way) -> Abstract:
        name = dotted(expression)
        if name is not None and name in way.env:
            return way.env[name]
        owner = self.evaluate(expression.value, way)
        match owner:
            case Record(_, _, fields):
                held = next((value for field, value in fields if field == expression.name), None)
                return self.concurrency.method(owner, expression, way) if held is None else held
            case Ref(loc) if expression.name == "is_active":
                txn = way.state(loc).txn
                return None if txn is ANY else Known(txn is not INACTIVE)
            case Ref(loc) if expression.name == "no_autoflush":
                return Scope("no autoflush" if way.state(loc).autoflush else "null", owner)
            case Ref():
                if expression.name in {"sync_session", "bind", "info"}:
                    return owner if expression.name == "sync_session" else None
                return self.concurrency.method(owner, expression, way)
            case Rows():
                return owner if expression.name == "t" else None  # `result.t` is the result; who reads another one takes it for an object
            case Object(first=Class() as first) if expression.name == first.qualname.rpartition(".")[2]:  # `row.User`
                return entity(owner)
            case Pending() if expression.name not in v.OF_COROUTINES:
                self.taken_for_result(expression.value, owner, way)
            case None:
                return self.ambient(expression, way)
            case Some() if self.is_me(expression.value):
                return self.ambient(expression, way)
        return None

    def is_me(self, expression: Expression) -> bool:
        """Whether an expression is the object whose method this is."""
        return isinstance(expression, Name) and expression.name == self.sketch.me

    def taken_for_result(self, expression: Expression, value: Abstract, way: Way) -> None:
        """A name is used for what the coroutine that it holds, a method of a session called in this function, would give when awaited."""
        if isinstance(value, Pending) and isinstance(value.receiver, Ref) and isinstance(expression, Name):
            if any(step.value is value.call for step in self.sketch.steps.values()):
                way.faults.append(("not awaited", value.receiver.loc, self.place(value.call.at)))

    def ambient(self, expression: Expression, way: Way) -> Abstract:
        """A session that is not this function's: a registry's, a module's, its object's."""
        value = self.value(expression)
        if isinstance(value, Method) and isinstance(value.receiver, Registry) and isinstance(expression, Attribute) and expression.name == value.name == "query":
            model = self.value(expression.value)
            if isinstance(model, (Class, Instance)):  # `User.query`
                ref = self.known(("ambient", value.receiver.place), way, self.shared(value.receiver, value.receiver.place))
                if way.state(ref.loc).closed is not None:
                    way.update(ref.loc, closed=None)  # it is asked for anew
                return Rows(ref.loc, "query", True, Class(model.path, model.qualname), fetched=frozenset())
        if isinstance(value, Method) and isinstance(value.receiver, (Session, Registry)) and isinstance(expression, Attribute):
            value, expression = value.receiver, expression.value
            if isinstance(expression, Name) and expression.name in self.sketch.locals:
                return None
        if isinstance(value, Registry):
            key = dotted(expression) if value.place.is_promise else None
            return self.known(("ambient", key or value.place), way, self.shared(value, value.place))
        if isinstance(value, Session) and isinstance(expression, (Name, Attribute)):
            if isinstance(expression, Name) and expression.name in self.sketch.locals:
                return None
            key = dotted(expression) or ""
            if self.sketch.me is not None and key.startswith(f"{self.sketch.me}."):
                key = "self" + key[len(self.sketch.me) :]
            return self.known(("ambient", key if key.startswith("self.") else (value.place or key)), way, self.shared(value, value.place))
        return None

    def shared(self, value: Session | Registry, place: Place | None) -> SessionState:
        """A session that is not this function's, as the function finds it."""
        pool = self.facts.pool(place) if place is not None else None
        expire, options = self.facts.expires(value.options, value.kind), value.options
        return SessionState(ANY, value.kind, "ambient", fresh=False, autoflush=options.autoflush, momentary=options.momentary, pool=pool, expire=expire)

    def known(self, loc: Loc, way: Way, state: SessionState) -> Ref:
        if loc not in way.heap:
            way.heap[loc] = state
        return Ref(loc)

    def item(self, value: Abstract, key: Expression) -> Abstract:
        if isinstance(value, Group) and value.open and isinstance(one := each_of(value), Object):
            return one
        if isinstance(value, Object) and value.first is not None and key == Const(0):
            return entity(value)
        if isinstance(value, Group):
            if isinstance(key, Const) and isinstance(key.value, int) and not value.open and -len(value.items) <= key.value < len(value.items):
                return value.items[key.value]
            return None
        return value if isinstance(value, Rows) and value.kind == "query" else None


def entity(row: Object) -> Object:
    """The object in the first column of a row."""
    return replace(row, model=row.first, first=None)


_VERDICTS = (Known(True), Known(False), Known(None))
"""What a function may tell its caller about how it went."""
