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
    Reads,
    Row,
    Series,
    Star,
    Table,
    Text,
)
from sa_session_lint.model.protocol import ANY, CTXDONE, INACTIVE
from sa_session_lint.model.value import Class, External, Function, Instance, Place
from sa_session_lint.typestate.sketch import names_in
from sa_session_lint.typestate.state import PLACE, Group, Loc, Object, Record, locs_in, mapped, objects_in
from sa_session_lint.typestate.statements import unsynchronized
from sa_session_lint.typestate.way import DELETED, SOMETHING, Way, swept, uncopied

if TYPE_CHECKING:
    from sa_session_lint.typestate.sketch import SketchStep
    from sa_session_lint.typestate.transfer import Transfer


class Read(NamedTuple):
    """An attribute of an object that is read, and what comes of it: "expired read" and "lazy read" of a detached object raise DetachedInstanceError, as does "serialised read", either of them by pydantic;
    so does "merged read" of one that was merged for nothing, of which "merged key" gives None; "async read" MissingGreenlet, as does "server read" of what an UPDATE has set; "reload" costs a SELECT,
    "unflushed read" gives None, "stale read" what was loaded before a statement that has changed the row, and "expired dump", of what is in memory, nothing at all. `expression` is where, of the object `owner`: the attribute itself, or what calls a function that reads
    it, `by` that function, in which the object goes by `name`."""

    expression: Expression
    owner: Expression
    of: Object
    attribute: str
    kind: str | None
    by: Function | None = None
    name: str = ""


RAISING = frozenset({"expired read", "lazy read", "async read", "merged read", "serialised read", "server read"})
"""The kinds of reads after which nothing comes."""


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
                    self.loaded(held, expression.name, None, way)
            if isinstance(found, Object) and (found.model is not None or found.first is not None):
                if expression.name == "__dict__" and is_expired(found):
                    yield Read(expression, expression.value, found, "__dict__", "expired dump")
                computed = self.of.facts.computed(found.model, expression.name) if found.model is not None else None
                if computed is not None:
                    where = expression.value if expression.name == "__str__" else expression
                    yield from self.read_by(*computed, where, expression.value, found, way)
                    continue
                kind = self.kind(found, expression.name, way)
                yield Read(expression, expression.value, found, expression.name, kind)
                self.loaded(found, expression.name, kind, way)
        if step.op == "call" and isinstance(step.value, Call):
            yield from self.dumped(step.value, way)
            yield from self.validated(step.value, way)
            yield from self.read_in(step.value, way)

    def captured(self, call: Call, way: Way) -> None:
        """A function defined in this one, or a lambda, that is called or handed on may read the objects of the names that it takes along."""
        names: set[str] = set()
        for each in (call.function, *call.arguments, *(value for _, value in call.keywords)):
            if isinstance(each, Lambda):
                names_in(each, names, [])
            elif isinstance(each, Name):
                names |= self.of.sketch.closures.get(each.name, frozenset())
        for name in names & way.env.keys():
            for held in objects_in(way.env[name]):
                way.become(held, swept(held, "forget", PLACE))

    def dumped(self, call: Call, way: Way) -> Iterator[Read]:
        """What a call takes of an object is what is in its `__dict__`: `vars(user)`, and `user.model_dump()` of an SQLModel."""
        argument = call.arguments[0] if call.arguments else None
        value = self.of.value(call.function)
        if argument is not None and isinstance(value, External) and value.dotted in v.DUMPING and isinstance(held := self.of.evaluate(argument, way), Object) and is_expired(held):
            yield Read(argument, argument, held, "__dict__", "expired dump")
        if isinstance(call.function, Attribute) and call.function.name in v.DUMPING_METHODS:
            held = self.of.evaluate(call.function.value, way)
            if isinstance(held, Object) and held.model is not None and is_expired(held) and self.of.facts.dumps(held.model, call.function.name):
                yield Read(call.function, call.function.value, held, "__dict__", "expired dump")

    def validated(self, call: Call, way: Way) -> Iterator[Read]:
        """What `UserOut.model_validate(user)` reads of an object that nothing is loaded of any more."""
        if call.arguments and isinstance(call.function, Attribute) and call.function.name in v.VALIDATING_METHODS:
            held, schema = self.of.evaluate(call.arguments[0], way), self.of.value(call.function.value)
            if isinstance(held, Object) and isinstance(schema, Class) and (read := self.serialised(call.arguments[0], held, schema, way)) is not None:
                yield read

    def serialised(self, expression: Expression, found: Object, schema: Class, way: Way) -> Read | None:
        """The first attribute that cannot be read of an object when it becomes a model of pydantic. That under asyncio a commit expires all is the fault of whoever
        made its session so."""
        state = way.state(found.loc) if found.loc is not None else None
        if state is None or (state.kind == "async" and found.detached is None and found.expired is not None and not found.undone):
            return None
        for attribute in self.of.facts.serialised(schema):
            kind = self.kind(found, attribute, way)
            if kind in RAISING:
                return Read(expression, expression, found, attribute, "serialised read" if kind in {"expired read", "lazy read"} else kind)
        return None

    def read_in(self, call: Call, way: Way) -> Iterator[Read]:
        """What a function of the project reads of the objects that it is given, or the method of one, if it has no session to load them with."""
        of = self.of
        receiver = of.evaluate(call.function.value, way) if isinstance(call.function, Attribute) else None
        given = [(each, held) for each in (*call.arguments, *(value for _, value in call.keywords)) if isinstance(held := of.evaluate(each, way), Object)]
        if not given and not isinstance(receiver, Object):
            return
        function = of.calls.function(call, receiver)
        if not isinstance(function, Function) or of.facts.touches(function, isinstance(receiver, Record)) or any(locs_in(of.evaluate(each, way)) for each in call.arguments):
            return
        if isinstance(receiver, Object) and isinstance(call.function, Attribute) and (me := of.facts.receiver(function)) is not None:
            yield from self.read_by(function, me, call.function.value, call.function.value, receiver, way)
        names = dict(zip(call.arguments, of.facts.parameters(function), strict=False)) | {value: key for key, value in call.keywords if key is not None}
        for argument, held in given:
            if argument in names and isinstance(held, Object):
                yield from self.read_by(function, names[argument], argument, argument, held, way)

    def read_by(self, function: Function, name: str, expression: Expression, owner: Expression, found: Object, way: Way) -> Iterator[Read]:
        """What a function reads of an object that goes by a name in it."""
        for attribute in self.of.facts.reads(function, name):
            kind = self.kind(found, attribute, way)
            yield Read(expression, owner, found, attribute, kind, function, name)
            self.loaded(found, attribute, kind, way)
            if kind is not None:
                return

    def attributes(self, step: SketchStep) -> tuple[Attribute, ...]:
        """The attributes that a step reads, but those that the calls in it read, which are steps of their own."""
        known = self.known.get(id(step))
        if known is None:
            known = self.known[id(step)] = step, tuple(_read_by(step))
        return known[1]

    def kind(self, found: Object, name: str, way: Way) -> str | None:
        """What reading an attribute comes to."""
        if found.stale is not None and name in found.stale[1] and found.mixed is None and found.detached is None:
            return "stale read"
        if found.model is None or found.mixed is not None or (found.fetched is not None and name in found.fetched):
            return None
        if found.loc is None:
            return "merged key" if found.made and found.merged is not None and found.fetched is not None and self.of.facts.is_generated(found.model, name) else None
        what = self.of.facts.attribute(found.model, name)
        if what is None or (found.expired is not None and found.fetched is None):  # something may have been set since
            return None
        if found.pending is not None and found.fetched is not None:
            return "unflushed read" if self.of.facts.is_generated(found.model, name) else None
        if found.detached is not None:
            if found.expired is None and not (what in {"lazy", "lazy one", "deferred"} and self.is_unloaded(found, name, way)):
                return None
            return "merged read" if found.merged is not None else "expired read" if found.expired is not None else "lazy read"
        state = way.heap.get(found.loc)
        if state is None or found.new or state.txn in {INACTIVE, CTXDONE}:
            return None  # there the read raises in other words
        if found.sent is not None and found.expired is None and state.kind == "async" and name in self.of.facts.renewed(found.model):
            return "server read"
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
        """After an attribute of the object under a name is set, it is there. To set a relationship, or the key, loads what has expired first."""
        found = way.env.get(name)
        if not isinstance(found, Object):
            return
        what = self.of.facts.attribute(found.model, attribute) if found.model is not None else None
        if found.expired is not None and found.detached is None and found.loc is not None and (what != "column" or (found.model is not None and self.of.facts.is_generated(found.model, attribute))):
            way.loads(found, replace(found, expired=None, undone=False, fetched=None))
            way.sweep(found.loc, "sql", PLACE)  # another name may be for the same one
            return
        others = {each for value in way.env.values() for each in objects_in(value) if each.model == found.model and each.loc == found.loc}
        for each in {each for value in way.env.values() for each in objects_in(value) if each.stale is not None and attribute in each.stale[1]}:
            way.become(each, replace(each, stale=None))
        for each in others:  # two of them may be one
            if each.fetched is not None and attribute not in each.fetched:
                way.become(each, replace(each, fetched=each.fetched | {attribute}))

    def loaded(self, found: Object, name: str, kind: str | None, way: Way) -> None:
        """After a read that came back an attribute is loaded; with one column all others are."""
        if found.detached is not None or found.loc is None:
            return
        what = self.of.facts.attribute(found.model, name) if found.model is not None else "column"
        if found.expired is not None and what is not None:
            way.loads(found, replace(found, expired=None, undone=False, fetched=None))
        elif kind is None and found.fetched is not None and what not in {None, "column"}:
            way.loads(found, replace(found, fetched=found.fetched | {name}))
        if (found.expired is not None and what is not None) or what not in {None, "column"}:
            way.sweep(found.loc, "sql", PLACE, found.model if what == "column" else None)  # its row alone, and what is loaded with that


    def sends(self, found: Object, at: Place, way: Way) -> None:
        """A column of an object is set: when that is sent, the database may set others by itself. https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#preventing-implicit-io-when-using-asyncsession"""
        state = way.heap.get(found.loc) if found.loc is not None else None
        if state is not None and state.kind == "async" and found.detached is None and found.model is not None and found.pending is None and not found.new:
            if self.of.facts.renewed(found.model):
                way.become(found, replace(found, unsent=at, sent=None))

    def made(self, model: Class | None, call: Call) -> Object:
        """A new object; what its constructor is given by name is set."""
        plain = model is not None and not call.arguments and all(key is not None for key, _ in call.keywords) and self.of.facts.method(model, "__init__") is None
        return Object(model, made=True, fetched=frozenset(key for key, _ in call.keywords if key is not None) if plain else None)

    # -- what a session does to the objects that it is given --------------------------------------------------------------

    def operated(self, name: str, loc: Loc, call: Call, way: Way, wrote: bool) -> None:
        """What a method of a session does to objects; `wrote`: it has sent SQL that changes rows."""
        at = self.of.place(call.at)
        held = objects_in(self.of.evaluate(call.arguments[0], way)) if call.arguments else ()
        if name in {"add", "add_all"}:
            for argument in call.arguments:
                for part in argument.items if isinstance(argument, Row) else (argument,):
                    if isinstance(part, Name):
                        self.added(part.name, loc, at, way)
        elif name.startswith("expunge"):
            way.release(loc)
        elif name == "delete":
            for each in held:
                way.become(each, swept(each, "delete", at))  # a detached one comes back to be deleted
        elif name == "merge":
            self.copied(call, loc, at, way)
        elif name == "refresh":
            for each in held:
                way.loads(each, replace(each, expired=None, fetched=None, unsent=None, sent=None, stale=None))
        elif name == "expire_all":
            way.sweep(loc, "expire", at)
        elif name == "expire":
            for each in held:
                whole = len(call.arguments) == 1 and not call.keywords and each.fetched is not None and each.loc == loc
                way.becomes_alone(each, swept(each, "expire" if whole else "forget", at), at)
        if wrote and name in {"execute", "exec"} and (bypassed := unsynchronized(self.of, call, None)) is not None:
            self.bypass(loc, *bypassed, at, way)
        if name == "delete" or wrote:
            way.sweep(loc, "delete", at)
            way.remembers(loc, DELETED)
        given = [way.env.get(argument.name) for argument in call.arguments if isinstance(argument, Name)]
        if name in {"add", "add_all"} and not all(isinstance(each, Object) and each.model is not None for each in given):
            way.remembers(loc, SOMETHING)

    def bypass(self, loc: Loc, model: Class, columns: frozenset[str], at: Place, way: Way) -> None:
        """A statement has changed rows, and not the objects of the session that have loaded them."""

        def change(each: Object) -> Object:
            here = each.model == model and each.loc == loc and each.loaded and each.expired is None and each.detached is None and each.fetched is not None
            return replace(each, stale=(at, columns)) if here else each

        for key, value in way.env.items():
            way.env[key] = mapped(value, change)

    def added(self, name: str, loc: Loc, at: Place, way: Way) -> None:
        """What goes by a name is added to a session."""
        known = way.env.get(name)
        if isinstance(known, Object) and known.loc not in {None, loc} and known.detached is None:
            way.become(known, swept(known, "delete", at))  # it raises where that session is open
            return
        if isinstance(known, Object) and known.detached is not None and not way.state(loc).models.isdisjoint({known.model, SOMETHING}):
            way.become(known, swept(known, "delete", at))  # it raises where the session has the same row as another object
            return
        if known is None or isinstance(known, Object):
            way.meets(loc, known.model if known is not None else None)
        match known := way.env.get(name):
            case Object() if known.loc is not None:
                way.comes_back(known, at)
                way.becomes_alone(known, replace(uncopied(known), loc=loc, written=None, expired=None, detached=None, fetched=None), at)
            case Object():
                fresh = Object(known.model, loc, at=known.at or at, new=known.made, pending=at if known.made else None, fetched=known.fetched)
                way.become(known, fresh)
                way.env[name] = fresh
            case Group():
                for each in objects_in(known):
                    if each.detached is not None:
                        way.become(each, swept(each, "delete", at))
            case None:
                way.env[name] = Object(None, loc, at=at)

    def copied(self, call: Call, loc: Loc, at: Place, way: Way) -> None:
        """A session has made a copy of what goes by a name, which nobody takes if the call is a whole statement. What a function is given cannot be in a session
        that it has opened and put to no use."""
        if not call.arguments or not isinstance(argument := call.arguments[0], Name):
            return
        known, before, kind = way.env.get(argument.name), way.origin.heap.mapping.get(loc), self.of.value(argument)
        if known is None and argument.name in self.of.given and loc[0] == "new" and before is not None and before.fresh and isinstance(kind, Instance):
            known = way.env[argument.name] = Object(Class(kind.path, kind.qualname), at=at, copy=loc)
        if isinstance(known, Object) and known.mixed is None and not known.gone:
            outside = known.copy is not None or known.detached is not None or (known.loc is None and known.made and known.fetched is not None)
            thrown = outside and call.at in self.of.dropped
            way.become(known, replace(known, merged=at if thrown else None, copy=loc if thrown else None, unsent=None))

    def misused(self, name: str, loc: Loc, call: Call, way: Way) -> tuple[str, Loc, Place | None] | None:
        """The fault that it surely is to call a method of a session with an object: "other session" has it, or it is "not persistent"."""
        held = self.of.evaluate(call.arguments[0], way) if call.arguments and name in OF_OBJECTS else None
        if not isinstance(held, Object) or held.gone or held.mixed is not None or loc not in way.heap or way.state(loc).closed is not None or way.state(loc).txn is CTXDONE:
            return None
        if held.merged is not None and held.copy == loc and ((name == "add" and held.made) or name in {"refresh", "expire", "expunge"}):
            return "merged use", loc, held.merged
        if held.loc is not None and held.loc != loc and held.detached is None and held.loaded:
            both = (way.state(loc), way.state(held.loc))
            if held.loc in way.heap and all(each.owner in {"here", "with"} and each.txn is not ANY and each.closed is None for each in both):
                return "other session", loc, held.at
        if name != "add" and ((held.pending is not None and name != "expunge") or (held.loc is None and held.made and held.fetched is not None) or (held.detached is not None and name != "delete")):
            return "not persistent", loc, held.pending or held.detached
        return None


OF_OBJECTS = frozenset({"add", "delete", "refresh", "expire", "expunge"})


def is_expired(found: Object) -> bool:
    """Whether nothing of an object is in memory."""
    return found.expired is not None and found.mixed is None and found.fetched is not None and not found.fetched and not found.gone


def _read_by(step: SketchStep) -> Iterator[Attribute]:
    match step.op:
        case "call" if isinstance(step.value, Call):
            yield from _within(step.value.function.value if isinstance(step.value.function, Attribute) else None)
            for argument in (*step.value.arguments, *(value for _, value in step.value.keywords)):
                yield from _within(argument)
            match step.value:
                case Call(Name("getattr"), (owner, Const(str(name)), *_)):
                    yield Attribute(owner, name)
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
                yield from _within(target.key if isinstance(target, Item) else None)
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
        case Row(items) | Text(items) | Reads(items):
            for item in items:
                yield from _within(item)
                if isinstance(expression, Text) and isinstance(item, Name):
                    yield Attribute(item, "__str__")
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
