"""Expressions cut down to what names mean: small, without syntax nodes, so that facts of other files need no tree.

    async_sessionmaker(engine, expire_on_commit=False)  ->  Call(Name("async_sessionmaker"), (Name("engine"),), (("expire_on_commit", Const(False)),))
    with Session() as s: ...                            ->  s = Enter(Call(Name("Session")))
    first, second = pair()                              ->  first = Item(Call(Name("pair")), Const(0)), second = ...

What does not matter to sessions is `OPAQUE`. `at` numbers the syntax node in its file (see `Outline.nodes`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Opaque:
    """Anything that is not followed."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not empty, whatever is put into it or put behind its `start`; of that the `parts` that are names, or attributes."""

    parts: tuple[Expression, ...] = ()
    start: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Reads:
    """What is computed, and not followed, from the attributes that it surely reads: `user.age + 1`, `user.name == name`."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, to be looked up in the scope that holds the expression.

    Read by a statement of a module or class, it is what the first `upto` bindings there have made of it: `Session = scoped_session(Session)`.
    """

    name: str
    upto: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value.name`."""

    value: Expression
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call; a keyword without a name is `**mapping`, a starred argument is `Star`."""

    function: Expression
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str | None, Expression], ...]
    at: int

    def keyword(self, name: str) -> Expression | None:
        return next((value for key, value in self.keywords if key == name), None)

    @property
    def spread(self) -> bool:
        """Whether keywords may hide in a `**mapping`."""
        return any(key is None for key, _ in self.keywords)


@dataclass(frozen=True, slots=True)
class Item:
    """`value[key]`, also for unpacking."""

    value: Expression
    key: Expression


@dataclass(frozen=True, slots=True)
class Const:
    """None, True, False, a string or a number."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A tuple or list."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A dict display."""

    items: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class Await:
    """`await value`."""

    value: Expression
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Enter:
    """What `with value as ...` or `async with` binds."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Each:
    """What `for ... in value` binds."""

    value: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One of several: `a if c else b`, `a or b`."""

    options: tuple[Expression, ...]
    at: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Lambda:
    """`lambda ...: body`; its parameters are `OPAQUE` within the body."""

    body: Expression


@dataclass(frozen=True, slots=True)
class Star:
    """A starred argument: `f(*value)`."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Series:
    """A list, set or generator of such values, from a comprehension; `lazy` for a generator, which reads `source` when it is read."""

    value: Expression
    lazy: bool = False
    source: Expression | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """`import module` (name None) or `from module import name`; `level` counts leading dots."""

    module: str
    name: str | None
    level: int = 0


@dataclass(frozen=True, slots=True)
class Defined:
    """The function or class of this qualified name in this file."""

    qualname: str
    at: int = field(default=0, compare=False)


Expression: TypeAlias = (
    Opaque | Name | Attribute | Call | Item | Const | Row | Table | Await | Enter | Each | Choice | Lambda | Star | Series | Text | Reads | Imported
    | Defined
)

OPAQUE = Opaque()
NONE = Const(None)


def is_super(expression: Expression) -> bool:
    """Whether an expression is `super()`."""
    return isinstance(expression, Call) and expression.function == Name("super")


def reading(*parts: Expression) -> Expression:
    """What is computed from all of these parts."""
    read = tuple(each for part in parts for each in ((part,) if isinstance(part, Attribute) else part.parts if isinstance(part, Reads) else ()))
    return Reads(read) if read else OPAQUE


def dotted(expression: Expression) -> str | None:
    """`a.b.c` as text, or None for anything but names and attributes."""
    names: list[str] = []
    while isinstance(expression, Attribute):
        names.append(expression.name)
        expression = expression.value
    if not isinstance(expression, Name):
        return None
    return ".".join([expression.name, *reversed(names)])


def text(expression: Expression) -> str:
    """A short rendering for messages: `SessionLocal(...)`, `next(get_db())`."""
    match expression:
        case Name(name):
            return name
        case Attribute(value, name):
            return f"{text(value)}.{name}"
        case Call(function, arguments, keywords):
            inside = ", ".join([*map(text, arguments), *(f"{key}=..." if key else "**..." for key, _ in keywords)])
            return f"{text(function)}({inside})" if len(inside) <= 40 else f"{text(function)}(...)"
        case Item(value, _):
            return f"{text(value)}[...]"
        case Const(value):
            return repr(value)
        case Await(value):
            return f"await {text(value)}"
        case Lambda(body):
            return f"lambda: {text(body)}"
        case _:
            return "..."
