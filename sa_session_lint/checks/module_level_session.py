"""A session made once per process and used by functions that run for many requests, jobs or messages."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model import vocabulary as v
from sa_session_lint.project.entry import kinds_of
from sa_session_lint.project.expression import Attribute, Imported, Name, dotted
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.usage import framework, is_aside, is_imported, is_zope, stem
from sa_session_lint.project.value import Instance, Place, Session


class ModuleLevelSession(Check):
    def visit_Module(self, node: cst.Module) -> None:
        module = self.file.outline.module
        running = framework(self.index)
        if running is None or is_zope(self.index):
            return
        if framework(self.index, self.file.path) is None and not is_imported(self.index, self.file.path):
            return  # a script
        for name, bindings in module.bindings.items():
            for binding in bindings:
                if binding.how not in {"=", "other"} or binding.under_main or (binding.within is not None and binding.within.under_main):
                    continue
                value = self.index.value(binding.value, binding.within or module, self.file.path)
                if isinstance(value, Session) and value.how in {"new", "registry"}:
                    use = next(self.users(name, module), None)
                    if use is not None:
                        trail = [self.note(value.place, "opened here"), self.note(use, "used here, by code that runs many times")]
                        self.report(self.file.outline.nodes[binding.at], trail, name=name)
        self.on_application(module)
        for scope in self.file.outline.scopes.values():
            self.on_application(scope)

    def users(self, name: str, module: Scope) -> Iterator[Place]:
        """Functions that use the name, here or where it is imported; or objects made at module level that are given it."""
        for scope in self.file.outline.scopes.values():
            if scope.kind == "function" and name in scope.loads and not scope.under_main and self.is_free(name, scope):
                yield Place(self.file.path, scope.at)
        for call in module.calls:
            given = (*call.arguments, *(value for _, value in call.keywords))
            if any(isinstance(a, Name) and a.name == name for a in given):
                made = self.index.value(call, module, self.file.path)
                if isinstance(made, Instance):
                    yield Place(self.file.path, call.at)
        for path in self.index.files_with(name, stem(self.file.path)):
            found = self.index.outline(path)
            if found is None or path == self.file.path or is_aside(path):
                continue
            for bound, bindings in found.module.bindings.items():
                if any(self.imports(b.value, name, path) for b in bindings):
                    for scope in found.scopes.values():
                        if scope.kind == "function" and bound in scope.loads and bound not in scope.bindings:
                            yield Place(path, scope.at)

    def is_free(self, name: str, scope: Scope) -> bool:
        for place in scope.enclosing():
            if place.kind == "module":
                return True
            if name not in place.outer and (name in place.bindings or any(p.name == name for p in place.parameters)):
                return False
        return True

    def imports(self, value: object, name: str, path: str) -> bool:
        if not isinstance(value, Imported) or value.name != name:
            return False
        return self.index.modules.find(value.module, value.level, path) == self.file.path

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
            if kinds & (v.ASGI_APPS | v.FLASK_APPS) and isinstance(value, Session) and value.how in {"new", "registry"}:
                self.report(self.file.outline.nodes[store.at], [self.note(value.place, "opened here")], name=dotted(target) or target.name)
