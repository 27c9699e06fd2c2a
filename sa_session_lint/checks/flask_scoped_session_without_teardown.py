"""A Flask application on a `scoped_session` that no teardown removes."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.vocabulary import FLASK_APP
from sa_session_lint.project.entry import entry
from sa_session_lint.project.expression import Attribute, Call, Enter
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.registries import binding_name, is_set_up, kind_of_use, name_of, registries
from sa_session_lint.project.usage import is_zope, registry_of, removals
from sa_session_lint.project.value import External, Made, Place, Registry, Session


class FlaskScopedSessionWithoutTeardown(Check):
    def visit_Call(self, node: cst.Call) -> None:
        function = self.value(node.func)
        if not isinstance(function, External) or function.dotted not in FLASK_APP or not isinstance(self.value(node), Made):
            return
        if is_zope(self.index) or self.index.settings.scope_hooks:
            return
        for registry in registries(self.index):
            if registry.scope != "thread" or any(not is_set_up(self.index, use) for use in removals(self.index, registry)):
                continue
            use = kind_of_use(self.index, registry)
            if use is not None and use.kind == "flask" and not self.is_closed(registry, use.place):
                trail = [self.note(registry.place, "the registry is made here"), self.note(use.place, "used here, for a request")]
                call = self.expression(node)
                app = name_of(self.scope(node), call) if isinstance(call, Call) else None
                name = binding_name(self.index, registry.place) or "scoped_session"
                self.report(node, trail, app=app or "app", registry=name)
                return

    def is_closed(self, registry: Registry, used: Place) -> bool:
        """Whether the function that uses the registry also closes its session, or a hook does: nothing of the work is left."""
        found = self.index.outline(used.path)
        users = [s for s in found.scopes.values() if any(call.at == used.at for call in s.calls)] if found is not None else []
        if found is not None and any(self.closes(found, scope, registry) for scope in users):
            return True
        hooks = [(o, s) for o, s in self.index.scopes_with("close") if s.kind == "function" and entry(self.index, o, s) is None]
        return any(self.closes(outline, scope, registry, blocks=False) for outline, scope in hooks)

    def closes(self, outline: Outline, scope: Scope, registry: Registry, blocks: bool = True) -> bool:
        """Whether a function closes the registry's session, or works in a block that does."""
        names = {"close", "begin"} if blocks else {"close"}
        ended = [c.function.value for c in scope.calls if isinstance(c.function, Attribute) and c.function.name in names]
        if blocks:
            ended += [b.value.value for bs in scope.bindings.values() for b in bs if isinstance(b.value, Enter)]
        values = [self.index.value(expression, scope, outline.path) for expression in ended]
        behind = [registry_of(self.index, value) for value in values if isinstance(value, (Registry, Session))]
        return any(found is not None and found.place == registry.place for found in behind)
