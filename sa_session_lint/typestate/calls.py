"""What a call does to the sessions in its reach: makers, what runs code beside the caller, functions of the project.

An unknown call may do whatever would make us silent to what it is given, and nothing to the rest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Await, Call, Expression, Name, is_super
from sa_session_lint.model.protocol import (
    ANY,
    CONN,
    IDLE,
)
from sa_session_lint.model.value import (
    Class,
    Coroutine,
    Engine,
    External,
    Function,
    Instance,
    Made,
    Maker,
    Manager,
    Method,
    Options,
    Place,
    Registry,
    Session,
    SessionClass,
    Value,
    is_sessional,
)
from sa_session_lint.typestate.invocation import bound
from sa_session_lint.typestate.methods import by_sql
from sa_session_lint.typestate.state import (
    Abstract,
    Bound,
    Frozen,
    Group,
    Handle,
    Job,
    Known,
    Loc,
    Managed,
    Object,
    Pending,
    Record,
    Ref,
    Rows,
    Scope,
    SessionState,
    Some,
    holding,
    is_reached,
    locs_in,
    objects_in,
    remodelled,
    sessions_in,
)
from sa_session_lint.typestate.way import Outcome, Way, swept

if TYPE_CHECKING:
    from sa_session_lint.typestate.transfer import Transfer


class Calls:
    """The calls of one sketch."""

    def __init__(self, transfer: Transfer) -> None:
        self.of = transfer

    def call(self, call: Call, way: Way) -> Outcome:
        """The ways on which a call comes back, each with its value, and those on which it raises."""
        of = self.of
        at = of.place(call.at)
        arguments = tuple(of.evaluate(argument, way) for argument in (*call.arguments, *(value for _, value in call.keywords)))
        self.waits(call, call, arguments, way)
        self.lends(call, arguments, way)
        receiver: Abstract = None
        if isinstance(call.function, Attribute) and not isinstance(of.value(call.function), Registry):  # `db.session()` is no method
            receiver = self.receiver(call.function, way)
            if receiver == Known(None) and isinstance(call.function.value, Name):
                return [], [way.copy()]  # None has no methods
            if receiver is None and call.function.name in v.COLLECTING and any(isinstance(a, Job) for a in arguments):
                if not isinstance(of.value(call.function), Function):
                    of.concurrency.keep(arguments, way)
                    return [(way, None)], []
            if call.function.name not in v.OF_COROUTINES:
                of.taken_for_result(call.function.value, receiver, way)
            if isinstance(receiver, Ref) and receiver.loc[0] == "ambient" and way.state(receiver.loc).closed is not None:
                kept = isinstance(call.function.value, Name) and call.function.value.name in way.env
                if not kept or not way.state(receiver.loc).removed:
                    way.update(receiver.loc, closed=None)  # the registry has made a new session, or goes on with the old one
            if receiver is None and call.function.name in v.SIGNALS:
                of.concurrency.waited(way)
            if receiver is not None:
                found = of.methods.on(receiver, call.function.name, call, arguments, way)
                if found is not None:
                    return found
        function = of.concurrency.known_as(self.function(call, receiver))
        taken = of.evaluate(call.function, way) if isinstance(call.function, Name) else None
        if isinstance(taken, Bound):  # a closure, or a bound method under a name of its own
            if not isinstance(of.value(call), Coroutine):
                return self.unknown((taken, *arguments), way)
            for each in locs_in(taken):
                way.update(each, unsaved=None)
        match function:
            case Maker() | SessionClass():
                made = of.value(call)
                return self.opened(at, function, made.options if isinstance(made, Session) else function.options, way), []
            case Registry(place=place):
                ref = of.known(("ambient", place), way, of.shared(function, place))
                way.update(ref.loc, closed=None, removed=False)
                return [(way, ref)], []
            case Method(Maker(), "begin"):
                return [(way, Handle(("new", at), "maker", at))], []
            case Method(Engine(), ("connect" | "raw_connection")):
                loc: Loc = ("new", at)
                way.make_room(loc)
                way.heap[loc] = SessionState(CONN, "connection", opened=at, maker=None, pool=of.facts.pool(at))
                way.crowd(loc)
                return [(way, Ref(loc))], [way.copy()]
            case Function():
                return self.project(function, call, arguments, receiver if isinstance(receiver, Object) else None, way)
            case Class():
                return self.constructed(function, call, arguments, way)
            case External(dotted):
                return self.external(dotted, call, arguments, way)
            case Method(Made() as pool, name) if name in v.POOL_METHODS | v.ENDING and (pool_kind := of.concurrency.pool(pool)) is not None:
                return of.concurrency.in_pool(pool_kind, name, call, arguments, way)
        result = of.value(call)
        if isinstance(result, Session):
            return self.given(result, at, arguments, way)
        if receiver is None and isinstance(call.function, Attribute) and call.function.name in {"commit", "rollback"}:
            for loc in way.heap:
                if loc[0] == "ambient":
                    way.update(loc, txn=ANY)  # a shared session may be known by another name
            way.doubt()
        if isinstance(call.function, Attribute) and is_super(call.function.value):
            way.escape_reached(own=True)
        return self.unknown((receiver, *arguments), way)

    def function(self, call: Call, receiver: Abstract) -> Value:
        """What is called: of an object that came from a session, the method of its class."""
        if isinstance(receiver, Object) and receiver.model is not None and isinstance(call.function, Attribute):
            method = self.of.facts.method(receiver.model, call.function.name)
            return self.of.value(call.function) if method is None else replace(method, receiver=Instance(receiver.model.path, receiver.model.qualname))
        return self.of.value(call.function)

    def waits(self, expression: Expression, call: Call, arguments: tuple[Abstract, ...], way: Way) -> None:
        """What is evaluated here may wait while sessions hold their connections. What a function of the project is handed it may give back before."""
        of = self.of
        held = [loc for loc in holding(way.heap) if not way.state(loc).is_connection]
        if not held or not of.waits(expression, call.at):
            return
        function = of.value(call.function)
        handed: set[Loc] = set()
        if isinstance(function, Function):
            owner = of.evaluate(call.function.value, way) if isinstance(call.function, Attribute) else None
            handed = {loc for value in (owner, *arguments) for loc in locs_in(value)}
            own = isinstance(call.function, Attribute) and of.is_me(call.function.value)
            handed |= {loc for loc in held if is_reached(loc, own) and of.facts.touches(function, own)}
        way.faults += [("held across", loc, None) for loc in held if loc not in handed]

    def receiver(self, function: Attribute, way: Way) -> Abstract:
        found = self.of.evaluate(function.value, way)
        if found is None:
            return self.of.ambient(function, way)
        return found

    def opened(self, at: Place, maker: Maker | SessionClass, options: Options, way: Way) -> list[tuple[Way, Abstract]]:
        loc: Loc = ("new", at)
        way.make_room(loc)
        way.heap[loc] = SessionState(
            IDLE, maker.kind, opened=at, maker=maker.place, autocommit=options.autocommit, autoflush=options.autoflush, momentary=options.momentary, pool=self.of.facts.pool(at),
            expire=self.of.facts.expires(options, maker.kind),
        )
        return [(way, Ref(loc))]

    def given(self, session: Session, at: Place, arguments: tuple[Abstract, ...], way: Way) -> Outcome:
        for argument in arguments:
            way.escape(argument)
        loc: Loc = ("new", at)
        way.make_room(loc)
        pool = self.of.facts.pool(session.place) if session.place is not None else None
        if session.how == "new":
            saves, flushes, expire = session.options.autocommit, session.options.autoflush, self.of.facts.expires(session.options, session.kind)
            momentary = session.options.momentary
            way.heap[loc] = SessionState(
                IDLE, session.kind, opened=at, maker=session.place, autocommit=saves, autoflush=flushes, momentary=momentary, pool=pool, expire=expire
            )
        else:
            expire = self.of.facts.expires(session.options, session.kind)
            way.heap[loc] = SessionState(ANY, session.kind, "given", fresh=False, pool=pool, expire=expire)
        return [(way, Ref(loc))], [way.copy()]

    def unknown(self, values: tuple[Abstract, ...], way: Way) -> Outcome:
        for value in values:
            way.escape(value)
        held = tuple(Ref(loc) for value in values for loc in sessions_in(value))
        return [(way, Bound(held, unknown=True) if held else None)], [way.copy()]

    # -- awaiting -----------------------------------------------------------------------------------------------------

    def awaited(self, expression: Await, way: Way) -> Outcome:
        of = self.of
        value = of.evaluate(expression.value, way)
        if isinstance(expression.value, Call):
            self.waits(expression, expression.value, (value,), way)
        match value:
            case Pending(call, arguments, receiver):
                if isinstance(receiver, Bound) or not any(locs_in(each) for each in (receiver, *arguments)):
                    self.of.concurrency.met(value.used, way)
                if isinstance(receiver, Bound):
                    self.of.concurrency.let((receiver,), way)
                    return [(way, None)], [way.copy()]
                if isinstance(call.function, Attribute) and isinstance(receiver, Ref):
                    return of.methods.perform(receiver.loc, call.function.name, call, way)
                function = self.function(call, receiver)
                if isinstance(function, Function):
                    return self.project(function, call, arguments, receiver, way, awaited=True)
                return self.unknown((receiver, *arguments), way)
            case Job():
                return self.of.concurrency.awaited(value, way)
            case Group(items):
                for item in items:
                    self.of.concurrency.returned(item, way)
                return [(way, None)], [way.copy()]
            case Handle(loc, kind, at):
                back, raised = way.operate(loc, "begin" if kind == "begin" else "nested", at)
                for each in back:
                    if kind == "begin" and each.state(loc).txn is not ANY:
                        each.update(loc, begun=at)
                return [(each, value) for each in back], raised
            case Ref() | Bound() | Rows():
                self.of.concurrency.returned(value, way)
                return [(way, value)], [way.copy()]
        if isinstance(expression.value, Call) and isinstance(method := expression.value.function, Attribute) and method.name in v.NO_COROUTINES:
            session = of.evaluate(method.value, way)
            if isinstance(session, Ref) and way.state(session.loc).kind == "async":
                return [], [way.copy()]  # gives None, which cannot be awaited
        found = of.value(expression)
        if isinstance(found, Session):
            return self.given(found, of.place(expression.at), (), way)
        return [(way, value)], [way.copy()]

    # -- what runs beside the caller ----------------------------------------------------------------------------------

    def external(self, dotted: str, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Outcome:
        at = self.of.place(call.at)
        first = arguments[0] if arguments else None
        if dotted in {"builtins.map", "builtins.filter", "builtins.enumerate", "builtins.zip", "builtins.iter"}:
            read = next((a for a in arguments if isinstance(a, Rows)), None)
            if read is not None:
                return [(way, replace(read, kind="lazy" if read.kind == "query" else read.kind, model=None, first=None, fetched=None))], []
        if dotted in v.CLOSE_ALL:
            for loc, state in list(way.heap.items()):
                if not state.is_connection:
                    way.update(loc, txn=IDLE, unsaved=None, pending=False, poisoned=None)
            return [(way, None)], []
        if dotted in v.HARMLESS or (dotted.startswith("builtins.") and dotted[9:] in v.CALM_CALLS and dotted not in v.CONSUMERS):
            return [(way, None)], [way.copy()]
        if dotted in v.RELEASING:
            for each in objects_in(first):
                way.become(each, Object(each.model, made=not dotted.endswith("detached")))
                if each.loc is not None:
                    way.release(each.loc)  # another name may be for the same one
            return [(way, None)], [way.copy()]
        if dotted in v.CONSUMERS:
            if call.arguments:
                self.of.taken_for_result(call.arguments[0], first, way)
            if isinstance(first, Rows) and first.kind == "result" and first.entities and way.state(first.loc).closed is not None:
                way.faults.append(("rows after close", first.loc, None))
            if isinstance(first, Rows) and first.kind in {"query", "lazy"}:
                back, raised = way.operate(first.loc, "sql", at)
                return [(each, None) for each in back], by_sql(raised)
            if isinstance(first, Rows) or first is None:
                result = self.of.value(call)
                return self.given(result, at, arguments, way) if isinstance(result, Session) else ([(way, None)], [way.copy()])
            if dotted in {"builtins.list", "builtins.tuple", "builtins.set", "builtins.sorted"}:
                return [(way, first)], [way.copy()]
        if dotted in {"contextlib.closing", "contextlib.aclosing"}:
            return [(way, Scope("closing", first))], []
        if dotted == "contextlib.nullcontext":
            return [(way, Scope("null", first))], []
        if dotted in v.SUPPRESSING:
            return [(way, Scope("suppress"))], []
        if dotted in {"contextlib.ExitStack", "contextlib.AsyncExitStack"}:
            return [(way, Scope("stack"))], []
        if dotted in v.SPAWNING:
            return self.of.concurrency.begin(dotted, call, arguments, way)
        if dotted in v.PASSING:
            return [(way, arguments[1] if dotted == "typing.cast" and len(arguments) > 1 else first)], []
        if dotted == "functools.partial":
            return [(way, self.of.concurrency.partial(call, arguments, way))], []
        if dotted == "builtins.setattr" and isinstance(first, Object):
            outcome = self.unknown(arguments, way)
            for changed, _ in outcome[0]:
                self.of.instances.sends(swept(first, "forget", at), at, changed)
            return outcome
        result = self.of.value(call)
        if isinstance(result, Session):
            return self.given(result, at, arguments, way)
        if self.of.is_made(call):
            arguments = tuple(argument for argument in arguments if not isinstance(argument, Object))
        return self.unknown(arguments, way)

    def lends(self, call: Call, arguments: tuple[Abstract, ...], way: Way) -> None:
        """Who is handed an object of the project gets the sessions that it has, and may flush them."""
        pending = [loc for loc, state in way.heap.items() if loc[0] == "ambient" and state.pending]
        if pending and any(held is None and isinstance(self.of.value(given), Instance) for given, held in zip(call.arguments, arguments, strict=False)):
            for loc in pending:
                way.sweep(loc, "flush", self.of.place(call.at))

    # -- functions of the project -------------------------------------------------------------------------------------

    def project(
        self, function: Function, call: Call, arguments: tuple[Abstract, ...], receiver: Abstract, way: Way, awaited: bool = False
    ) -> Outcome:
        of = self.of
        found = of.facts.sketch(function)
        if receiver is None and isinstance(call.function, Attribute) and of.is_me(call.function.value):
            receiver = Some()
        own = isinstance(receiver, Some)
        touches = of.facts.touches(function, own)
        reach = [loc for value in (receiver, *arguments) for loc in locs_in(value)]
        result = of.value(call)
        gives = result
        while isinstance(gives, Coroutine):
            gives = gives.value
        if not own and not touches and isinstance(call.function, Attribute) and not locs_in(receiver) and of.facts.touches(function, own=True):
            way.doubt()
        if found is None:
            if touches:
                way.escape_reached(own)
            if isinstance(gives, Session):
                if isinstance(result, Coroutine) and not awaited:
                    return [(way, None)], [way.copy()]
                return self.given(gives, of.place(call.at), arguments, way)
            return self.unknown((receiver, *arguments), way)
        closure = of.evaluate(call.function, way) if isinstance(call.function, Name) else None
        if isinstance(closure, Bound) and found.is_async and not awaited and not found.is_generator:
            return [(way, of.concurrency.coroutine(call, arguments, closure, way))], []
        if not reach and found.is_async and not awaited and not found.is_generator and isinstance(call.function, Attribute):
            pending = of.concurrency.coroutine(call, arguments, receiver, way)
            if pending.used:
                return [(way, pending)], []
        if not reach and not is_sessional(gives) and not _manages(found.manages, result) and not touches and not of.facts.opens(function):
            for argument in arguments:
                way.escape(argument)
            return [(way, None)], [way.copy()]
        if found.is_async and not awaited and not found.is_generator:
            return [(way, of.concurrency.coroutine(call, arguments, receiver, way))], []
        for loc in [loc for value in arguments if isinstance(value, Bound) for loc in locs_in(value)]:
            way.escape(Ref(loc))  # `retry(session, session.commit)`: what is handed over is called some time
        env = bound(found, call, arguments, receiver, function)
        if found.manages:
            return [(way, Managed(function, Frozen(env.items())))], []
        if found.is_generator:
            if isinstance(gives, Session) or not reach:
                return [(way, None)], []
            return [(way, Rows(reach[0], "lazy"))], []
        back, raised = of.invocation.invoke(found, env, way, of.place(call.at))
        if isinstance(function.receiver, Class):  # of a class method, `cls` is the class that it was called on
            owner = Class(function.path, function.qualname.rpartition(".")[0])
            back = [(each, remodelled(value, owner, function.receiver)) for each, value in back]
        return back, raised

    def constructed(self, cls: Class, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Outcome:
        """An object of the project that may keep what it is given."""
        if not any(locs_in(argument) for argument in arguments):
            return [(way, None)], [way.copy()]
        method = self.of.facts.method(cls, "__init__")
        found = self.of.facts.sketch(method) if method is not None else None
        if method is None or found is None or found.me is None:
            return self.unknown(arguments, way)
        env = bound(found, call, arguments, Record(cls.path, cls.qualname, ()), method)
        back, raised = self.of.invocation.invoke(found, env, way, self.of.place(call.at), keep_self=True)
        kind = self.of.facts.runs(cls)
        if kind is None:
            return [(each, value if isinstance(value, Record) else None) for each, value in back], raised
        return [(each, self.of.concurrency.object(kind, value, cls, self.of.place(call.at), each)) for each, value in back], raised


def _manages(manages: bool, result: Value) -> bool:
    return manages and isinstance(result, Manager)
