"""What the engine asks of the project around a function. The index answers; a test may answer instead."""

from __future__ import annotations

from typing import Protocol

from sa_session_lint.model.expression import Call, Expression, Name
from sa_session_lint.model.value import Class, Function, Options, Place, Value
from sa_session_lint.model.vocabulary import Kind
from sa_session_lint.typestate.sketch import Sketch
from sa_session_lint.typestate.state import Frozen


class Facts(Protocol):
    """Answers about names of the function of a sketch."""

    def value(self, expression: Expression, sketch: Sketch) -> Value:
        """What an expression stands for, whenever it is evaluated."""
        ...

    def origin(self, expression: Expression, sketch: Sketch) -> Expression:
        """What a name was bound to, where that is known and nothing else is; any other expression is its own origin."""
        ...

    def refined(self, expression: Name, sketch: Sketch) -> tuple[Expression, ...]:
        """What a name was bound to: something first, and then only what it became by methods of its own, as in `query = query.where(...)`; else the name itself."""
        ...

    def settled(self, sketch: Sketch) -> Frozen[object, bool]:
        """The conditions of a method that are settled, as every maker of its object gives what they ask for, or none does: `self.session is None`."""
        ...

    def sketch(self, function: Function) -> Sketch | None:
        """The sketch of a function whose body tells what a call of it does; None where it does not: a decorator may do anything."""
        ...

    def method(self, owner: Class, name: str) -> Function | None:
        """A method of a class of the project."""
        ...

    def is_column(self, model: Class, name: str) -> bool:
        """Whether an attribute of a mapped class is saved."""
        ...

    def dumps(self, model: Class, name: str) -> bool:
        """Whether a method of a mapped class is the one of SQLModel that gives what is in memory."""
        ...

    def renewed(self, model: Class) -> frozenset[str]:
        """The columns that the database sets whenever a row is changed, and that are not loaded after that."""
        ...

    def serialised(self, schema: Class) -> tuple[str, ...]:
        """The attributes that pydantic reads of an object to make a model of a class; none where that is not known."""
        ...

    def is_generated(self, model: Class, name: str) -> bool:
        """Whether an attribute of a mapped class is a primary key that is unknown until the object is saved, unless it is set."""
        ...

    def attribute(self, model: Class, name: str) -> str | None:
        """What an attribute of a mapped class is: a "column", "deferred" or not; a relationship, loaded "eager", "lazy", or "lazy one" if that may find its only
        object in memory; None for whatever else, or what is not known."""
        ...

    def computed(self, model: Class, name: str) -> tuple[Function, str] | None:
        """The function that is called when an attribute of an object is read, and what it calls the object: of a property, of `__str__` when it is formatted."""
        ...

    def reads(self, function: Function, name: str) -> tuple[str, ...]:
        """The attributes that a function reads, whenever it is called, of the object that goes by `name` in it; what it hands to a session is no such object."""
        ...

    def expires(self, options: Options, kind: Kind | None) -> bool | None:
        """Whether a commit of a session with these options expires its objects; None where that is not known."""
        ...

    def opens(self, function: Function) -> bool:
        """Whether a function opens, itself or by those it calls, a session or a connection."""
        ...

    def touches(self, function: Function, own: bool = False) -> bool:
        """Whether a function works with sessions that it was not handed; with `own`, those of its object are among them."""
        ...

    def waits(self, expression: Expression, sketch: Sketch) -> bool:
        """Whether a call, an `await` or the entering of a block surely waits for the network, another process or the clock."""
        ...

    def pool(self, opened: Place) -> Place | None:
        """The engine whose pool the session or connection made by a call draws on, if others may have to wait for it; its maker where that is not visible."""
        ...

    def uses(self, function: Function, name: str, suspending: bool) -> bool:
        """Whether a function surely works with the session that goes by `name` in it, outside of any lock; when `suspending`, so that other tasks have a turn."""
        ...

    def shares(self, function: Function, name: str, model: Class | None, expired: bool) -> bool:
        """Whether a function does more with an object of a mapped class, given as `name`, than read what it has loaded."""
        ...

    def fields(self, function: Function) -> frozenset[str]:
        """The fields of its object that a method may work with."""
        ...

    def disposes(self, function: Function, name: str) -> bool:
        """Whether a function lets go of the connections of the engine that goes by `name` in it."""
        ...

    def parameters(self, function: Function) -> tuple[str, ...]:
        """The parameters of a function that arguments of a call go to, in order."""
        ...

    def receiver(self, function: Function) -> str | None:
        """What a method calls its object."""
        ...

    def runs(self, cls: Class) -> str | None:
        """Whether the objects of a class are threads ("thread") or processes ("process")."""
        ...

    def call(self, place: Place) -> Call | None:
        """The call at a place."""
        ...

    def suspends(self, sketch: Sketch) -> bool:
        """Whether whoever runs this generator resumes it to its end: a context manager, a fixture, a dependency."""
        ...
