"""A session made once per process and used by functions that run for many requests, jobs or messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Imported, Name, dotted
from sa_session_lint.model.value import Instance, Module, Place, Session
from sa_session_lint.project.entry import kinds_of, receivers
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.reach import is_dead, serves_commands
from sa_session_lint.project.usage import callers, framework, is_imported, is_zope

_MADE = frozenset({"new", "registry", "given"})
"""Opened by the call itself; "given" is a generator's, `next(get_db())`, as long as the place is known."""
_SEQUENTIAL = frozenset({"Tornado"})
_ENDS = frozenset({"close", "aclose", "remove"})


class ModuleLevelSession(Check):
    def visit_Module(self, node: cst.Module) -> None:
        module = self.file.outline.module
        opened = [
            (name, binding, value)
            for name, bindings in module.bindings.items()
            for binding in bindings
            if binding.how in {"=", "other"} and not binding.under_main and not (binding.within is not None and binding.within.under_main)
            if isinstance(value := self.index.value(binding.value, binding.within or module, self.file.path), Session)
            if value.how in _MADE and value.place is not None
        ]
        if opened and self.serves():
            for name, binding, value in opened:
                use = next(self.users(name), None)
                if use is not None and not self.is_closed_in_turn(value):
                    trail = [self.note(value.place, "opened here"), self.note(use, "used here, by code that runs many times")]
                    self.report(self.file.outline.nodes[binding.at], trail, name=name)
        for scope in (module, *self.file.outline.scopes.values()):
            self.on_application(scope)

    def serves(self) -> bool:
        """Whether a framework runs the project's code again and again, this file's among it: a file that nobody imports is a script."""
        if framework(self.index) is None or is_zope(self.index):
            return False
        return framework(self.index, self.file.path) is not None or is_imported(self.index, self.file.path)

    def is_closed_in_turn(self, session: Session) -> bool:
        """Whether a framework that handles one request after the other, in one thread, has the session closed in between."""
        if framework(self.index) not in _SEQUENTIAL:
            return False
        for found, scope, call in self.index.calls_with("close"):
            function = call.function
            if scope.kind == "function" and isinstance(function, Attribute) and function.name in _ENDS:
                closed = self.index.value(function.value, scope, found.path)
                if isinstance(closed, Session) and closed.place == session.place:
                    return True
        return False

    def users(self, name: str) -> Iterator[Place]:
        """Where the session is used, here or elsewhere: by functions, or by objects made at module level that are given it to keep."""
        for path in (self.file.path, *(p for p in self.index.files_with(name) if p != self.file.path and not is_aside(p))):
            found = self.index.outline(path)
            if found is None:
                continue
            names = {n for n in (*found.module.bindings, name) if self.exports(path, n, name)}
            for scope in found.scopes.values():
                if self.uses(scope, name, names, path) and not self.runs_once(scope, path) and not is_dead(self.index, scope) and not serves_commands(self.index, found, scope):
                    yield Place(path, scope.at)
            kept = {Name(n) for n in names if not self.is_closed(n, found.module)}
            for call in found.module.calls:
                given = {*call.arguments, *(value for _, value in call.keywords)}
                if given & kept and isinstance(self.index.value(call, found.module, path), Instance):
                    yield Place(path, call.at)

    def uses(self, scope: Scope, name: str, names: set[str], path: str) -> bool:
        """Whether a function or class reads the session: by one of its module's `names`, an import of its own, or as `module.name`."""
        if any(n in scope.loads and self.is_free(n, scope) for n in names):
            return True
        for n in scope.loads & scope.bindings.keys():
            if any(self.imports(binding.value, name, path, 0) for binding in scope.bindings[n]):
                return True
        for call in scope.calls:
            for part in (call.function, *receivers(call.function), *call.arguments):
                if isinstance(part, Attribute):
                    owner = self.index.value(part.value, scope, path)
                    if isinstance(owner, Module) and self.exports(owner.path, part.name, name):
                        return True
        return False

    def exports(self, path: str, wanted: str, name: str, depth: int = 0) -> bool:
        """Whether `wanted` in a module is the session that the file at hand calls `name`."""
        if path == self.file.path:
            return wanted == name
        found = self.index.outline(path) if depth < 5 else None
        if found is None:
            return False
        if wanted in found.module.bindings:
            return any(self.imports(binding.value, name, path, depth) for binding in found.module.bindings[wanted])
        stars = (self.index.modules.find(star.module, star.level, path) for star in found.stars)
        return any(module is not None and self.exports(module, wanted, name, depth + 1) for module in stars)

    def imports(self, value: object, name: str, path: str, depth: int) -> bool:
        if not isinstance(value, Imported) or value.name is None:
            return False
        module = self.index.modules.find(value.module, value.level, path)
        return module is not None and self.exports(module, value.name, name, depth + 1)

    def runs_once(self, scope: Scope, path: str) -> bool:
        """Whether a function serves a script's block, or is only called by statements of a module, outside of loops: at start-up."""
        if scope.under_main:
            return True
        if scope.kind != "function" or scope.owner is not None or scope.decorators:
            return False
        calls = callers(self.index, path, scope)
        return bool(calls) and all(id(found.nodes[call.at]) in self.statements(found.path) for found, _, call in calls)

    def statements(self, path: str) -> frozenset[int]:
        """The expressions that a module evaluates once when it is imported, as statements: ids of their nodes."""
        source = self.index.source(path)
        body = source.module.body if source is not None else ()
        return self.index.once(("statements", path), lambda: frozenset(_evaluated(body)))

    def is_closed(self, name: str, module: Scope) -> bool:
        return any(isinstance(f := c.function, Attribute) and f.value == Name(name) and f.name in _ENDS for c in module.calls)

    def is_free(self, name: str, scope: Scope) -> bool:
        for place in scope.enclosing():
            if place.kind == "module":
                return True
            if name not in place.outer and (name in place.bindings or any(p.name == name for p in place.parameters)):
                return False
        return True

    def on_application(self, scope: Scope) -> None:
        """`app.state.db = SessionLocal()`."""
        if scope.under_main:
            return
        for store in scope.stores:
            target = store.target
            if not isinstance(target, Attribute):
                continue
            owner = target.value.value if isinstance(target.value, Attribute) and target.value.name == "state" else target.value
            if not isinstance(owner, (Name, Attribute)):
                continue
            kinds = kinds_of(self.index, self.index.value(owner, scope, self.file.path))
            value = self.index.value(store.value, scope, self.file.path)
            if kinds & (v.ASGI_APPS | v.FLASK_APPS) and isinstance(value, Session) and value.how in _MADE and value.place is not None:
                self.report(self.file.outline.nodes[store.at], [self.note(value.place, "opened here")], name=dotted(target) or target.name)


def _evaluated(body: Sequence[cst.CSTNode]) -> Iterator[int]:
    for statement in body:
        if isinstance(statement, cst.SimpleStatementLine):
            yield from (id(small.value) for small in statement.body if isinstance(small, (cst.Expr, cst.Assign)))
        elif isinstance(statement, cst.With):
            yield from _evaluated(statement.body.body)
