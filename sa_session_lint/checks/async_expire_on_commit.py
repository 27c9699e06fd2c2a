"""An AsyncSession that expires its objects at commit: the next attribute read needs SQL, which asyncio does not allow there."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.project.expression import Attribute, Await, Call, Each, Name, dotted, text
from sa_session_lint.project.index import Index
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.usage import is_aside
from sa_session_lint.project.value import UNKNOWN, Function, Maker, Many, Place, Session


class AsyncExpireOnCommit(Check):
    def visit_Call(self, node: cst.Call) -> None:
        value = self.value(node)
        if not isinstance(value, (Maker, Session)) or value.kind != "async" or value.options.expire is not True:
            return
        if isinstance(value, Session) and value.how != "new":
            return
        call = self.expression(node)
        if not isinstance(call, Call) or value.place != Place(self.file.path, call.at):
            return
        function = self.value(node.func)
        if isinstance(value, Session) and isinstance(function, Maker):
            return  # the maker itself is reported
        witness = self.matters_in(self.scope(node), call) if isinstance(value, Session) else self.witness()
        if witness is None or (isinstance(value, Maker) and self.configured(value)):
            return
        self.report(node, [self.note(witness, "committed here, while its objects are still needed")], name=text(call.function))

    def matters_in(self, scope: Scope, opened: Call) -> Place | None:
        """Where a session made in a function is committed while its objects are needed: there, by somebody whom it is handed to, or
        by a user of what the function gives."""
        names = {name for name, bindings in scope.bindings.items() if any(_holds(b.value, opened) for b in bindings)}
        if any(_holds(g.value, opened) or dotted(g.value) in names for g in (*scope.returns, *scope.yields)):
            return self.witness()
        for call in scope.calls:
            function = call.function
            if isinstance(function, Attribute) and function.name == "commit" and dotted(function.value) in names:
                if hands_on(scope, dotted(function.value)):
                    return Place(self.file.path, call.at)
            for name in names:
                if Name(name) in call.arguments or any(v == Name(name) for _, v in call.keywords):
                    if _callee_commits(self.index, call, scope, self.file.path, name, 2):
                        return Place(self.file.path, call.at)
        return None

    def witness(self) -> Place | None:
        """A commit for asyncio, outside of tests, in a function that hands on an object afterwards without having refreshed it."""

        def search() -> Place | None:
            for found, scope, call in self.index.calls_with("commit", "async"):
                if is_aside(found.path) or not scope.is_async or not isinstance(call.function, Attribute) or call.function.name != "commit":
                    continue
                session = self.index.value(call.function.value, scope, found.path)
                if session is not UNKNOWN and not (isinstance(session, Session) and session.kind == "async" and session.options.expire is not False):
                    continue
                if hands_on(scope, dotted(call.function.value)):
                    return Place(found.path, call.at)
            return None

        return self.index.once(("commits async",), search)

    def configured(self, maker: Maker) -> bool:
        """Whether `configure()` may set the option later."""
        for found, scope, call in self.index.calls_with("configure", "expire_on_commit"):
            if isinstance(call.function, Attribute) and call.function.name == "configure":
                target = self.index.value(call.function.value, scope, found.path)
                if target is UNKNOWN or (isinstance(target, Maker) and target.place == maker.place):
                    return True
        return False


def hands_on(scope: Scope, session: str | None) -> bool:
    """Whether a function that commits returns a local object, or a part of one, and refreshes nothing."""
    if any(isinstance(call.function, Attribute) and call.function.name in {"refresh", "expunge", "expunge_all"} for call in scope.calls):
        return False
    for given in scope.returns:
        root = given.value
        while isinstance(root, (Attribute, Call)):
            root = root.value if isinstance(root, Attribute) else (root.arguments[0] if root.arguments else Name(""))
        if isinstance(root, Name) and root.name != session and any(_is_object(b.value) for b in scope.bindings.get(root.name, ())):
            return True
    return False


def _is_object(value: object) -> bool:
    """Whether a local is made by a call: a new object, or a query's result; plain data are not."""
    if isinstance(value, Await):
        value = value.value
    return isinstance(value, Call)


def commits(index: Index, scope: Scope, path: str, name: str, depth: int) -> bool:
    """Whether a function, or one that it hands its session to, commits the session called `name`."""
    for call in scope.calls:
        function = call.function
        if isinstance(function, Attribute) and function.value == Name(name) and function.name in {"commit", "begin"}:
            return True
        if depth and any(isinstance(a, Name) and a.name == name for a in (*call.arguments, *(value for _, value in call.keywords))):
            if _callee_commits(index, call, scope, path, name, depth - 1):
                return True
    return False


def _callee_commits(index: Index, call: Call, scope: Scope, path: str, name: str, depth: int) -> bool:
    """Whether the function called commits what it is given; of a method of an unknown object: whether all that may be meant do."""
    value = index.value(call.function, scope, path)
    if isinstance(value, Function):
        candidates = [value]
    elif isinstance(call.function, Name):
        return any(_commits_given(index, f, call, name, depth) for f in _one_of(index, call.function.name, scope, path))
    elif value is UNKNOWN and isinstance(call.function, Attribute):
        candidates = [f for f in methods_named(index, call.function.name) if _takes_session(index, f, call, name)]
    else:
        return False
    return bool(candidates) and all(_commits_given(index, f, call, name, depth) for f in candidates)


def _commits_given(index: Index, function: Function, call: Call, name: str, depth: int) -> bool:
    found = index.outline(function.path)
    if found is None:
        return False
    callee = found.scopes[function.qualname]
    inner = _parameter(callee, call, name)
    return inner is not None and commits(index, callee, function.path, inner, depth)


def _takes_session(index: Index, function: Function, call: Call, name: str) -> bool:
    found = index.outline(function.path)
    if found is None:
        return False
    callee = found.scopes[function.qualname]
    inner = _parameter(callee, call, name)
    return inner is not None and isinstance(index.value(Name(inner), callee, function.path), Session)


def _one_of(index: Index, name: str, scope: Scope, path: str) -> list[Function]:
    """The functions of a list that a loop variable runs through."""
    found: list[Function] = []
    for binding in scope.bindings.get(name, ()):
        if isinstance(binding.value, Each):
            value = index.value(binding.value.value, scope, path)
            found += [item for item in value.items if isinstance(item, Function)] if isinstance(value, Many) else []
    return found


def methods_named(index: Index, name: str) -> list[Function]:
    """Every method of the project of this name: what a call on an unknown object may reach."""

    def search() -> list[Function]:
        found = index.scopes_with("def", name)
        return [Function(o.path, s.qualname) for o, s in found if s.owner is not None and s.name == name and not is_aside(o.path)]

    return index.once(("methods", name), search)


def _parameter(callee: Scope, call: Call, name: str) -> str | None:
    """The parameter that receives the argument called `name`; a method's first is its object."""
    for key, value in call.keywords:
        if value == Name(name):
            return key
    for position, argument in enumerate(call.arguments):
        if argument == Name(name):
            position += callee.owner is not None
            return callee.parameters[position].name if position < len(callee.parameters) else None
    return None


def _holds(expression: object, call: Call) -> bool:
    while expression is not call:
        inner = getattr(expression, "value", None)
        if inner is None:
            return False
        expression = inner
    return True
