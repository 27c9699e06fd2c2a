"""A `scoped_session` whose thread goes on to the next job with what the last one left behind."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Attribute, Call, Name
from sa_session_lint.model.value import Place, Registry, Session
from sa_session_lint.project.entry import entry, reached
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.pooling import is_connection, is_private
from sa_session_lint.project.registries import binding_name, closes, is_closed, is_handed_on, kind_of_use, name_of
from sa_session_lint.project.usage import framework, is_zope, registry_of, removals, uses

_KEPT = "its thread's next job goes on with the session as it is, failed or unsaved"
_DROPPED = "its connection comes back late, when the garbage collector finds the session"
_ABSENT = "AttributeError, for `remove()` is a method of the registry and not of the session that calling it gives"
_THREAD_PER_JOB = ("ThreadingTCPServer", "ThreadingUDPServer", "ThreadingUnixStreamServer", "ThreadingUnixDatagramServer", "ThreadingMixIn")


class ScopedSessionWithoutRemove(Check):
    def visit_Call(self, node: cst.Call) -> None:
        self.on_session(node)
        value, call = self.value(node), self.expression(node)
        if not isinstance(value, Registry) or not isinstance(call, Call) or value.place != Place(self.file.path, call.at):
            return
        if value.scope != "thread" or is_zope(self.index) or self.index.settings.scope_hooks or framework(self.index) is None:
            return
        scope = self.scope(node)
        if scope.kind == "function" and name_of(scope, call) is not None:
            if not self.ends_here(scope, call) and not closes(self.index, self.file.outline, scope, value):
                self.report(node, [], name=name_of(scope, call) or "", effect=_DROPPED)
            return
        if removals(self.index, value):
            return
        use = kind_of_use(self.index, value)
        if use is None or use.kind != "handler" or self.thread_ends(use.framework):  # other kinds have rules of their own
            return
        if not is_closed(self.index, value, use.place):
            name = name_of(scope, call) or "scoped_session"
            self.report(node, [self.note(use.place, f"used here, by {use.framework} code")], name=name, effect=_KEPT)

    def on_session(self, node: cst.Call) -> None:
        """`Session().remove()`, where `Session.remove()` is meant."""
        if isinstance(node.func, cst.Attribute) and node.func.attr.value == "remove" and not node.args:
            value = self.value(node.func.value)
            if isinstance(value, Session) and value.how == "registry" and isinstance(node.func.value, cst.Call):
                self.report(node, [self.note(value.place, "a session, not the registry")], name=self.code(node.func.value.func), effect=_ABSENT)

    def ends_here(self, scope: Scope, call: Call) -> bool:
        """Whether a registry made in a function is ended there, or handed to somebody who may do so, as is its session; or goes together with its engine."""
        name = name_of(scope, call)
        if is_private(self.index, Place(self.file.path, call.at)) or any(isinstance(store.value, Call) and store.value.function == Name(name) for store in scope.stores if name):
            return True
        if name is None or is_handed_on(scope, name) or any(isinstance(given.value, Call) and given.value.function == Name(name) for given in scope.returns):
            return True
        products = {n for at in (scope, self.file.outline.module) for n, bs in at.bindings.items() if any(isinstance(b.value, Call) and b.value.function == Name(name) for b in bs)}
        if any(product in scope.outer or is_handed_on(scope, product) for product in products) or self.is_lent(scope, name):
            return True
        for done in scope.calls:
            if isinstance(done.function, Attribute) and done.function.name in {"remove", "close"}:
                return True
        return not any(c.function == Name(name) or (isinstance(c.function, Attribute) and c.function.value == Name(name)) for c in scope.calls)

    def is_lent(self, scope: Scope, name: str) -> bool:
        """Whether the registry works on a connection that it is given: `registry.configure(bind=connection)`. That is for whoever has opened it to give back."""
        binds = [call.keyword("bind") for call in scope.calls if call.function == Attribute(Name(name), "configure")]
        return any(bind is not None and is_connection(self.index, bind, scope, self.file.path) for bind in binds)

    def thread_ends(self, framework: str) -> bool:
        """Whether a server starts a thread for each job: its session goes when the thread does."""
        return framework == "socketserver" and any(self.index.files_with(word) for word in _THREAD_PER_JOB)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or is_zope(self.index):
            return
        entered = entry(self.index, self.file.outline, scope)
        if entered is None or entered.kind != "handler" or self.thread_ends(entered.framework):
            return
        for outline, function, via in reached(self.index, self.file.outline, scope):
            for place, worked in uses(self.index, outline, function):
                registry = registry_of(self.index, worked)
                if registry is None or registry.scope != "thread" or not removals(self.index, registry):
                    continue  # without any remove() the registry itself is reported
                if self.removed_near(registry, scope, function) or closes(self.index, outline, function, registry):
                    return
                where = via or place
                if where.path == self.file.path:
                    trail = [self.note(registry.place, "the registry is made here"), self.note(place, "used here")]
                    name = binding_name(self.index, registry.place) or "scoped_session"
                    self.report(self.file.outline.nodes[where.at], trail, name=name, effect=_KEPT)
                    return

    def removed_near(self, registry: Registry, *functions: Scope) -> bool:
        """Whether one of these functions, or anything in the same file, removes it."""
        return any(use.path == self.file.path or use.qualname in {f.qualname for f in functions} for use in removals(self.index, registry))
