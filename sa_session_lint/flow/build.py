"""Building a flow graph, back to front: `build(body, then, exits)` is the step at which `body` starts, given what follows it.

`return`, `raise`, `break` and `continue` are just other followers, which `exits` knows. `finally` and `with` are one rule: the clean-up is
built once for each place that control goes to after it, and remembered by that place.

    try:                       The way that raises and the way that returns pass through copies of `b()` of their own:
        return a()             0 call `a()` -> 1 !3     1 call `b()` -> 2 !raised    2 return -> returned
    finally:                   3 call `b()` -> raised !raised
        b()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import libcst as cst

from sa_session_lint.flow.graph import ABANDONED, RAISED, RETURNED, Graph, Step
from sa_session_lint.visit_order import ORDER

Way = Literal["return", "error", "base", "break", "continue"]
Risk = Callable[[cst.CSTNode], Literal["any", "misuse", "none", "raises", "exits"]]

ROOM = 8
"""Clean-up may make a graph so many times larger than the function; past that its copies are merged."""


def build(body: cst.BaseSuite, risk: Risk) -> Graph:
    """The graph of a function's body. `risk` tells of a call whether it may raise: always, only when it is misused, or never; or that it
    never comes back, since it raises, or ends the program by what `except Exception` does not catch."""
    builder = _Builder(risk, max(400, ROOM * _size(body)))
    start = builder.block(body, RETURNED, _Exits({"return": RETURNED, "error": RAISED, "base": ABANDONED}))
    return Graph(builder.steps, start, builder.coarse)


def _size(body: cst.BaseSuite) -> int:
    """About how many steps a body has without any copy: its statements, twice."""
    count = 0
    stack: list[cst.CSTNode] = [body]
    while stack:
        node: Any = stack.pop()
        if isinstance(node, cst.SimpleStatementLine):
            count += 2 * len(node.body)
            continue
        count += 2
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            child = getattr(node, name, None)
            if isinstance(child, (list, tuple)):
                stack += [c for c in child if isinstance(c, cst.CSTNode)]
            elif isinstance(child, cst.CSTNode):
                stack.append(child)
    return count


class _Exits:
    """Where each way out of a block leads; what it does not know, the block around it does."""

    def __init__(self, own: dict[Way, int], outer: _Exits | None = None) -> None:
        self.own = own
        self.outer = outer

    def to(self, way: Way) -> int:
        found = self.own.get(way)
        if found is not None:
            return found
        return self.outer.to(way) if self.outer is not None else RAISED


class _Cleanup(_Exits):
    """The ways out of a block that is followed by clean-up; `make(then, raising)` builds a copy that leads to `then`."""

    def __init__(self, outer: _Exits, make: Callable[[int, bool], int], builder: _Builder) -> None:
        super().__init__({}, outer)
        self.make = make
        self.builder = builder
        self.merged: tuple[int, int] | None = None
        self.handler = builder.handler

    def to(self, way: Way) -> int:
        assert self.outer is not None
        return self.after(self.outer.to(way), way in {"error", "base"})

    def after(self, then: int, raising: bool) -> int:
        key: Any = (id(self), then, raising)
        memo = self.builder.copies
        if key not in memo:
            here, self.builder.handler = self.builder.handler, self.handler
            if len(self.builder.steps) < self.builder.room:
                memo[key] = self.make(then, raising)
            else:
                memo[key] = self.shared(then)
            self.builder.handler = here
        return memo[key]

    def shared(self, then: int) -> int:
        """The one copy for whatever ways out are left, when there is no more room: it leads to all of them."""
        self.builder.coarse = True
        if self.merged is None:
            end = self.builder.add("merge", None, then)
            self.merged = self.make(end, False), end
        start, end = self.merged
        step = self.builder.steps[end]
        if then not in step.next:
            step.next = (*step.next, then)
        return start


class _Builder:
    def __init__(self, risk: Risk, room: int) -> None:
        self.risk = risk
        self.room = room
        self.steps = [Step("end", None, ()) for _ in range(3)]
        self.copies: dict[object, int] = {}
        self.kept: list[_Exits] = []  # so that no id in `copies` is used twice
        self.coarse = False
        self.handler = 0
        self.handlers = 0

    def add(self, kind: Any, node: cst.CSTNode | None, *then: int, error: int | None = None, base: int | None = None, option: int = 0) -> int:
        self.steps.append(Step(kind, node, then, error, base, False, option, self.handler))
        return len(self.steps) - 1

    # -- statements ---------------------------------------------------------------------------------------------------

    def block(self, suite: cst.CSTNode, then: int, exits: _Exits) -> int:
        return self.body(suite.body, then, exits)  # type: ignore[attr-defined]  # IndentedBlock or SimpleStatementSuite

    def body(self, statements: Sequence[cst.CSTNode], then: int, exits: _Exits) -> int:
        for statement in reversed(statements):
            if isinstance(statement, cst.SimpleStatementLine):
                then = self.body(statement.body, then, exits)
            else:
                method = _STATEMENTS.get(type(statement))
                if method is not None:
                    then = method(self, statement, then, exits)
        return then

    def expr(self, node: cst.Expr, then: int, exits: _Exits) -> int:
        if isinstance(node.value, (cst.BaseString, cst.Ellipsis, cst.Name)):
            return then
        return self.value(node.value, self.add("drop", node, then), exits)

    def assign(self, node: cst.Assign | cst.AugAssign, then: int, exits: _Exits) -> int:
        then = self.add("bind", node, then)
        for target in reversed(node.targets) if isinstance(node, cst.Assign) else ():
            then = self.value(target.target, then, exits)
        return self.value(node.value, then, exits)

    def ann_assign(self, node: cst.AnnAssign, then: int, exits: _Exits) -> int:
        if node.value is None:
            return then
        return self.value(node.value, self.value(node.target, self.add("bind", node, then), exits), exits)

    def return_(self, node: cst.Return, _: int, exits: _Exits) -> int:
        then = self.add("return", node, exits.to("return"))
        return then if node.value is None else self.value(node.value, then, exits)

    def raise_(self, node: cst.Raise, _: int, exits: _Exits) -> int:
        then = self.add("raise", node, error=exits.to("error"))
        if node.cause is not None:
            then = self.value(node.cause.item, then, exits)
        return then if node.exc is None else self.value(node.exc, then, exits)

    def assert_(self, node: cst.Assert, then: int, exits: _Exits) -> int:
        return self.test(node.test, then, self.add("raise", node, error=exits.to("error")), exits)

    def delete(self, node: cst.Del, then: int, exits: _Exits) -> int:
        return self.value(node.target, self.add("bind", node, then), exits)

    def define(self, node: cst.FunctionDef | cst.ClassDef, then: int, exits: _Exits) -> int:
        then = self.add("define", node, then)
        for decorator in node.decorators:  # applied from the last to the first, but evaluated in order
            then = self.value(decorator.decorator, then, exits)
        return then

    def break_(self, _: cst.Break, __: int, exits: _Exits) -> int:
        return exits.to("break")

    def continue_(self, _: cst.Continue, __: int, exits: _Exits) -> int:
        return exits.to("continue")

    def if_(self, node: cst.If, then: int, exits: _Exits) -> int:
        if isinstance(node.orelse, cst.If):
            otherwise = self.if_(node.orelse, then, exits)
        else:
            otherwise = then if node.orelse is None else self.block(node.orelse.body, then, exits)
        return self.test(node.test, self.block(node.body, then, exits), otherwise, exits)

    def while_(self, node: cst.While, then: int, exits: _Exits) -> int:
        head = self.add("merge", None)
        otherwise = then if node.orelse is None else self.block(node.orelse.body, then, exits)
        inside = self.block(node.body, head, self.nested(_Exits({"break": then, "continue": head}, exits)))
        self.steps[head].next = (self.test(node.test, inside, otherwise, exits),)
        return head

    def for_(self, node: cst.For, then: int, exits: _Exits) -> int:
        base = exits.to("base") if node.asynchronous is not None else None
        head = self.add("next", node, error=exits.to("error"), base=base)
        otherwise = then if node.orelse is None else self.block(node.orelse.body, then, exits)
        inside = self.block(node.body, head, self.nested(_Exits({"break": then, "continue": head}, exits)))
        self.steps[head].next = (inside, otherwise)
        return self.value(node.iter, head, exits)

    def with_(self, node: cst.With, then: int, exits: _Exits) -> int:
        return self.items(node, 0, then, exits)

    def items(self, node: cst.With, number: int, then: int, exits: _Exits) -> int:
        """The with-items from `number` on, and the body."""
        if number == len(node.items):
            return self.block(node.body, then, exits)
        item = node.items[number]
        awaits = node.asynchronous is not None

        def leave(target: int, raising: bool) -> int:
            error, base = exits.to("error"), exits.to("base") if awaits else None
            if raising and target != ABANDONED:  # an exit may swallow what is raised: control goes on behind the block
                at = self.add("leave", item, then, error=target, base=base)
            else:
                at = self.add("leave", item, target, error=error, base=base)
            self.steps[at].raising = raising
            return at

        inner = _Cleanup(exits, leave, self)
        self.kept.append(inner)
        inside = self.items(node, number + 1, inner.after(then, False), inner)
        enter = self.add("enter", item, inside, error=exits.to("error"), base=exits.to("base") if awaits else None)
        return self.value(item.item, enter, exits)

    def try_(self, node: cst.Try | cst.TryStar, then: int, exits: _Exits) -> int:
        if node.finalbody is not None:
            body = node.finalbody.body

            def clean(target: int, _: bool, exits: _Exits = exits) -> int:
                return self.block(body, target, exits)

            cleanup = _Cleanup(exits, clean, self)
            self.kept.append(cleanup)
            then = cleanup.after(then, False)
            exits = cleanup
        inner = exits
        if node.handlers:
            catches = [self.handled(h, then, exits) for h in node.handlers]
            caught = [_caught(h) for h in node.handlers]
            first = next((n for n, what in enumerate(caught) if what == "all"), None)
            everything = [*caught].index("all" if first is not None else caught[0]) + 1 if first is not None else len(catches)
            last = next((n + 1 for n, what in enumerate(caught) if what in {"all", "error"}), None)
            error = self.add("dispatch", node, *catches[: last or len(catches)], error=None if last else exits.to("error"))
            bases = [at for at, what in zip(catches[:everything], caught, strict=False) if what in {"all", "base"}]
            base = self.add("dispatch", node, *bases, base=None if first is not None else exits.to("base")) if bases else exits.to("base")
            inner = self.nested(_Exits({"error": error, "base": base}, exits))
        if node.orelse is not None:
            then = self.block(node.orelse.body, then, exits)
        return self.block(node.body, then, inner)

    def handled(self, node: cst.ExceptHandler | cst.ExceptStarHandler, then: int, exits: _Exits) -> int:
        before = self.handler
        self.handlers += 1
        self.handler = self.handlers
        inside = self.add("catch", node, self.block(node.body, then, exits))
        self.handler = before
        return inside

    def match_(self, node: cst.Match, then: int, exits: _Exits) -> int:
        otherwise = then
        for case in reversed(node.cases):
            inside = self.block(case.body, then, exits)
            if case.guard is not None:
                inside = self.test(case.guard, inside, otherwise, exits)
            inside = self.add("bind", case, inside)  # a guard may read what the pattern has captured
            catchall = isinstance(case.pattern, cst.MatchAs) and case.pattern.pattern is None
            otherwise = inside if catchall else self.add("test", case, inside, otherwise)
        if isinstance(node.subject, cst.Attribute):
            otherwise = self.add("test", node.subject, otherwise, otherwise)  # reading it may do something
        return self.value(node.subject, otherwise, exits)

    def nested(self, exits: _Exits) -> _Exits:
        self.kept.append(exits)
        return exits

    # -- expressions --------------------------------------------------------------------------------------------------

    def value(self, node: cst.CSTNode, then: int, exits: _Exits) -> int:
        """The steps that evaluate an expression."""
        kind = type(node)
        if kind in _PLAIN:
            return then
        method = _EXPRESSIONS.get(kind)
        return self.parts(node, then, exits) if method is None else method(self, node, then, exits)

    def parts(self, node: cst.CSTNode, then: int, exits: _Exits) -> int:
        """The steps of whatever an expression is made of, in the order in which that is evaluated."""
        for name in reversed(ORDER.get(type(node).__name__, ())):
            child = getattr(node, name, None)
            if isinstance(child, (list, tuple)):
                for each in reversed(child):
                    if type(each) not in _PLAIN:
                        then = self.value(each, then, exits)
            elif isinstance(child, cst.CSTNode) and type(child) not in _PLAIN:
                then = self.value(child, then, exits)
        return then

    def call(self, node: cst.Call, then: int, exits: _Exits) -> int:
        risk = self.risk(node)
        if risk in {"raises", "exits"}:
            then = self.add("raise", node, error=exits.to("error" if risk == "raises" else "base"))
        else:
            then = self.add("call", node, then, error=exits.to("error") if risk == "any" else None)
        if risk == "misuse":
            self.steps[then].misuse = exits.to("error")
        for argument in reversed(node.args):
            then = self.value(argument.value, then, exits)
        return self.value(node.func, then, exits)

    def attribute(self, node: cst.Attribute, then: int, exits: _Exits) -> int:
        return self.value(node.value, then, exits)

    def await_(self, node: cst.Await, then: int, exits: _Exits) -> int:
        then = self.add("await", node, then, error=exits.to("error"), base=exits.to("base"))
        return self.value(node.expression, then, exits)

    def yield_(self, node: cst.Yield, then: int, exits: _Exits) -> int:
        then = self.add("yield", node, then, error=exits.to("error"), base=exits.to("base"))
        if node.value is None:
            return then
        return self.value(node.value.item if isinstance(node.value, cst.From) else node.value, then, exits)

    def boolean(self, node: cst.BooleanOperation, then: int, exits: _Exits) -> int:
        short = self.add("pick", node, then)
        right = self.value(node.right, self.add("pick", node, then, option=1), exits)
        is_and = isinstance(node.operator, cst.And)
        return self.value(node.left, self.add("test", node.left, *((right, short) if is_and else (short, right))), exits)

    def if_exp(self, node: cst.IfExp, then: int, exits: _Exits) -> int:
        yes = self.value(node.body, self.add("pick", node, then), exits)
        no = self.value(node.orelse, self.add("pick", node, then, option=1), exits)
        return self.test(node.test, yes, no, exits)

    def walrus(self, node: cst.NamedExpr, then: int, exits: _Exits) -> int:
        return self.value(node.value, self.add("bind", node, then), exits)

    def lambda_(self, _: cst.Lambda, then: int, __: _Exits) -> int:
        return then

    def comprehension(self, node: cst.GeneratorExp | cst.ListComp | cst.SetComp | cst.DictComp, then: int, exits: _Exits) -> int:
        loop: cst.CompFor | None = node.for_in
        loops: list[cst.CompFor] = []
        while loop is not None:
            loops.append(loop)
            loop = loop.inner_for_in
        heads = [self.add("next", each, error=exits.to("error")) for each in loops]
        self.steps[heads[0]].lazy = isinstance(node, cst.GeneratorExp)
        inside = heads[-1]
        elements = [node.key, node.value] if isinstance(node, cst.DictComp) else [node.elt]
        for element in reversed(elements):
            inside = self.value(element, inside, exits)
        for number in range(len(loops) - 1, -1, -1):
            outer = heads[number - 1] if number else then
            for condition in reversed(loops[number].ifs):
                inside = self.test(condition.test, inside, heads[number], exits)
            self.steps[heads[number]].next = (inside, outer)
            inside = self.value(loops[number].iter, heads[number], exits)
        return inside

    def test(self, node: cst.BaseExpression, yes: int, no: int, exits: _Exits) -> int:
        """The steps that evaluate a condition and go to `yes` or `no`."""
        match node:
            case cst.UnaryOperation(operator=cst.Not()):
                return self.test(node.expression, no, yes, exits)
            case cst.BooleanOperation(operator=cst.And()):
                return self.test(node.left, self.test(node.right, yes, no, exits), no, exits)
            case cst.BooleanOperation(operator=cst.Or()):
                return self.test(node.left, yes, self.test(node.right, yes, no, exits), exits)
            case cst.Name(value="True") | cst.Integer(value="1"):
                return yes
            case cst.Name(value="False") | cst.Integer(value="0"):
                return no
        return self.value(node, self.add("test", node, yes, no), exits)


def _caught(handler: cst.ExceptHandler | cst.ExceptStarHandler) -> Literal["all", "error", "base", "some"]:
    """What a handler surely catches, judged by its names: everything; all but BASE; something of BASE; some errors."""
    if handler.type is None:
        return "all"
    types = [e.value for e in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
    names = {each.value if isinstance(each, cst.Name) else each.attr.value if isinstance(each, cst.Attribute) else "" for each in types}
    if "BaseException" in names:
        return "all"
    if "Exception" in names:
        return "error"
    return "base" if names & {"CancelledError", "GeneratorExit", "KeyboardInterrupt", "SystemExit"} else "some"


_PLAIN = frozenset(
    {cst.Name, cst.SimpleString, cst.Integer, cst.Float, cst.Imaginary, cst.Ellipsis, cst.MaybeSentinel, cst.Comma, cst.Dot, cst.LeftParen,
     cst.RightParen, cst.Lambda, cst.Semicolon, cst.SimpleWhitespace, cst.FormattedStringText, cst.AssignEqual, cst.Annotation}
)  # fmt: skip
"""Syntax that holds nothing to be evaluated."""

_STATEMENTS: dict[type[cst.CSTNode], Callable[[_Builder, Any, int, _Exits], int]] = {
    cst.Expr: _Builder.expr, cst.Assign: _Builder.assign, cst.AugAssign: _Builder.assign, cst.AnnAssign: _Builder.ann_assign,
    cst.Return: _Builder.return_, cst.Raise: _Builder.raise_, cst.Assert: _Builder.assert_, cst.Del: _Builder.delete,
    cst.FunctionDef: _Builder.define, cst.ClassDef: _Builder.define, cst.Break: _Builder.break_, cst.Continue: _Builder.continue_,
    cst.If: _Builder.if_, cst.While: _Builder.while_, cst.For: _Builder.for_, cst.With: _Builder.with_, cst.Try: _Builder.try_,
    cst.TryStar: _Builder.try_, cst.Match: _Builder.match_,
}  # fmt: skip

_EXPRESSIONS: dict[type[cst.CSTNode], Callable[[_Builder, Any, int, _Exits], int]] = {
    cst.Call: _Builder.call, cst.Attribute: _Builder.attribute, cst.Await: _Builder.await_, cst.Yield: _Builder.yield_,
    cst.BooleanOperation: _Builder.boolean, cst.IfExp: _Builder.if_exp, cst.NamedExpr: _Builder.walrus, cst.Lambda: _Builder.lambda_,
    cst.GeneratorExp: _Builder.comprehension, cst.ListComp: _Builder.comprehension, cst.SetComp: _Builder.comprehension,
    cst.DictComp: _Builder.comprehension,
}  # fmt: skip
