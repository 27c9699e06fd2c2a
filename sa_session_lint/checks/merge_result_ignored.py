"""merge-result-ignored (SAS451): `merge()` puts a copy into the session, nobody takes that, and work goes on with the original."""

from __future__ import annotations

from sa_session_lint.checks.read_check import ReadCheck
from sa_session_lint.model.value import Place
from sa_session_lint.project.handing import handed
from sa_session_lint.project.modules import is_aside
from sa_session_lint.typestate.followed import Met
from sa_session_lint.typestate.state import Object

OUTCOMES = {
    "merged read": "DetachedInstanceError is raised",
    "merged key": "it is None",
    "merged use": "the session does not have that",
    "merged write": "no commit saves it",
}


class MergeResultIgnored(ReadCheck):
    kinds = frozenset(OUTCOMES)

    def site(self, met: Met) -> object:
        return met.loc, frozenset(self.originals(met).values())

    def fault(self, met: Met) -> None:
        originals = self.originals(met)
        if is_aside(self.file.path) or any(self.is_elsewhere(name, self.handing(name)) for name in originals):
            return
        step = self.found.sketch.steps[met.step]
        node = self.node(met.step)
        read = self.read(met)
        if read is not None:
            node = next(self.nodes(node, read.expression), node)
            if step.op == "test" or self.is_expected(node):
                return
        elif met.kind == "merged write" and met.related is not None and met.related.path == self.file.path:
            node = self.at(met.related)
        merged = next((at for at in originals.values() if at is not None), None)
        self.report(node, [self.note(merged, "merged here, and the copy is thrown away")], code=self.code(node), outcome=OUTCOMES[met.kind])

    def originals(self, met: Met) -> dict[str, Place | None]:
        """The names of what the session has copies of, each with where it was merged."""
        return {key: held.merged for key, held in met.disjunct.env if isinstance(key, str) and isinstance(held, Object) and held.copy == met.loc}

    def handing(self, name: str) -> set[int]:
        """The calls that give an object to a session, of which is known what they do."""
        return {call.at for call in self.around.calls if name in handed(self.index, call, self.around, self.file.path)}
