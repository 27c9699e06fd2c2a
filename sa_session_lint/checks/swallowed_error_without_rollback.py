"""swallowed-error-without-rollback (SAS501): a failed flush was caught and not rolled back, and the session works on."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck, compounds
from sa_session_lint.model.expression import Await, Call
from sa_session_lint.model.protocol import INACTIVE, METHODS, TERMINALS
from sa_session_lint.model.value import Function, Place
from sa_session_lint.model.vocabulary import FLUSH_ERRORS
from sa_session_lint.project.ending import leaves
from sa_session_lint.project.handlers import handlers_around, may_raise, names_caught, recovers, rolls_back
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.typestate.followed import Followed, Met
from sa_session_lint.typestate.trail import came_back, catches, caught, intact, since
from sa_session_lint.walk import reads_any


class SwallowedErrorWithoutRollback(FlowCheck):
    rule = "swallowed-error-without-rollback"
    kinds = frozenset({"use of inactive", "caught use of inactive"})

    def function(self, found: Followed) -> None:
        self.told: set[Place | None] = set()
        super().function(found)

    def fault(self, met: Met) -> None:
        """Report what comes first after an error; what comes later fails for the same mistake."""
        failed = self.state(met).poisoned
        if failed is None or not self.is_told(met, failed) or self.is_mended(met) or recovers(self.index, failed):
            return
        if self.may_raise(met, failed) or self.is_asked(met) or self.is_answered(met):
            return
        if met.disjunct.raising is None and self.found.sketch.steps[met.step].handler == 0 and failed not in self.told and self.worker_loop(met) is None:
            self.told.add(failed)
            node = self.node(met.step)
            self.report(node, self.trail(met.step, met.disjunct, met.loc), name=self.name(met.disjunct, met.loc), call=self.code(node))

    def may_raise(self, met: Met, failed: Place) -> bool:
        """Whether the handler gets another error than that of the flush, or may itself raise, since it reads an object that the failed flush has expired."""
        handler = caught(self.found, met.step, met.disjunct, met.loc)
        if handler is not None and not came_back(self.found, met.step, met.disjunct, met.loc):
            return not catches(self.found, handler[0]) or may_raise(self.index, self.node(handler[0]), self.around, self.file.path)
        around = handlers_around(self.index, failed)
        if around is not None and around[1]:
            return any(may_raise(self.index, each, around[0], failed.path) for each in around[1])
        called = self.called(met)
        return called is not None and any(may_raise(self.index, each, called[1], called[0].path) for each in self.handlers(*called))

    def is_asked(self, met: Met) -> bool:
        """Whether the use depends on what the function that swallowed the error has given: `if not result.success: return`."""
        came = since(self.found, met.step, met.disjunct, met.loc, INACTIVE)
        if came is None or not came_back(self.found, met.step, met.disjunct, met.loc):
            return False
        call, use = self.node(came), self.node(met.step)
        given = self.found.sketch.steps[came].value
        names = {name for name, bindings in self.around.bindings.items() for binding in bindings if given in (binding.value, getattr(binding.value, "value", None))}
        tests = [
            block for block in compounds(self.file.outline.nodes[self.around.at])
            if isinstance(block, cst.If) and (self.compares(block.test, call) or (reads_any(block.test, names) and not self.holds(block, call)))
        ]
        return any(self.holds(block, use) or leaves(self.index, self.file.outline, self.around, block.body) for block in tests)

    def compares(self, test: cst.BaseExpression, call: cst.CSTNode) -> bool:
        """Whether a test asks more of what a call gives than whether that is true, which is followed."""
        plain = test.expression if isinstance(test, cst.UnaryOperation) else test
        return plain is not call and not isinstance(plain, cst.BooleanOperation) and self.holds(test, call)

    def is_answered(self, met: Met) -> bool:
        """Whether a `try` of its own catches what the use raises, and answers by a rollback or by going elsewhere: then nothing is lost but what the first error
        had lost."""
        came, use = since(self.found, met.step, met.disjunct, met.loc, INACTIVE), self.node(met.step)
        for around in self.around_of(self.file.outline.nodes[self.around.at], use):
            if isinstance(around, cst.Try) and self.holds(around.body, use) and (came is None or not self.holds(around, self.node(came))):
                if any(not FLUSH_ERRORS.isdisjoint(names_caught(each)) and (rolls_back(each) or leaves(self.index, self.file.outline, self.around, each.body)) for each in around.handlers):
                    return True
        return False

    def is_told(self, met: Met, failed: Place) -> bool:
        """Whether the error is one that a reader sees coming. Caught here, of a flush by name, or of a query when an object was added: that it only saves
        a changed attribute, and fails, is rare. Swallowed by the function that was called, not by one below it, and of a flush by name."""
        outline = self.index.outline(failed.path)
        node = outline.nodes[failed.at] if outline is not None else None
        name = node.func.attr.value if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) else ""
        by_name = name not in TERMINALS and METHODS.get(name) not in {"sql", "get"}
        if came_back(self.found, met.step, met.disjunct, met.loc):
            return by_name and self.is_swallowed_there(met)
        before = intact(self.found, met.step, met.disjunct, met.loc)
        return by_name or before is None or before.unsaved is None or before.unsaved.path != self.file.path or isinstance(self.at(before.unsaved), cst.Call)

    def is_swallowed_there(self, met: Met) -> bool:
        """Whether the function that came back has a handler for errors of a flush."""
        called = self.called(met)
        return called is None or bool(self.handlers(*called))

    def called(self, met: Met) -> tuple[Outline, Scope] | None:
        """The function of the project that was called when the error was swallowed, and came back."""
        came = since(self.found, met.step, met.disjunct, met.loc, INACTIVE)
        value = self.found.sketch.steps[came].value if came is not None else None
        call = value.value if isinstance(value, Await) else value
        function = self.index.value(call.function, self.around, self.file.path) if isinstance(call, Call) else None
        outline = self.index.outline(function.path) if isinstance(function, Function) else None
        return (outline, outline.scopes[function.qualname]) if outline is not None and isinstance(function, Function) else None

    def handlers(self, outline: Outline, scope: Scope) -> list[cst.ExceptHandler | cst.ExceptStarHandler]:
        """The handlers of a function that catch errors of a flush."""
        found = [each for block in compounds(outline.nodes[scope.at]) if isinstance(block, cst.Try) for each in block.handlers]
        return [each for each in found if not FLUSH_ERRORS.isdisjoint(names_caught(each))]

    def is_mended(self, met: Met) -> bool:
        """Whether it is the end of a block that catches what its commit raises."""
        here = met.step, met.disjunct
        return self.found.sketch.steps[met.step].op == "leave" and not any(way.raising for (_, way), before in self.found.came.items() if before == here)
