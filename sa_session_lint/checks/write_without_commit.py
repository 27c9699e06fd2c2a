"""write-without-commit (SAS309): work that a function's own session never commits, though nothing is raised."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.verdict import losses


class WriteWithoutCommit(FlowCheck):
    rule = "write-without-commit"

    def function(self, found: Followed) -> None:
        for loss in losses(found):
            if loss.write.path == self.file.path:
                write = self.at(loss.write)
                trail = self.trail(loss.step, loss.disjunct, loss.loc)
                self.report(write, trail, call=self.code(write), name=self.name(loss.disjunct, loss.loc), function=self.around.name)
