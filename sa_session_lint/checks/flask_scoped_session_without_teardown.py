"""A Flask application on a `scoped_session` that no teardown removes."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Call
from sa_session_lint.model.value import External, Made
from sa_session_lint.model.vocabulary import FLASK_APP
from sa_session_lint.project.registries import binding_name, is_closed, is_set_up, kind_of_use, name_of, registries
from sa_session_lint.project.usage import is_zope, removals


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
            if use is not None and use.kind == "flask" and not is_closed(self.index, registry, use.place):
                trail = [self.note(registry.place, "the registry is made here"), self.note(use.place, "used here, for a request")]
                call = self.expression(node)
                app = name_of(self.scope(node), call) if isinstance(call, Call) else None
                name = binding_name(self.index, registry.place) or "scoped_session"
                self.report(node, trail, app=app or "app", registry=name)
                return
