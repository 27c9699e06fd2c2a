"""What the engine asks of the project around a function. The index answers; a test may answer instead."""

from __future__ import annotations

from typing import Protocol

from sa_session_lint.model.expression import Call, Expression
from sa_session_lint.model.value import Class, Function, Value
from sa_session_lint.typestate.sketch import Sketch


class Facts(Protocol):
    """Answers about names of the function of a sketch."""

    def value(self, expression: Expression, sketch: Sketch) -> Value:
        """What an expression stands for, whenever it is evaluated."""
        ...

    def sketch(self, function: Function) -> Sketch | None:
        """The sketch of a function whose body tells what a call of it does; None where it does not: a decorator may do anything."""
        ...

    def method(self, owner: Class, name: str) -> Function | None:
        """A method of a class of the project."""
        ...

    def touches(self, function: Function) -> bool:
        """Whether a function works with sessions that it was not handed."""
        ...

    def slow(self, call: Call, sketch: Sketch) -> str | None:
        """How a call waits for the network, another process or the clock, if it does."""
        ...

    def suspends(self, sketch: Sketch) -> bool:
        """Whether whoever runs this generator resumes it to its end: a context manager, a fixture, a dependency."""
        ...
