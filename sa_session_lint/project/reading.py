"""What a function does with an object that it is given: which attributes it reads and changes, what it calls on it, whom it hands it on to.

    def greet(user):
        print(user.name)            read, whenever `greet` is called
        if user.is_admin:           read, too
            user.posts.clear()      read, on some calls
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import libcst as cst

from sa_session_lint.model.expression import Call
from sa_session_lint.model.value import External, Function
from sa_session_lint.project.sharing import handed_on
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index
    from sa_session_lint.project.outline import Outline, Scope

_DEPTH = 2


class Use(NamedTuple):
    """One use of an object: its `attribute` is read, changed or called; or the object itself is handed to somebody unknown. `sure`: whenever the function is called."""

    path: str
    node: cst.CSTNode
    how: Literal["read", "write", "call", "hand"]
    attribute: str
    sure: bool


def uses_of(index: Index, function: Function, name: str, depth: int = _DEPTH) -> tuple[Use, ...]:
    """What a function, and those of the project that it hands it on to, do with the object that goes by `name` in it, in the order of the text. Nothing of one
    that binds the name anew."""
    return index.once(("uses of", function.path, function.qualname, name, depth), lambda: tuple(_uses(index, function, name, depth)))


def _uses(index: Index, function: Function, name: str, depth: int) -> Iterator[Use]:
    found = index.outline(function.path)
    scope = found.scopes.get(function.qualname) if found is not None else None
    if found is None or scope is None or name in scope.bindings or scope.is_generator:
        return
    node = found.nodes[scope.at]
    if isinstance(node, cst.FunctionDef):
        yield from _Reader(index, found, scope, name, depth).block(node.body, True)


class _Reader:
    def __init__(self, index: Index, found: Outline, scope: Scope, name: str, depth: int) -> None:
        self.index, self.found, self.scope, self.name, self.depth = index, found, scope, name, depth

    def block(self, body: cst.BaseSuite, sure: bool) -> Iterator[Use]:
        for statement in body.body:
            yield from self.within(statement, sure)
            sure = sure and not _leaves(statement)

    def within(self, node: cst.CSTNode, sure: bool) -> Iterator[Use]:
        match node:
            case cst.If(test=test) | cst.While(test=test):
                yield from self.within(test, sure)
                yield from self.parts(node, False, but=test)
            case cst.For(iter=iterated):
                yield from self.within(iterated, sure)
                yield from self.parts(node, False, but=iterated)
            case cst.With(items=items, body=body):
                for item in items:
                    yield from self.within(item, sure)
                yield from self.block(body, sure)
            case cst.IfExp(test=test) | cst.BooleanOperation(left=test):
                yield from self.within(test, sure)
                yield from self.parts(node, False, but=test)
            case cst.BaseComp(for_in=cst.CompFor(iter=iterated)):
                yield from self.within(iterated, sure)
                yield from self.parts(node, False)
            case cst.Try() | cst.TryStar() | cst.Match() | cst.Lambda() | cst.FunctionDef() | cst.ClassDef():
                yield from self.parts(node, False)
            case cst.AssignTarget(target=cst.Attribute(value=cst.Name(value=self.name), attr=attr)):
                yield self.use(node, "write", attr.value, sure)
            case cst.Attribute(value=cst.Name(value=self.name), attr=attr):
                yield self.use(node, "read", attr.value, sure)
            case cst.Call(func=cst.Attribute(value=cst.Name(value=self.name), attr=attr) as called):
                yield self.use(called, "call", attr.value, sure)
                yield from self.parts(node, sure, but=called)
                yield from self.handed(node, sure)
            case cst.Call():
                yield from self.parts(node, sure)
                yield from self.handed(node, sure)
            case _:
                yield from self.parts(node, sure)

    def parts(self, node: cst.CSTNode, sure: bool, but: cst.CSTNode | None = None) -> Iterator[Use]:
        for child in children(node):
            if child is not but:
                yield from self.within(child, sure)

    def handed(self, node: cst.Call, sure: bool) -> Iterator[Use]:
        """What a function does with it that it is handed on to."""
        if not any(isinstance(each.value, cst.Name) and each.value.value == self.name for each in node.args):
            return
        call, _ = self.found.values.get(id(node), (None, None))
        if not isinstance(call, Call):
            return
        called = self.index.value(call.function, self.scope, self.found.path)
        if isinstance(called, Function) and self.depth and (names := list(handed_on(self.index, called, call, self.name))):
            for inner in names:
                yield from (use._replace(sure=use.sure and sure) for use in uses_of(self.index, called, inner, self.depth - 1))
        elif not (isinstance(called, External) and called.dotted in _TESTS):
            yield self.use(node, "hand", "", sure)

    def use(self, node: cst.CSTNode, how: Literal["read", "write", "call", "hand"], attribute: str, sure: bool) -> Use:
        return Use(self.found.path, node, how, attribute, sure)


_TESTS = frozenset({"builtins.isinstance", "builtins.bool", "builtins.id", "builtins.type", "builtins.hasattr"})


def _leaves(node: cst.CSTNode) -> bool:
    """Whether a statement may end the function before the next one."""
    if isinstance(node, (cst.Return, cst.Raise)):
        return True
    return not isinstance(node, (cst.FunctionDef, cst.ClassDef, cst.Lambda, cst.BaseExpression)) and any(_leaves(child) for child in children(node))
