"""rollback-in-loop-loses-batch (SAS506): a handler in a loop rolls back all that was written since the last commit, and the loop goes on."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck, compounds
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.turns import Turns, undone


class RollbackInLoopLosesBatch(FlowCheck):
    def function(self, found: Followed) -> None:
        engine = engine_of(self.index)
        if engine.transfer(found.sketch).has_savepoint:
            return  # which of the two a rollback ends is another question
        blocks = list(compounds(self.file.outline.nodes[self.around.at]))
        loops = [block for block in blocks if isinstance(block, (cst.For, cst.While)) and any(isinstance(inner, (cst.Try, cst.TryStar)) for inner in compounds(block))]
        seen: set[int] = set()
        for each in (each for loop in reversed(loops) for each in undone(found, engine, self.turns(loop))):
            node = self.node(each.step)
            if id(node) not in seen and not self.is_done_again(blocks, node):
                seen.add(id(node))
                trail = [self.note(each.written, "written here, in earlier turns"), self.note(self.node(each.saved), "committed here, without what was rolled back")]
                self.report(node, trail, name=self.name(each.disjunct, each.loc), call=self.code(node))

    def turns(self, loop: cst.For | cst.While) -> Turns:
        """The steps of a loop."""
        steps = self.found.sketch.steps
        inside = frozenset(at for at, step in steps.items() if step.at and self.holds(loop, self.file.outline.nodes[step.at]))
        if isinstance(loop, cst.For):
            return Turns(frozenset(at for at in inside if self.node(at) is loop.iter and len(steps[at].next) > 1), inside)
        entered = {self.found.sketch.start}.union(*(step.next for at, step in steps.items() if step.at and at not in inside))
        joins = {to for to in entered if to in steps and not steps[to].at}  # where ways only meet
        return Turns(inside & entered.union(*(steps[to].next for to in joins)), inside)

    def is_done_again(self, blocks: list[cst.BaseCompoundStatement], node: cst.CSTNode) -> bool:
        """Whether a handler that rolls back has a loop of its own, to do again what was rolled back."""
        handlers = [each for block in blocks if isinstance(block, (cst.Try, cst.TryStar)) for each in block.handlers if self.holds(each, node)]
        return any(isinstance(block, (cst.For, cst.While)) for each in handlers[-1:] for block in compounds(each))
