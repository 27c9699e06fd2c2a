"""With-blocks: what entering a context manager does to a session, and what each way out of it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa_session_lint.model.protocol import BEGUN, CONN, CTXDONE, IDLE, INACTIVE
from sa_session_lint.model.value import Class, Place
from sa_session_lint.typestate.state import (
    Abstract,
    Bound,
    Handle,
    Loc,
    Managed,
    Pending,
    Record,
    Ref,
    Rows,
    Scope,
    SessionState,
    sessions_in,
)
from sa_session_lint.typestate.way import Way

if TYPE_CHECKING:
    from sa_session_lint.typestate.transfer import Transfer


class Blocks:
    """The with-blocks of one sketch."""

    def __init__(self, transfer: Transfer) -> None:
        self.of = transfer

    def entered(self, value: Abstract, way: Way, number: int) -> tuple[list[tuple[Way, Abstract, Abstract]], list[Way]]:
        """Enter a context manager: the ways on, each with what is bound and what is to be left again."""
        at = self.of.place(number)
        match value:
            case Ref(loc):
                state = way.state(loc)
                way.update(loc, owner="with" if state.owner == "here" else state.owner, closed=None, reopened=None, opened=state.opened or at)
                return [(way, value, Scope("session", value))], []
            case Handle(loc, "maker", opened):
                way.make_room(loc)
                way.heap[loc] = SessionState(BEGUN, owner="with", blocks=("begin",), opened=opened, pool=self.of.facts.pool(opened))
                return [(way, Ref(loc), Scope("maker", Ref(loc)))], []
            case Handle(loc, kind):
                if kind == "core":
                    return [(way, value, Scope("null", value))], []
                ways: list[Way] = [way]
                raised: list[Way] = []
                state = way.state(loc)
                if state.kind == "async":
                    ways, raised = way.operate(loc, "begin" if kind == "begin" else "nested", at)
                for each in ways:
                    each.update(loc, blocks=(*each.state(loc).blocks, kind)[-3:], begun=None, closed=None, reopened=None)
                return [(each, value, Scope(kind, value, each.state(loc).unsaved)) for each in ways], raised
            case Scope("closing" | "null", inner):
                if isinstance(inner, Ref) and value.kind == "closing" and way.state(inner.loc).owner == "here":
                    way.update(inner.loc, owner="with")
                return [(way, inner, value)], []
            case Scope("no autoflush", Ref(loc)):
                way.update(loc, autoflush=False)
                return [(way, None, value)], []
            case Scope("application"):
                way.change_scope()
                return [(way, None, value)], [way.copy()]
            case Scope():
                return [(way, value, value)], []
            case Managed(function, env, None):
                return self.of.invocation.managed(function, dict(env), way, at)
            case Record(path, qualname):
                for name in ("__enter__", "__aenter__"):
                    method = self.of.facts.method(Class(path, qualname), name)
                    found = self.of.facts.sketch(method) if method is not None else None
                    if found is not None and found.me is not None:
                        back, raised = self.of.invocation.invoke(found, {found.me: value}, way, at)
                        return [(each, bound, None) for each, bound in back], raised
                way.escape(value)
                return [(way, None, None)], [way.copy()]
            case Bound() | Rows() | Pending():
                for loc in sessions_in(value):
                    way.escape(Ref(loc))
                return [(way, value if isinstance(value, Rows) else None, None)], [way.copy()]
        return [(way, None, None)], [way.copy()]

    def left(self, manager: Abstract, way: Way, number: int, raising: bool) -> tuple[list[Way], list[Way], list[Way]]:
        """Leave a context manager: the ways on, those on which leaving raises, and those whose exception it swallowed."""
        at = self.of.place(number)
        match manager:
            case Scope("session", Ref(loc)) | Scope("closing", Ref(loc)):
                return self.closed(loc, way, at, raising), [], []
            case Scope("maker", Ref(loc)):
                ended, raised = self.ended(loc, "begin", way, at, raising)
                return [w for each in ended for w in self.closed(loc, each, at, raising)], [w for e in raised for w in self.closed(loc, e, at, True)], []
            case Scope("begin" | "nested" as kind, Handle(loc), before):
                ended, raised = self.ended(loc, kind, way, at, raising, before)
                return ended, raised, []
            case Scope("stack"):
                ways = [way]
                for loc, state in list(way.heap.items()):
                    if state.owner == "stack":
                        way.update(loc, owner="with")
                        ways = [w for each in ways for w in self.closed(loc, each, at, raising)]
                return ways, [], []
            case Scope("no autoflush", Ref(loc)):
                way.update(loc, autoflush=True)
            case Scope("application"):
                way.change_scope()
            case Scope("suppress"):
                return ([], [], [way]) if raising else ([way], [], [])
            case Scope("thread" | "process" | "single" | "group", _, _):
                self.of.concurrency.waited(way)
                return [way], [], []
            case Scope("object", Record() as me):
                return self.of.invocation.exited(me, way, at, raising)
            case Managed(function, env, resume) if resume is not None:
                return self.of.invocation.resumed(function, dict(env), resume, way, at, raising)
        return [way], [], []

    def closed(self, loc: Loc, way: Way, at: Place, raising: bool) -> list[Way]:
        state = way.state(loc)
        if state.lent is not None and not raising:
            way.faults.append(("closed while lent", loc, state.lent))
        if state.unsaved is not None and not raising and state.owner in {"with", "here", "ambient"} and state.txn is not INACTIVE:
            way.faults.append(("lost", loc, state.unsaved))
        if state.is_connection:
            way.update(loc, txn=IDLE, given_back=True, closed=at)
            return [way]
        if state.stored is not None and not raising:
            way.faults.append(("stored", loc, state.stored))
        blocks = state.blocks
        way.update(
            loc, txn=CTXDONE if blocks else IDLE, unsaved=None, begun=None, closed=at, given_back=True, poisoned=None, fresh=True, lent=None, kept=False, reopened=None,
            stored=None, pending=False, ended=state.ended or (at if state.halfway else None), models=frozenset(),
        )  # fmt: skip
        way.sweep(loc, "close", at)
        return [way]

    def ended(self, loc: Loc, kind: str, way: Way, at: Place, raising: bool, before: Place | None = None) -> tuple[list[Way], list[Way]]:
        """The block of a transaction or savepoint ends: it commits, or rolls back what raised; `before` is what was unsaved when it began."""
        state = way.state(loc)
        blocks = state.blocks[:-1]
        late = state.txn is INACTIVE and state.pending  # added when the flush had failed: the end of the block leaves that in the session
        if state.txn is CTXDONE:
            way.update(loc, txn=CTXDONE if blocks else IDLE, blocks=blocks)
            return [way], []
        if kind == "nested":
            lost = raising or state.txn is INACTIVE
            way.sweep(loc, "undo" if lost else "sql", at)  # what is pending is sent
            failed = [way.copy()] if not raising and (state.pending or state.txn is INACTIVE) else []
            for each in failed:
                each.update(loc, txn=CONN, blocks=blocks, poisoned=None, pending=False, unsaved=state.unsaved and before)
                each.sweep(loc, "undo", at)
                each.raising = "sql"
            txn = CONN if state.txn is INACTIVE or (state.txn is BEGUN and state.pending and not raising) else state.txn
            dropped = way.copy() if late else way  # with a savepoint begun by hand within, the end of the block takes along what was added late
            dropped.update(loc, txn=txn, blocks=blocks, poisoned=None, pending=False, unsaved=state.unsaved and before if lost else state.unsaved)
            if late:
                way.update(loc, txn=txn, blocks=blocks, poisoned=None, pending=True)
            return ([way, dropped] if late else [way]), failed
        saved = not raising and state.txn is not INACTIVE
        if state.unsaved is not None and saved:
            way.faults.append(("saved", loc, state.unsaved))
        failed = [way.copy()] if not raising and not state.fresh else []
        for each in failed:
            each.update(loc, txn=IDLE, unsaved=None, blocks=blocks, given_back=True, poisoned=None, pending=False)
            each.sweep(loc, "rollback", at)
            each.raising = "sql"
        unsaved = state.unsaved if late else None
        way.update(loc, txn=IDLE, unsaved=unsaved, blocks=blocks, given_back=True, poisoned=None, pending=late, saved=saved or state.saved)
        if saved:
            way.commits(loc, state, at)
        else:
            way.undoes(loc, state, at)
        return [way], failed
