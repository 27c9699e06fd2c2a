"""Whether a piece of code may let a session look at its rows anew, or change an object that it holds.

    session.rollback()          ends the transaction: what was loaded is loaded again
    step(job_id)                does it, if nobody knows what `step` is, and it may know the session
    log.info("%s", job.id)      does nothing of the kind
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import OPAQUE, Attribute, Call
from sa_session_lint.model.value import UNKNOWN, Class, External, Function, Value
from sa_session_lint.project.interest import name_of_called
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


@dataclass(frozen=True, slots=True)
class Watch:
    """An object of a session, under the one name that the function `scope` has for it, and the names of that session.

    `own`: the function has opened the session; `lent`: it is that of one request; `keeps`: its commit expires nothing.
    """

    index: Index
    outline: Outline
    scope: Scope
    name: str
    sessions: frozenset[str]
    own: bool
    lent: bool
    keeps: bool

    def is_shared(self, nodes: list[cst.CSTNode]) -> bool:
        """Whether somebody else may have got hold of the object, or a function defined here of the session, by code that runs before or during a loop."""
        return any(
            (isinstance(node, cst.Call) and not self.is_calm(node) and self.is_given(node, frozenset({self.name})))
            or (isinstance(node, (cst.Assign, cst.AnnAssign, cst.NamedExpr)) and node.value is not None and _mentions(node.value, frozenset({self.name})))
            or (isinstance(node, (cst.FunctionDef, cst.ClassDef, cst.Lambda)) and any(each.value in {self.name, *self.sessions} for each in _names(node)))
            for node in nodes
        )

    def is_handed_on(self, nodes: list[cst.CSTNode]) -> bool:
        """Whether an object may keep the session."""
        return any(
            (isinstance(node, cst.Call) and not isinstance(self.value(node.func), Function) and self.is_given(node, self.sessions))
            or (isinstance(node, cst.Assign) and not all(isinstance(each.target, cst.Name) for each in node.targets) and _mentions(node.value, self.sessions))
            for node in nodes
        )

    def renewed_by(self, node: cst.CSTNode, own: bool) -> bool:
        """Whether one of the nodes of a loop does so; `own`: nobody but this function has the session."""
        if isinstance(node, cst.Yield):
            return not (own or self.lent)
        if isinstance(node, cst.WithItem):
            return not isinstance(node.item, cst.Call) and not (own and isinstance(node.item, cst.Name) and node.item.value not in self.sessions)
        if not isinstance(node, cst.Call):
            return False
        call, called = self.expression(node), _called(node)
        receiver = node.func.value if isinstance(node.func, cst.Attribute) else None
        known = isinstance(receiver, cst.Name) and receiver.value in {self.name, *self.sessions}
        if known and called == "commit" and self.keeps:
            return False
        if not isinstance(call, Call) or called in v.RENEWING or any(key in v.RENEWING for key, _ in call.keywords):
            return True
        if known:
            return called not in v.ASKING_ROWS
        given = self.is_given(node, self.sessions | {self.name})
        if given and not isinstance(self.value(node.func), Function):
            return not self.is_calm(node)
        return (given or not own) and renews(self.index, call, self.scope, self.outline.path)

    def is_calm(self, node: cst.Call) -> bool:
        """Whether a call does nothing to what it is given, or is one of a method of the session itself."""
        value = self.value(node.func)
        receiver = node.func.value if isinstance(node.func, cst.Attribute) else None
        own = isinstance(receiver, cst.Name) and receiver.value in self.sessions
        return own or (isinstance(value, External) and value.dotted in v.HARMLESS) or _called(node) in v.LOGGING

    def is_given(self, node: cst.Call, names: frozenset[str]) -> bool:
        return any(_mentions(each.value, names) for each in node.args)

    def expression(self, node: cst.CSTNode) -> object:
        return self.outline.values.get(id(node), (OPAQUE, None))[0]

    def value(self, node: cst.CSTNode) -> Value:
        return self.index.value(self.outline.values.get(id(node), (OPAQUE, None))[0], self.scope, self.outline.path)


def renews(index: Index, call: Call, scope: Scope, path: str, depth: int = 4) -> bool:
    """Whether a call may do so to any session, itself or by the functions of the project that it leads to; in doubt it does."""
    name = name_of_called(call)
    if name is None or name in v.RENEWING:
        return True
    value = index.value(call.function, scope, path)
    if isinstance(value, Class):
        made = index.member(value.path, value.qualname, "__init__")
        return isinstance(made, Function) and _function(index, made, depth)
    if isinstance(value, Function):
        return _function(index, replace(value, receiver=None), depth)
    return value is UNKNOWN and not (isinstance(call.function, Attribute) and name in v.CALM_METHODS | v.ASKING_ROWS)


def _function(index: Index, function: Function, depth: int) -> bool:
    found = index.outline(function.path)
    scope = found.scopes[function.qualname] if found is not None else None
    if scope is None or not depth:
        return True
    return index.once(("renews", function, depth), lambda: any(renews(index, call, scope, function.path, depth - 1) for call in scope.calls))


def everything(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """All nodes in a function; of those that are defined in it, and of lambdas, only the outermost."""
    for child in children(node):
        yield child
        if not isinstance(child, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            yield from everything(child)


def writes(node: cst.CSTNode, attribute: str) -> bool:
    """Whether a node sets an attribute of this name, of whatever object."""
    targets = [each.target for each in node.targets] if isinstance(node, cst.Assign) else [node.target] if isinstance(node, (cst.AnnAssign, cst.AugAssign)) else []
    return any(isinstance(each, cst.Attribute) and each.attr.value == attribute for each in targets)


def _called(node: cst.Call) -> str:
    return node.func.attr.value if isinstance(node.func, cst.Attribute) else ""


def _mentions(node: cst.CSTNode, names: frozenset[str]) -> bool:
    """Whether an expression gives what goes by these names: not merely an attribute of it, or what a call makes of it, which is a call of its own."""
    if isinstance(node, (cst.Call, cst.Comparison)) or (isinstance(node, cst.Attribute) and node.attr.value not in v.RENEWING):
        return False
    return (isinstance(node, cst.Name) and node.value in names) or any(_mentions(child, names) for child in children(node))


def _names(node: cst.CSTNode) -> Iterator[cst.Name]:
    for child in children(node):
        if isinstance(child, cst.Name):
            yield child
        yield from _names(child)
