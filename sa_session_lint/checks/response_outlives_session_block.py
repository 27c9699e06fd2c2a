"""response-outlives-session-block (SAS703): a response works with a session that is closed before it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.expression import Attribute, Call, Expression, Name, text
from sa_session_lint.model.value import Function
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.sharing import parameters
from sa_session_lint.project.streaming import body, called, closes, task, works_with
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.state import Disjunct, Loc, Ref
from sa_session_lint.typestate.trail import state_of
from sa_session_lint.typestate.way import Way


class ResponseOutlivesSessionBlock(FlowCheck):
    rule = "response-outlives-session-block"

    def function(self, found: Followed) -> None:
        if found.coarse or self.around.is_generator or is_aside(self.file.path):
            return
        self.transfer = engine_of(self.index).transfer(found.sketch)
        made = {step.value.at: at for at, step in found.sketch.steps.items() if step.op == "call" and isinstance(step.value, Call)}
        for call in (each for each in self.around.calls if each.at in made):
            for maker, work in self.later(call):
                step = made.get(maker.at)
                ways = found.ways.get(step, ()) if step is not None and self.is_sent(call) else ()
                closed = ((way, loc) for way in ways for loc in self.worked_with(work, way) if self.is_closed(loc, way, self.file.outline.nodes[call.at]))
                for way, loc in islice(closed, 1):
                    self.report(self.file.outline.nodes[call.at], self.trail(step or 0, way, loc), name=self.name(way, loc), function=text(work.function))

    def later(self, call: Call) -> Iterator[tuple[Call, Call]]:
        """What a response that a call makes, or a background task, calls once the function has returned; each after the call that takes its arguments."""
        inner = body(self.index, call, self.around, self.file.path)
        made = self.origin(inner) if inner is not None else None
        function = self.index.value(made.function, self.around, self.file.path) if isinstance(made, Call) else None
        found = self.index.outline(function.path) if isinstance(function, Function) else None
        if isinstance(made, Call) and found is not None and isinstance(function, Function) and found.scopes[function.qualname].is_generator:
            yield made, made
        given = task(self.index, call, self.around, self.file.path)
        work = called(given)
        if given is not None and work is not None:
            yield given, work

    def is_sent(self, call: Call) -> bool:
        """Whether a response that a call makes is returned, and not called here: that would send it at once."""
        if isinstance(call.function, Attribute) and call.function.name == "add_task":
            return True
        if any(isinstance(each, cst.Return) for each in self.around_of(self.file.outline.nodes[self.around.at], self.file.outline.nodes[call.at])):
            return True
        names = {Name(name) for name, bindings in self.around.bindings.items() if any(binding.value is call for binding in bindings)}
        return any(given.value in names for given in self.around.returns) and not any(each.function in names for each in self.around.calls)

    def origin(self, expression: Expression) -> Expression:
        bindings = self.around.bindings.get(expression.name, ()) if isinstance(expression, Name) else ()
        return bindings[0].value if len(bindings) == 1 and bindings[0].how == "=" else expression

    def worked_with(self, work: Call, way: Disjunct) -> Iterator[Loc]:
        """The sessions with which what is called surely works."""
        function = self.index.value(work.function, self.around, self.file.path)
        found = self.index.outline(function.path) if isinstance(function, Function) else None
        if found is None or not isinstance(function, Function):
            return
        given = [*zip(parameters(self.index, function), work.arguments, strict=False), *((key, value) for key, value in work.keywords if key is not None)]
        scope = found.scopes[function.qualname]
        if scope.parent is self.around:
            given += [(name, Name(name)) for name in sorted(scope.loads - set(scope.bindings) - {p.name for p in scope.parameters})]
        for name, expression in given:
            held = self.transfer.evaluate(expression, Way(way))
            if isinstance(held, Ref) and works_with(self.index, replace(function, receiver=None), name):
                yield held.loc

    def is_closed(self, loc: Loc, way: Disjunct, node: cst.CSTNode) -> bool:
        """Whether a session that this function has opened is open on a way, and closed by a block around a node."""
        state = state_of(way, loc)
        if state is None or state.closed is not None or loc[0] not in {"new", "in"}:
            return False
        around = self.around_of(self.file.outline.nodes[self.around.at], node)
        ending = [each.finalbody for each in around if isinstance(each, cst.Try) and each.finalbody is not None and not self.holds(each.finalbody, node)]
        in_block = state.owner in {"with", "shared"} and any(then is not None and then.closed is not None for _, later in self.found.came if (then := state_of(later, loc)))
        return in_block or any(closes(each, self.names(way, loc)) for each in ending)
