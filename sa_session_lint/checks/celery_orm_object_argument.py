"""celery-orm-object-argument (SAS714): a task is given an object or a session, which cannot be made JSON."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check
from sa_session_lint.finding import Note
from sa_session_lint.model.expression import Attribute, Call, Expression
from sa_session_lint.model.value import Class, Instance, Many, Mapping, Place, Registry, Session, Value
from sa_session_lint.project.enqueuing import enqueued, is_json
from sa_session_lint.project.mapping import has, is_mapped
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.tracking import engine_of, followed
from sa_session_lint.typestate.state import Abstract, Group, Object, Ref
from sa_session_lint.typestate.way import Way


class CeleryOrmObjectArgument(Check):
    rule = "celery-orm-object-argument"

    def visit_Call(self, node: cst.Call) -> None:
        call = self.expression(node)
        what = enqueued(self.index, call, self.scope(node), self.file.path) if isinstance(call, Call) else None
        if what is None or not isinstance(call, Call) or is_aside(self.file.path) or not is_json(self.index, call, what, self.file.path) or self.runs_here(call):
            return
        error = "TypeError" if what.framework == "Dramatiq" else "EncodeError"
        for given in what.given:
            kind = self.kind(self.index.value(given, self.scope(node), self.file.path)) or self.met(given, call, node)
            if kind is not None:
                self.report(node, [self.origin(given, call, node)], call=self.code(node), name=self.written(node, given), kind=kind, error=error)
                return

    def kind(self, value: Value) -> str | None:
        """What of a value cannot be made JSON, whenever it is asked."""
        match value:
            case Instance(path, qualname):
                return "object" if self.is_stuck(Class(path, qualname)) and is_mapped(self.index, Class(path, qualname)) else None
            case Session() | Registry():
                return "session"
            case Many(items):
                return next((kind for item in items if (kind := self.kind(item)) is not None), None)
            case Mapping(items):
                return next((kind for _, item in items if (kind := self.kind(item)) is not None), None)
        return None

    def is_stuck(self, model: Class) -> bool:
        """Whether a class does not tell how its objects are made JSON."""
        return not has(self.index, model, "__json__")

    def met(self, given: Expression, call: Call, node: cst.Call) -> str | None:
        """What cannot be made JSON on every way to the call."""
        kinds = {self.held(value) for value in self.values(given, call, node)}
        return kinds.pop() if len(kinds) == 1 else None

    def values(self, given: Expression, call: Call, node: cst.Call) -> list[Abstract]:
        """What an argument holds, on each way to the call."""
        found = followed(self.index, self.file.outline, self.scope(node))
        if found is None or found.coarse:
            return []
        transfer = engine_of(self.index).transfer(found.sketch)
        return [transfer.evaluate(given, Way(way)) for at, step in found.sketch.steps.items() if step.value is call for way in found.ways.get(at, ())]

    def held(self, value: Abstract) -> str | None:
        match value:
            case Object():
                model = value.model or value.first
                return "object" if model is not None and self.is_stuck(model) else None
            case Ref():
                return "session"
            case Group(items):
                return next((kind for item in items if (kind := self.held(item)) is not None), None)
        return None

    def runs_here(self, made: Call) -> bool:
        """Whether a signature is called, or applied, in this process, as it is made."""
        calls = (call.function for call in self.scope(self.file.outline.nodes[made.at]).calls)
        return any(function is made or (isinstance(function, Attribute) and function.value is made and function.name == "apply") for function in calls)

    def origin(self, given: Expression, call: Call, node: cst.Call) -> Note | None:
        """Where an argument comes from."""
        places = [value.at for value in self.values(given, call, node) if isinstance(value, Object) and value.at is not None]
        value = self.index.value(given, self.scope(node), self.file.path)
        place = places[0] if places else value.place if isinstance(value, (Session, Registry)) else None
        return None if place is None or place == Place(place.path, 0) else self.note(place, "comes from here")
