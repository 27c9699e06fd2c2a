"""A generator that owns a session, called by hand: `next(get_db())` drops it, and with it the session is closed."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sa_session_lint.checks.check import Check, File
from sa_session_lint.finding import Note
from sa_session_lint.model.expression import Attribute, Await, Call, Choice, Enter, Expression, Name
from sa_session_lint.model.value import External, Generator, Method, Place, Session, Value
from sa_session_lint.model.vocabulary import SESSION_CALLS
from sa_session_lint.project.generator import suspensions
from sa_session_lint.project.making import is_always_given
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.running import is_script
from sa_session_lint.project.usage import callers
from sa_session_lint.walk import children

_OF_GENERATORS = frozenset({"close"})
_BINDS = frozenset({"bind", "get_bind"})
_ENDINGS = frozenset({"close", "aclose", "remove"})

_DROPPED = "its generator is dropped and closes the session, which then opens again with nobody to close it"
_DROPPED_ASYNC = "its generator is dropped, and the event loop closes the session at the next `await`"
_NO_ITERATOR = "an asynchronous generator is no iterator, a TypeError follows"
_NO_ASYNC_ITERATOR = "a generator is no asynchronous iterator, a TypeError follows"
_NO_METHOD = "a generator has no such method, an AttributeError follows"
_NO_MANAGER = "a generator is no context manager, the `with` fails"
_NO_AWAITABLE = "a generator cannot be awaited, a TypeError follows"


class YieldDependencyCalledDirectly(Check):
    def __init__(self, file: File) -> None:
        super().__init__(file)
        self.asked_for_bind: set[int] = set()

    def visit_Call(self, node: cst.Call) -> None:
        if id(node) in self.asked_for_bind:
            return
        function = self.value(node.func)
        dropped: cst.BaseExpression | None = None
        asked = function.dotted if isinstance(function, External) else None
        if asked in {"builtins.next", "builtins.anext"} and node.args:
            dropped = node.args[0].value
        elif isinstance(function, Method) and function.name in {"__next__", "__anext__"} and isinstance(node.func, cst.Attribute):
            dropped = node.func.value
        made = self.value(dropped) if isinstance(dropped, cst.Call) else None
        if not isinstance(made, Generator) or not self.closes_when_dropped(made) or self.is_never_asked(self.expression(node), self.scope(node)):
            return
        if self.scope(node).kind == "module" and is_script(self.index, self.file.outline) and not self.is_default(self.expression(node)):
            return  # it ends soon
        if asked == "builtins.next" and made.is_async:
            self.tell(node, made, _NO_ITERATOR)
        elif asked == "builtins.anext" and not made.is_async:
            self.tell(node, made, _NO_ASYNC_ITERATOR)
        elif made.is_async:
            if not self.is_kept(self.expression(node), self.scope(node)):
                self.tell(node, made, _DROPPED_ASYNC)
        elif not self.is_closed_by_hand(self.expression(node), self.file.outline, self.scope(node)):
            self.tell(node, made, _DROPPED)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        if node.attr.value in _BINDS:
            self.asked_for_bind.add(id(node.value))  # an engine is read from the session, and the session dropped with its generator
        if node.attr.value in SESSION_CALLS - _OF_GENERATORS:
            self.taken_for_a_session(node.value, node, _NO_METHOD)

    def visit_WithItem(self, node: cst.WithItem) -> None:
        self.taken_for_a_session(node.item, node.item, _NO_MANAGER)

    def visit_Await(self, node: cst.Await) -> None:
        self.taken_for_a_session(node.expression, node, _NO_AWAITABLE)

    def taken_for_a_session(self, node: cst.BaseExpression, reported: cst.CSTNode, effect: str) -> None:
        made = self.value(node)
        if isinstance(made, Generator) and isinstance(made.value, Session):
            self.tell(reported, made, effect)

    def tell(self, node: cst.CSTNode, made: Generator, effect: str) -> None:
        found = self.index.outline(made.function.path)
        yields = found.scopes[made.function.qualname].yields if found is not None else ()
        trail: list[Note | None] = [self.note(Place(made.function.path, given.at), "yields its session here") for given in yields[:1]]
        self.report(node, trail, call=self.code(node), function=made.function.qualname, effect=effect)

    def closes_when_dropped(self, made: Generator) -> bool:
        """Whether a generator closes the session that it yields when it is dropped there."""
        found = self.index.outline(made.function.path)
        if found is None or not isinstance(made.value, Session):
            return False
        if made.value.how == "with":
            return True
        node = found.nodes[found.scopes[made.function.qualname].at]
        if made.value.how not in {"new", "registry"} or not isinstance(node, cst.FunctionDef):
            return False
        tries = (statement for suspension in suspensions(node) for statement in suspension.tries())
        return any(statement.finalbody is not None and _ends(statement.finalbody) for statement in tries)

    def is_kept(self, awaitable: Expression, scope: Scope) -> bool:
        """Whether what is to be awaited gets a name first: it holds the generator as long as it is kept."""
        return any(binding.value is awaitable for bindings in scope.bindings.values() for binding in bindings)

    def is_default(self, session: Expression) -> bool:
        """Whether it is the default of a parameter."""
        return any(parameter.default is session for scope in self.file.outline.scopes.values() for parameter in scope.parameters)

    def is_never_asked(self, session: Expression, scope: Scope) -> bool:
        """Whether the session stands in for one that every maker of the object gives: `self.session or next(get_db())`."""
        owner = scope.owner
        bound = [binding.value for bindings in scope.bindings.values() for binding in bindings] + [given.value for given in scope.returns]
        for choice in bound:
            parts = [part.value if isinstance(part, Await) else part for part in choice.options] if isinstance(choice, Choice) else []
            if session in parts and owner is not None:
                fields = [part.name for part in parts if isinstance(part, Attribute) and isinstance(part.value, Name)]
                if any(is_always_given(self.index, self.file.outline, owner, field) for field in fields):
                    return True
        return False

    def is_closed_by_hand(self, session: Expression, found: Outline, scope: Scope, depth: int = 1) -> bool:
        """Whether the session is closed once more where it was taken, or where the function that returns it was called."""
        bound = [(name, b.value) for name, bindings in scope.bindings.items() for b in bindings]
        if any(isinstance(value, Enter) and value.value is session for _, value in bound):
            return True
        names = {name for name, value in bound if value is session}
        fields = {store.target.name for store in scope.stores if store.value is session and isinstance(store.target, Attribute)}
        for place in (found.module, *found.scopes.values()):
            for call in place.calls:
                if any(_is_one(owner, names if place is scope else set(), fields) or owner is session for owner in self.closed(call, place)):
                    return True
        if depth and any(given.value is session for given in scope.returns):
            return any(self.is_closed_by_hand(call, where, caller, depth - 1) for where, caller, call in callers(self.index, found.path, scope))
        return False

    def closed(self, call: Call, scope: Scope) -> Iterator[Expression]:
        """What a call closes, or sees to it that it is closed: `x.close()`, `stack.callback(x.close)`, `closing(x)`."""
        for part in (call.function, *call.arguments):
            if isinstance(part, Attribute) and part.name == "close":
                yield part.value
        function: Value = self.index.value(call.function, scope, self.file.path)
        if isinstance(function, External) and function.dotted == "contextlib.closing":
            yield from call.arguments


def _is_one(owner: Expression, names: set[str], fields: set[str]) -> bool:
    return (isinstance(owner, Name) and owner.name in names) or (isinstance(owner, Attribute) and owner.name in fields)


def _ends(block: cst.CSTNode) -> bool:
    """Whether a block calls something that closes a session."""
    called = isinstance(block, cst.Call) and isinstance(block.func, cst.Attribute) and block.func.attr.value in _ENDINGS
    return called or any(_ends(child) for child in children(block))
