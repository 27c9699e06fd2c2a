"""stale-read-long-lived-session (SAS304): a worker reads in every turn what it has loaded once, and its commits expire nothing."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sa_session_lint.checks.flow_check import compounds
from sa_session_lint.checks.read_check import ReadCheck
from sa_session_lint.model.expression import Attribute, Name
from sa_session_lint.model.value import Place
from sa_session_lint.project.mapping import is_column
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.polling import Polling
from sa_session_lint.project.renewing import writes
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.state import Object
from sa_session_lint.typestate.trail import state_of
from sa_session_lint.typestate.way import Way


class StaleReadLongLivedSession(ReadCheck):
    def function(self, found: Followed) -> None:
        """Report the first read of each object in an endless loop."""
        loops = (block for block in compounds(self.file.outline.nodes[self.around.at]) if isinstance(block, (cst.For, cst.While)) and self.is_endless(block))
        for loop in loops if not found.coarse and not is_aside(self.file.path) else ():
            seen: set[Place | None] = set()
            for read, one in self.old_reads(loop):
                if one.at not in seen:
                    seen.add(one.at)
                    commit = next((each for each in self.uses(one.loc or ()) if self.is_commit(each) and self.holds(loop, each)), None)
                    if commit is not None:
                        trail = [self.note(one.at, "loaded here, once"), self.note(commit, "committed here, which expires nothing")]
                        self.report(read, trail, name=self.code(read.value), attribute=read.attr.value)

    def old_reads(self, loop: cst.For | cst.While) -> Iterator[tuple[cst.Attribute, Object]]:
        """The columns of objects that are read in a loop, in the order of the text: as they were loaded before it, though the session has committed since."""
        transfer = engine_of(self.index).transfer(self.found.sketch)
        inside = ((self.node(at), at, step) for at, step in self.found.sketch.steps.items() if step.at and self.holds(loop.body, self.node(at)))
        for node, at, step in sorted(inside, key=lambda each: self.file.source.span_of(each[0])):
            for expression in transfer.instances.attributes(step):
                held = [(way, transfer.evaluate(expression.value, Way(way))) for way in self.found.ways.get(at, ())]
                objects = [(way, each) for way, each in held if isinstance(each, Object) and self.is_kept(each, expression, loop)]
                states = [state_of(way, each.loc or ()) for way, each in objects]
                if len({(each.at, each.loc) for _, each in objects}) == 1 and len(objects) == len(held) and any(state is not None and state.saved for state in states):
                    read = next(self.nodes(node, expression), None)
                    if all(state is not None and state.expire is False for state in states) and isinstance(read, cst.Attribute):
                        yield read, objects[0][1]

    def is_kept(self, one: Object, read: Attribute, loop: cst.For | cst.While) -> bool:
        """Whether an object was loaded before a loop, nothing has looked at its row since, and the loop does not set what is read."""
        if one.model is None or one.at is None or one.at.path != self.file.path or not one.loaded or one.fetched is None or one.expired is not None or one.detached is not None or one.mixed is not None:
            return False
        alone = isinstance(read.value, Name) and not any(writes(node, read.name) for node in Polling(self.index, self.file.outline, self.around, loop).nodes)
        return alone and is_column(self.index, one.model, read.name) and not self.holds(loop, self.at(one.at))

    def is_commit(self, node: cst.CSTNode) -> bool:
        return isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "commit"
