"""operation-needs-persistent-instance (SAS403): a session is asked to refresh, expire, expunge or delete what it does not have."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.expression import Attribute, Await, Call, Name
from sa_session_lint.project.modules import is_aside
from sa_session_lint.typestate.followed import Met
from sa_session_lint.typestate.instances import OF_OBJECTS
from sa_session_lint.typestate.state import Object


class OperationNeedsPersistentInstance(FlowCheck):
    kinds = frozenset({"not persistent"})

    def fault(self, met: Met) -> None:
        value = self.found.sketch.steps[met.step].value
        call = value.value if isinstance(value, Await) else value
        if not (isinstance(call, Call) and isinstance(call.function, Attribute) and call.function.name in OF_OBJECTS and isinstance(call.arguments[0], Name)):
            return
        name = call.arguments[0]
        if is_aside(self.file.path):
            return
        if met.related is None and self.is_elsewhere(name.name, {call.at}):
            return
        node = self.node(met.step)
        held = met.disjunct.env.mapping.get(name.name)
        pending = isinstance(held, Object) and held.pending is not None
        state = "is added, but not flushed" if pending else "was never added" if met.related is None else "is detached since its session was closed"
        self.report(node, [self.note(met.related, "added here" if pending else "its session is closed here")], call=self.code(node), name=name.name, state=state)
