"""What a method does to what it is called on: a session, a query or result, a transaction, a list that holds them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Const, Name
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
from sa_session_lint.model.value import Class, Instance, Place
from sa_session_lint.typestate.state import (
    Abstract,
    Bound,
    Group,
    Handle,
    Job,
    Known,
    Loc,
    Object,
    Record,
    Ref,
    Rows,
    Scope,
    each_of,
    is_followed,
    mapped,
    objects_in,
    sessions_in,
)
from sa_session_lint.typestate.statements import (
    fetched_by,
    fetched_in,
    has_entities,
    is_dml,
    is_ending,
    is_new,
    may_have_entities,
    model_of,
    unsynchronized,
)
from sa_session_lint.typestate.values import entity
from sa_session_lint.typestate.way import DELETED, SOMETHING, Outcome, Way

if TYPE_CHECKING:
    from sa_session_lint.typestate.transfer import Transfer


class Methods:
    """The method calls of one sketch."""

    def __init__(self, transfer: Transfer) -> None:
        self.of = transfer

    def on(self, receiver: Abstract, name: str, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Outcome | None:
        match receiver:
            case Ref(loc):
                return self.on_session(loc, name, call, arguments, way)
            case Rows(loc, kind):
                if name in TERMINALS and kind == "query":
                    back, raised = way.operate(loc, "sql", self.of.place(call.at), write=name in {"delete", "update"})
                    if name == "delete":
                        for each in back:
                            each.sweep(loc, "delete", self.of.place(call.at))
                            each.remembers(loc, DELETED)
                    if name == "update" and receiver.model is not None and (bypassed := unsynchronized(self.of, call, receiver.model)) is not None:
                        for each in back:
                            self.of.instances.bypass(loc, *bypassed, self.of.place(call.at), each)
                    return [(each, given(objects(receiver, name, self.of.place(call.at)), each)) for each in back], by_sql(raised)
                if name in {"subquery", "cte", "scalar_subquery", "as_scalar", "exists", "label", "statement"}:
                    return [(way, None)], []
                if name in CONSUMING:
                    if kind == "result" and receiver.entities and way.state(loc).closed is not None:
                        way.faults.append(("rows after close", loc, None))
                    return [(way, given(objects(receiver, name, self.of.place(call.at)), way))], []
                if name == "scalars":
                    return [(way, replace(receiver, model=receiver.first, first=None))], []
                if name == "options":
                    loaded = fetched_in(self.of, call)
                    return [(way, replace(receiver, fetched=None if loaded is None or receiver.fetched is None else receiver.fetched | loaded))], []
                if name in RESHAPING:
                    return [(way, replace(receiver, model=None, first=None, fetched=None))], []
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
                    return self.of.calls.project(method, call, arguments, receiver, way)
                return self.of.calls.unknown((receiver, *arguments), way)
            case Group() if name in GIVING | {"scalars", "unique"} and isinstance(found := each_of(receiver), Object):  # a result whose rows are there
                if name.startswith("scalar") and found.first is not None:
                    found = entity(found)
                return [(way, found if name in SINGLE else Group((found,), receiver.open))], [way.copy()]
            case Job():
                if name == "start":
                    return self.of.concurrency.begun(receiver, way)
                if name in {"result", "exception", "join", "get", "wait", "cancel", "done", "ready", "is_alive"}:
                    self.of.concurrency.returned(receiver, way)
                return [(way, None)], [way.copy()] if name in {"result", "get"} else []
            case Bound():
                return self.of.calls.unknown((receiver, *arguments), way)
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
        if name == "merge" and call.keyword("load") == Const(False):
            operation = "none"  # what is merged is taken for what the database holds: nothing is asked
        if name == "merge" and state.txn is CTXDONE and isinstance(merged := self.of.evaluate(call.arguments[0], way) if call.arguments else None, Object) and merged.loc == loc:
            operation = "none"  # it is there already
        if name in {"begin", "begin_nested"}:
            kind = "begin" if name == "begin" else "nested"
            if state.kind == "async":
                return [(way, Handle(loc, kind, at))], []
            back, raised = way.operate(loc, operation, at)
            for each in back:
                if name == "begin" and each.state(loc).txn is not ANY:
                    each.update(loc, begun=at)
            return [(each, Handle(loc, kind, at)) for each in back], by_sql(raised) if kind == "nested" else raised
        write = (name in WRITES and operation != "none" and is_new(self.of, call, way)) or (operation == "sql" and is_dml(self.of, call))
        if (misuse := self.of.instances.misused(name, loc, call, way)) is not None:
            way.faults.append(misuse)
            if (name, misuse[0]) != ("add", "merged use"):  # to add what was merged does not raise: it is inserted twice
                return [], [way]
        flushes = operation != "sql" or name == "refresh" or (name in v.ORM_STATEMENTS and has_entities(self.of, call))
        back, raised = way.operate(loc, operation, at, write, flushes)
        if name == "connection" and state.txn is CONN:
            raised = []  # it is the one that the session has
        value: Abstract = None
        if name in {"connection", "get_transaction", "get_nested_transaction"}:
            value = Handle(loc, "nested" if name == "get_nested_transaction" else "begin" if name == "get_transaction" else "connection", at)
        elif name == "query":
            model = model_of(self.of, call) if len(call.arguments) == 1 else None
            value = Rows(loc, "query", has_entities(self.of, call) or (None if may_have_entities(self.of, call) else False), model, fetched=frozenset() if model else None)
        elif name in {"execute", "scalars", "exec", "stream", "stream_scalars"}:
            buffered = state.kind == "async" and name in {"execute", "scalars", "exec"}
            entities = has_entities(self.of, call)
            model, loaded = model_of(self.of, call), fetched_by(self.of, call)
            rows = Rows(loc, "result", entities, None, model, loaded) if name in {"execute", "stream"} else Rows(loc, "result", entities, model, fetched=loaded)
            value = objects(rows, "all", at) if buffered else rows
        elif name in {"get", "get_one", "scalar"}:
            model = model_of(self.of, call)
            whole = model is not None or name != "scalar" or has_entities(self.of, call)
            value = Object(model, loc, loaded=True, at=at, fetched=fetched_by(self.of, call) if model is not None else None) if whole else None
        elif name == "merge" and call.arguments:
            merged = self.of.evaluate(call.arguments[0], way)
            made = self.of.value(call.arguments[0])
            model = merged.model if isinstance(merged, Object) else Class(made.path, made.qualname) if isinstance(made, Instance) else None
            value = Object(model, loc, loaded=True, at=at, new=True) if model is not None else None
        elif name == "in_transaction" and state.txn is not ANY:
            value = Known(state.txn not in {IDLE, CTXDONE})
        for each in back:
            self.of.instances.operated(name, loc, call, each, wrote=write and operation == "sql")
            if name == "merge" and value is None:
                each.sweep(loc, "delete", at)
                each.remembers(loc, SOMETHING)
            if name == "reset":
                each.update(loc, closed=None)
            elif name in {"expunge", "expunge_all"}:
                each.update(loc, unsaved=None, pending=False)
            elif name == "remove":
                each.update(loc, removed=True)
        return [(each, given(value, each)) for each in back], by_sql(raised)

    def on_handle(self, handle: Handle, loc: Loc, kind: str, name: str, call: Call, way: Way) -> Outcome:
        at = self.of.place(call.at)
        if kind == "maker":
            if name in METHODS:
                way.faults.append(("manager as session", loc, handle.at))
            return [], [way]
        if name in {"commit", "rollback", "close", "__exit__"}:
            if kind == "begin":
                back, raised = way.operate(loc, "commit" if name == "commit" else "rollback", at)
                return [(each, None) for each in back], by_sql(raised)
            if kind == "connection":
                way.update(loc, unsaved=None)
                if name == "close" and way.state(loc).txn is CONN:
                    way.update(loc, txn=ANY, given_back=True)  # `session.connection().close()` gives it back
            if kind == "nested" and name == "commit":
                back, raised = way.operate(loc, "sql" if way.state(loc).txn is INACTIVE else "flush", at)
                return [(each, None) for each in back], by_sql(raised)
            if kind == "nested":
                way.sweep(loc, "undo", at)
                way.update(loc, txn=CONN if way.state(loc).txn is INACTIVE else way.state(loc).txn, poisoned=None, pending=False)
        return [(way, None)], []


RESHAPING = frozenset({"yield_per", "execution_options", "with_entities", "add_columns", "add_entity", "add_column", "from_statement", "from_self", "select_entity_from", "values", "mappings", "columns", "tuples", "union", "union_all"})
"""Methods after which a query or result gives something else."""


def objects(rows: Rows, name: str, at: Place) -> Abstract:
    """What a method of a Query or Result takes out of it, as far as that is followed: an object or row, or a list of such."""
    if rows.entities is False or name not in GIVING:
        return None
    found = Object(rows.model, rows.loc, loaded=True, at=at, fetched=rows.fetched, first=rows.first)
    if name.startswith("scalar") and found.first is not None:
        found = entity(found)
    return found if name in SINGLE else Group((found,), open=True)


def given(value: Abstract, way: Way) -> Abstract:
    """Objects as a session gives them: one that it has already may have loaded more."""
    for each in objects_in(value):
        if each.loc is not None and each.loaded and not way.meets(each.loc, each.model or each.first):
            value = mapped(value, lambda found: replace(found, fetched=None))
        added = (one for held in way.env.values() for one in objects_in(held) if one.new and one.loc == each.loc and one.model == (each.model or each.first))
        if each.loc is not None and (DELETED in way.state(each.loc).models or any(added)):  # a rollback makes what was added transient
            value = mapped(value, lambda found: replace(found, gone=True))
    return value


def by_sql(ways: list[Way]) -> list[Way]:
    """The same ways, on which it was the database that failed."""
    for way in ways:
        way.raising = "sql"
    return ways
