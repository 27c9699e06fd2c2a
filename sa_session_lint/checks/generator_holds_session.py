"""generator-holds-session (SAS106): a generator yields rows while the session that it opened holds a connection."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck, compounds
from sa_session_lint.model.expression import Attribute, Name
from sa_session_lint.model.value import External
from sa_session_lint.project.consuming import is_read_at_once
from sa_session_lint.project.usage import callers
from sa_session_lint.typestate.followed import Followed, Met

_FETCHING = frozenset({"all", "fetchall"})


class GeneratorHoldsSession(FlowCheck):
    rule = "generator-holds-session"
    kinds = frozenset({"held at yield"})

    def function(self, found: Followed) -> None:
        self.held: list[Met] = []
        super().function(found)
        if self.held and not (self.is_collection() or self.streams() or self.is_handed_on() or is_read_at_once(self.index, self.file.outline, self.around)):
            met = self.held[0]
            name = self.name(met.disjunct, met.loc)
            self.report(self.node(met.step), self.trail(met.step, met.disjunct, met.loc), name=name, function=self.around.name)

    def fault(self, met: Met) -> None:
        """Kept are rows that are given one after the other; a yield that comes once is a stage of some work, after which the consumer comes back at once."""
        node = self.node(met.step)
        around = self.around_of(self.file.outline.nodes[self.around.at], node)
        if (isinstance(node, cst.Yield) and isinstance(node.value, cst.From)) or any(isinstance(outer, (cst.For, cst.While)) for outer in around):
            self.held.append(met)

    def is_collection(self) -> bool:
        """Whether it is how a collection gives what it has fetched already: those are gone through at once, by `list(...)` or by `in`."""
        loops = [block for block in compounds(self.file.outline.nodes[self.around.at]) if isinstance(block, cst.For)]
        fetched = all(isinstance(loop.iter, cst.Call) and isinstance(loop.iter.func, cst.Attribute) and loop.iter.func.attr.value in _FETCHING for loop in loops)
        return self.around.name in {"__iter__", "__aiter__"} and bool(loops) and fetched

    def streams(self) -> bool:
        """Whether it says that it reads in pieces: such a generator is meant to be read while the session is open."""
        words = {"yield_per", "stream", "stream_scalars", "partitions", "stream_results"}
        for call in self.around.calls:
            if (isinstance(call.function, Attribute) and call.function.name in words) or words & {key for key, _ in call.keywords}:
                return True
        return False

    def is_handed_on(self) -> bool:
        """Whether the generator, or the function, is given to a library: a streaming response, `contextmanager(...)`."""
        made = {id(call) for _, _, call in callers(self.index, self.file.path, self.around)}
        for found, scope, call in self.index.calls_with(self.around.name):
            for argument in (*call.arguments, *(value for _, value in call.keywords)):
                if id(argument) in made or (argument == Name(self.around.name) and found.path == self.file.path):
                    value = self.index.value(call.function, scope, found.path)
                    if isinstance(value, External) and not value.dotted.startswith("builtins."):
                        return True
        return False
