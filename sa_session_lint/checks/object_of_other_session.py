"""object-of-other-session (SAS402): an object of one open session is given to another."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.expression import Attribute, Await, Call
from sa_session_lint.project.modules import is_aside
from sa_session_lint.typestate.followed import Met
from sa_session_lint.typestate.instances import OF_OBJECTS


class ObjectOfOtherSession(FlowCheck):
    kinds = frozenset({"other session"})

    def fault(self, met: Met) -> None:
        value = self.found.sketch.steps[met.step].value
        call = value.value if isinstance(value, Await) else value
        node = self.node(met.step)
        if not is_aside(self.file.path) and isinstance(call, Call) and isinstance(call.function, Attribute) and call.function.name in OF_OBJECTS:
            self.report(node, [self.note(met.related, "comes from another session here")], call=self.code(node))
