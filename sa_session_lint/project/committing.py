"""What is committed, by whom, and whether its objects are needed afterwards: as far as that shows without following a session through statements.

Order is judged by where things stand in the text. The flow engine will answer these questions exactly; until then, doubt is silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sa_session_lint.model.expression import Attribute, Await, Call, Choice, Each, Expression, Item, Name, Row, Table
from sa_session_lint.model.value import UNKNOWN, Class, External, Function, Maker, Many, Registry, Session, Value
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


def expires(value: Value) -> bool:
    """Whether objects of such a session, or of the sessions of such a maker, may expire at a commit under asyncio."""
    return isinstance(value, (Session, Maker, Registry)) and value.kind == "async" and value.options.expire is not False


_LOADED = frozenset({"get", "get_one", "merge"})
_ASKED = frozenset({"execute", "exec", "scalar", "scalars", "stream", "stream_scalars"})
_FETCHED = frozenset({"all", "fetchall", "first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none", "scalars", "unique"})


@dataclass(frozen=True, slots=True)
class Committing:
    """A function that commits, and what it does with the objects of its session."""

    index: Index
    path: str
    scope: Scope

    def needs_objects_after(self, commit: Call) -> bool:
        """Whether an object is read or handed on after the commit. What was refreshed, loaded again or deleted is no such object."""
        if any(isinstance(call.function, Attribute) and call.function.name in {"refresh", "expunge", "expunge_all"} for call in self.scope.calls):
            return False
        if isinstance(commit.function, Attribute) and commit.function.name == "begin":  # it commits at the end of its block
            return any(isinstance(g.value, Name) and self.is_object(g.value.name, g.at, None) for g in self.scope.returns if g.at > commit.at)
        read = [(g.at, name) for g in self.scope.returns for name in _names_in(g.value)]
        for call in self.scope.calls:
            arguments = (*call.arguments, *(value for _, value in call.keywords))
            read += [(call.at, name) for a in arguments if isinstance(a, Attribute) for name in _names_in(a)]
        return any(at > commit.at and self.is_object(name, at, commit) for at, name in read)

    def is_object(self, name: str, at: int, commit: Call | None) -> bool:
        """Whether a name, where it is read, holds an object that the session knew at the commit (None: whenever it was)."""
        bindings = [b for b in self.scope.bindings.get(name, ()) if b.at < at]
        if commit is not None and any(b.at > commit.at for b in bindings):
            return False
        given = {"add": False, "delete": False}
        for call in self.scope.calls:
            function = call.function
            if isinstance(function, Attribute) and function.name in {"add", "add_all", "delete"} and self.is_session(function.value, commit):
                items = [i for a in call.arguments for i in (a.items if isinstance(a, Row) else (a,))]
                if Name(name) in items and (commit is None or call.at < commit.at):
                    given[function.name.removesuffix("_all")] = True
        return not given["delete"] and (given["add"] or any(self.is_loaded(b.value, commit) for b in bindings))

    def is_session(self, value: Expression, commit: Call | None) -> bool:
        if commit is not None and isinstance(commit.function, Attribute) and value == commit.function.value:
            return True
        return expires(self.index.value(value, self.scope, self.path))

    def is_loaded(self, value: Expression, commit: Call | None, depth: int = 6) -> bool:
        """Whether an expression gives objects that a session has loaded: `(await session.scalars(select(User))).all()`."""
        while isinstance(value, (Await, Each, Item)):
            value = value.value
        if isinstance(value, Name) and depth:
            return any(self.is_loaded(b.value, commit, depth - 1) for b in self.scope.bindings.get(value.name, ()))
        if not isinstance(value, Call) or not isinstance(value.function, Attribute):
            return isinstance(value, Call) and self.is_given(value, commit, depth)
        method, receiver = value.function.name, value.function.value
        if self.is_session(receiver, commit):
            return method in _LOADED or (method in {"scalar", "scalars"} and self.asks_for_objects(value))
        return self.is_fetched(value, commit, depth) or self.is_given(value, commit, depth)

    def is_fetched(self, value: Expression, commit: Call | None, depth: int) -> bool:
        """Whether an expression takes objects out of the result of a query."""
        fetched = False
        while depth:
            depth -= 1
            if isinstance(value, (Await, Each)):
                value = value.value
            elif isinstance(value, Call) and isinstance(value.function, Attribute):
                method, receiver = value.function.name, value.function.value
                if method in _ASKED and self.is_session(receiver, commit):
                    return fetched and self.asks_for_objects(value)
                if method not in _FETCHED:
                    return False
                fetched, value = True, receiver
            elif isinstance(value, Name) and len(self.scope.bindings.get(value.name, ())) == 1:
                value = self.scope.bindings[value.name][0].value
            else:
                return False
        return False

    def asks_for_objects(self, call: Call) -> bool:
        """Whether a query is a `select()` of a class; one of columns or counts gives plain data."""
        queries = [call.arguments[0]] if call.arguments else []
        if queries and isinstance(queries[0], Name):
            queries = [b.value for b in self.scope.bindings.get(queries[0].name, ())]
        for query in queries:
            while isinstance(query, Call) and isinstance(query.function, Attribute) and isinstance(query.function.value, Call):
                query = query.function.value
            if isinstance(query, Call) and query.arguments:
                function = self.index.value(query.function, self.scope, self.path)
                first = query.arguments[0]
                selected = self.index.value(first, self.scope, self.path)
                if isinstance(function, External) and function.dotted.endswith(".select"):
                    if isinstance(selected, Class) or (isinstance(first, Name) and isinstance(selected, External)):
                        return True
        return False

    def is_given(self, call: Call, commit: Call | None, depth: int) -> bool:
        """Whether a function of the project returns what it has loaded."""
        function = self.index.value(call.function, self.scope, self.path)
        found = self.index.outline(function.path) if isinstance(function, Function) and depth > 3 else None
        if found is None or not isinstance(function, Function):
            return False
        inner = Committing(self.index, found.path, found.scopes[function.qualname])
        return any(inner.is_loaded(g.value, None, 3) for g in inner.scope.returns)


def _names_in(value: Expression) -> Iterator[str]:
    """The local names that an expression hands on or reads: `Answer(user.id)`, `{"id": user.id}`."""
    match value:
        case Name(name):
            yield name
        case Attribute(inner, _) | Item(inner, _) | Await(inner):
            yield from _names_in(inner)
        case Call(_, arguments, keywords):
            for part in (*arguments, *(v for _, v in keywords)):
                yield from _names_in(part)
        case Row(items) | Choice(items):
            for part in items:
                yield from _names_in(part)
        case Table(pairs):
            for _, part in pairs:
                yield from _names_in(part)


def commits(index: Index, scope: Scope, path: str, name: str, depth: int) -> bool:
    """Whether a function, or one that it hands its session to, commits the session called `name` whatever the branch taken, objects being in it."""
    for call in scope.calls:
        function = call.function
        if call.at in scope.in_branches:
            continue
        if isinstance(function, Attribute) and function.value == Name(name) and function.name in {"commit", "begin"}:
            return _may_have_objects(index, scope, path, name)
        if depth and any(isinstance(a, Name) and a.name == name for a in (*call.arguments, *(value for _, value in call.keywords))):
            if callee_commits(index, call, scope, path, name, depth - 1):
                return True
    return False


def _may_have_objects(index: Index, scope: Scope, path: str, name: str) -> bool:
    """Whether a session may know an object when a function commits it: it does more with it than to run statements, or hands it on."""
    here = Committing(index, path, scope)
    for call in scope.calls:
        if Name(name) in call.arguments or any(value == Name(name) for _, value in call.keywords):
            return True
        if isinstance(call.function, Attribute) and call.function.value == Name(name) and call.function.name not in {"execute", "commit", "rollback", "close", "flush"}:
            return True
        if here.is_loaded(call, None) or (isinstance(call.function, Attribute) and call.function.name == "execute" and here.asks_for_objects(call)):
            return True
    return False


def callee_commits(index: Index, call: Call, scope: Scope, path: str, name: str, depth: int) -> bool:
    """Whether the function called commits what it is given; of a method of an unknown object: whether all that may be meant do."""
    value = index.value(call.function, scope, path)
    if isinstance(value, Function):
        candidates = [value]
    elif isinstance(call.function, Name):
        return any(_commits_given(index, f, call, name, depth) for f in _one_of(index, call.function.name, scope, path))
    elif value is UNKNOWN and isinstance(call.function, Attribute):
        candidates = [f for f in _methods_named(index, call.function.name) if _takes_session(index, f, call, name)]
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


def _methods_named(index: Index, name: str) -> list[Function]:
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
