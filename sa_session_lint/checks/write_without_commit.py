"""write-without-commit (SAS309): work that a function's own session never commits, though nothing is raised."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.project.pooling import is_lent
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.leaving import losses
from sa_session_lint.walk import children


class WriteWithoutCommit(FlowCheck):
    rule = "write-without-commit"

    def function(self, found: Followed) -> None:
        for loss in losses(found):
            made = loss.state.maker or loss.state.opened
            if loss.write.path == self.file.path and not (made is not None and is_lent(self.index, made)) and not self.is_for_itself(self.at(loss.write)):
                write = self.at(loss.write)
                trail = self.trail(loss.step, loss.disjunct, loss.loc)
                self.report(write, trail, call=self.code(write), name=self.name(loss.disjunct, loss.loc), function=self.around.name)

    def is_for_itself(self, write: cst.CSTNode) -> bool:
        """Whether a function sets an attribute of an object and reads it again, or calls a method, which may: it may change what it has in hand, and mean
        to save nothing."""
        if not isinstance(write, cst.Assign) or not isinstance(written := write.targets[0].target, cst.Attribute):
            return False
        line, text = self.file.source.span_of(write).end_line, self.code(written)
        for read, called in _reads(self.file.outline.nodes[self.around.at]):
            if self.file.source.span_of(read).line > line and (self.code(read) == text or (called and self.code(read.value) == self.code(written.value))):
                return True
        return False


def _reads(node: cst.CSTNode) -> Iterator[tuple[cst.Attribute, bool]]:
    """The attributes that code reads, and whether it calls them."""
    for child in children(node):
        if isinstance(child, cst.Attribute):
            yield child, isinstance(node, cst.Call) and node.func is child
        if not isinstance(child, (cst.AssignTarget, cst.Del)):
            yield from _reads(child)
