"""One way through a function while a step is applied to it: a disjunct that may be written to."""

from __future__ import annotations

from typing import TypeAlias

from sa_session_lint.model.protocol import ANY, BEGUN, CONN, CTXDONE, IDLE, INACTIVE, TABLE, Operation, Txn
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.state import UNKNOWN_STATE, Abstract, Disjunct, Loc, SessionState, locs_in


class Way:
    """A mutable disjunct. `faults` are the misuses met on this step, each with the session concerned."""

    __slots__ = ("conditions", "env", "faults", "heap", "raising")

    def __init__(self, disjunct: Disjunct) -> None:
        self.env = dict(disjunct.env)
        self.heap = dict(disjunct.heap)
        self.conditions = dict(disjunct.conditions)
        self.raising = disjunct.raising
        self.faults: list[tuple[str, Loc, Place | None]] = []

    def copy(self) -> Way:
        return Way(self.frozen())

    def frozen(self) -> Disjunct:
        """The disjunct that this way is now."""
        return Disjunct(frozenset(self.env.items()), frozenset(self.heap.items()), frozenset(self.conditions.items()), self.raising)

    # -- names --------------------------------------------------------------------------------------------------------

    def bind(self, name: object, value: Abstract) -> None:
        """Let a name hold a value; what was known of the name before is forgotten."""
        if value is None:
            self.env.pop(name, None)
        else:
            self.env[name] = value
        for key in [k for k in self.conditions if isinstance(name, str) and _mentions(k, name)]:
            del self.conditions[key]

    def clear(self) -> None:
        """Forget what expressions have given: their statement is over."""
        for key in [k for k in self.env if isinstance(k, int)]:
            del self.env[key]

    # -- sessions -----------------------------------------------------------------------------------------------------

    def state(self, loc: Loc) -> SessionState:
        return self.heap.get(loc, UNKNOWN_STATE)

    def update(self, loc: Loc, **changes: object) -> None:
        self.heap[loc] = self.state(loc)._replace(**changes)  # type: ignore[arg-type]  # fields of SessionState

    def escape(self, value: Abstract) -> None:
        """Somebody unknown has got hold of a value: whatever would make us silent may have happened to its sessions."""
        for loc in locs_in(value):
            self.update(loc, txn=ANY, owner="given", unsaved=None, closed=None, begun=None, blocks=(), lent=None, poisoned=None, fresh=False)

    def operate(self, loc: Loc, operation: Operation, at: Place, write: bool = False) -> tuple[list[Way], list[Way]]:
        """The ways on which an operation comes back, and those on which it raises."""
        state = self.state(loc)
        if state.is_connection:
            return self._on_connection(loc, operation, at)
        if state.closed is not None and operation in {"add", "sql", "get"}:
            if state.owner not in {"given", "stored", "yielded"}:
                self.faults.append(("use after close", loc, at))
            self.update(loc, closed=None, reopened=at)
            state = self.state(loc)
        if state.lent is not None and operation not in {"none", "any"}:
            self.faults.append(("use while lent", loc, state.lent))
        arrival = TABLE[state.txn, operation]
        if arrival.fault is not None:
            self.faults.append((arrival.fault, loc, state.poisoned))
            return [], [self._arrived(loc, txn=txn) for txn in arrival.raised]
        after, raised_to = _refined(state, operation, arrival.after, arrival.raised)
        changes = _changes(state, operation, at, write)
        if state.begun is not None and operation in {"commit", "rollback", "close"} and self.raising is None:
            self.faults.append(("begun ended", loc, state.begun))
        if state.unsaved is not None and operation == "commit":
            self.faults.append(("saved", loc, state.unsaved))
        if state.unsaved is not None and operation == "close" and self.raising is None and state.txn is not INACTIVE:
            self.faults.append(("lost", loc, state.unsaved))
        come_back = [self._arrived(loc, txn=txn, **changes) for txn in after]
        raise_ = [
            self._arrived(loc, txn=txn, poisoned=at if txn is INACTIVE else state.poisoned, fresh=False) for txn in raised_to
        ]
        if operation in {"commit", "rollback", "close"} and state.blocks and state.txn is not CTXDONE:
            for way in come_back:
                way.update(loc, txn=CTXDONE)
        return come_back, raise_

    def _arrived(self, loc: Loc, **changes: object) -> Way:
        """Another way from here, on which a session has changed so."""
        way = self.copy()
        way.faults = list(self.faults)
        way.update(loc, **changes)
        return way

    def _on_connection(self, loc: Loc, operation: Operation, at: Place) -> tuple[list[Way], list[Way]]:
        if operation == "close":
            return [self._arrived(loc, txn=IDLE, given_back=True, closed=at)], []
        return [self.copy()], [self.copy()]


Outcome: TypeAlias = "tuple[list[tuple[Way, Abstract]], list[Way]]"
"""What a call comes to: the ways on which it comes back, each with its value, and those on which it raises."""


def _refined(state: SessionState, operation: Operation, after: tuple[Txn, ...], raised: tuple[Txn, ...]) -> tuple[tuple[Txn, ...], tuple[Txn, ...]]:
    """The cells that the rest of the state decides: is there anything to flush, or anything that `get` could find in memory."""
    if operation == "get" and state.fresh and state.txn in {IDLE, BEGUN}:
        return (CONN,), raised
    if operation == "sql" and state.unsaved is not None:
        return after, (INACTIVE, *raised)
    if operation in {"flush", "commit"} and state.unsaved is None and state.txn in {BEGUN, CONN}:
        if operation == "flush":
            return ((state.txn,), ()) if state.fresh else ((state.txn, CONN) if state.txn is BEGUN else (CONN,), raised)
        return after, (() if state.fresh else raised)
    return after, raised


def _changes(state: SessionState, operation: Operation, at: Place, write: bool) -> dict[str, object]:
    """What an operation that comes back changes beside the transaction."""
    match operation:
        case "commit" | "rollback":
            held = state.txn in {CONN, INACTIVE, ANY}
            return {"unsaved": None, "begun": None, "poisoned": None, "given_back": state.given_back or held, "closed": None, "saved": operation == "commit" or state.saved}
        case "close":
            return {"unsaved": None, "begun": None, "poisoned": None, "given_back": True, "closed": at, "fresh": True, "reopened": None}
        case "none":
            return {}
        case "any":
            return {"unsaved": None, "closed": None, "begun": None, "fresh": False}
        case "begin":
            return {"closed": None, "reopened": None}
        case "flush":
            return {}
    changes: dict[str, object] = {"fresh": False}
    if write and state.unsaved is None:
        changes["unsaved"] = at
    return changes


def _mentions(key: object, name: str) -> bool:
    if isinstance(key, tuple):
        return (len(key) == 2 and key[0] == "name" and key[1] == name) or any(_mentions(part, name) for part in key)
    return False
