"""Loops that wait for somebody else to change a row: where they wait, and what they read to find out.

    while True:
        job = session.get(Job, 1)           asks for one row, the same in each turn
        if job.status == "done":            a way out that `job.status` decides
            break
        time.sleep(1)                       waits
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from sa_session_lint.model import waits as w
from sa_session_lint.model.expression import OPAQUE
from sa_session_lint.model.value import Class, External, Function, Made, Method, Registry, Session, Value
from sa_session_lint.model.vocabulary import CALM_METHODS
from sa_session_lint.project.mapping import identifies
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

Loop: TypeAlias = "cst.While | cst.For"

_ROW = frozenset({"first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none", "first_or_404", "one_or_404"})
_STEPS = _ROW | {"query", "select", "filter", "filter_by", "where", "options", "scalars", "execute", "exec", "unique"}
_GETS = frozenset({"get", "get_one", "get_or_404"})
_EXACT = frozenset({"one", "one_or_none", "scalar_one", "scalar_one_or_none", "one_or_404"})
_WHOLE = _GETS | {"query", "exec", "scalars", "scalar", "scalar_one", "scalar_one_or_none"}
_CASTS = frozenset({"builtins.int", "builtins.str", "uuid.UUID"})


def inside(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Everything in a node that runs when it does: not the bodies of functions that are merely defined there."""
    for child in children(node):
        if not isinstance(child, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            yield child
            yield from inside(child)


class Polling:
    """One loop of a function, or what a function does each time that a loop calls it."""

    def __init__(self, index: Index, outline: Outline, scope: Scope, loop: Loop | cst.FunctionDef) -> None:
        self.index, self.outline, self.scope, self.loop = index, outline, scope, loop
        self.nodes = list(inside(loop))
        self.assigned: dict[str, list[cst.BaseExpression | None]] = {}
        for node in self.nodes:
            for target, value in _assignments(node):
                for name in _names(target):
                    self.assigned.setdefault(name, []).append(value if isinstance(target, cst.Name) else None)
        for name in _names(loop.target) if isinstance(loop, cst.For) else ():
            self.assigned.setdefault(name, []).append(None)

    def value(self, node: cst.CSTNode) -> Value:
        return self.index.value(self.outline.values.get(id(node), (OPAQUE, None))[0], self.scope, self.outline.path)

    @property
    def pause(self) -> cst.Call | None:
        """The first call by which the loop waits, whatever for."""
        return next((node for node in self.nodes if isinstance(node, cst.Call) and self.is_pause(node)), None)

    def is_pause(self, call: cst.Call) -> bool:
        match self.value(call.func):
            case External(dotted):
                return dotted in w.PAUSES
            case Method(Made(dotted), "wait"):
                return dotted in w.EVENTS
        return False

    @property
    def repeats(self) -> bool:
        """Whether the loop does the same again and again: it counts, or it is over nothing."""
        if isinstance(self.loop, cst.While):
            return True
        value = self.value(self.loop.iter.func) if isinstance(self.loop, cst.For) and isinstance(self.loop.iter, cst.Call) else None
        return isinstance(value, External) and value.dotted in {"builtins.range", "itertools.count"}

    # -- ways out -----------------------------------------------------------------------------------------------------

    def reads(self) -> Iterator[cst.Attribute]:
        """The attributes of names that decide whether the loop is left, in the order of the text."""
        for test in ([self.loop.test] if isinstance(self.loop, cst.While) else []) + list(_exits(self.loop.body.body)):
            for part in _parts(test):
                yield from self.decided_by(part)

    def waits_for(self, read: cst.Attribute) -> bool:
        """Whether the loop is there to wait until an attribute changes: it goes on for no other reason, or does nothing else meanwhile."""
        if not isinstance(self.loop, cst.While) or all(read is not each for part in _parts(self.loop.test) for each in self.decided_by(part)):
            return False
        return not isinstance(self.loop.test, cst.BooleanOperation) or all(self.is_pause(node) or self.is_said(node) for node in self.nodes if isinstance(node, cst.Call))

    def is_said(self, call: cst.Call) -> bool:
        """Whether a call tells somebody something, or asks what time it is."""
        value = self.value(call.func)
        return value in {External("builtins.print"), External("time.time"), External("time.monotonic")} or (isinstance(call.func, cst.Attribute) and call.func.attr.value in CALM_METHODS)

    def decided_by(self, part: cst.BaseExpression, frames: int = 2) -> Iterator[cst.Attribute]:
        """What a part of a test reads: an attribute that it compares with something that stays as it is, also under a name that the loop gives it."""
        match part:
            case cst.Name(value=name) if frames and len(self.assigned.get(name, ())) == 1:
                told = self.assigned[name][0]
                for inner in _parts(told) if told is not None else ():
                    yield from self.decided_by(inner, frames - 1)
            case cst.Attribute(value=cst.Name()):
                yield part
            case cst.Attribute(value=cst.Attribute() as inner, attr=cst.Name(value="value" | "name")):
                yield from self.decided_by(inner, frames)  # of a member of an Enum
            case cst.Comparison(left=left, comparisons=[cst.ComparisonTarget(comparator=right)]):
                if self.stays(right):
                    yield from self.decided_by(left, frames)
                elif self.stays(left):
                    yield from self.decided_by(right, frames)

    def stays(self, node: cst.CSTNode) -> bool:
        """Whether an expression gives the same in every turn."""
        if isinstance(node, (cst.Await, cst.Lambda, cst.NamedExpr)):
            return False
        if isinstance(node, cst.Call):
            value = self.value(node.func)
            return isinstance(value, External) and value.dotted in _CASTS and all(self.stays(a.value) for a in node.args)
        if isinstance(node, cst.Attribute):
            return self.stays(node.value)
        if isinstance(node, cst.Name):
            return node.value not in self.assigned
        return all(self.stays(child) for child in children(node))

    # -- the row ------------------------------------------------------------------------------------------------------

    def asks_for_same(self, node: cst.BaseExpression, name: str, model: Class, attribute: str) -> bool:
        """Whether an expression, which a name is given, asks for the same row in every turn, whatever becomes of an attribute."""
        match node:
            case cst.Await(expression=cst.Call() as inner) | (cst.Call() as inner):
                pass
            case _:
                return False
        function = self.value(inner.func)
        if isinstance(function, Function):
            return self.stays(inner.func) and all(self.is_fixed(each.value, name) for each in inner.args) and self.fetches_same(function, model, attribute)
        criteria: list[tuple[str, cst.BaseExpression]] = []
        exact = identified = False
        for call in self.links(inner):
            called = call.func.attr.value if isinstance(call.func, cst.Attribute) else call.func.value if isinstance(call.func, cst.Name) else ""
            found = self.criteria(call) if called in {"filter", "filter_by", "where"} else []
            if called in _GETS:
                found = [("", each.value) for each in call.args if each.keyword is None] if not any(a.keyword is not None and a.keyword.value != "options" for a in call.args) else None
            if found is None or called not in _STEPS | _GETS:
                return False
            criteria += found
            exact = exact or called in _EXACT
            identified = identified or called in _GETS
        if not all(key != attribute and self.is_fixed(value, name) for key, value in criteria):
            return False
        return identified or (exact and all(self.is_chosen(value) for _, value in criteria)) or any(identifies(self.index, model, key) for key, _ in criteria)

    def fetches_same(self, function: Function, model: Class, attribute: str) -> bool:
        """Whether a function of the project does nothing but ask for one row, the same for the same arguments."""
        found = self.index.outline(function.path)
        scope = found.scopes[function.qualname] if found is not None else None
        node = found.nodes[scope.at] if found is not None and scope is not None and not scope.decorators else None
        if found is None or scope is None or not isinstance(node, cst.FunctionDef):
            return False
        within = Polling(self.index, found, scope, node)
        returned = [each.value for each in within.nodes if isinstance(each, cst.Return)]
        return len(returned) == 1 and returned[0] is not None and within.asks_for_same(within.origin(returned[0]), "", model, attribute)

    def asked(self, node: cst.BaseExpression) -> tuple[Class, cst.BaseExpression] | None:
        """The class of the one object that an expression asks for, and the session that it asks."""
        calls = list(self.links(node.expression if isinstance(node, cst.Await) else node))
        called = [call.func.attr.value if isinstance(call.func, cst.Attribute) else "select" for call in calls]
        models = [self.value(call.args[0].value) for call, name in zip(calls, called, strict=True) if name in {"query", "select", "get", "get_one"} and len(call.args) > (name[0] == "g")]
        session = next((call.func.value for call in calls if isinstance(call.func, cst.Attribute) and isinstance(self.value(call.func.value), (Session, Registry))), None)
        if session is None or not called or called[0] not in _ROW | _GETS or _WHOLE.isdisjoint(called) or len(models) != 1:
            return None
        return (models[0], session) if isinstance(models[0], Class) else None

    def is_fixed(self, node: cst.BaseExpression, name: str) -> bool:
        """Whether a key stays as it is: the object's own is that of the row that it was."""
        if isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) and node.value.value == name:
            return True
        return self.stays(node)

    def is_chosen(self, node: cst.BaseExpression) -> bool:
        """Whether it is for the caller to say what is asked for: the one row of a kind or state may be another one later."""
        return any(name in self.scope.bindings or any(name == p.name for p in self.scope.parameters) for name in _names(node))

    def links(self, node: cst.BaseExpression) -> Iterator[cst.Call]:
        """The calls of which a query is made, the last one first; also those of the statement that it is given."""
        while not isinstance(self.value(node), (Session, Registry)):
            node = self.origin(node)
            if isinstance(node, cst.Await):
                node = node.expression
            elif isinstance(node, cst.Attribute):
                node = node.value
            elif isinstance(node, cst.Call):
                yield node
                if isinstance(node.func, cst.Attribute) and node.func.attr.value in {"scalars", "scalar", "execute", "exec"} and node.args:
                    yield from self.links(node.args[0].value)
                node = node.func
            else:
                return

    def origin(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """What a name that is bound once stands for, or the expression itself."""
        bindings = self.scope.bindings.get(node.value, []) if isinstance(node, cst.Name) else []
        made = self.outline.nodes[bindings[0].at] if len(bindings) == 1 and bindings[0].how == "=" else None
        return made.value if isinstance(made, cst.Assign) else node

    def criteria(self, call: cst.Call) -> list[tuple[str, cst.BaseExpression]] | None:
        """The columns that a query compares, each with what it is to equal; None for whatever else it asks."""
        found: list[tuple[str, cst.BaseExpression]] = []
        for argument in call.args:
            match argument:
                case cst.Arg(keyword=cst.Name(value=key), value=value):
                    found.append((key, value))
                case cst.Arg(
                    star="",
                    value=cst.Comparison(left=cst.Attribute(attr=cst.Name(value=key)) as left, comparisons=[cst.ComparisonTarget(cst.Equal(), value)]),
                ) if isinstance(self.value(left.value), Class):
                    found.append((key, value))
                case _:
                    return None
        return found


def _parts(test: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """What a test is put together of."""
    match test:
        case cst.BooleanOperation(left=left, right=right):
            yield from _parts(left)
            yield from _parts(right)
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            yield from _parts(inner)
        case _:
            yield test


def _exits(statements: Sequence[cst.CSTNode], own: bool = True, guarded: bool = False) -> Iterator[cst.BaseExpression]:
    """The tests of the branches that leave a loop; `own`: a `break` is one of this loop; `guarded`: an exception may be caught in it."""
    for at, statement in enumerate(statements):
        match statement:
            case cst.If(test=test, body=body, orelse=orelse):
                otherwise = orelse.body if isinstance(orelse, cst.Else) else None
                after = own and _ends_in(body, (cst.Continue,)) and any(_leaves(later, own, guarded) for later in statements[at + 1 :])
                if _leaves(body, own, guarded) or (otherwise is not None and _leaves(otherwise, own, guarded)) or after:
                    yield test
                yield from _exits(body.body, own, guarded)
                if orelse is not None:
                    yield from _exits([orelse] if isinstance(orelse, cst.If) else orelse.body.body, own, guarded)
            case cst.While(body=body) | cst.For(body=body):
                yield from _exits(body.body, False, guarded)
            case cst.With(body=body):
                yield from _exits(body.body, own, guarded)
            case cst.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final) | cst.TryStar(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                yield from _exits(body.body, own, guarded or bool(handlers))
                for each in (*handlers, orelse, final):
                    yield from _exits(each.body.body, own, guarded) if each is not None else ()
            case cst.Match(subject=subject, cases=cases) if any(_leaves(case.body, own, guarded) for case in cases):
                yield subject


def _leaves(node: cst.CSTNode, own: bool, guarded: bool) -> bool:
    kinds: tuple[type[cst.CSTNode], ...] = (cst.Return, *((cst.Break,) if own else ()), *((cst.Raise,) if not guarded else ()))
    return _ends_in(node, kinds)


def _ends_in(node: cst.CSTNode, kinds: tuple[type[cst.CSTNode], ...]) -> bool:
    """Whether a statement is, or a block ends in, one of these kinds."""
    if isinstance(node, (cst.IndentedBlock, cst.SimpleStatementSuite, cst.SimpleStatementLine)):
        return bool(node.body) and _ends_in(node.body[-1], kinds)
    return isinstance(node, kinds)


def _assignments(node: cst.CSTNode) -> Iterator[tuple[cst.BaseExpression, cst.BaseExpression | None]]:
    match node:
        case cst.Assign(targets=targets, value=value):
            yield from ((each.target, value) for each in targets)
        case cst.AnnAssign(target=target, value=value) if value is not None:
            yield target, value
        case cst.NamedExpr(target=target, value=value):
            yield target, value
        case cst.AugAssign(target=target) | cst.For(target=target) | cst.CompFor(target=target) | cst.Del(target=target):
            yield target, None
        case cst.AsName(name=target):
            yield target, None


def _names(target: cst.CSTNode) -> Iterator[str]:
    """The names that an assignment binds, or changes an attribute of."""
    match target:
        case cst.Name(value=name):
            yield name
        case cst.Attribute(value=value) | cst.Subscript(value=value):
            yield from _names(value)
        case _:
            for child in children(target):
                yield from _names(child)
