"""callee-ends-callers-transaction (SAS507): a function commits, rolls back or closes a session in the middle of its caller's work."""

from __future__ import annotations

from itertools import pairwise

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck, compounds
from sa_session_lint.model.expression import OPAQUE, Attribute, Call, Const, Expression, Item, Name
from sa_session_lint.model.protocol import METHODS
from sa_session_lint.model.value import Place
from sa_session_lint.project.ending import leaves
from sa_session_lint.project.interest import may_matter
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.tracking import followed
from sa_session_lint.project.usage import all_callers
from sa_session_lint.typestate.followed import Followed, Met
from sa_session_lint.typestate.sketch import call_at
from sa_session_lint.typestate.trail import history, state_of
from sa_session_lint.typestate.verdict import intrusions
from sa_session_lint.walk import path_between, reads_any


class CalleeEndsCallersTransaction(FlowCheck):
    rule = "callee-ends-callers-transaction"

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        """Ask the callers: only they know whether the parameter is a session, and what it is in the middle of."""
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or not _ends(scope, node) or not may_matter(self.index, scope, self.file.path):
            return
        self.around = scope
        seen: set[Place] = set()
        for outline, around in all_callers(self.index, self.file.path, scope):
            caller = followed(self.index, outline, around)
            for met in intrusions(caller) if caller is not None else ():
                end = met.related
                if caller is None or end is None or end.path != self.file.path or end in seen or not self.holds(node, self.at(end)):
                    continue
                if self.is_item_by_item(outline, around, caller, met) or self.is_told(outline, around, caller, met, end):
                    continue
                seen.add(end)
                ending = self.at(end)
                if not self.is_callers_choice(node, ending):
                    stations = history(caller, met.step, met.disjunct, met.loc)
                    trail = [self.note(station.place, station.text) for station in stations]
                    trail.append(self.note(Place(outline.path, caller.sketch.steps[met.step].at), f"`{around.name}` called it here"))
                    self.report(ending, trail, call=f"with {self.code(ending)}" if isinstance(ending, cst.WithItem) else self.code(ending), function=around.name)

    def is_item_by_item(self, outline: Outline, around: Scope, caller: Followed, met: Met) -> bool:
        """Whether the call stands in a loop over things, and what it saves halfway was written in it, too: the caller saves one after the other."""
        state = state_of(met.disjunct, met.loc)
        write = state.unsaved if state is not None else None
        loops = outline.loops(around, call_at(caller.sketch.steps[met.step]))
        return write is not None and write.path == outline.path and any(isinstance(loop, cst.For) and path_between(loop, outline.nodes[write.at]) for loop in loops)

    def is_told(self, outline: Outline, around: Scope, caller: Followed, met: Met, end: Place) -> bool:
        """Whether a rollback belongs to the handling of an error of which the caller is told, and gives up: `if error := add(session): return error`."""
        call = self.expression(self.at(end))
        if not (isinstance(call, Call) and isinstance(call.function, Attribute) and call.function.name == "rollback" and end.at in self.around.in_handlers):
            return False
        made = outline.nodes[call_at(caller.sketch.steps[met.step])]
        for outer, inner in pairwise((*path_between(outline.nodes[around.at], made), made)):
            if isinstance(outer, cst.If) and inner is outer.test:
                return leaves(self.index, outline, around, outer.body)
            if isinstance(outer, cst.IndentedBlock) and isinstance(inner, cst.SimpleStatementLine):
                after = next(iter(outer.body[outer.body.index(inner) + 1 :]), None)
                names = {each.target.value for line in inner.body if isinstance(line, cst.Assign) for each in line.targets if isinstance(each.target, cst.Name)}
                return isinstance(after, cst.If) and reads_any(after.test, names) and leaves(self.index, outline, around, after.body)
        return False

    def is_callers_choice(self, function: cst.CSTNode, node: cst.CSTNode) -> bool:
        """Whether the end of the transaction hangs on a parameter, or on what was taken out of one: `commit = kw.pop("commit", False)`."""
        names = {parameter.name for parameter in self.around.parameters}
        names |= {name for name, bindings in self.around.bindings.items() if any(_root(_looked_into(binding.value)) in names for binding in bindings)}
        return any(reads_any(outer.test, names) for outer in self.around_of(function, node) if isinstance(outer, cst.If))


def _ends(scope: Scope, node: cst.FunctionDef) -> bool:
    """Whether a function has anything that may end the transaction of a session which it does not open: the callers, all over the project, are asked of no other."""
    calls = (call.function for call in scope.calls if isinstance(call.function, Attribute) and METHODS.get(call.function.name) in {"commit", "rollback", "close"})
    if any(not _is_opened(scope, _root(function)) for function in calls):
        return True
    items = (item.item for block in compounds(node) if isinstance(block, cst.With) for item in block.items)
    return any(not isinstance(item, cst.Call) or item.args or isinstance(item.func, cst.Attribute) for item in items)


def _root(expression: Expression) -> str | None:
    """The name that a chain of attributes and calls starts with."""
    while isinstance(expression, (Attribute, Call)):
        expression = expression.value if isinstance(expression, Attribute) else expression.function
    return expression.name if isinstance(expression, Name) else None


def _looked_into(value: Expression) -> Expression:
    """What an item, or a call such as `kw.pop("commit")`, is taken from."""
    match value:
        case Item(of, Const()) | Call(Attribute(of, "pop" | "get"), (Const(), *_), _):
            return of
    return OPAQUE


def _is_opened(scope: Scope, name: str | None) -> bool:
    """Whether a function binds a name to nothing but what it calls or enters."""
    bindings = scope.bindings.get(name, ()) if name is not None and all(parameter.name != name for parameter in scope.parameters) else ()
    return bool(bindings) and all(binding.how == "with" or isinstance(binding.value, Call) for binding in bindings)
