"""The outline of a file: its scopes, and what each binds, returns, yields and calls; lowered once, in one pass over the tree.

    engine = create_engine(URL)          module scope: engine = Call(Name("create_engine"), ...)
    class Repo:                          class scope "Repo"
        def __init__(self, factory):     function scope "Repo.__init__", parameter factory
            self.session = factory()     store: Attribute(Name("self"), "session") = Call(Name("factory"))

Order is kept only as far as a module or class surely binds a name anew; else a name has all the values that it is ever bound to in its
scope. That is enough for what a name *is* (a maker, a session, an engine); what happens to a session over time is the business of the flow graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import libcst as cst

from sa_session_lint.model.expression import (
    Call,
    Const,
    Expression,
    Imported,
    Row,
)


@dataclass(frozen=True, slots=True)
class Binding:
    """One value of a name; `how` tells which statement bound it; `within` is the function that did so by `global` or `nonlocal`.

    `sure`: whenever the scope's body runs to its end, so does this binding, and what was bound before is gone.
    """

    value: Expression
    at: int
    how: Literal["=", "with", "for", "import", "def", "annotation", "other"]
    under_main: bool = False
    within: Scope | None = None
    annotation: Expression | None = None
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """An assignment to an attribute or item: `self.session = factory()`."""

    target: Expression
    value: Expression
    at: int


@dataclass(frozen=True, slots=True)
class Given:
    """What a `return` or `yield` hands out."""

    value: Expression
    at: int


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    annotation: Expression | None
    default: Expression | None
    at: int


@dataclass(slots=True, eq=False)
class Scope:
    """A module, class or function. Comprehensions and lambdas belong to the scope around them.

    `loads` are the names read, `reread` those read more than once, `outer` those declared global or nonlocal, `in_handlers` the calls that stand in an `except` block, `in_branches` those under
    an `if` or a `case`, `in_main` those under `if __name__ == "__main__"`; `within` numbers the `if`, loops and handlers around a call.
    """

    kind: Literal["module", "class", "function"]
    name: str
    qualname: str
    parent: Scope | None
    at: int
    is_async: bool = False
    under_main: bool = False
    parameters: tuple[Parameter, ...] = ()
    decorators: tuple[Expression, ...] = ()
    decorated_at: tuple[int, ...] = ()
    bases: tuple[Expression, ...] = ()
    keywords: tuple[tuple[str | None, Expression], ...] = ()
    result: Expression | None = None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    stores: list[Store] = field(default_factory=list)
    returns: list[Given] = field(default_factory=list)
    yields: list[Given] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    loads: set[str] = field(default_factory=set)
    reread: set[str] = field(default_factory=set)
    outer: set[str] = field(default_factory=set)
    in_handlers: set[int] = field(default_factory=set)
    in_branches: set[int] = field(default_factory=set)
    in_main: set[int] = field(default_factory=set)
    within: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def final(self, name: str, upto: int = 0) -> list[Binding]:
        """The bindings of a name that may be left when the scope's body has run, or after the first `upto` of them; of a function all.
        A bare annotation binds nothing, and counts only where nothing else is known."""
        found = self.bindings.get(name, [])
        if self.kind != "function":
            found = found[: upto or None]
        found = [binding for binding in found if binding.how != "annotation"] or found
        if self.kind == "function":
            return found
        last = max((at for at, binding in enumerate(found) if binding.sure), default=0)
        return [binding for at, binding in enumerate(found) if at >= last or binding.within is not None]

    @property
    def is_generator(self) -> bool:
        return bool(self.yields)

    @property
    def owner(self) -> Scope | None:
        """The class of a method."""
        return self.parent if self.kind == "function" and self.parent is not None and self.parent.kind == "class" else None

    def enclosing(self) -> Iterator[Scope]:
        """The scopes in which a name of this one is looked up, in order; a class body is seen only from itself."""
        yield self
        scope = self.parent
        while scope is not None:
            if scope.kind != "class":
                yield scope
            scope = scope.parent


@dataclass(slots=True, eq=False)
class Outline:
    """A file without its tree. `nodes[at]` is a syntax node while the tree lives; `values` maps id(node) to what was lowered."""

    path: str
    module: Scope
    scopes: dict[str, Scope]
    stars: tuple[Imported, ...]
    imports: tuple[Imported, ...]
    nodes: list[cst.CSTNode]
    main_blocks: tuple[int, ...]
    values: dict[int, tuple[Expression, Scope]]
    scope_of: dict[int, Scope]

    def loops(self, scope: Scope, at: int) -> list[cst.For | cst.While]:
        """The loops that a call of a scope stands in, by its number."""
        return [node for each in scope.within.get(at, ()) if isinstance(node := self.nodes[each], (cst.For, cst.While))]

    def exported(self) -> frozenset[str] | None:
        """The names of `__all__`, where it is a plain list."""
        for binding in self.module.bindings.get("__all__", ()):
            if isinstance(binding.value, Row) and all(isinstance(i, Const) for i in binding.value.items):
                return frozenset(str(i.value) for i in binding.value.items if isinstance(i, Const))
        return None
