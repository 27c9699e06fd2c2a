"""Lowering: one pass over a file's tree that makes its outline. Never fails on a valid tree; what it does not know becomes OPAQUE."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import libcst as cst

from sa_session_lint.model.expression import (
    NONE,
    OPAQUE,
    Attribute,
    Await,
    Call,
    Choice,
    Const,
    Defined,
    Each,
    Enter,
    Expression,
    Imported,
    Item,
    Lambda,
    Name,
    Reads,
    Row,
    Series,
    Star,
    Table,
    Text,
    reading,
)
from sa_session_lint.project.outline import Binding, Given, Outline, Parameter, Scope, Store
from sa_session_lint.walk import children


def outline(path: str, module: cst.Module) -> Outline:
    """Lower one parsed file."""
    lowering = _Lowering()
    lowering.body(module.body)
    return Outline(
        path, lowering.root, lowering.scopes, tuple(lowering.stars), tuple(lowering.imports), lowering.nodes,
        tuple(lowering.main_blocks), lowering.values, lowering.scope_of,
    )  # fmt: skip


class _Lowering:
    """One pass. `shadow` maps names bound by enclosing comprehensions and lambdas to what they stand for."""

    def __init__(self) -> None:
        self.root = self.scope = Scope("module", "", "", None, 0)
        self.scopes: dict[str, Scope] = {}
        self.stars: list[Imported] = []
        self.imports: list[Imported] = []
        self.nodes: list[cst.CSTNode] = []
        self.main_blocks: list[int] = []
        self.values: dict[int, tuple[Expression, Scope]] = {}
        self.scope_of: dict[int, Scope] = {}
        self.shadow: dict[str, Expression] = {}
        self.under_main = False
        self.conditions = 0
        self.deferred = 0
        self.branches = 0
        self.around: tuple[int, ...] = ()
        self.globals: list[tuple[Scope, str]] = []

    def mark(self, node: cst.CSTNode) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    # -- statements ---------------------------------------------------------------------------------------------------

    def body(self, statements: Sequence[cst.CSTNode]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, node: cst.CSTNode) -> None:
        method = _STATEMENTS.get(type(node))
        if method is not None:
            conditional, branch = isinstance(node, _CONDITIONAL), isinstance(node, (cst.If, cst.Match))
            around = self.around
            if branch or isinstance(node, (cst.For, cst.While)):
                self.around = (*around, self.mark(node))
            self.conditions += conditional
            self.branches += branch
            method(self, node)
            self.around = around
            self.conditions -= conditional
            self.branches -= branch

    def block(self, node: cst.CSTNode) -> None:
        self.body(node.body)  # type: ignore[attr-defined]  # IndentedBlock, SimpleStatementSuite, SimpleStatementLine

    def expr(self, node: cst.Expr) -> None:
        self.value(node.value)

    def assign(self, node: cst.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self.bind(target.target, value, node, node.value)

    def ann_assign(self, node: cst.AnnAssign) -> None:
        annotation = self.value(node.annotation.annotation)
        if node.value is None:
            self.bind(node.target, OPAQUE, node, node.target, "annotation", annotation)
        else:
            self.bind(node.target, self.value(node.value), node, node.value, "=", annotation)

    def aug_assign(self, node: cst.AugAssign) -> None:
        self.value(node.value)
        self.bind(node.target, OPAQUE, node, node, "other")

    def type_alias(self, node: cst.TypeAlias) -> None:
        self.bind(node.name, self.value(node.value), node, node.value)

    def delete(self, node: cst.Del) -> None:
        self.value(node.target)

    def return_(self, node: cst.Return) -> None:
        value = NONE if node.value is None else self.value(node.value)
        self.scope.returns.append(Given(value, self.mark(node)))

    def raise_(self, node: cst.Raise) -> None:
        if node.exc is not None:
            self.value(node.exc)
        if node.cause is not None:
            self.value(node.cause.item)

    def assert_(self, node: cst.Assert) -> None:
        self.value(node.test)

    def global_(self, node: cst.Global | cst.Nonlocal) -> None:
        for item in node.names:
            self.scope.outer.add(item.name.value)
            if isinstance(node, cst.Global):
                self.globals.append((self.scope, item.name.value))

    def if_(self, node: cst.If) -> None:
        self.value(node.test)
        is_main = _is_main_test(node.test)
        before, self.under_main = self.under_main, self.under_main or is_main
        if is_main:
            self.main_blocks.append(self.mark(node))
        self.block(node.body)
        self.under_main = before
        if node.orelse is not None:
            self.statement(node.orelse)

    def else_(self, node: cst.Else | cst.Finally) -> None:
        self.block(node.body)

    def while_(self, node: cst.While) -> None:
        self.value(node.test)
        self.block(node.body)
        if node.orelse is not None:
            self.else_(node.orelse)

    def for_(self, node: cst.For) -> None:
        self.bind(node.target, Each(self.value(node.iter)), node, node.iter, "for")
        self.block(node.body)
        if node.orelse is not None:
            self.else_(node.orelse)

    def try_(self, node: cst.Try | cst.TryStar) -> None:
        self.block(node.body)
        for handler in node.handlers:
            if handler.type is not None:
                self.value(handler.type)
            if handler.name is not None:
                self.bind(handler.name.name, OPAQUE, handler, handler, "other")
            first, scope, around = len(self.scope.calls), self.scope, self.around
            self.around = (*around, self.mark(handler))
            self.block(handler.body)
            self.around = around
            scope.in_handlers.update(call.at for call in scope.calls[first:])
        if node.orelse is not None:
            self.else_(node.orelse)
        if node.finalbody is not None:
            self.else_(node.finalbody)

    def with_(self, node: cst.With) -> None:
        for item in node.items:
            value = self.value(item.item)
            if item.asname is not None:
                self.bind(item.asname.name, Enter(value), item, item.item, "with")
        self.block(node.body)

    def match_(self, node: cst.Match) -> None:
        self.value(node.subject)
        for case in node.cases:
            for name in _captured(case.pattern):
                self.add(name, Binding(OPAQUE, self.mark(case), "other"))
            if case.guard is not None:
                self.value(case.guard)
            self.block(case.body)

    def import_(self, node: cst.Import) -> None:
        for alias in node.names:
            module = _dotted(alias.name)
            self.imports.append(Imported(module, None))
            if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
                self.add(alias.asname.name.value, Binding(Imported(module, None), self.mark(node), "import"))
            else:
                top = module.partition(".")[0]
                self.add(top, Binding(Imported(top, None), self.mark(node), "import"))

    def import_from(self, node: cst.ImportFrom) -> None:
        module = "" if node.module is None else _dotted(node.module)
        level = len(node.relative)
        if isinstance(node.names, cst.ImportStar):
            self.stars.append(Imported(module, None, level))
            self.imports.append(Imported(module, None, level))
            return
        for alias in node.names:
            name = _dotted(alias.name)
            bound = alias.asname.name.value if alias.asname is not None and isinstance(alias.asname.name, cst.Name) else name
            self.imports.append(Imported(module, name, level))
            self.add(bound, Binding(Imported(module, name, level), self.mark(node), "import"))

    def function(self, node: cst.FunctionDef) -> None:
        decorators = tuple(self.value(d.decorator) for d in node.decorators)
        decorated_at = tuple(self.mark(d) for d in node.decorators)
        parameters = tuple(self.parameters(node.params))
        result = None if node.returns is None else self.value(node.returns.annotation)
        scope = self.enter("function", node.name.value, node)
        scope.is_async = node.asynchronous is not None
        scope.decorators, scope.decorated_at, scope.parameters, scope.result = decorators, decorated_at, parameters, result
        shadow, self.shadow = self.shadow, {}
        conditions, self.conditions, branches, self.branches = self.conditions, 0, self.branches, 0
        around, self.around = self.around, ()
        self.block(node.body)
        self.shadow, self.conditions, self.branches, self.around = shadow, conditions, branches, around
        self.leave(scope)

    def class_(self, node: cst.ClassDef) -> None:
        decorators = tuple(self.value(d.decorator) for d in node.decorators)
        bases = tuple(self.value(a.value) for a in node.bases)
        keywords = tuple((a.keyword.value if a.keyword else None, self.value(a.value)) for a in node.keywords)
        scope = self.enter("class", node.name.value, node)
        scope.decorators, scope.bases, scope.keywords = decorators, bases, keywords
        conditions, self.conditions = self.conditions, 0
        self.block(node.body)
        self.conditions = conditions
        self.leave(scope)

    def enter(self, kind: Literal["class", "function"], name: str, node: cst.CSTNode) -> Scope:
        qualname = f"{self.scope.qualname}.{name}" if self.scope.qualname else name
        while qualname in self.scopes:  # defined twice: an overload, a property's setter, an alternative under `if`
            qualname += "'"
        at = self.mark(node)
        scope = Scope(kind, name, qualname, self.scope, at, under_main=self.under_main)
        self.scopes[qualname] = scope
        self.scope_of[id(node)] = scope
        self.add(name, Binding(Defined(qualname, at), at, "def", self.under_main))
        self.scope = scope
        return scope

    def leave(self, scope: Scope) -> None:
        assert scope.parent is not None
        self.scope = scope.parent

    def parameters(self, params: cst.Parameters) -> Iterator[Parameter]:
        every = [*params.posonly_params, *params.params, *params.kwonly_params]
        for param in every:
            annotation = None if param.annotation is None else self.value(param.annotation.annotation)
            default = None if param.default is None else self.value(param.default)
            yield Parameter(param.name.value, annotation, default, self.mark(param))
        for star in (params.star_arg, params.star_kwarg):
            if isinstance(star, cst.Param):
                yield Parameter(star.name.value, OPAQUE, OPAQUE, self.mark(star))

    # -- binding ------------------------------------------------------------------------------------------------------

    def bind(
        self,
        target: cst.CSTNode,
        value: Expression,
        node: cst.CSTNode,
        shown: cst.CSTNode,
        how: Literal["=", "with", "for", "import", "def", "annotation", "other"] = "=",
        annotation: Expression | None = None,
    ) -> None:
        if isinstance(target, cst.Name):
            self.add(target.value, Binding(value, self.mark(node), how, self.under_main, None, annotation))
        elif isinstance(target, (cst.Attribute, cst.Subscript)):
            place = self.value(target)
            if how == "annotation":
                value = NONE
            self.scope.stores.append(Store(place, value, self.mark(node)))
            if annotation is not None and annotation is not OPAQUE:
                self.scope.stores.append(Store(Attribute(place, ":"), annotation, self.mark(node)))
        elif isinstance(target, (cst.Tuple, cst.List)):
            starred = False
            for index, element in enumerate(target.elements):
                starred = starred or isinstance(element, cst.StarredElement)
                part = OPAQUE if starred else _part(value, index)
                self.bind(element.value, part, node, shown, how)

    def add(self, name: str, binding: Binding) -> None:
        scope = self.scope
        if not self.conditions and binding.how not in {"annotation", "for"}:
            binding = replace(binding, sure=True)
        if name in scope.outer:
            return_to = self.root if (scope, name) in self.globals else scope.parent
            binding = replace(binding, within=scope, sure=False)
            scope = return_to or self.root
        scope.bindings.setdefault(name, []).append(binding)

    # -- expressions --------------------------------------------------------------------------------------------------

    def value(self, node: cst.CSTNode) -> Expression:
        method = _EXPRESSIONS.get(type(node))
        expression = OPAQUE if method is None else method(self, node)
        self.values[id(node)] = (expression, self.scope)
        return expression

    def name(self, node: cst.Name) -> Expression:
        text = node.value
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text in self.shadow:
            return self.shadow[text]
        if text in self.scope.loads:
            self.scope.reread.add(text)
        self.scope.loads.add(text)
        return Name(text, len(self.scope.bindings.get(text, ())) if self.scope.kind != "function" and not self.deferred else 0)

    def attribute(self, node: cst.Attribute) -> Expression:
        return Attribute(self.value(node.value), node.attr.value)

    def call(self, node: cst.Call) -> Expression:
        function = self.value(node.func)
        arguments: list[Expression] = []
        keywords: list[tuple[str | None, Expression]] = []
        for argument in node.args:
            value = self.value(argument.value)
            if argument.keyword is not None:
                keywords.append((argument.keyword.value, value))
            elif argument.star == "**":
                keywords.append((None, value))
            else:
                arguments.append(Star(value) if argument.star else value)
        call = Call(function, tuple(arguments), tuple(keywords), self.mark(node))
        self.scope.calls.append(call)
        if self.branches:
            self.scope.in_branches.add(call.at)
        if self.around:
            self.scope.within[call.at] = self.around
        if self.under_main:
            self.scope.in_main.add(call.at)
        return call

    def subscript(self, node: cst.Subscript) -> Expression:
        value = self.value(node.value)
        keys = tuple(self.value(e.slice.value) if isinstance(e.slice, cst.Index) else self.slice(e.slice) for e in node.slice)
        return Item(value, keys[0] if len(keys) == 1 else Row(keys))

    def slice(self, node: cst.BaseSlice) -> Expression:
        if isinstance(node, cst.Slice):
            for part in (node.lower, node.upper, node.step):
                if part is not None:
                    self.value(part)
        return OPAQUE

    def await_(self, node: cst.Await) -> Expression:
        return Await(self.value(node.expression), self.mark(node))

    def row(self, node: cst.Tuple | cst.List | cst.Set) -> Expression:
        return Row(tuple(self.element(e) for e in node.elements))

    def element(self, node: cst.BaseElement) -> Expression:
        value = self.value(node.value)
        return OPAQUE if isinstance(node, cst.StarredElement) else value

    def table(self, node: cst.Dict) -> Expression:
        items: list[tuple[Expression, Expression]] = []
        for element in node.elements:
            value = self.value(element.value)
            if isinstance(element, cst.DictElement):
                items.append((self.value(element.key), value))
        return Table(tuple(items))

    def if_exp(self, node: cst.IfExp) -> Expression:
        self.value(node.test)
        return Choice((self.value(node.body), self.value(node.orelse)), self.mark(node))

    def boolean(self, node: cst.BooleanOperation) -> Expression:
        left, right = self.value(node.left), self.value(node.right)
        return Choice((left, right), self.mark(node)) if isinstance(node.operator, cst.Or) else reading(left)

    def binary(self, node: cst.BinaryOperation) -> Expression:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.operator, cst.Multiply) and isinstance(left, Row) and len(left.items) == 1 and not isinstance(left.items[0], (Const, Star)):
            return Series(left.items[0], False, None)  # `[value] * number`
        read = reading(left, right)
        if isinstance(node.operator, cst.Add) and isinstance(left, Const) and isinstance(left.value, str) and left.value:
            return Text(read.parts if isinstance(read, Reads) else (), left.value)
        return Choice((left, right)) if isinstance(node.operator, cst.BitOr) else read

    def comparison(self, node: cst.Comparison) -> Expression:
        left = self.value(node.left)
        first, *_ = [self.value(target.comparator) for target in node.comparisons]
        return reading(left, first)

    def unary(self, node: cst.UnaryOperation) -> Expression:
        match node.operator, self.value(node.expression):
            case cst.Minus(), Const(int(number)):
                return Const(-number)
            case _, inner:
                return reading(inner)

    def walrus(self, node: cst.NamedExpr) -> Expression:
        value = self.value(node.value)
        self.bind(node.target, value, node, node.value)
        return value

    def yield_(self, node: cst.Yield) -> Expression:
        if isinstance(node.value, cst.From):
            value: Expression = Each(self.value(node.value.item))
        else:
            value = NONE if node.value is None else self.value(node.value)
        self.scope.yields.append(Given(value, self.mark(node)))
        return OPAQUE

    def lambda_(self, node: cst.Lambda) -> Expression:
        list(self.parameters(node.params))
        names = [p.name.value for p in (*node.params.posonly_params, *node.params.params, *node.params.kwonly_params)]
        names += [s.name.value for s in (node.params.star_arg, node.params.star_kwarg) if isinstance(s, cst.Param)]
        shadow, self.shadow = self.shadow, {**self.shadow, **dict.fromkeys(names, OPAQUE)}
        self.deferred += 1
        body = self.value(node.body)
        self.deferred -= 1
        self.shadow = shadow
        return Lambda(body)

    def comprehension(self, node: cst.GeneratorExp | cst.ListComp | cst.SetComp | cst.DictComp) -> Expression:
        shadow = self.shadow
        loop: cst.CompFor | None = node.for_in
        source: Expression | None = None
        while loop is not None:
            each = Each(self.value(loop.iter))
            source = source or each.value
            self.shadow = {**self.shadow, **{name: each if exact else OPAQUE for name, exact in _targets(loop.target)}}
            for condition in loop.ifs:
                self.value(condition.test)
            loop = loop.inner_for_in
        element: Expression = OPAQUE
        if isinstance(node, cst.DictComp):
            self.value(node.key)
            self.value(node.value)
        else:
            element = self.value(node.elt)
        self.shadow = shadow
        lazy = isinstance(node, cst.GeneratorExp)
        return OPAQUE if element is OPAQUE and not lazy else Series(element, lazy, source)

    def formatted(self, node: cst.FormattedString) -> Expression:
        parts = [self.value(part.expression) for part in node.parts if isinstance(part, cst.FormattedStringExpression)]
        named = tuple(part for part in parts if isinstance(part, (Name, Attribute, Reads)))
        start = node.parts[0].value if node.parts and isinstance(node.parts[0], cst.FormattedStringText) else ""
        return Text(named, start) if any(isinstance(part, cst.FormattedStringText) for part in node.parts) else reading(*named)

    def concatenated(self, node: cst.ConcatenatedString) -> Expression:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(left, Const) and isinstance(right, Const):
            return Const(f"{left.value}{right.value}")
        return OPAQUE

    def string(self, node: cst.SimpleString) -> Expression:
        text = node.raw_value
        return OPAQUE if "\\" in text or "b" in node.prefix.lower() else Const(text)

    def number(self, node: cst.Integer | cst.Float) -> Expression:
        return Const(node.evaluated_value)


_CONDITIONAL = (cst.If, cst.While, cst.For, cst.Try, cst.TryStar, cst.Match)

_CONSTANTS: dict[str, Expression] = {"None": NONE, "True": Const(True), "False": Const(False)}

_STATEMENTS: dict[type[cst.CSTNode], Callable[[_Lowering, Any], None]] = {
    cst.SimpleStatementLine: _Lowering.block, cst.IndentedBlock: _Lowering.block, cst.SimpleStatementSuite: _Lowering.block,
    cst.Expr: _Lowering.expr, cst.Assign: _Lowering.assign, cst.AnnAssign: _Lowering.ann_assign, cst.AugAssign: _Lowering.aug_assign,
    cst.TypeAlias: _Lowering.type_alias, cst.Del: _Lowering.delete, cst.Return: _Lowering.return_, cst.Raise: _Lowering.raise_,
    cst.Assert: _Lowering.assert_, cst.Global: _Lowering.global_, cst.Nonlocal: _Lowering.global_, cst.If: _Lowering.if_,
    cst.Else: _Lowering.else_, cst.While: _Lowering.while_, cst.For: _Lowering.for_, cst.Try: _Lowering.try_, cst.TryStar: _Lowering.try_,
    cst.With: _Lowering.with_, cst.Match: _Lowering.match_, cst.Import: _Lowering.import_, cst.ImportFrom: _Lowering.import_from,
    cst.FunctionDef: _Lowering.function, cst.ClassDef: _Lowering.class_,
}  # fmt: skip

_EXPRESSIONS: dict[type[cst.CSTNode], Callable[[_Lowering, Any], Expression]] = {
    cst.Name: _Lowering.name, cst.Attribute: _Lowering.attribute, cst.Call: _Lowering.call, cst.Subscript: _Lowering.subscript,
    cst.Await: _Lowering.await_, cst.Tuple: _Lowering.row, cst.List: _Lowering.row, cst.Set: _Lowering.row, cst.Dict: _Lowering.table,
    cst.IfExp: _Lowering.if_exp, cst.BooleanOperation: _Lowering.boolean, cst.BinaryOperation: _Lowering.binary,
    cst.Comparison: _Lowering.comparison, cst.UnaryOperation: _Lowering.unary, cst.NamedExpr: _Lowering.walrus, cst.Yield: _Lowering.yield_,
    cst.Lambda: _Lowering.lambda_, cst.GeneratorExp: _Lowering.comprehension, cst.ListComp: _Lowering.comprehension,
    cst.SetComp: _Lowering.comprehension, cst.DictComp: _Lowering.comprehension, cst.FormattedString: _Lowering.formatted,
    cst.ConcatenatedString: _Lowering.concatenated, cst.SimpleString: _Lowering.string, cst.Integer: _Lowering.number, cst.Float: _Lowering.number,
}  # fmt: skip


def _part(value: Expression, index: int) -> Expression:
    if isinstance(value, Row):
        return value.items[index] if index < len(value.items) else OPAQUE
    return Item(value, Const(index)) if value is not OPAQUE else OPAQUE


def _dotted(node: cst.CSTNode) -> str:
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        return f"{_dotted(node.value)}.{node.attr.value}"
    return "?"


def _targets(target: cst.CSTNode) -> Iterator[tuple[str, bool]]:
    if isinstance(target, cst.Name):
        yield target.value, True
    elif isinstance(target, (cst.Tuple, cst.List)):
        for element in target.elements:
            for name, _ in _targets(element.value):
                yield name, False


def _captured(pattern: cst.CSTNode) -> Iterator[str]:
    if isinstance(pattern, (cst.MatchAs, cst.MatchStar)) and pattern.name is not None:
        yield pattern.name.value
    for child in children(pattern):
        if isinstance(child, (cst.MatchPattern, cst.MatchSequenceElement, cst.MatchOrElement, cst.MatchMappingElement, cst.MatchKeywordElement)):
            yield from _captured(child)


def _is_main_test(node: cst.CSTNode) -> bool:
    """`__name__ == "__main__"`, either way round."""
    if not isinstance(node, cst.Comparison) or len(node.comparisons) != 1 or not isinstance(node.comparisons[0].operator, cst.Equal):
        return False
    match node.left, node.comparisons[0].comparator:
        case (cst.Name(value="__name__"), cst.SimpleString() as text) | (cst.SimpleString() as text, cst.Name(value="__name__")):
            return text.raw_value == "__main__"
    return False
