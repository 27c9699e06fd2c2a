"""A `scoped_session` whose thread goes on to the next job with what the last one left behind."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.project.entry import entry, reached
from sa_session_lint.project.expression import Attribute, Call, Name
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.registries import is_handed_on, kind_of_use, name_of
from sa_session_lint.project.usage import framework, is_zope, registry_of, removals, uses
from sa_session_lint.project.value import Place, Registry


class ScopedSessionWithoutRemove(Check):
    def visit_Call(self, node: cst.Call) -> None:
        value, call = self.value(node), self.expression(node)
        if not isinstance(value, Registry) or not isinstance(call, Call) or value.place != Place(self.file.path, call.at):
            return
        if value.scope != "thread" or is_zope(self.index) or self.index.settings.scope_hooks or framework(self.index) is None:
            return
        scope = self.scope(node)
        if scope.kind == "function" and name_of(scope, call) is not None:
            if not self.ends_here(scope, call):
                self.report(node, [], name=name_of(scope, call) or "")
            return
        if removals(self.index, value):
            return
        use = kind_of_use(self.index, value)
        if use is not None and use.kind not in {"asgi", "flask"}:  # those have rules of their own
            name = name_of(scope, call) or "scoped_session"
            self.report(node, [self.note(use.place, f"used here, by {use.framework} code")], name=name)

    def ends_here(self, scope: Scope, call: Call) -> bool:
        """Whether a registry made in a function is ended there, or handed to somebody who may do so."""
        name = name_of(scope, call)
        if name is None or is_handed_on(scope, name):
            return True
        products = {n for n, bs in scope.bindings.items() if any(isinstance(b.value, Call) and b.value.function == Name(name) for b in bs)}
        if any(is_handed_on(scope, product) for product in products):
            return True
        for done in scope.calls:
            if isinstance(done.function, Attribute) and done.function.name in {"remove", "close"}:
                return True
        return not any(c.function == Name(name) or (isinstance(c.function, Attribute) and c.function.value == Name(name)) for c in scope.calls)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or is_zope(self.index):
            return
        entered = entry(self.index, self.file.outline, scope)
        if entered is None or entered.kind != "handler":
            return
        for outline, function, via in reached(self.index, self.file.outline, scope):
            for place, worked in uses(self.index, outline, function):
                registry = registry_of(self.index, worked)
                if registry is None or registry.scope != "thread" or not removals(self.index, registry):
                    continue  # without any remove() the registry itself is reported
                if self.removed_near(registry, scope, function):
                    return
                where = via or place
                if where.path == self.file.path:
                    trail = [self.note(registry.place, "the registry is made here"), self.note(place, "used here")]
                    self.report(self.file.outline.nodes[where.at], trail, name=registry_name(self, registry))
                    return

    def removed_near(self, registry: Registry, *functions: Scope) -> bool:
        """Whether one of these functions, or anything in the same file, removes it."""
        return any(use.path == self.file.path or use.qualname in {f.qualname for f in functions} for use in removals(self.index, registry))


def registry_name(check: Check, registry: Registry) -> str:
    found = check.index.outline(registry.place.path)
    if found is not None:
        for name, bindings in found.module.bindings.items():
            if any(isinstance(b.value, Call) and b.value.at == registry.place.at for b in bindings):
                return name
    return "scoped_session"
