"""What happens to the objects of a session as a whole, and what reading one of their attributes comes to.

    user = session.get(User, 1)         its columns are loaded, its relationships are not, unless an option or the mapping says so
    session.commit()                    expires all that it has loaded, unless `expire_on_commit=False`
    user.name                           loads it again, in a session that is open and not one of asyncio
    session.close()                     detaches it: what is not loaded now is never loaded any more
    user.posts                          DetachedInstanceError

Measured on SQLAlchemy 1.4.54, 2.0.58 and 2.1.9; see https://docs.sqlalchemy.org/en/20/orm/session_state_management.html and
https://docs.sqlalchemy.org/en/20/errors.html#error-bhk3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sa_session_lint.model.expression import Attribute, Await, Call, Choice, Each, Expression, Item, Name, Row, Series, Star, Table, Text
from sa_session_lint.typestate.state import PLACE, Object, objects_in
from sa_session_lint.typestate.way import Way

if TYPE_CHECKING:
    from sa_session_lint.typestate.sketch import SketchStep
    from sa_session_lint.typestate.transfer import Transfer


class Read(NamedTuple):
    """An attribute of an object that is read, and what comes of it: "expired read" and "lazy read" of a detached object raise DetachedInstanceError,
    "async read" MissingGreenlet, "reload" costs a SELECT."""

    expression: Attribute
    of: Object
    kind: str | None


class Instances:
    """The objects of one sketch."""

    def __init__(self, transfer: Transfer) -> None:
        self.of = transfer
        self.known: dict[int, tuple[SketchStep, tuple[Attribute, ...]]] = {}

    def reads(self, step: SketchStep, way: Way) -> Iterator[Read]:
        """What a step reads of objects, in order; what it loads is loaded for the next one."""
        if step.op in {"fork", "may", "dispatch", "raise", "catch", "leave"}:
            return
        for expression in self.attributes(step):
            found = self.of.evaluate(expression.value, way)
            match expression.value:  # `await user.awaitable_attrs.posts`
                case Attribute(owner, "awaitable_attrs") if isinstance(held := self.of.evaluate(owner, way), Object) and held.fetched is not None:
                    way.loads(held, replace(held, fetched=held.fetched | {expression.name}))
            if isinstance(found, Object) and (found.model is not None or found.first is not None):
                kind = self.kind(found, expression.name, way)
                yield Read(expression, found, kind)
                self.loaded(found, expression, kind, way)

    def attributes(self, step: SketchStep) -> tuple[Attribute, ...]:
        """The attributes that a step reads, but those that the calls in it read, which are steps of their own."""
        known = self.known.get(id(step))
        if known is None:
            known = self.known[id(step)] = step, tuple(_read_by(step))
        return known[1]

    def kind(self, found: Object, name: str, way: Way) -> str | None:
        """What reading an attribute comes to."""
        if found.model is None or found.loc is None or found.mixed is not None or (found.fetched is not None and name in found.fetched):
            return None
        what = self.of.facts.attribute(found.model, name)
        if what is None:
            return None
        if found.detached is not None:
            if found.expired is not None:
                return "expired read"
            return "lazy read" if what in {"lazy", "lazy one", "deferred"} and self.is_unloaded(found, name, way) else None
        state = way.heap.get(found.loc)
        if state is None or found.new:
            return None
        if found.expired is not None:
            return "async read" if state.kind == "async" and what != "lazy one" else "reload" if state.kind == "sync" and what == "column" else None
        return "async read" if state.kind == "async" and what in {"lazy", "deferred"} and self.is_unloaded(found, name, way) else None

    def is_unloaded(self, found: Object, name: str, way: Way) -> bool:
        """Whether nothing has loaded a relationship or deferred column: not the query, and no other object of the session may be the same one."""
        if not found.loaded or found.fetched is None:
            return False
        others = (each for value in way.env.values() for each in objects_in(value))
        return all(each.fetched is not None and name not in each.fetched for each in others if each.model == found.model and each.loc == found.loc)

    def written(self, name: str, attribute: str, way: Way) -> None:
        """After an attribute of the object under a name is set, it is there. To set a relationship loads what has expired first."""
        found = way.env.get(name)
        if not isinstance(found, Object):
            return
        what = self.of.facts.attribute(found.model, attribute) if found.model is not None else None
        if found.expired is not None and found.detached is None and what != "column":
            way.loads(found, replace(found, expired=None, undone=False, fetched=None))
            return
        others = {each for value in way.env.values() for each in objects_in(value) if each.model == found.model and each.loc == found.loc}
        for each in others:  # two of them may be one
            if each.fetched is not None and attribute not in each.fetched:
                way.become(each, replace(each, fetched=each.fetched | {attribute}))

    def loaded(self, found: Object, expression: Attribute, kind: str | None, way: Way) -> None:
        """After a read that came back an attribute is loaded; with one column all others are."""
        if found.detached is not None or found.loc is None:
            return
        what = self.of.facts.attribute(found.model, expression.name) if found.model is not None else "column"
        if found.expired is not None and what is not None:
            way.loads(found, replace(found, expired=None, undone=False, fetched=None))
        elif kind is None and found.fetched is not None and what not in {None, "column"}:
            way.loads(found, replace(found, fetched=found.fetched | {expression.name}))
        if (found.expired is not None and what is not None) or what not in {None, "column"}:
            way.sweep(found.loc, "sql", PLACE)


def _read_by(step: SketchStep) -> Iterator[Attribute]:
    match step.op:
        case "call" if isinstance(step.value, Call):
            yield from _within(step.value.function.value if isinstance(step.value.function, Attribute) else None)
            for argument in (*step.value.arguments, *(value for _, value in step.value.keywords)):
                yield from _within(argument)
        case "pick" if isinstance(step.value, Choice) and step.option < len(step.value.options):
            yield from _within(step.value.options[step.option])
        case "test" if step.condition is not None:
            yield from _in_key(step.condition.key)
        case "bind":
            seen: list[Expression] = []
            for target, value in step.targets:
                whole = value.value if isinstance(value, Item) else value
                if all(whole is not each for each in seen):
                    yield from _within(whole)
                seen.append(whole)
                yield from _within(target.value if isinstance(target, (Attribute, Item)) else None)
        case _:
            yield from _within(step.value)


def _within(expression: Expression | None) -> Iterator[Attribute]:
    """The attributes that an expression reads whenever it is evaluated, the inner ones first, but those of calls and of what only one branch reads."""
    match expression:
        case Attribute(value, _):
            yield from _within(value)
            yield expression
        case Await(value) | Each(value) | Star(value):
            yield from _within(value)
        case Item(value, key):
            yield from _within(value)
            yield from _within(key)
        case Row(items) | Text(items):
            for item in items:
                yield from _within(item)
        case Table(pairs):
            for key, item in pairs:
                yield from _within(key)
                yield from _within(item)
        case Series(value, False):
            yield from _within(value)


def _in_key(key: object) -> Iterator[Attribute]:
    """The same of the key of a condition."""
    if not isinstance(key, tuple) or (key and key[0] == "call"):
        return
    if len(key) == 3 and key[0] == "attribute" and isinstance(key[2], str):
        yield from _in_key(key[1])
        if isinstance(key[1], tuple) and key[1][0] == "name" and isinstance(key[1][1], str):
            yield Attribute(Name(key[1][1]), key[2])
        return
    for part in key:
        yield from _in_key(part)
