"""bulk-dml-leaves-stale-objects (SAS307): a statement has changed the row of an object, and the object is read as it was loaded."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sa_session_lint.checks.read_check import ReadCheck
from sa_session_lint.finding import Note
from sa_session_lint.model.expression import Call
from sa_session_lint.model.value import Place
from sa_session_lint.model.vocabulary import ORM_STATEMENTS
from sa_session_lint.project.mapping import is_generated
from sa_session_lint.typestate.followed import Followed, Met
from sa_session_lint.typestate.instances import Read
from sa_session_lint.walk import reads_any

RENEWING = {"populate_existing", "with_for_update"}
"""What a query may see rows anew by, whatever is in memory."""
_BY_KEY = ""


class BulkDmlLeavesStaleObjects(ReadCheck):
    kinds = frozenset({"stale read"})

    def function(self, found: Followed) -> None:
        if any(met.kind == "stale read" for met in found.met) and not reads_any(self.file.outline.nodes[self.around.at], RENEWING):
            super().function(found)

    def site(self, met: Met) -> object:
        return met.loc, met.related

    def read(self, met: Met) -> Read | None:
        """The read that a fault stands for, if the statement surely changed the row of the object."""
        read = super().read(met)
        return read if read is not None and met.related is not None and self.is_of_row(met, read, met.related) else None

    def is_of_row(self, met: Met, read: Read, statement: Place) -> bool:
        """Whether a statement is about all rows of a table, or about the one of an object: by what it goes by, `where(User.id == user.id)`, or was asked for by."""
        wanted = list(self.conditions(statement))
        if not wanted:
            return True
        owner = next(self.nodes(self.node(met.step), read.expression), None)
        if len(wanted) > 1 or not isinstance(owner, cst.Attribute) or read.of.model is None or read.of.at is None or read.of.at.path != self.file.path:
            return False
        (key, value), asked = wanted[0], list(self.conditions(read.of.at))
        if value == f"{self.code(owner.value)}.{key}":
            return True
        bound = len(self.around.bindings.get(value, ())) + sum(value == parameter.name for parameter in self.around.parameters)
        return bound < 2 and ((key, value) in asked or ((_BY_KEY, value) in asked and is_generated(self.index, read.of.model, key)))

    def conditions(self, place: Place) -> Iterator[tuple[str, str]]:
        """The columns that a query or statement compares, each with what it is to be equal to; what is not understood is equal to nothing."""
        for call in self.parts(self.at(place)):
            name = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
            if name == "get":
                yield _BY_KEY, self.code(call.args[-1].value)
            for arg in call.args if name in {"where", "filter", "filter_by"} else ():
                match arg:
                    case cst.Arg(keyword=cst.Name(value=key)):
                        yield key, self.code(arg.value)
                    case cst.Arg(value=cst.Comparison(left=cst.Attribute(attr=cst.Name(value=key)), comparisons=[cst.ComparisonTarget(operator=cst.Equal(), comparator=value)])):
                        yield key, self.code(value)
                    case _:
                        yield "?", ""

    def parts(self, node: cst.CSTNode) -> Iterator[cst.Call]:
        """The calls that a query or statement is built of, also under a name."""
        match node:
            case cst.Await(expression=inner):
                yield from self.parts(inner)
            case cst.Name(value=name):
                bindings = self.around.bindings.get(name, ())
                if len(bindings) == 1 and isinstance(bindings[0].value, Call):
                    yield from self.parts(self.file.outline.nodes[bindings[0].value.at])
            case cst.Call(func=cst.Attribute(value=inner, attr=cst.Name(value=method))):
                yield node
                yield from self.parts(inner)
                if method in ORM_STATEMENTS and node.args:
                    yield from self.parts(node.args[0].value)

    def stations(self, read: Read) -> list[Note | None]:
        statement = read.of.stale[0] if read.of.stale is not None else None
        return [self.note(read.of.at, "comes from here"), self.note(statement, "its row is changed here, the object is not")]
