"""orm-object-shared-across-threads (SAS602): a thread that nobody waits for is given an object of a session of this one."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.expression import Attribute, Const
from sa_session_lint.model.value import Made
from sa_session_lint.model.vocabulary import THREAD_POOLS
from sa_session_lint.project.interest import name_of_called
from sa_session_lint.project.modules import is_aside
from sa_session_lint.typestate.followed import Met
from sa_session_lint.typestate.state import objects_in

ENDING = frozenset({"join", "result", "exception", "shutdown"})
WAITING = frozenset({"wait", "as_completed", "joinall", "gather"})
"""What is called to wait for threads, with at most a timeout, or with what they are."""


class OrmObjectSharedAcrossThreads(FlowCheck):
    kinds = frozenset({"object to thread"})

    def site(self, met: Met) -> object:
        return self.found.sketch.steps[met.step].at

    def fault(self, met: Met) -> None:
        node = self.node(met.step)
        if is_aside(self.file.path) or self.is_waited_for(node):
            return
        names = [key for key, value in met.disjunct.env if isinstance(key, str) and any(each.at == met.related and each.loc == met.loc for each in objects_in(value))]
        if names:
            self.report(node, [self.note(met.related, "comes from a session here")], name=names[0], call=self.code(node))

    def is_waited_for(self, node: cst.CSTNode) -> bool:
        """Whether the function may wait for what it has started: what two threads do one after the other they do not share."""
        for call in self.around.calls:
            name = name_of_called(call)
            if name in WAITING or (name in ENDING and isinstance(call.function, Attribute) and all(isinstance(each, Const) for each in call.arguments)):
                return True
        around = self.around_of(self.file.outline.nodes[self.around.at], node)
        return any(isinstance(each, cst.Await) or (isinstance(each, cst.With) and self.is_pool(each)) for each in around)

    def is_pool(self, block: cst.With) -> bool:
        """Whether a block ends when the threads of its pool have."""
        values = (self.value(item.item) for item in block.items)
        return any(isinstance(value, Made) and value.dotted in THREAD_POOLS for value in values)
