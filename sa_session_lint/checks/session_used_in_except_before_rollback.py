"""session-used-in-except-before-rollback (SAS508): the handler of a failed flush uses the session before it rolls back."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.expression import Attribute
from sa_session_lint.model.protocol import INACTIVE
from sa_session_lint.model.vocabulary import FLUSH_ERRORS
from sa_session_lint.project.handlers import names_caught, recovers, rolls_back
from sa_session_lint.project.unbound import reads_unreached
from sa_session_lint.typestate.followed import Followed, Met
from sa_session_lint.typestate.state import Disjunct
from sa_session_lint.typestate.trail import catches, handlers, since

_HIDES = "hides the first error"


class SessionUsedInExceptBeforeRollback(FlowCheck):
    rule = "session-used-in-except-before-rollback"
    kinds = frozenset({"use of inactive"})

    def function(self, found: Followed) -> None:
        self.read: set[int] = set()
        for step, ways in found.ways.items():
            if step in found.sketch.steps and found.sketch.steps[step].op == "catch" and not self.has_savepoint(found):
                for way in ways if catches(found, step) else ():
                    self.handler(step, way)
        super().function(found)

    def has_savepoint(self, found: Followed) -> bool:
        """Whether a failed flush may have rolled back to a savepoint, which expires only what changed after it; or nothing is certain."""
        return found.coarse or any(isinstance(call.function, Attribute) and call.function.name == "begin_nested" for call in self.around.calls)

    def handler(self, step: int, way: Disjunct) -> None:
        """Report the first read in a handler of an object that the failed flush has expired."""
        for loc, state in way.heap:
            read = self.misread((step, way), loc) if state.txn is INACTIVE and state.poisoned is not None and not state.loaded and step not in self.read else None
            if read is not None and state.poisoned is not None and not recovers(self.index, state.poisoned):
                self.read.add(step)
                self.report(read, self.trail(step, way, loc), name=self.name(way, loc), call=self.code(read), effect=_HIDES)

    def fault(self, met: Met) -> None:
        entered = handlers(self.found, met.step, met.disjunct, met.loc)
        handler = next((each for each in entered if self.holds(self.node(each[0]), self.node(met.step))), entered[-1] if entered else None)
        if self.found.sketch.steps[met.step].handler and (handler is None or (handler[0] not in self.read and catches(self.found, handler[0]))):
            node = self.node(met.step)
            failed = self.state(met).poisoned
            came = since(self.found, met.step, met.disjunct, met.loc, INACTIVE)
            if failed is not None and recovers(self.index, failed):
                return
            if handler is not None and came is not None and reads_unreached(self.file.outline, self.around, self.node(came), self.node(handler[0]), node):
                return
            guards = self.guards(self.node(handler[0]), node) if handler is not None else []
            if not any(rolls_back(guard) for guard in guards):
                effect = _HIDES if not guards else "is not done"
                self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node), effect=effect)

    def guards(self, handler: cst.CSTNode, node: cst.CSTNode) -> list[cst.ExceptHandler | cst.ExceptStarHandler]:
        """The handlers, of a `try` of its own within the handler, that catch what the use of the session raises."""
        tries = (around for around in self.around_of(handler, node) if isinstance(around, cst.Try) and self.holds(around.body, node))
        return [each for guard in tries for each in guard.handlers if not FLUSH_ERRORS.isdisjoint(names_caught(each))]
