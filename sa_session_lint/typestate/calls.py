"""What a call does to the sessions in its reach: methods of sessions, makers, what runs code beside the caller, functions of the project.

An unknown call may do whatever would make us silent to what it is given, and nothing to the rest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Await, Call, Const, Expression, Name, is_super
from sa_session_lint.model.protocol import (
    ANY,
    CONN,
    CONSUMING,
    CTXDONE,
    GIVING,
    IDLE,
    INACTIVE,
    INERT,
    METHODS,
    SINGLE,
    TERMINALS,
    WRITES,
    Operation,
)
from sa_session_lint.model.value import (
    Class,
    Coroutine,
    Engine,
    External,
    Function,
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
    each_of,
    holding,
    is_followed,
    is_reached,
    locs_in,
    objects_in,
    sessions_in,
)
from sa_session_lint.typestate.statements import has_entities, is_dml, is_ending, is_new, model_of
from sa_session_lint.typestate.way import Outcome, Way

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
        receiver: Abstract = None
        if isinstance(call.function, Attribute):
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
                found = self.on(receiver, call.function.name, call, arguments, way)
                if found is not None:
                    return found
        function = of.concurrency.known_as(of.value(call.function))
        if isinstance(receiver, Object) and receiver.model is not None and isinstance(call.function, Attribute):
            function = of.facts.method(receiver.model, call.function.name) or function
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
            IDLE, maker.kind, opened=at, maker=maker.place, autocommit=options.autocommit, autoflush=options.autoflush, pool=self.of.facts.pool(at)
        )
        return [(way, Ref(loc))]

    def given(self, session: Session, at: Place, arguments: tuple[Abstract, ...], way: Way) -> Outcome:
        for argument in arguments:
            way.escape(argument)
        loc: Loc = ("new", at)
        way.make_room(loc)
        pool = self.of.facts.pool(session.place) if session.place is not None else None
        if session.how == "new":
            saves, flushes = session.options.autocommit, session.options.autoflush
            way.heap[loc] = SessionState(IDLE, session.kind, opened=at, maker=session.place, autocommit=saves, autoflush=flushes, pool=pool)
        else:
            way.heap[loc] = SessionState(ANY, session.kind, "given", fresh=False, pool=pool)
        return [(way, Ref(loc))], [way.copy()]

    def unknown(self, values: tuple[Abstract, ...], way: Way) -> Outcome:
        for value in values:
            way.escape(value)
        held = tuple(Ref(loc) for value in values for loc in sessions_in(value))
        return [(way, Bound(held, unknown=True) if held else None)], [way.copy()]

    # -- methods ------------------------------------------------------------------------------------------------------

    def on(self, receiver: Abstract, name: str, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Outcome | None:
        match receiver:
            case Ref(loc):
                return self.on_session(loc, name, call, arguments, way)
            case Rows(loc, kind):
                if name in TERMINALS and kind == "query":
                    back, raised = way.operate(loc, "sql", self.of.place(call.at), write=name in {"delete", "update"})
                    return [(each, objects(receiver, name)) for each in back], _sql(raised)
                if name in {"subquery", "cte", "scalar_subquery", "as_scalar", "exists", "label", "statement"}:
                    return [(way, None)], []
                if name in CONSUMING:
                    if kind == "result" and receiver.entities and way.state(loc).closed is not None:
                        way.faults.append(("rows after close", loc, None))
                    return [(way, objects(receiver, name))], []
                if name == "scalars" and isinstance(call.function, Attribute) and isinstance(call.function.value, Call):
                    return [(way, replace(receiver, model=model_of(self.of, call.function.value)))], []
                return [(way, receiver)], []
            case Handle(loc, kind):
                return self.on_handle(receiver, loc, kind, name, call, way)
            case Scope("thread" | "process" | "single" as kind) if name in v.POOL_METHODS | v.ENDING:
                return self.of.concurrency.in_pool(kind, name, call, arguments, way)
            case Scope("group") if name in {"create_task", "start_soon"}:
                return self.of.concurrency.in_group(name, call, arguments, way)
            case Scope("stack") if name in {"enter_context", "enter_async_context", "push", "callback", "push_async_exit", "push_async_callback"}:
                for argument in arguments:
                    for loc in sessions_in(argument):
                        entered = name.startswith("enter") and isinstance(argument, Ref) and way.state(loc).owner == "here"
                        way.update(loc, owner="stack" if entered else "given")
                value = arguments[0] if arguments and isinstance(arguments[0], Ref) else None
                return [(way, value)], [way.copy()]
            case Group(items) if name in {"append", "add", "extend"} and isinstance(call.function, Attribute) and isinstance(call.function.value, Name):
                if any(is_followed(a) for a in arguments):
                    added = [item for a in arguments for item in (a.items if name == "extend" and isinstance(a, Group) else (a,))]
                    more = receiver.open or any(item in items or (isinstance(a, Group) and a.open) for a in arguments for item in added)
                    way.bind(call.function.value.name, Group(tuple(dict.fromkeys((*items, *added))), more))
                return [(way, None)], []
            case Record(path, qualname):
                method = self.of.facts.method(Class(path, qualname), name)
                if method is not None:
                    return self.project(method, call, arguments, receiver, way)
                return self.unknown((receiver, *arguments), way)
            case Group() if name in GIVING | {"scalars", "unique"} and isinstance(found := each_of(receiver), Object):  # a result whose rows are there
                return [(way, found if name in SINGLE else receiver)], [way.copy()]
            case Job():
                if name == "start":
                    return self.of.concurrency.begun(receiver, way)
                if name in {"result", "exception", "join", "get", "wait", "cancel", "done", "ready", "is_alive"}:
                    self.of.concurrency.returned(receiver, way)
                return [(way, None)], [way.copy()] if name in {"result", "get"} else []
            case Bound():
                return self.unknown((receiver, *arguments), way)
        return None

    def on_session(self, loc: Loc, name: str, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Outcome:
        state = way.state(loc)
        for argument in arguments:
            if name not in {"execute", "scalars", "scalar", "exec"}:
                for inner in sessions_in(argument):
                    if inner != loc:
                        way.escape(argument)
        if state.kind == "async" and name in v.COROUTINES:
            return [(way, self.of.concurrency.coroutine(call, arguments, Ref(loc), way))], []
        return self.perform(loc, name, call, way)

    def perform(self, loc: Loc, name: str, call: Call, way: Way) -> Outcome:
        """Apply a method of a session."""
        at, state = self.of.place(call.at), way.state(loc)
        if state.is_connection:
            back, raised = way.operate(loc, "close" if name in {"close", "invalidate", "detach"} else "none" if name in INERT else "sql", at)
            if name in {"begin", "begin_nested"}:
                return [(each, Handle(loc, "core", at)) for each in back], raised
            if name == "execution_options":
                return [(each, Ref(loc)) for each in back], raised
            return [(each, Rows(loc, "result", False) if name == "execute" else None) for each in back], raised
        if name == "begin" and call.keyword("subtransactions") is not None:
            return [(way, Handle(loc, "nested", at))], []  # begins nothing where there is a transaction
        if name == "begin" and call.keyword("nested") == Const(True):
            name = "begin_nested"
        operation: Operation = METHODS.get(name, "any") if not is_ending(self.of, call) else "any"
        if name in {"begin", "begin_nested"}:
            kind = "begin" if name == "begin" else "nested"
            if state.kind == "async":
                return [(way, Handle(loc, kind, at))], []
            back, raised = way.operate(loc, operation, at)
            for each in back:
                if name == "begin" and each.state(loc).txn is not ANY:
                    each.update(loc, begun=at)
            return [(each, Handle(loc, kind, at)) for each in back], raised
        write = (name in WRITES and is_new(self.of, call, way)) or (operation == "sql" and is_dml(self.of, call))
        flushes = operation != "sql" or name == "refresh" or (name in v.ORM_STATEMENTS and has_entities(self.of, call))
        back, raised = way.operate(loc, operation, at, write, flushes)
        value: Abstract = None
        if name in {"connection", "get_transaction", "get_nested_transaction"}:
            value = Handle(loc, "nested" if name == "get_nested_transaction" else "begin" if name == "get_transaction" else "connection", at)
        elif name == "query":
            value = Rows(loc, "query", has_entities(self.of, call), model_of(self.of, call) if len(call.arguments) == 1 else None)
        elif name in {"execute", "scalars", "exec", "stream", "stream_scalars"}:
            buffered = state.kind == "async" and name in {"execute", "scalars", "exec"}
            entities = has_entities(self.of, call)
            rows = Rows(loc, "result", entities, model_of(self.of, call) if name == "scalars" and not buffered else None)
            value = objects(rows, "all") if buffered else rows
        elif name in {"get", "get_one", "scalar"}:
            model = model_of(self.of, call)
            value = Object(model, loc) if model is not None or name != "scalar" or has_entities(self.of, call) else None
        elif name == "in_transaction" and state.txn is not ANY:
            value = Known(state.txn not in {IDLE, CTXDONE})
        for each in back:
            if name in {"add", "add_all"}:
                for argument in call.arguments:
                    known = each.env.get(argument.name) if isinstance(argument, Name) else None
                    if isinstance(argument, Name) and (known is None or isinstance(known, Object)):
                        each.env[argument.name] = Object(known.model if known is not None else None, loc)
            if name.startswith("expunge"):  # its objects are let go of on purpose
                each.env = {key: held for key, held in each.env.items() if all(inner.loc != loc for inner in objects_in(held))}
            if name == "reset":
                each.update(loc, closed=None)
            elif name in {"expunge", "expunge_all"}:
                each.update(loc, unsaved=None, pending=False)
            elif name == "remove":
                each.update(loc, removed=True)
        return [(each, value) for each in back], _sql(raised)

    def on_handle(self, handle: Handle, loc: Loc, kind: str, name: str, call: Call, way: Way) -> Outcome:
        at = self.of.place(call.at)
        if kind == "maker":
            if name in METHODS:
                way.faults.append(("manager as session", loc, handle.at))
            return [], [way]
        if name in {"commit", "rollback", "close", "__exit__"}:
            if kind == "begin":
                back, raised = way.operate(loc, "commit" if name == "commit" else "rollback", at)
                return [(each, None) for each in back], _sql(raised)
            if kind == "connection":
                way.update(loc, unsaved=None)
            if kind == "nested" and name == "commit":
                back, raised = way.operate(loc, "sql" if way.state(loc).txn is INACTIVE else "flush", at)
                return [(each, None) for each in back], _sql(raised)
            if kind == "nested":
                way.update(loc, txn=CONN if way.state(loc).txn is INACTIVE else way.state(loc).txn, poisoned=None, pending=False)
        return [(way, None)], []

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
                    return self.perform(receiver.loc, call.function.name, call, way)
                function = of.value(call.function)
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
                return [(way, Rows(read.loc, "lazy" if read.kind == "query" else read.kind, read.entities))], []
        if dotted in v.HARMLESS or (dotted.startswith("builtins.") and dotted[9:] in v.CALM_CALLS and dotted not in v.CONSUMERS):
            return [(way, None)], [way.copy()]
        if dotted in v.CONSUMERS:
            if call.arguments:
                self.of.taken_for_result(call.arguments[0], first, way)
            if isinstance(first, Rows) and first.kind == "result" and first.entities and way.state(first.loc).closed is not None:
                way.faults.append(("rows after close", first.loc, None))
            if isinstance(first, Rows) and first.kind in {"query", "lazy"}:
                back, raised = way.operate(first.loc, "sql", at)
                return [(each, None) for each in back], _sql(raised)
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
        result = self.of.value(call)
        if isinstance(result, Session):
            return self.given(result, at, arguments, way)
        if self.of.is_made(call):
            arguments = tuple(argument for argument in arguments if not isinstance(argument, Object))
        return self.unknown(arguments, way)

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
        if not reach and not is_sessional(gives) and not _manages(found.manages, result) and not touches:
            for argument in arguments:
                way.escape(argument)
            return [(way, None)], [way.copy()]
        if found.is_async and not awaited and not found.is_generator:
            return [(way, of.concurrency.coroutine(call, arguments, receiver, way))], []
        for loc in [loc for value in arguments if isinstance(value, Bound) for loc in locs_in(value)]:
            way.escape(Ref(loc))  # `retry(session, session.commit)`: what is handed over is called some time
        env = of.engine.bound(found, call, arguments, receiver, function)
        if found.manages:
            return [(way, Managed(function, Frozen(env.items())))], []
        if found.is_generator:
            if isinstance(gives, Session) or not reach:
                return [(way, None)], []
            return [(way, Rows(reach[0], "lazy"))], []
        return of.engine.invoke(found, env, way, of.place(call.at))

    def constructed(self, cls: Class, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Outcome:
        """An object of the project that may keep what it is given."""
        if not any(locs_in(argument) for argument in arguments):
            return [(way, None)], [way.copy()]
        method = self.of.facts.method(cls, "__init__")
        found = self.of.facts.sketch(method) if method is not None else None
        if method is None or found is None or found.me is None:
            return self.unknown(arguments, way)
        env = self.of.engine.bound(found, call, arguments, Record(cls.path, cls.qualname, ()), method)
        back, raised = self.of.engine.invoke(found, env, way, self.of.place(call.at), keep_self=True)
        kind = self.of.facts.runs(cls)
        if kind is None:
            return [(each, value if isinstance(value, Record) else None) for each, value in back], raised
        return [(each, self.of.concurrency.object(kind, value, cls, self.of.place(call.at), each)) for each, value in back], raised


def objects(rows: Rows, name: str) -> Abstract:
    """What a method of a Query or Result takes out of it, as far as that is followed: an object or row, or a list of such."""
    if not rows.entities or name not in GIVING:
        return None
    found = Object(rows.model, rows.loc)
    return found if name in SINGLE else Group((found,), open=True)


def _sql(ways: list[Way]) -> list[Way]:
    for way in ways:
        way.raising = "sql"
    return ways


def _manages(manages: bool, result: Value) -> bool:
    return manages and isinstance(result, Manager)
