"""flask-sqlalchemy-session-scope (SAS712): `db.session` is asked for where Flask has no application context."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Call, Expression, Name, text
from sa_session_lint.model.value import Function
from sa_session_lint.project.contexts import in_thread, outside
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.registries import binding_name
from sa_session_lint.project.streaming import body


class FlaskSqlalchemySessionScope(Check):
    def visit_Call(self, node: cst.Call) -> None:
        call = self.expression(node)
        if not isinstance(call, Call) or is_aside(self.file.path):
            return
        where = self.scope(node), self.file.path
        given = in_thread(self.index, call, *where)
        if given is not None:
            self.judge(node, given, False, "in a thread of its own")
            return
        sent = body(self.index, call, *where)
        bindings = self.scope(node).bindings.get(sent.name, ()) if isinstance(sent, Name) else ()
        made = bindings[0].value if len(bindings) == 1 else sent
        if isinstance(made, Call):
            self.judge(node, made.function, True, "while the response is sent, when the request is over")

    def judge(self, node: cst.Call, given: Expression, generates: bool, where: str) -> None:
        """Report a call by which a function will run where there is no context, if it needs one."""
        function = self.index.value(given, self.scope(node), self.file.path)
        found = self.index.outline(function.path) if isinstance(function, Function) else None
        if found is None or not isinstance(function, Function) or found.scopes[function.qualname].is_generator is not generates:
            return
        use = outside(self.index, function)
        if use is not None:
            place, registry = use
            name = binding_name(self.index, registry.place) or "db"
            self.report(node, [self.note(place, "asks for the session here")], function=text(given), name=f"{name}.session", where=where)
