"""From a function's tree to its sketch: the flow graph, cut down to what can touch a session."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import libcst as cst

from sa_session_lint.flow.build import build
from sa_session_lint.flow.graph import Step
from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import (
    NONE,
    OPAQUE,
    Attribute,
    Await,
    Call,
    Const,
    Each,
    Enter,
    Expression,
    Item,
    Name,
    Reads,
    Row,
    Star,
    Text,
    is_super,
    reading,
)
from sa_session_lint.model.protocol import METHODS, TABLE, Txn
from sa_session_lint.model.value import (
    UNKNOWN,
    External,
    Function,
    Generator,
    Manager,
    Method,
    Registry,
    Session,
)
from sa_session_lint.project.ending import ending
from sa_session_lint.project.filling import emptied, filled_by
from sa_session_lint.project.handing import handed, handled
from sa_session_lint.project.handlers import names_caught
from sa_session_lint.project.interest import SPAWNERS, WORDS, interests, is_own, name_of_called, opens, touches
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.seeding import is_shared_row, seeded
from sa_session_lint.project.slowness import takes_time
from sa_session_lint.typestate.instances import OF_OBJECTS
from sa_session_lint.typestate.sketch import Sketch, SketchStep, attributes_in, is_count, names_in
from sa_session_lint.typestate.slicing import contract, decisive
from sa_session_lint.typestate.state import Condition

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


def sketch(index: Index, found: Outline, scope: Scope) -> Sketch | None:
    """The sketch of a function; None where its tree is not there."""
    node = found.nodes[scope.at]
    if not isinstance(node, cst.FunctionDef):
        return None
    return _Sketching(index, found, scope).run(node)


class _Sketching:
    def __init__(self, index: Index, found: Outline, scope: Scope) -> None:
        self.index, self.outline, self.scope = index, found, scope
        self.interest: dict[int, bool] = {}
        self.mentions: dict[int, tuple[Expression, set[str], list[Call]]] = {}
        self.numbers: dict[int, int] = {}
        self.handlers: dict[int, int] = {}
        self.seeded = seeded(index, found, scope)
        self.emptied: frozenset[str] = frozenset()
        self.spawns = any(name_of_called(call) in SPAWNERS for call in scope.calls)

    def run(self, node: cst.FunctionDef) -> Sketch:
        graph = build(node.body, self.risk)
        self.emptied = emptied(self.scope, (graph.steps[at].node for at in graph.order()))
        steps = {at: self.lowered(graph.steps[at]) for at in graph.order() if at > 2}
        staying = self.kept(steps)
        if not self.filled:
            steps = {at: step._replace(filled=None) for at, step in steps.items()}
        light, start = contract(steps, graph.start, staying)
        parameters = tuple((p.name, p.default) for p in self.scope.parameters)
        me = self.scope.parameters[0].name if self.scope.owner is not None and self.scope.parameters and not self.is_static() else None
        closures = {
            inner.name: frozenset(inner.loads) - frozenset(inner.bindings)
            for inner in self.outline.scopes.values()
            if inner.parent is self.scope and inner.kind == "function"
        }
        again = self.scope.reread.union(self.scope.bindings, *closures.values())
        kept = frozenset(p.name for p in self.scope.parameters if p.name not in again)
        names = frozenset({*self.scope.bindings, *(p.name for p in self.scope.parameters)}) - frozenset(self.scope.outer)
        return Sketch(
            Function(self.outline.path, self.scope.qualname), light, start, parameters, names, self.scope.is_async, self.scope.is_generator,
            self.manages(), graph.coarse, me, closures, kept, self.scope.within, self.spawns, handled(self.index, self.outline.path, self.scope),
            frozenset(step.at for step in steps.values() if self.is_seeded(step)), frozenset(step.at for step in steps.values() if self.is_once(step)),
        )  # fmt: skip

    def risk(self, node: cst.CSTNode) -> Literal["any", "misuse", "none", "raises", "exits"]:
        """Whether a call may raise, and whether it ever comes back."""
        call = self.expression(node)
        end = ending(self.index, call, self.scope, self.outline.path) if isinstance(call, Call) else None
        return end or _risk(node)

    def kept(self, steps: dict[int, SketchStep]) -> set[int]:
        """The steps that stay: those that touch a session, those that decide which of these come, and what the decisions are about."""
        tracked = self.tracked(steps)
        flagged = {
            target.name
            for step in steps.values()
            for target, value in step.targets
            if step.op == "bind" and isinstance(target, Name) and (isinstance(value, Const) or step.condition is not None)
        }
        flagged |= {p.name for p in self.scope.parameters if isinstance(p.default, Const)}
        constant = {t.name for s in steps.values() for t, value in s.targets if s.op == "bind" and isinstance(t, Name) and isinstance(value, Const)}
        flags = {a.name for step in steps.values() for a in _handed(step) if self.matters(step.value or OPAQUE, tracked)} & constant
        conditions = {at: step.condition for at, step in steps.items() if step.op == "test" and step.condition is not None}
        errors = {t.name for s in steps.values() if s.op == "catch" for t, _ in s.targets if isinstance(t, Name)}
        kinds = {at for at, condition in conditions.items() if errors and _asks_kind(condition.subject, errors)}
        unread = self.coroutines(steps)
        filled = {("true", ("name", step.filled)) for step in steps.values() if step.filled is not None}
        asked_about = filled.intersection(condition.key for condition in conditions.values())
        self.filled = filled if len(asked_about) <= _CONTAINERS else set()  # each doubles the ways
        tested = {at for at, step in steps.items() if unread and step.op == "test" and step.condition is not None and step.condition.names & unread}
        while True:
            touching = {at for at, step in steps.items() if self.touches(step, tracked, flags)}
            tests = self.remembered(conditions, tracked | flagged) | kinds
            if tests:
                decides = decisive(steps, touching)
                tests = self.remembered({at: condition for at, condition in conditions.items() if at in decides}, tracked | flagged) | (kinds & decides)
            more = flags.union(*(conditions[at].names for at in tests))
            if more == flags:
                asked = self.filled & {conditions[at].key for at in tests}
                tests |= {at for at, step in steps.items() if step.filled is not None and ("true", ("name", step.filled)) in asked}
                return touching | tests | tested | {at for at, step in steps.items() if step.op in {"return", "raise", "catch", "dispatch"}}
            flags = more

    def remembered(self, conditions: dict[int, Condition], names: frozenset[str] | set[str]) -> set[int]:
        """The tests whose outcome may settle another one, or is settled by what a name holds."""
        asked = Counter(condition.key for condition in conditions.values())
        return {
            at
            for at, condition in conditions.items()
            if asked[condition.key] > 1 or not condition.names.isdisjoint(names) or condition.key in self.filled or not condition.names.isdisjoint(self.seeded) or self.asks(condition.subject)
        }

    def is_seeded(self, step: SketchStep) -> bool:
        """Whether a step binds the first row of a table, which is made further down if there is none."""
        return step.op == "bind" and any(
            isinstance(target, Name) and target.name in self.seeded and is_shared_row(self.index, value, self.outline, self.scope) for target, value in step.targets
        )

    def is_once(self, step: SketchStep) -> bool:
        """Whether a loop is over a list that is written down with one thing in it, and that nothing is put into."""
        value = step.value if step.op == "next" else None
        if isinstance(value, Name):
            bindings = self.scope.bindings.get(value.name, [])
            asked = any(isinstance(call.function, Attribute) and call.function.value == value for call in self.scope.calls)
            value = bindings[0].value if len(bindings) == 1 and bindings[0].how == "=" and not asked else None
        return isinstance(value, Row) and len(value.items) == 1 and not isinstance(value.items[0], Star)

    def coroutines(self, steps: dict[int, SketchStep]) -> set[str]:
        """The names that are given a coroutine of a session: to ask what they are is to take it for its result."""
        found: set[str] = set()
        for step in steps.values():
            for target, value in step.targets:
                if isinstance(target, Name) and isinstance(value, Call) and isinstance(value.function, Attribute) and value.function.name in v.COROUTINES:
                    method = self.index.value(value.function, self.scope, self.outline.path)
                    if isinstance(method, Method) and isinstance(method.receiver, (Session, Registry)) and method.receiver.kind == "async":
                        found.add(target.name)
        return found

    def touches(self, step: SketchStep, tracked: frozenset[str], flags: set[str]) -> bool:
        """Whether a step does something to a session, or to what a decision is about."""
        match step.op:
            case "yield":
                return True
            case "test":
                read = step.value if step.condition is None else step.condition.key
                return any(name in tracked for name, _ in attributes_in(read))  # that may load it
            case "return" | "drop":
                return step.value is not None and self.matters(step.value, tracked)
            case "bind":
                return self.is_seeded(step) or any(
                    self.matters(value, tracked)
                    or (isinstance(target, Name) and (target.name in tracked or target.name in flags or self.is_session(target)))
                    or (isinstance(target, Attribute) and isinstance(target.value, Name) and target.value.name in tracked)
                    or (isinstance(target, Item) and any(name in tracked for name, _ in attributes_in(target.key)))
                    for target, value in step.targets
                )
            case "leave" | "enter" | "next" | "call" | "await" | "pick":
                return self.is_once(step) or (step.value is not None and self.matters(step.value, tracked)) or any(
                    isinstance(target, Name) and (target.name in tracked or target.name in flags) for target, _ in step.targets
                )
        return False

    def is_static(self) -> bool:
        return any(isinstance(d, Name) and d.name == "staticmethod" for d in self.scope.decorators)

    def manages(self) -> bool:
        """Whether it is decorated with `contextmanager`."""
        for decorator in self.scope.decorators:
            value = self.index.value(decorator, self.scope.parent or self.outline.module, self.outline.path)
            if isinstance(value, External) and value.dotted in v.CONTEXT_MANAGER | v.ASYNC_CONTEXT_MANAGER:
                return True
        return False

    # -- lowering -----------------------------------------------------------------------------------------------------

    def number(self, node: cst.CSTNode) -> int:
        found = self.outline.values.get(id(node))
        if found is not None and isinstance(found[0], (Call, Await)):
            return found[0].at
        if id(node) not in self.numbers:
            self.outline.nodes.append(node)
            self.numbers[id(node)] = len(self.outline.nodes) - 1
        return self.numbers[id(node)]

    def expression(self, node: cst.CSTNode | None) -> Expression:
        return OPAQUE if node is None else self.outline.values.get(id(node), (OPAQUE, None))[0]

    def lowered(self, step: Step) -> SketchStep:
        node = step.node
        if node is None:
            return SketchStep("fork", 0, step.next, step.error, step.base)
        made = SketchStep(
            step.kind if step.kind not in {"merge", "define", "end"} else "fork",  # type: ignore[arg-type]  # the kinds they share
            self.number(node.iter if isinstance(node, (cst.For, cst.CompFor)) else node), step.next, step.error, step.base, raising=step.raising,
            option=step.option, handler=step.handler, lazy=step.lazy, misuse=step.misuse, filled=self.held(node) if step.kind in {"next", "call", "bind"} else None,
        )  # fmt: skip
        match step.kind, node:
            case ("call" | "await" | "pick"), _:
                return made._replace(value=self.expression(node))
            case "yield", cst.Yield():
                inner = node.value.item if isinstance(node.value, cst.From) else node.value
                return made._replace(value=self.expression(inner), option=int(isinstance(node.value, cst.From)))
            case "return", cst.Return():
                return made._replace(value=self.expression(node.value) if node.value is not None else NONE)
            case "drop", cst.Expr():
                return made._replace(value=self.expression(node.value))
            case "test", _:
                condition, value = (None, OPAQUE) if isinstance(node, cst.MatchCase) else (self.condition(node), self.expression(node))
                if condition is not None and condition.key in {("true", ("name", name)) for name in self.emptied}:  # `while names: names.pop()`
                    condition = None
                return made._replace(condition=condition, value=value if condition is None and isinstance(value, Reads) else None)
            case "bind", (cst.Assign() | cst.AnnAssign() | cst.NamedExpr()):
                return self.binding(made, node)
            case "bind", cst.AugAssign() | cst.Del():
                target = node.target
                written = self.expression(target)
                if isinstance(node, cst.AugAssign) and isinstance(written, Attribute):
                    return made._replace(targets=((written, Reads((written,))),))
                counts = isinstance(node, cst.AugAssign) and _counts(node)
                added = self.expression(node.value) if isinstance(node, cst.AugAssign) else OPAQUE
                held = Text() if counts else reading(added)  # what was counted is not zero
                return made._replace(targets=tuple((Name(n), held) for n in _names(target)) or (((written, held),) if isinstance(written, Item) else ()))
            case ("enter" | "leave"), cst.WithItem():
                value = self.expression(node.item)
                targets = () if node.asname is None else tuple(self.targets(node.asname.name, Enter(value)))
                return made._replace(value=value, targets=targets)
            case "next", (cst.For() | cst.CompFor()):
                value = self.expression(node.iter)
                targets = tuple(self.targets(node.target, Each(value))) if isinstance(node, cst.For) else ()
                return made._replace(value=value, targets=targets)
            case "catch", (cst.ExceptHandler() | cst.ExceptStarHandler()):
                name = node.name.name if node.name is not None else None
                return made._replace(names=names_caught(node), targets=((Name(name.value), OPAQUE),) if isinstance(name, cst.Name) else ())
            case "dispatch", (cst.Try() | cst.TryStar()):
                return made._replace(names=tuple(name for h in node.handlers for name in names_caught(h)))
        return made

    def binding(self, made: SketchStep, node: cst.Assign | cst.AnnAssign | cst.NamedExpr) -> SketchStep:
        value = self.expression(node.value)
        ends = [t.target for t in node.targets] if isinstance(node, cst.Assign) else [node.target]
        targets = tuple(pair for end in ends for pair in self.targets(end, value))
        compared = isinstance(node.value, (cst.Comparison, cst.UnaryOperation)) and len(targets) == 1 and isinstance(targets[0][0], Name)
        condition = self.condition(node.value) if compared and node.value is not None else None
        if condition is not None and isinstance(node.value, cst.UnaryOperation):
            condition = None
        return made._replace(targets=targets, condition=condition)

    def held(self, node: cst.CSTNode) -> str | None:
        """The container that surely holds something after a step."""
        name = filled_by(node)
        return None if name in self.emptied else name

    def targets(self, target: cst.CSTNode, value: Expression) -> list[tuple[Expression, Expression]]:
        if isinstance(target, cst.Name):
            return [(Name(target.value), value)]
        if isinstance(target, (cst.Tuple, cst.List)):
            pairs: list[tuple[Expression, Expression]] = []
            for position, element in enumerate(target.elements):
                exact = isinstance(value, Row) and len(value.items) == len(target.elements)
                part = value.items[position] if exact and isinstance(value, Row) else Item(value, Const(position))
                pairs += self.targets(element.value, part)
            return pairs
        return [(self.expression(target), value)]

    def condition(self, node: cst.CSTNode) -> Condition | None:
        """A condition that a name's value may settle, or that may be asked again. `"session" in locals()` asks whether there is one, `number > 0`
        whether something was counted, or a turn is not the first of a loop."""
        match node:
            case cst.Comparison(
                left=cst.SimpleString() as name, comparisons=[cst.ComparisonTarget(operator=cst.In(), comparator=cst.Call(func=cst.Name(value="locals" | "vars" | "dir"), args=[]))]
            ):
                asked = str(name.evaluated_value)
                return Condition("true", Name(asked), ("true", ("name", asked)), frozenset({asked}))
            case cst.Comparison(left=cst.Name(value=name), comparisons=[cst.ComparisonTarget(operator=operator, comparator=cst.Integer(value=number))]) if (
                (turn := _TURNS.get((type(operator), number))) is not None and self.is_counter(name)
            ):
                return Condition(turn, Name(name), ("true", ("name", name)), frozenset({name}))
        key = _key(node)
        if key is None:
            return None
        names = frozenset(_loaded(key))
        if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
            comparison = node.comparisons[0]
            if isinstance(comparison.comparator, cst.Name) and comparison.comparator.value == "None":
                if isinstance(comparison.operator, (cst.Is, cst.Equal)):
                    return Condition("is none", self.expression(node.left), ("none", _key(node.left)), names)
                if isinstance(comparison.operator, (cst.IsNot, cst.NotEqual)):
                    return Condition("is not none", self.expression(node.left), ("none", _key(node.left)), names)
        return Condition("true", self.expression(node), ("true", key), names)

    def owners(self, value: Expression) -> set[str]:
        """The parameters whose objects have the sessions that an expression works with: who is handed one gets the session, too."""
        parameters = {parameter.name for parameter in self.scope.parameters[self.scope.owner is not None :]}
        found: set[str] = set()
        while isinstance(value, (Attribute, Call, Await)):
            if isinstance(value, Attribute) and isinstance(value.value, Name) and value.value.name in parameters and self.is_session(value):
                found.add(value.value.name)
            value = value.function if isinstance(value, Call) else value.value
        return found

    def is_counter(self, name: str) -> bool:
        """Whether a name holds nothing but numbers counted from 0: that of a turn, or one that only grows."""
        nodes = [(binding.value, self.outline.nodes[binding.at]) for binding in self.scope.bindings.get(name, ())]
        return bool(nodes) and all(is_count(value) or value == Const(0) or (isinstance(node, cst.AugAssign) and _counts(node)) for value, node in nodes)

    # -- what matters -------------------------------------------------------------------------------------------------

    def tracked(self, steps: dict[int, SketchStep]) -> frozenset[str]:
        """The names that may hold a session or what leads to one."""
        names: set[str] = set()
        for parameter in self.scope.parameters:
            value = self.index.value(Name(parameter.name), self.scope, self.outline.path)
            if isinstance(value, (Session, Manager, Generator)) or (parameter.annotation is None and value is UNKNOWN):
                names.add(parameter.name)
        for step in steps.values():
            call = step.value
            if step.op == "call" and isinstance(call, Call):
                names.update(name for name in handed(self.index, call, self.scope, self.outline.path) if name in self.locals)
            if call is not None:
                names |= self.owners(call)
        pairs = [pair for step in steps.values() for pair in step.targets]
        collected = [  # `tasks.append(task)`
            (step.value.function.value, argument)
            for step in (steps.values() if self.spawns else ())
            if step.op == "call" and isinstance(step.value, Call) and isinstance(step.value.function, Attribute) and step.value.function.name in v.COLLECTING
            for argument in step.value.arguments
        ]
        pairs += [pair for pair in collected if isinstance(pair[0], Name)]
        growing = True
        while growing:
            growing = False
            for target, bound in pairs:
                name = target
                while isinstance(name, (Attribute, Item)):
                    name = name.value
                if isinstance(name, Name) and name.name in self.locals and name.name not in names and not isinstance(bound, Reads) and self.matters(bound, names):
                    names.add(name.name)
                    growing = True
        return frozenset(names)

    @property
    def locals(self) -> set[str]:
        me = self.scope.parameters[0].name if self.scope.owner is not None and self.scope.parameters else None
        return {name for name in (*self.scope.bindings, *(p.name for p in self.scope.parameters)) if name != me}

    def matters(self, expression: Expression, tracked: frozenset[str] | set[str]) -> bool:
        known = self.mentions.get(id(expression))
        if known is None:
            names: set[str] = set()
            calls: list[Call] = []
            names_in(expression, names, calls)
            for inner in self.outline.scopes.values():  # a function defined here takes along what it reads
                if inner.parent is self.scope and inner.name in names:
                    names |= inner.loads - set(inner.bindings)
            known = self.mentions[id(expression)] = expression, names, calls
        return not known[1].isdisjoint(tracked) or any(self.is_interesting(call) for call in known[2]) or self.is_session(expression)

    def is_session(self, expression: Expression) -> bool:
        """Whether an expression that is no call stands for a session: `self.session`, `db.session`."""
        if isinstance(expression, (Name, Attribute)):
            return isinstance(self.index.value(expression, self.scope, self.outline.path), (Session, Registry))
        return False

    def asks(self, subject: Expression | None) -> bool:
        """Whether a condition asks a session about itself: `self.session.is_active`, `db.session.in_transaction()`; or an object whether it has one."""
        asked = subject.function if isinstance(subject, Call) else subject
        if not isinstance(asked, Attribute):
            return False
        return (asked.name in v.ASKING and (is_own(asked.value, self.scope) or self.is_session(asked.value))) or (asked is subject and self.is_session(asked))

    def is_interesting(self, call: Call) -> bool:
        function = call.function
        if isinstance(function, Attribute) and self.spawns and (function.name in v.SIGNALS or is_own(function, self.scope)):
            return True
        if isinstance(function, Attribute) and function.name in WORDS and is_own(function.value, self.scope):
            return True  # `self.session.commit()`: whoever calls may know what it is
        if isinstance(function, Attribute) and function.name in v.APP_CONTEXTS:
            return True
        if isinstance(function, Attribute) and function.name in {"commit", "rollback"}:
            return True  # whatever it is called on may be a session under another name
        if any(self.is_session(part) for part in (*call.arguments, *(value for _, value in call.keywords))):
            return True
        if isinstance(function, Attribute):
            if is_super(function.value):
                return True
            value = self.index.value(function, self.scope, self.outline.path)
            if isinstance(value, Function) and touches(self.index, replace(value, receiver=None), own=True):
                return True
        if call.at not in self.interest:
            where = self.scope, self.outline.path
            self.interest[call.at] = interests(self.index, call, *where) or takes_time(self.index, call, *where) is not None or opens(self.index, call, *where)
        return self.interest[call.at]


def _risk(node: cst.CSTNode) -> Literal["any", "misuse", "none"]:
    """Whether a call may raise. What a session never refuses but when it is misused, it refuses then."""
    function = node.func if isinstance(node, cst.Call) else node
    if isinstance(function, cst.Name):
        return "none" if function.value in v.CALM_CALLS else "any"
    if not isinstance(function, cst.Attribute) or function.attr.value not in v.CALM_METHODS:
        return "any"
    operation = METHODS.get(function.attr.value)
    return "misuse" if function.attr.value in OF_OBJECTS or (operation is not None and any(TABLE[state, operation].fault for state in Txn)) else "none"


def _handed(step: SketchStep) -> list[Name]:
    """The names that a call is given as they are."""
    call = step.value
    if step.op != "call" or not isinstance(call, Call):
        return []
    return [value for value in (*call.arguments, *(value for _, value in call.keywords)) if isinstance(value, Name)]


def _counts(node: cst.AugAssign) -> bool:
    return isinstance(node.operator, cst.AddAssign) and isinstance(node.value, cst.Integer)


def _names(node: cst.CSTNode) -> list[str]:
    if isinstance(node, cst.Name):
        return [node.value]
    if isinstance(node, (cst.Tuple, cst.List)):
        return [name for element in node.elements for name in _names(element.value)]
    return []


_CONTAINERS = 1
_TURNS: dict[tuple[type[cst.BaseCompOp], str], Literal["true", "is false"]] = {
    (cst.GreaterThan, "0"): "true", (cst.NotEqual, "0"): "true", (cst.GreaterThanEqual, "1"): "true", (cst.Equal, "0"): "is false", (cst.LessThan, "1"): "is false",
}  # fmt: skip
"""What comparisons of a number that is counted from 0 ask: whether it is still that."""
"""The containers up to which it is remembered whether they hold something."""


def _asks_kind(subject: Expression | None, errors: set[str]) -> bool:
    """Whether a condition asks of which kind an error is that was caught: `isinstance(error, IntegrityError)`."""
    match subject:
        case Call(Name("isinstance"), (Name(name), _)):
            return name in errors
    return False


def _key(node: cst.CSTNode) -> tuple[object, ...] | None:
    """A condition as a value that equals that of the same condition elsewhere; None for what is too rich to be compared."""
    match node:
        case cst.Name(value=name):
            return ("name", name)
        case cst.Attribute(value=value, attr=cst.Name(value=name)):
            inner = _key(value)
            return None if inner is None else ("attribute", inner, name)
        case cst.Subscript(value=value, slice=[cst.SubscriptElement(slice=cst.Index(value=number))]):
            first, second = _key(value), _key(number)
            return None if first is None or second is None else ("item", first, second)
        case cst.SimpleString(value=text) | cst.Integer(value=text):
            return ("constant", text)
        case cst.Comparison(left=left, comparisons=[one]):
            first, second = _key(left), _key(one.comparator)
            return None if first is None or second is None else ("compare", type(one.operator).__name__, first, second)
        case cst.Call(func=function, args=args):
            parts = [_key(function), *(_key(a.value) for a in args)]
            return None if None in parts else ("call", *parts)
    return None


def _loaded(key: object) -> set[str]:
    if not isinstance(key, tuple):
        return set()
    if key and key[0] == "name":
        return {key[1]}
    return {name for part in key for name in _loaded(part)}
