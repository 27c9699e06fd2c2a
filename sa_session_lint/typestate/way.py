"""One way through a function while a step is applied to it: a disjunct that may be written to."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TypeAlias

from sa_session_lint.model.protocol import ANY, BEGUN, CONN, CTXDONE, FLUSHING, HOLDING, IDLE, INACTIVE, TABLE, USES, Arrival, Operation, Txn
from sa_session_lint.model.value import Class, Place
from sa_session_lint.typestate.state import (
    PLACE,
    SLOT,
    UNKNOWN_STATE,
    Abstract,
    Disjunct,
    Frozen,
    Group,
    Loc,
    Object,
    Ref,
    SessionState,
    holding,
    is_reached,
    locs_in,
    mapped,
    objects_in,
    plain,
    renamed,
)

SOMETHING, DELETED = Class("", "something"), Class("", "deleted")
"""What a session may have given beside objects of known classes."""
ANYTHING = frozenset({SOMETHING, DELETED})

_OWN = frozenset({"new", "in", "older"})


class Way:
    """A mutable disjunct. `faults` are the misuses met on this step, each with the session concerned.

    What does not change stays the same value as in the disjunct that it came from, so that it is neither hashed nor compared again.
    """

    __slots__ = ("conditions", "env", "faults", "heap", "origin", "raising")

    def __init__(self, disjunct: Disjunct) -> None:
        self.origin = disjunct
        self.env = disjunct.env.mapping.copy()
        self.heap = disjunct.heap.mapping.copy()
        self.conditions = disjunct.conditions.mapping.copy()
        self.raising = disjunct.raising
        self.faults: list[tuple[str, Loc, Place | None]] = []

    def copy(self) -> Way:
        other = Way.__new__(Way)
        other.origin = self.origin
        other.env = self.env.copy()
        other.heap = self.heap.copy()
        other.conditions = self.conditions.copy()
        other.raising = self.raising
        other.faults = []
        return other

    def frozen(self) -> Disjunct:
        """The disjunct that this way is now."""
        env, heap, conditions, _ = self.origin
        if self.env != env.mapping:
            env = Frozen(self.env.items())
        if self.heap != heap.mapping:
            heap = Frozen(self.heap.items())
        if self.conditions != conditions.mapping:
            conditions = Frozen(self.conditions.items())
        return Disjunct(env, heap, conditions, self.raising)

    # -- names --------------------------------------------------------------------------------------------------------

    def bind(self, name: object, value: Abstract) -> None:
        """Let a name hold a value; what was known of the name before is forgotten."""
        if value is None:
            self.env.pop(name, None)
        else:
            self.env[name] = value
        for key in [k for k in self.conditions if isinstance(name, str) and _mentions(k, name)]:
            del self.conditions[key]

    def is_there(self, name: str) -> None:
        """Whoever asks, what a name holds is something: neither None nor empty."""
        self.conditions |= {("true", ("name", name)): True, ("none", ("name", name)): False}

    def clear(self) -> None:
        """Forget what expressions have given: their statement is over."""
        for key in [k for k in self.env if isinstance(k, int)]:
            del self.env[key]

    def forget(self, wanted: AbstractSet[object], me: str | None) -> None:
        """Drop the conditions that nobody will ask again, the names that nobody will read, unless they hold a session at work, and what none leads to."""
        for key in self.conditions.keys() - wanted:
            del self.conditions[key]
        before = self.origin.heap.mapping
        over = {loc for loc, state in self.heap.items() if state.txn is IDLE and loc[0] in _OWN and state.is_over and before.get(loc) == state}
        for name in self.env.keys() - wanted:
            held = self.env[name]
            if isinstance(held, Object) and ((held.unsent is not None and (held.detached or held.merged) is not None) or (held.at is not None and held.at.path == SLOT)):
                continue  # a commit asks for it, or the caller what has become of it
            if isinstance(name, str) and name not in {me, "return"} and "." not in name and over.issuperset(locs_in(held)):
                del self.env[name]
        if over:
            over.difference_update(*(locs_in(value) for value in self.env.values()), (each.loc for value in self.env.values() for each in objects_in(value) if each.detached is None and each.loc))
            for loc in over:
                del self.heap[loc]

    def simplify(self) -> None:
        """Forget what is known of objects: there are many ways to here already."""
        for key, value in self.env.items():
            self.env[key] = mapped(value, plain)
        self.forget_models()

    def forget_models(self) -> None:
        """Forget of which classes sessions have given objects: it may be any."""
        for loc, state in self.heap.items():
            if state.models and state.models != ANYTHING:
                self.heap[loc] = state._replace(models=ANYTHING)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def state(self, loc: Loc) -> SessionState:
        return self.heap.get(loc, UNKNOWN_STATE)

    def update(self, loc: Loc, **changes: object) -> None:
        self.heap[loc] = self.state(loc)._replace(**changes)  # type: ignore[arg-type]  # fields of SessionState

    def wrote(self, loc: Loc, at: Place) -> None:
        """An attribute of an object in a session was set."""
        state = self.state(loc)
        self.faults.append(("written", loc, at))
        unsaved = state.unsaved if state.unsaved or state.autocommit else at
        self.update(loc, txn=BEGUN if state.txn is IDLE and not state.momentary else state.txn, fresh=False, unsaved=unsaved, pending=True)

    def leaves(self, value: Abstract) -> None:
        """The function gives an object away: what it changed last may have been for the eyes of others."""
        for each in objects_in(value):
            if each.loc is not None and each.written is not None and self.state(each.loc).unsaved == each.written:
                self.update(each.loc, unsaved=None)

    def escape(self, value: Abstract) -> None:
        """Somebody unknown has got hold of a value: whatever would make us silent may have happened to its sessions."""
        for each in objects_in(value):
            if each.loc is not None and each.loc in self.heap:
                self.update(each.loc, unsaved=None)  # its session can be asked for
            self.become(each, swept(each, "forget", PLACE))
            if each.loc is not None:
                self.sweep(each.loc, "sql", PLACE)  # whatever is read of it may load
        for loc in locs_in(value):
            owner = "shared" if self.state(loc).owner in {"with", "shared"} else "given"  # its block still closes it
            if isinstance(value, Ref) and self.state(loc).owner in {"here", "passed", "parameter"}:
                owner = "passed"
            self.update(loc, txn=ANY, owner=owner, unsaved=None, closed=None, begun=None, lent=None, kept=False, poisoned=None, fresh=False, pending=False)
            self.sweep(loc, "delete", PLACE)

    def escape_reached(self, own: bool) -> None:
        """Somebody unknown may have worked with the sessions that are not handed over."""
        for loc in [loc for loc in self.heap if is_reached(loc, own)]:
            self.escape(Ref(loc))

    def change_scope(self) -> None:
        """Registries give another session from here on, of which nothing is known."""
        for loc in [loc for loc in self.heap if loc[0] == "ambient"]:
            self.sweep(loc, "forget", PLACE)
            del self.heap[loc]

    def doubt(self) -> None:
        """Some other object may have rolled back the sessions that are not this function's own: it may know them, too."""
        for loc, state in list(self.heap.items()):
            if state.txn is INACTIVE and state.owner not in {"here", "with"}:
                self.update(loc, txn=ANY)

    # -- objects ------------------------------------------------------------------------------------------------------

    def become(self, old: Object, new: Object) -> None:
        """An object has changed: so it has under every name."""
        for key, value in self.env.items():
            self.env[key] = mapped(value, lambda each: new if each == old else each)

    def loads(self, old: Object, new: Object) -> None:
        """More has been loaded of an object, which may be one of many."""
        self.become(old, new)
        for key, value in self.env.items():
            if isinstance(value, Group):
                self.env[key] = mapped(value, lambda each: replace(each, mixed=old.at) if (each.model, each.loc) == (old.model, old.loc) and each != new else each)

    def becomes_alone(self, old: Object, new: Object, at: Place) -> None:
        """An object has changed, and none of those that it is one of: nothing is known of them any more."""
        unknown = swept(old, "delete", at)
        for key, value in self.env.items():
            now = unknown if isinstance(value, Group) else new
            self.env[key] = mapped(value, lambda each, now=now: now if each == old else each)  # type: ignore[misc]  # bound at once

    def comes_back(self, found: Object, at: Place) -> None:
        """An object that had left its session is in one again: so may others be, which may be the same one."""
        for each in {each for value in self.env.values() for each in objects_in(value) if each != found and each.model == found.model and each.detached is not None}:
            self.become(each, swept(each, "delete", at))

    def release(self, loc: Loc) -> None:
        """The objects of a session are let go of on purpose: nothing is known of them any more."""
        self.env = {key: value for key, value in self.env.items() if all(each.loc != loc for each in objects_in(value))}

    def sweep(self, loc: Loc, event: str, at: Place, but: Class | None = None) -> None:
        """What has happened to a session happens to its objects, `but` for lists of objects of a class: see `swept`."""
        for key, value in self.env.items():
            if but is None or not isinstance(value, Group):
                self.env[key] = mapped(value, lambda each: swept(each, event, at) if each.loc == loc else uncopied(each) if each.copy == loc and event in _PARTING else each)
            else:
                self.env[key] = mapped(value, lambda each: swept(each, event, at) if each.loc == loc and (each.model != but or each.pending) else each)
        before = self.state(loc).swept
        if before is not None:
            self.update(loc, swept=_after(before, event))

    def commits(self, loc: Loc, before: SessionState, at: Place) -> None:
        """The objects of a session after its commit."""
        if before.pending or not before.expire:
            self.sweep(loc, "flush", at)  # what is sent may ask for the keys of what had expired
        expire = self.state(loc).expire
        if self.raising is None:
            self.miss(loc)
        self.sweep(loc, "forget" if "nested" in self.state(loc).blocks else "commit" if expire else "keep" if expire is False else "doubt", at)

    def undoes(self, loc: Loc, before: SessionState, at: Place) -> None:
        """The objects of a session after its rollback; where there is no transaction, or no more, that does nothing."""
        if before.txn is not CTXDONE and (before.txn is not IDLE or before.pending):
            self.sweep(loc, "forget" if before.txn is ANY or "nested" in before.blocks else "rollback", at)

    def meets(self, loc: Loc, model: Class | None) -> bool:
        """Whether a session is given objects of a class for the first time: else one of them may be one that it has, with more loaded than a query asks for."""
        known = self.state(loc).models
        if model is None or loc not in self.heap:
            return False
        if model not in known:
            self.update(loc, models=known | {model})
            return SOMETHING not in known
        for key, value in self.env.items():
            self.env[key] = mapped(value, lambda each: replace(each, fetched=None) if each.loc == loc and model in {each.model, each.first} else each)
        return False

    def remembers(self, loc: Loc, what: Class) -> None:
        """From here on objects of a session may be of `SOMETHING` that nobody saw, or `DELETED`."""
        if loc in self.heap:
            self.update(loc, models=self.state(loc).models | {what})

    def operate(self, loc: Loc, operation: Operation, at: Place, write: bool = False, flushes: bool = True) -> tuple[list[Way], list[Way]]:
        """The ways on which an operation comes back, and those on which it raises. `flushes` tells whether a statement surely sends what is pending before."""
        state = self.state(loc)
        if state.is_connection:
            return self._on_connection(loc, operation, at)
        if state.closed is not None and state.txn is not CTXDONE and operation in USES:
            if state.owner not in {"given", "passed", "stored", "yielded"} and not state.momentary:
                self.faults.append(("use after close", loc, at))
            self.update(loc, closed=None, reopened=at)
            state = self.state(loc)
        if state.lent is not None and operation not in {"none", "any"}:
            self.faults.append(("closed while lent" if operation == "close" else "shared", loc, state.lent))
        arrival = _arrival(state, operation)
        if arrival.fault == "begin of begun" and state.autocommit:
            arrival = Arrival((BEGUN,))  # it may be one that begins nothing by itself
        if arrival.fault is not None:
            spared = [self._arrived(loc, txn=txn, unsaved=None) for txn in arrival.after]
            self.faults.append((arrival.fault, loc, state.poisoned))
            return spared, [self._arrived(loc, txn=txn) for txn in arrival.raised]
        after, raised_to = _refined(state, operation, arrival.after, arrival.raised)
        changes = _changes(state, operation, at, write)
        if state.halfway and operation in USES and not state.worked:
            self.update(loc, worked=True)
        if state.halfway and operation in {"commit", "rollback", "close"}:
            changes["ended"] = state.ended or at
        if state.begun is not None and operation in {"commit", "rollback", "close"} and self.raising is None:
            self.faults.append(("begun ended", loc, state.begun))
        if state.unsaved is not None and operation == "commit":
            self.faults.append(("saved", loc, state.unsaved))
        if state.unsaved is not None and operation == "close" and self.raising is None and state.txn is not INACTIVE:
            self.faults.append(("lost", loc, state.unsaved))
        if write:
            self.faults.append(("written", loc, at))
        left = state.pending and not (operation in FLUSHING and flushes and (state.autoflush or operation != "sql"))
        come_back = [self._arrived(loc, txn=txn, pending=left or operation == "add", **changes, unsure=state.unsure and operation in {"add", "none", "any"}, loaded=state.loaded and txn is INACTIVE) for txn in after]
        for way in come_back:
            if state.txn is not CONN:
                way.crowd(loc)
        raise_ = [
            self._arrived(
                loc, txn=txn, poisoned=state.poisoned if txn is not INACTIVE or operation == "nested" else at, fresh=False, pending=left and txn is not INACTIVE,
                unsure=state.unsure or (txn is CONN and state.txn is not CONN), loaded=txn is INACTIVE and operation == "commit" and not state.pending,
            )
            for txn in raised_to
        ]
        for way in raise_ if state.pending and operation not in {"add", "none"} else ():
            way.sweep(loc, "fail", at)
        if operation in {"commit", "rollback", "close", "any"}:
            for way in come_back:
                if operation == "commit":
                    way.commits(loc, state, at)
                elif operation == "rollback":
                    way.undoes(loc, state, at)
                else:
                    way.sweep(loc, "close" if operation == "close" else "delete", at)
        elif operation in {"sql", "get", "bulk", "flush", "nested"}:  # a flush reads the key of what was changed
            for way in come_back:
                way.sweep(loc, "flush" if operation == "flush" else "sql", at)
        if operation in {"commit", "rollback", "close"} and state.blocks and state.txn is not CTXDONE:
            for way in come_back:
                way.update(loc, txn=CTXDONE)
        return come_back, raise_

    def miss(self, loc: Loc) -> None:
        """A commit saves nothing of what was set on an object that no session has: not on one of which the session has a copy, nor on one that is detached, if the
        session was put to no other work."""
        for each in {each for value in self.env.values() for each in objects_in(value) if each.unsent is not None}:
            if each.copy == loc:
                self.faults.append(("merged write", loc, each.unsent))
            elif each.detached is not None and self.state(loc).fresh:
                self.faults.append(("lost change", loc, each.unsent))

    def make_room(self, loc: Loc) -> None:
        """A place makes a new session, and may have made one before: that goes by another name from now on, if it holds a connection."""
        old = self.heap.pop(loc, None)
        if old is None:
            return
        if old.txn in HOLDING and (old.owner in {"here", "passed"} or old.reopened is not None):
            self.heap["older", loc] = old
        names: dict[Loc, Loc] = {loc: ("older", loc)}
        for key, value in list(self.env.items()):
            if loc in locs_in(value) or any(loc in {each.loc, each.copy} for each in objects_in(value)):
                self.env[key] = renamed(value, names)

    def crowd(self, loc: Loc) -> None:
        """A session of this function may have taken a connection while another of the same pool holds one. One that no name leads to holds nothing any more."""
        taken = self.state(loc)
        if taken.txn is not CONN or taken.pool is None or loc[0] not in {"new", "in"}:
            return
        named = {each for value in self.env.values() for each in locs_in(value)}
        for other in holding(self.heap):
            held = self.state(other)
            if other != loc and held.pool == taken.pool and not (held.is_connection and taken.is_connection) and (held.owner != "here" or other in named):
                self.faults.append(("second", loc, held.opened))

    def _arrived(self, loc: Loc, **changes: object) -> Way:
        """Another way from here, on which a session has changed so."""
        way = self.copy()
        way.faults = list(self.faults)
        way.update(loc, **changes)
        return way

    def _on_connection(self, loc: Loc, operation: Operation, at: Place) -> tuple[list[Way], list[Way]]:
        if operation == "close":
            return [self._arrived(loc, txn=IDLE, given_back=True, closed=at)], []
        fresh = self.state(loc).fresh and operation == "none"
        return [self._arrived(loc, fresh=fresh)], [self._arrived(loc, fresh=fresh)]


Outcome: TypeAlias = "tuple[list[tuple[Way, Abstract]], list[Way]]"
"""What a call comes to: the ways on which it comes back, each with its value, and those on which it raises."""


def _arrival(state: SessionState, operation: Operation) -> Arrival:
    """The cell of the table for an operation. A flush of nothing is none: with something pending it begins a transaction, and needs one that is active."""
    if state.momentary and state.txn in {IDLE, ANY} and operation in {*USES, "flush", "commit"}:
        return Arrival((state.txn,), (state.txn,))
    if state.pending and state.txn is INACTIVE and operation == "flush":
        return TABLE[INACTIVE, "sql"]
    if state.txn is CTXDONE and operation == "get" and state.expire is False:
        return Arrival((CTXDONE,), (CTXDONE,))  # what is in memory is found there
    if state.pending and state.txn is IDLE and operation in {"flush", "nested", "commit"}:
        return TABLE[BEGUN, operation]
    return TABLE[state.txn, operation]


def _refined(state: SessionState, operation: Operation, after: tuple[Txn, ...], raised: tuple[Txn, ...]) -> tuple[tuple[Txn, ...], tuple[Txn, ...]]:
    """The cells that the rest of the state decides: is there anything to flush, or anything that `get` could find in memory."""
    if state.momentary and state.txn in {IDLE, ANY}:
        return after, raised
    if operation == "get" and state.fresh and state.txn in {IDLE, BEGUN}:
        return (CONN,), raised
    if operation in {"sql", "get"} and state.pending and state.autoflush:
        return after, (INACTIVE, *raised)
    if state.txn not in {BEGUN, CONN} and not (state.txn is IDLE and state.pending):
        return after, raised
    if operation == "nested":
        return ((CONN,), raised) if state.pending else ((BEGUN,) if state.fresh and state.txn is BEGUN else after, ())
    if operation == "flush" and not state.pending:
        return ((state.txn,), ()) if state.fresh else ((state.txn, CONN) if state.txn is BEGUN else (CONN,), raised)
    if operation == "commit" and state.fresh:
        return after, ()
    return after, raised


def _changes(state: SessionState, operation: Operation, at: Place, write: bool) -> dict[str, object]:
    """What an operation that comes back changes beside the transaction."""
    match operation:
        case "commit" | "rollback":
            held = state.txn in {CONN, INACTIVE, ANY}
            return {"unsaved": None, "begun": None, "poisoned": None, "given_back": state.given_back or held, "saved": operation == "commit" or state.saved}
        case "close":
            return {"unsaved": None, "begun": None, "poisoned": None, "given_back": True, "closed": at, "fresh": True, "reopened": None, "models": frozenset()}
        case "none":
            return {}
        case "any":
            return {"unsaved": None, "closed": None, "begun": None, "fresh": False}
        case "begin":
            return {"closed": None, "reopened": None}
        case "flush":
            return {}
    changes: dict[str, object] = {"fresh": False}
    if write and state.unsaved is None and not state.autocommit:
        changes["unsaved"] = at
    return changes


def swept(found: Object, event: str, at: Place) -> Object:
    """An object of a session to which something has happened:

    "commit" and "expire" expire what is loaded, "keep" does not, "doubt" may; "rollback" expires it, and what was added since the last commit is transient again;
    "sql" may load again what had expired; "flush" may, and sends what was set; what was to "fail" may have sent what was pending; "close" detaches; after "forget" nobody
    knows, after "delete" nobody ever will; a savepoint that is "undo"ne makes transient again what was added since it was set.
    """
    if event == "undo":
        event = "delete" if found.new else "forget"
    if found.pending is not None and event not in {"expire", "close"}:
        found = replace(found, pending=None, fetched=None)
    if event == "fail":
        return found
    if event in {"delete", "forget"} or found.gone:
        found = replace(uncopied(found), expired=None, undone=False, fetched=None, unsent=None, sent=None)
    if found.stale is not None and event not in {"sql", "keep", "flush"} and found.stale[0] != at:
        found = replace(found, stale=None)
    if event == "delete" or found.gone:
        return replace(found, detached=None, gone=True)
    if event == "forget":
        return replace(found, loc=found.loc if found.detached is None else None, detached=None)
    if found.detached is not None:
        return found
    if (found.unsent or found.sent) is not None:
        found = replace(found, unsent=None, sent=None if event not in {"flush", "keep", "doubt"} else found.sent if found.unsent is None else at)
    match event:
        case "sql" | "flush":
            return replace(found, expired=None, undone=False, fetched=None) if found.expired is not None else found
        case "expire" if found.new:
            return found
        case "commit" | "expire":
            return replace(found, new=False, expired=found.expired or at, fetched=_NOTHING, mixed=None)
        case "keep":
            return replace(found, new=False) if found.new else found
        case "doubt":
            return replace(found, new=False, expired=None, fetched=None)
        case "rollback" if found.new and found.loaded:
            return replace(found, expired=None, fetched=None, gone=True)  # merged: it may have been there before
        case _ if found.new:
            return replace(found, loc=None, new=False, fetched=None)
        case "rollback":
            return replace(found, expired=found.expired or at, undone=found.undone or found.expired is None, fetched=_NOTHING, mixed=None)
        case "close":
            return replace(found, detached=at)
    return found


def uncopied(found: Object) -> Object:
    """An object of which no session has a copy any more."""
    return replace(found, merged=None, copy=None)


_NOTHING: frozenset[str] = frozenset()
_PARTING = frozenset({"rollback", "close", "delete", "forget", "undo"})
_EXPIRING = frozenset({"commit", "expire", "doubt", "rollback"})


def _after(before: tuple[str, ...], event: str) -> tuple[str, ...]:
    """The events, as far as they matter to an object that was there before the first."""
    if event in {"forget", "delete"}:
        return (event,)
    if event == "undo":
        return ("forget",)
    if event == "flush":
        event = "sql"
    if "forget" in before or "delete" in before or "close" in before or event in before:
        return before
    if not _EXPIRING.isdisjoint(before) and event != "close":
        return ("forget",) if event == "sql" else before
    return (*before, event)


def _mentions(key: object, name: str) -> bool:
    if isinstance(key, tuple):
        return (len(key) == 2 and key[0] == "name" and key[1] == name) or any(_mentions(part, name) for part in key)
    return False
