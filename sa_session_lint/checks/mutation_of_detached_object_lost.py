"""mutation-of-detached-object-lost (SAS405): an object whose session is closed is changed, and a commit that saves nothing of it follows."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.project.modules import is_aside
from sa_session_lint.typestate.followed import Met
from sa_session_lint.typestate.state import Object


class MutationOfDetachedObjectLost(FlowCheck):
    kinds = frozenset({"lost change"})

    def site(self, met: Met) -> object:
        return met.related

    def fault(self, met: Met) -> None:
        changed = {key: held for key, held in met.disjunct.env if isinstance(key, str) and isinstance(held, Object) and held.unsent == met.related}
        if met.related is None or met.related.path != self.file.path or is_aside(self.file.path) or any(self.is_elsewhere(name, ()) for name in changed):
            return
        for name, held in list(changed.items())[:1]:
            trail = [self.note(held.at, "comes from here"), self.note(held.detached, "its session is closed here"), self.note(self.node(met.step), "committed here")]
            self.report(self.at(met.related), trail, code=self.code(self.at(met.related)), name=name)
