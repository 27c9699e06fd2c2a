"""A task that works on a session which the worker process keeps from one task to the next."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.model.expression import Attribute, Enter
from sa_session_lint.model.value import Registry, Session
from sa_session_lint.project.entry import Entry, entry
from sa_session_lint.project.generator import settles
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.registries import binding_name, is_ended_by_tasks, is_set_up, is_task_hook
from sa_session_lint.project.usage import callers, is_zope, loads, registry_of, removals, uses
from sa_session_lint.project.wrapping import is_ended_by_signals, is_wrapped


class TaskUsesGlobalSession(Check):
    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or is_zope(self.index) or self.index.settings.scope_hooks:
            return
        found = uses(self.index, self.file.outline, scope)
        if not found:
            return
        if settles(node):
            return
        place, worked = found[0]
        registry = registry_of(self.index, worked)
        if isinstance(worked, Session) and worked.how == "registry" and registry is None:
            return
        if self.ends_in(self.file.outline, scope) or (registry is not None and (registry.scope != "thread" or self.has_hook(registry))):
            return
        made = worked.place if registry is None else registry.place
        if made is None or (made.path == self.file.path and any(call.at == made.at for call in scope.calls)):
            return  # made by the function itself
        if is_ended_by_signals(self.index, made):
            return
        task = self.task_of(self.file.outline, scope, 2, registry)
        if task is not None:
            trail = [self.note(made, "made here, once per worker process or thread"), self.note(task.place, f"{task.framework} runs the task")]
            name = binding_name(self.index, made) or "session"
            self.report(self.file.outline.nodes[place.at], trail, name=name, function=scope.name)

    def task_of(self, found: Outline, scope: Scope, depth: int, registry: Registry | None) -> Entry | None:
        """The task that a function is, or that calls it without ending the session itself."""
        entered = entry(self.index, found, scope)
        if entered is not None:
            return entered if entered.kind == "task" and not self.in_app_context(found, registry) else None
        if depth:
            for outline, caller, _ in callers(self.index, found.path, scope):
                if caller.kind == "function" and not self.ends_in(outline, caller):
                    task = self.task_of(outline, caller, depth - 1, registry)
                    if task is not None:
                        return task
        return None

    def ends_in(self, found: Outline, scope: Scope) -> bool:
        """Whether the function closes or removes a session on its normal way, has somebody do so, or works in a block or under a decorator that does."""
        if is_wrapped(self.index, found, scope):
            return True
        for call in scope.calls:
            if any(isinstance(a, Attribute) and a.name in {"close", "remove"} for a in call.arguments):
                return True
            if isinstance(call.function, Attribute) and not call.arguments and call.at not in scope.in_handlers:
                if call.function.name in {"begin", "close", "remove"}:
                    return True
        entered = [b.value for bindings in scope.bindings.values() for b in bindings if isinstance(b.value, Enter)]
        return any(isinstance(self.index.value(block, scope, found.path), Session) for block in entered)

    def has_hook(self, registry: Registry) -> bool:
        return is_ended_by_tasks(self.index, registry) or any(is_task_hook(self.index, use) for use in removals(self.index, registry))

    def in_app_context(self, found: Outline, registry: Registry | None) -> bool:
        """Whether tasks may run under Flask's application context, and the task's process knows a teardown that removes the session."""
        if registry is None:
            return False
        known = [use for use in removals(self.index, registry) if not is_set_up(self.index, use) and loads(self.index, found.path, use.path)]
        return bool(known) and any(b"celery" in (self.index.data(path) or b"").lower() for path in self.index.files_with("app_context"))
