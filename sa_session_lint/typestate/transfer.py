"""What one step makes of one way to it.

    s = SessionLocal()      call: a new session, IDLE, owned here; bind: `s` refers to it
    s.add(user)             call: its state goes from IDLE to BEGUN by the table, and holds work that is not saved
    s.commit()              call: to IDLE when it comes back; when it raises, the session is INACTIVE on the way to the handler
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.flow.graph import RAISED
from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import (
    Attribute,
    Await,
    Call,
    Choice,
    Each,
    Enter,
    Expression,
    Name,
    Row,
    dotted,
)
from sa_session_lint.model.protocol import ANY, CONN, INACTIVE
from sa_session_lint.model.value import Class, External, Function, Instance, Session
from sa_session_lint.typestate.blocks import Blocks
from sa_session_lint.typestate.calls import Calls
from sa_session_lint.typestate.concurrency import Concurrency
from sa_session_lint.typestate.instances import RAISING, Instances
from sa_session_lint.typestate.invocation import Invocation
from sa_session_lint.typestate.methods import Methods
from sa_session_lint.typestate.sketch import Sketch, SketchStep, attributes_in, is_count
from sa_session_lint.typestate.slicing import wanted
from sa_session_lint.typestate.state import (
    Abstract,
    Caught,
    Condition,
    Disjunct,
    Group,
    Handle,
    Job,
    Known,
    Loc,
    Object,
    Pending,
    Record,
    Ref,
    Rows,
    Scope,
    SessionState,
    Some,
    each_of,
    is_sql,
    locs_in,
    objects_in,
    plain,
    spared,
    sparing,
)
from sa_session_lint.typestate.values import Values
from sa_session_lint.typestate.way import Way

if TYPE_CHECKING:
    from sa_session_lint.typestate.engine import Engine

Arrivals = Iterator[tuple[int, Way]]


_NONE = Known(None)


class Transfer(Values):
    """The steps of one sketch."""

    def __init__(self, sketch: Sketch, engine: Engine) -> None:
        super().__init__(sketch, engine.facts)
        self.engine = engine
        self.wanted = wanted(sketch)
        dropped = (step.value.value if isinstance(step.value, Await) else step.value for step in sketch.steps.values() if step.op == "drop")
        self.dropped = {call.at for call in dropped if isinstance(call, Call)}
        self.given = {name for name, _ in sketch.parameters}.difference(target.name for step in sketch.steps.values() for target, _ in step.targets if isinstance(target, Name))
        self.awaited = {step.value.value.at for step in sketch.steps.values() if isinstance(step.value, Await) and isinstance(step.value.value, Call)}
        self.invocation = Invocation(engine)
        self.calls = Calls(self)
        self.methods = Methods(self)
        self.blocks = Blocks(self)
        self.concurrency = Concurrency(self)
        self.instances = Instances(self)
        self.asked = {step.condition.subject.name for step in sketch.steps.values() if step.condition is not None and isinstance(step.condition.subject, Name)}
        self.read: dict[int, tuple[tuple[str, str], ...]] = {}
        self.has_savepoint = any(isinstance(s.value, Call) and isinstance(s.value.function, Attribute) and s.value.function.name == "begin_nested" for s in sketch.steps.values())
        self.told = {at for step in sketch.steps.values() for at in self.told_by(step)}

    def told_by(self, step: SketchStep) -> Iterator[int]:
        """The choices of which it matters to a step which constant was taken: a name holds it then, the caller or a function of the project gets it."""
        stack: list[Expression] = [value for _, value in step.targets]
        if step.op in {"return", "yield"} and step.value is not None:
            stack.append(step.value)
        elif step.op == "call" and isinstance(step.value, Call):
            given = [*step.value.arguments, *(value for _, value in step.value.keywords)]
            if any(isinstance(each, Choice) for each in given) and isinstance(self.value(step.value.function), Function):
                stack += given
        while stack:
            match stack.pop():
                case Choice(options, at):
                    yield at
                    stack += options
                case Row(items):
                    stack += items

    def after(self, step: SketchStep, disjunct: Disjunct) -> Arrivals:
        """Where control goes from a step on one way, and what is known there."""
        way = Way(disjunct)
        if step.op in {"call", "may", "await"}:  # stored so that what the block calls finds it
            for loc, state in disjunct.heap:
                if state.stored is not None:
                    way.update(loc, stored=None)
                if state.kept and self.may_wait(step, way):
                    way.update(loc, lent=None, kept=False)
        if any(way.env.get(name) == _NONE and attribute != "__str__" for name, attribute in self.reads(step)):
            way.clear()
            way.raising = "other"  # None has no attributes
            yield step.error or step.misuse or RAISED, way
            return
        if (expired := self.expired(step, way)) is not None:
            loc, sure = expired
            if sure:
                way.faults.append(("use of inactive", loc, way.state(loc).poisoned))
            way.clear()
            way.raising = "sql"
            if step.error is not None or step.misuse is not None:
                yield step.error or step.misuse or RAISED, way
            return
        for read in self.instances.reads(step, way) if ("turned", step.at) not in way.env else ():  # what a loop is over is read before its first turn
            if read.kind is not None and (of := read.of.copy or read.of.loc) is not None:
                bypassed = read.of.stale[0] if read.of.stale is not None and read.kind == "stale read" else None
                way.faults.append((read.kind, of, bypassed or read.of.merged or read.of.pending or read.of.detached or read.of.expired or read.of.sent))
                if read.kind in RAISING:  # nothing comes after it
                    way.clear()
                    way.raising = "other"
                    yield step.error or step.misuse or RAISED, way
                    return
        match step.op:
            case "call" if isinstance(step.value, Call):
                back, raised = self.calls.call(step.value, way)
                for each in (*(one for one, _ in back), *raised):
                    self.instances.captured(step.value, each)
                yield from self.arrivals(step, back, raised, key=step.value.at)
            case "await" if isinstance(step.value, Await):
                yield from self.arrivals(step, *self.calls.awaited(step.value, way), key=step.at)
            case "test":
                yield from self.test(step, way)
            case "pick":
                if isinstance(step.value, Choice) and step.option < len(step.value.options):
                    chosen = self.evaluate(step.value.options[step.option], way)
                    told = not isinstance(chosen, (Known, Some)) or step.value.at in self.told
                    way.bind(step.value.at, chosen if told else None)
                yield step.next[0], way
            case "bind":
                yield from self.bind(step, way)
            case "drop":
                value = self.evaluate(step.value, way) if step.value is not None else None
                if isinstance(value, Pending):
                    way.escape(value)  # a coroutine that nobody awaits: another rule's business
                if isinstance(step.value, Attribute):
                    for loc in locs_in(value):
                        way.update(loc, unsaved=None)  # `session.commit` that is not called: another rule's business
                way.clear()
                yield step.next[0], way
            case "enter":
                yield from self.enter(step, way)
            case "leave":
                yield from self.leave(step, way)
            case "next":
                yield from self.iterate(step, way)
            case "return":
                value = self.evaluate(step.value, way) if step.value is not None else None
                way.leaves(value)
                way.clear()
                for loc in [loc for loc, state in way.heap.items() if state.unsaved is not None and step.handler]:
                    way.update(loc, unsaved=None)  # the work has failed: that it is not saved may be meant
                way.bind("return", value)
                yield step.next[0], way
            case "raise":
                way.clear()
                way.raising = "other"
                if step.error is not None:
                    yield step.error, way
            case "catch":
                if not is_sql(way.raising) or not (v.FLUSH_ERRORS & {*step.names}) <= spared(way.raising):
                    error = Caught(is_sql(way.raising))
                    way.raising = None
                    way.clear()
                    for target, _ in step.targets:
                        if isinstance(target, Name):
                            way.bind(target.name, error)
                    yield step.next[0], way
            case "dispatch":
                yield from self.dispatch(step, way)
            case "yield":
                yield from self.suspend(step, way)
            case _:
                yield from self.passed(step, way)

    def expired(self, step: SketchStep, way: Way) -> tuple[Loc, bool] | None:
        """The session whose failed flush has expired an object of which a step reads an attribute, and whether that surely raises: a column does, of something else
        it is not known. A savepoint expires less."""
        failed = {loc for loc, state in way.heap.items() if state.txn is INACTIVE and state.poisoned is not None and not state.loaded and "nested" not in state.blocks}
        if not failed or self.has_savepoint or ("turned", step.at) in way.env:
            return None
        for name, attribute in self.reads(step):
            held = way.env.get(name)
            if isinstance(held, Object) and held.loaded and held.loc in failed and held.loc is not None:
                return held.loc, held.model is not None and self.facts.is_column(held.model, attribute)
        return None

    def reads(self, step: SketchStep) -> tuple[tuple[str, str], ...]:
        """The names and attributes that a step reads."""
        if id(step) not in self.read:
            parts: list[object] = [step.value, *(value for _, value in step.targets)]
            if step.condition is not None:
                parts += [step.condition.subject, step.condition.key]
            self.read[id(step)] = tuple(dict.fromkeys(pair for part in parts for pair in attributes_in(part)))
        return self.read[id(step)]

    def may_wait(self, step: SketchStep, way: Way) -> bool:
        """Whether a step may wait for work that was put somewhere: whatever is not a method of something that is followed."""
        match step.value:
            case Call(function):
                value = self.value(function)
                if isinstance(value, External):
                    return value.dotted in v.GATHERING | v.WAITING
                return not isinstance(function, Attribute) or self.evaluate(function.value, way) is None
            case Await(value):
                return not isinstance(self.evaluate(value, way), (Pending, Job))
        return True

    def passed(self, step: SketchStep, way: Way) -> Arrivals:
        """A step at which nothing of interest happens."""
        for to in step.next:
            yield to, way.copy()
        if step.error is not None and not _is_second_error(way):
            way.raising = "other"
            way.clear()
            yield step.error, way

    def arrivals(self, step: SketchStep, back: list[tuple[Way, Abstract]], raised: list[Way], key: int) -> Arrivals:
        for way, value in back:
            way.bind(key, value)
            if step.filled is not None:
                way.is_there(step.filled)
            yield step.next[0], way
        for way in raised:
            to = step.error
            if _is_second_error(way):
                continue
            if to is None and way.faults:
                to = RAISED if step.misuse is None else step.misuse
            if to is not None:
                way.raising = way.raising or "other"
                way.clear()
                yield to, way

    # -- names --------------------------------------------------------------------------------------------------------

    def bind(self, step: SketchStep, way: Way) -> Arrivals:
        ways = [way]
        if step.condition is not None and isinstance(step.targets[0][0], Name):
            ways = []
            for truth in (True, False):
                for each in self.assumed(step.condition, truth, way.copy()):
                    each.bind(step.targets[0][0].name, Known(truth))
                    ways.append(each)
        else:
            for target, expression in step.targets:
                if isinstance(target, Attribute) and isinstance(target.value, Name) and self.evaluate(target.value, way) == Known(None):
                    return  # None takes no attributes
                value = self.evaluate(expression, way)
                if value is None and isinstance(expression, Call) and isinstance(target, Name) and self.is_made(expression):
                    model = self.value(expression.function)
                    value = self.instances.made(model if isinstance(model, Class) else None, expression)
                if value is None and isinstance(target, Name) and isinstance(found := self.value(target), Session) and found.how == "given":
                    loc: Loc = ("given", self.place(step.at))
                    way.heap[loc] = SessionState(ANY, found.kind, "given", fresh=False, expire=self.facts.expires(found.options, found.kind))
                    value = Ref(loc)  # an annotation says so
                self.assign(target, value, way, step.at)
                if step.at in self.sketch.seeded and isinstance(target, Name):
                    way.is_there(target.name)
        for each in ways:
            each.clear()
            if step.filled is not None:
                each.is_there(step.filled)
            yield step.next[0], each

    def assign(self, target: Expression, value: Abstract, way: Way, at: int) -> None:
        if isinstance(target, Name):
            if target.name in self.sketch.locals:
                way.bind(target.name, value)
            else:
                self.stored(value, way, at)
            return
        name = dotted(target)
        if name is not None and isinstance(target, Attribute):
            inner = self.evaluate(target.value, way) if isinstance(target.value, Name) else None
            if isinstance(inner, Object) and isinstance(target.value, Name):
                self.changed(inner, target, target.value.name, way, at)
                self.instances.written(target.value.name, target.name, way)
            if isinstance(inner, Record) and isinstance(target.value, Name):
                fields = tuple((field, old) for field, old in inner.fields if field != target.name)
                way.bind(target.value.name, Record(inner.path, inner.qualname, (*fields, (target.name, value))))
                return
            way.bind(name, value if locs_in(value) else None)
        self.stored(value, way, at)

    def changed(self, changed: Object, target: Attribute, name: str, way: Way, at: int) -> None:
        """An attribute of an object is set: that is work of its session, if the attribute is a column and the session still has the object."""
        if (changed.detached or changed.merged) is not None and changed.mixed is None and changed.model is not None:
            if self.facts.is_column(changed.model, target.name):
                way.become(changed, replace(changed, unsent=self.place(at)))
            return
        state = way.heap.get(changed.loc) if changed.loc is not None else None
        if changed.loc is None or state is None or state.closed is not None or changed.model is None or not self.facts.is_column(changed.model, target.name):
            return
        if state.txn is INACTIVE and changed.new:
            return  # the flush that has failed made it transient again
        way.wrote(changed.loc, self.place(at))
        if way.state(changed.loc).unsaved == self.place(at):
            way.env[name] = changed = replace(changed, written=self.place(at))
        self.instances.sends(changed, self.place(at), way)

    def stored(self, value: Abstract, way: Way, at: int) -> None:
        """A value outlives the function under another name."""
        way.leaves(value)
        self.concurrency.keep((value,), way)
        for loc in locs_in(value):
            state = way.state(loc)
            if state.owner == "with" and isinstance(value, Ref):
                way.update(loc, stored=self.place(at))
            elif state.owner in {"here", "passed"}:
                way.update(loc, owner="stored", unsaved=None, begun=None)

    # -- conditions ---------------------------------------------------------------------------------------------------

    def test(self, step: SketchStep, way: Way) -> Arrivals:
        for to, truth in zip(step.next, (True, False), strict=False):
            branch = way.copy()
            branch.faults = list(way.faults)
            for each in (branch,) if step.condition is None else self.assumed(step.condition, truth, branch):
                yield to, each

    def assumed(self, condition: Condition, truth: bool, way: Way) -> Iterator[Way]:
        """The way on which a condition is so, unless that contradicts what is known."""
        positive = truth != (condition.kind in {"is not none", "is false"})
        value = self.evaluate(condition.subject, way) if condition.subject is not None else None
        for name in sorted(_values_read(condition.key)):
            self.taken_for_result(Name(name), way.env.get(name), way)
        if isinstance(value, Ref) and value.loc[0] == "ambient":
            value = None  # what an object keeps may be missing
        settled = False if _is_other_error(condition.subject, way) else _settled("true" if condition.kind == "is false" else condition.kind, value)
        if settled is not None:
            if settled == positive:
                yield way
            return
        known = way.conditions.get(condition.key)
        if known is not None and known != positive:
            return
        way.conditions[condition.key] = positive
        if condition.kind in {"is none", "is not none"} and positive and isinstance(condition.subject, Name):
            way.env[condition.subject.name] = Known(None)
        yield way

    # -- blocks -------------------------------------------------------------------------------------------------------

    def enter(self, step: SketchStep, way: Way) -> Arrivals:
        assert step.value is not None
        value = self.evaluate(step.value, way)
        found = self.facts.value(Enter(step.value), self.sketch) if value is None else None
        owner = self.value(step.value) if value is None else None
        inside = self.invocation.entered(Class(owner.path, owner.qualname), way, self.place(step.at)) if isinstance(owner, Instance) else None
        if value is None and inside is None and isinstance(found, Session):
            loc: Loc = ("given", self.place(step.at))
            way.heap[loc] = SessionState(ANY, found.kind, "given", fresh=False, expire=self.facts.expires(found.options, found.kind))
            value = Ref(loc)
        if isinstance(step.value, Call):
            self.calls.waits(Enter(step.value), step.value, (), way)
            if value is None and isinstance(step.value.function, Attribute) and step.value.function.name in v.APP_CONTEXTS:
                value = Scope("application", None)
        back, raised = inside or self.blocks.entered(value, way, step.at)
        found = self.value(Enter(step.value)) if isinstance(value, Handle) and value.kind == "maker" else None
        for each, bound, _ in back:
            if isinstance(bound, Ref) and isinstance(found, Session):
                options = found.options
                each.update(bound.loc, kind=found.kind, autoflush=options.autoflush, momentary=options.momentary, expire=self.facts.expires(options, found.kind))
        for each, bound, manager in back:
            if manager is not None:
                each.env["with", step.at] = manager
            for target, expression in step.targets:
                self.assign(target, bound if isinstance(expression, Enter) else None, each, step.at)
            each.clear()
            yield step.next[0], each
        for each in raised:
            if step.error is not None:
                each.raising = each.raising or "other"
                each.clear()
                yield step.error, each

    def leave(self, step: SketchStep, way: Way) -> Arrivals:
        manager = way.env.pop(("with", step.at), None)
        if step.raising:
            way.clear()
        back, raised, swallowed = self.blocks.left(manager, way, step.at, step.raising)
        for each in back:
            if not step.raising:
                yield step.next[0], each
            elif step.error is not None:
                yield step.error, each
        for each in swallowed:
            each.raising = None
            yield step.next[0], each
        for each in raised:
            if step.error is not None:
                each.raising = each.raising or "other"
                yield step.error, each

    def iterate(self, step: SketchStep, way: Way) -> Arrivals:
        assert step.value is not None
        value = self.evaluate(step.value, way)
        if value is None:
            value = way.env.get(("over", step.at))
        self.taken_for_result(step.value, value, way)
        ways = [way]
        raised: list[Way] = []
        if isinstance(value, Rows) and value.kind in {"query", "lazy"} and not step.lazy:
            ways, raised = way.operate(value.loc, "sql", self.place(step.at))
        if isinstance(value, Rows) and value.kind == "result" and value.entities and way.state(value.loc).closed is not None:
            way.faults.append(("rows after close", value.loc, None))
        for each in ways:
            if step.targets:
                each.clear()
            done = each.copy()
            done.faults = []
            done.env.pop(("over", step.at), None)
            over = value
            if isinstance(value, Rows) and value.entities and value.kind in {"query", "result"} and (value.model or value.first) is not None:
                one = each_of(value)  # all are loaded at once, before the first turn
                fresh = each.meets(value.loc, value.model or value.first)
                over = Group((one if fresh or not isinstance(one, Object) else replace(one, fetched=None),), open=True)
            if isinstance(over, (Rows, Group)) and not isinstance(step.value, Name):
                each.env["over", step.at] = replace(over, kind="read") if isinstance(over, Rows) and over.kind == "query" else over
            if isinstance(value, Group):
                self.concurrency.returned(Group(tuple(item for item in value.items if isinstance(item, Job))), done)  # the loop may have waited for them
            for target, expression in step.targets:
                bound = each_of(over)
                if isinstance(bound, Object):
                    if bound.mixed not in {None, self.place(step.at)}:
                        bound = plain(bound)
                    bound = replace(bound, at=self.place(step.at), mixed=None)  # one of them: what happens to it does not to the others
                if isinstance(value, Group) and not value.open and not isinstance(bound, Job):
                    each.escape(value)  # one after the other: which of them this turn is about is not known
                    bound = None
                found = self.value(expression) if isinstance(expression, Each) and bound is None and step.op == "next" else None
                if isinstance(found, Session):
                    loc: Loc = ("given", self.place(step.at))
                    each.heap[loc] = SessionState(ANY, found.kind, "given", fresh=False)
                    bound = Ref(loc)
                if isinstance(target, Name) and is_count(expression) and target.name in self.asked:
                    bound = Known(0) if way.env.get(target.name) is None else Some()
                    done.env.pop(target.name, None)
                if isinstance(target, Name):
                    each.bind(target.name, bound)
            if step.filled is not None:
                each.is_there(step.filled)
            again = done.env.pop(("turned", step.at), None) is not None
            if step.at in self.sketch.once or any(isinstance(way.env.get(name), Object) for name, _ in self.reads(step)):
                each.env["turned", step.at] = Known(True)
            if step.at not in self.sketch.once or not again:
                yield step.next[0], each
            if step.at not in self.sketch.once or again:
                yield step.next[1], done
        for each in raised:
            if step.error is not None:
                each.raising = "sql"
                yield step.error, each

    # -- leaving ------------------------------------------------------------------------------------------------------

    def dispatch(self, step: SketchStep, way: Way) -> Arrivals:
        """Towards the handlers, and past them unless one of them surely catches this."""
        for to in step.next:
            yield to, way.copy()
            handler = self.sketch.steps.get(to)
            if is_sql(way.raising) and handler is not None and handler.op == "catch":
                if not v.SQL_ERRORS.isdisjoint(handler.names):
                    return  # all that is of SQLAlchemy ends here
                way.raising = sparing(way.raising, handler.names)
        if step.error is not None and not (is_sql(way.raising) and set(step.names) & v.SQL_ERRORS):
            yield step.error, way
        elif step.base is not None:
            yield step.base, way

    def suspend(self, step: SketchStep, way: Way) -> Arrivals:
        value = self.evaluate(step.value, way) if step.value is not None else None
        way.leaves(value)
        if step.option and isinstance(value, Rows) and value.kind in {"query", "lazy"}:  # `yield from`
            way.operate(value.loc, "sql", self.place(step.at))
            if way.state(value.loc).txn is not ANY:
                way.update(value.loc, txn=CONN)
            value = None
        if self.sketch.is_generator and not self.facts.suspends(self.sketch):
            held = [loc for loc, state in way.heap.items() if state.txn is CONN and state.owner in {"here", "with"}]
            way.faults += [("held at yield", loc, None) for loc in sorted(held, key=repr) if loc not in locs_in(value)]
        for loc in locs_in(value):
            if isinstance(value, Rows):
                continue
            state = way.state(loc)
            way.update(
                loc, txn=ANY if not state.blocks else state.txn, unsaved=None, begun=None, closed=None, fresh=False,
                owner="yielded" if state.owner in {"here", "passed"} else state.owner,
            )  # fmt: skip
        way.clear()
        error = way.copy()
        yield step.next[0], way
        if step.error is not None:
            for loc in locs_in(value) if not isinstance(value, Rows) else ():
                error.update(loc, unsaved=self.place(step.at))  # whoever it was lent to may have written before this error
            error.faults = []
            error.raising = "other"
            yield step.error, error


def _is_other_error(asked: Expression | None, way: Way) -> bool:
    """Whether it is asked if the error of a statement or a flush, which has been caught, is one of another kind."""
    match asked:
        case Call(Name("isinstance"), (Name(name), kinds)) if way.env.get(name) == Caught(True):
            each = kinds.items if isinstance(kinds, Row) else (kinds,)
            return all(isinstance(kind, (Name, Attribute)) and kind.name not in v.FLUSH_ERRORS | v.SQL_ERRORS for kind in each)
    return False


def _is_second_error(way: Way) -> bool:
    """Whether something unknown, which does not get the session, would raise while that waits for its rollback. That errors meet is too far away."""
    waiting = {loc for loc, state in way.origin.heap if state.txn is INACTIVE}
    return not way.faults and way.raising is None and any(way.state(loc).txn is INACTIVE for loc in waiting)


def _values_read(key: object) -> set[str]:
    """The names that a condition tests, compares or reads an attribute of."""
    match key:
        case ("none" | "true", inner):
            return _values_read(inner)
        case ("name", str() as name) | ("attribute", ("name", str() as name), _):
            return {name}
        case ("compare", _, left, right):
            return _values_read(left) | _values_read(right)
    return set()


def _settled(kind: str, value: Abstract) -> bool | None:
    """Whether what a name holds settles a condition: "is it None", or "is it true"."""
    if value is None or (isinstance(value, Rows) and kind == "true") or (isinstance(value, Object) and not (value.made and kind != "true")):
        return None
    if isinstance(value, Group) and kind == "true" and objects_in(value):
        return None
    if isinstance(value, Known):
        return bool(value.value) if kind == "true" else value.value is None
    if isinstance(value, Group) and kind == "true" and not value.items:
        return None
    return kind == "true"
