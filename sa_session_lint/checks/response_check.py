"""What a check of reads is that asks as well what FastAPI reads of the object that a route gives.

    @app.get("/users/{key}", response_model=UserOut)
    def show(key: int):
        return load(key)                # as if every field of `UserOut` were read here
"""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.read_check import ReadCheck
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.serialising import response_of
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.typestate.followed import SOMETIMES, Followed
from sa_session_lint.typestate.instances import Read
from sa_session_lint.typestate.state import Known, Object, each_of
from sa_session_lint.typestate.way import Way


class ResponseCheck(ReadCheck):
    """Base of the checks to which it is the same whether an attribute is read by the function or, once that has returned, for the response."""

    def function(self, found: Followed) -> None:
        super().function(found)
        response = response_of(self.index, self.around, self.file.path) if not is_aside(self.file.path) else None
        if response is None:
            return
        schema, many = response
        instances = engine_of(self.index).transfer(found.sketch).instances
        reads: dict[int, list[Read | None]] = {}
        for step, disjunct, given in self.handed_out(found):
            held = each_of(given) if many else given
            expression = found.sketch.steps[step].value
            if given != Known(None) and expression is not None:
                reads.setdefault(step, []).append(instances.serialised(expression, held, schema, Way(disjunct)) if isinstance(held, Object) else None)
        for step, met in reads.items():
            node = self.node(step)
            read = next((each for each in met if each is not None and (None not in met or each.kind in SOMETIMES)), None)
            if read is not None and read.kind in self.kinds and self.counts(read) and isinstance(node, cst.Return) and node.value is not None:
                self.report(node.value, self.stations(read), name=self.code(node.value), attribute=read.attribute)
