"""What really happens: the programs on SQLAlchemy, with every line noted that they come to, and every operation.

The linter sees `print(t1.name)`; what runs in its place, on the same line, is `probe(line, lambda: t1.name)`, which notes what the read has shown: the error
that it raised, SQL that was sent, a key that was None, nothing at all. `s1.refresh(t1)` and its like are noted in the same way.
"""

from __future__ import annotations

import asyncio
import gc
import inspect as python
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NamedTuple
from unittest import mock

from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.exc import InvalidRequestError, PendingRollbackError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.orm.exc import DetachedInstanceError, ObjectDeletedError, UnmappedInstanceError
from sqlalchemy.pool import StaticPool

from tests.differential.objects.cells import Cell
from tests.differential.objects.programs import HEADER

READ = re.compile(r"print\((?=.*\bt\d+\b)(await )?(.*)\)$")
GIVEN = re.compile(r"(await )?(s\d+\.(?:add|delete|refresh|expire|expunge)\(t\d+\))$")
ATTRIBUTE = re.compile(r"(?:print\()?(t\d+)\.(id|name|notes|parts)\)?(?: = .*)?$")
KINDS = {"id": "key", "name": "column", "notes": "deferred", "parts": "relation"}
ERRORS = (  # the message of an InvalidRequestError, and what it shows
    ("already attached to session", "attached"), ("is not persistent within", "not persistent"), ("is not persisted", "not persistent"), ("is not present in this", "not persistent"),
)  # fmt: skip


class Really(NamedTuple):
    """An object as it is: its state, the name of its session, the mapped attributes in memory, whether its key is None."""

    state: str
    session: str | None
    loaded: frozenset[str]
    keyless: bool


@dataclass(slots=True)
class Visit:
    """A line that a run came to, with the objects that its names held then, and the cells of the tables that were come to on it; `refused` tells whether a session
    has refused an object there that it does not look at in the database, `handling` whether it is in the handler of a read that raised."""

    line: int
    things: dict[str, Really]
    cells: list[Cell] = field(default_factory=list)
    refused: bool = False
    handling: bool = False


@dataclass(slots=True)
class Run:
    """One run of a program."""

    seed: int
    flag: bool
    visits: list[Visit] = field(default_factory=list)
    shown: list[tuple[int, frozenset[str]]] = field(default_factory=list)


class Reality:
    """The programs of one text, on databases of their own."""

    def __init__(self, body: str) -> None:
        self.run = Run(0, True)
        self.frame: FrameType | None = None
        self.sent: list[str] = []
        self.busy = False
        self.keyless = False
        self.after: dict[int, tuple[Any, str, str]] = {}
        self.opened: list[Session | AsyncSession] = []
        self.lines = body.splitlines()
        self.space: dict[str, Any] = {"at": self.at, "probe": self.probe, "await_probe": self.await_probe}
        exec(compile("\n".join(self.probed(number, line) for number, line in enumerate(self.lines, 1)), "programs.py", "exec"), self.space)
        self.thing = self.space["Thing"]
        self.thing.__getattribute__ = self.noting_key()
        self.engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        self.async_engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        for engine in (self.engine, self.async_engine.sync_engine):
            event.listen(engine, "before_cursor_execute", lambda *given: self.sent.append(given[2]))
        recorded = recording(self)
        for name, engine in (("SessionLocal", self.engine), ("Kept", self.engine), ("AsyncLocal", self.async_engine), ("AsyncKept", self.async_engine)):
            maker = self.space[name]
            maker.configure(bind=engine)
            if "Async" in name:
                maker.configure(sync_session_class=recorded)
            maker.class_ = recording_async(self) if "Async" in name else recorded
        self.space |= {"outside": self.outside, "closing": noted_closing(self), "aclosing": noted_closing(self)}

    def probed(self, number: int, line: str) -> str:
        """What runs in the place of a line."""
        for pattern in (READ, GIVEN):
            line = pattern.sub(lambda found: f"{'await await_' if found[1] else ''}probe({number}, lambda: {found[2]})", line)
        if number <= HEADER.count("\n") or not line.strip() or line.endswith(":"):
            return line
        bare = line.lstrip()
        return f"{line[: len(line) - len(bare)]}at({number}); {bare}"

    def at(self, line: int) -> None:
        """A run has come to a line."""
        self.frame = sys._getframe(1)
        busy, self.busy = self.busy, True
        error = sys.exc_info()[1]
        self.run.visits.append(Visit(line, self.really(), handling=isinstance(error, Exception) and sign(error) in {"detached", "greenlet"}))
        self.read(self.lines[line - 1].strip())
        self.busy = busy

    def noting_key(self) -> Callable[[Any, str], Any]:
        """Reads of attributes, of which those are noted that give no key."""

        def get(thing: Any, name: str) -> Any:
            value = object.__getattribute__(thing, name)
            self.keyless = self.keyless or (name == "id" and value is None)
            return value

        return get

    # -- what a line shows --------------------------------------------------------------------------------------------

    def probe(self, line: int, read: Callable[[], object]) -> None:
        with self.showing(line) as shown:
            self.seen(read(), shown)

    async def await_probe(self, line: int, read: Callable[[], Any]) -> None:
        with self.showing(line) as shown:
            self.seen(await read(), shown)

    def seen(self, value: object, shown: set[str]) -> None:
        if isinstance(value, dict) and value.keys() <= {"_sa_instance_state"}:
            shown.add("empty")

    @contextmanager
    def showing(self, line: int) -> Iterator[set[str]]:
        shown: set[str] = set()
        before, self.keyless = len(self.sent), False
        try:
            yield shown
        except Exception as error:
            shown.add(sign(error))
            raise
        finally:
            names = re.findall(r"\bt\d+\b", self.lines[line - 1]) if self.frame is not None else []
            shown |= {"no object"} if any(self.frame.f_locals.get(name, name) is None for name in names) else set()  # type: ignore[union-attr]  # there are names
            shown |= ({"sql"} if len(self.sent) > before else set()) | ({"none"} if self.keyless else set())
            self.run.shown.append((line, frozenset(shown)))

    # -- what an operation does ---------------------------------------------------------------------------------------

    def things(self) -> dict[str, Any]:
        """The objects of the program that runs, by name."""
        return {name: value for name, value in self.frame.f_locals.items() if isinstance(value, self.thing)} if self.frame is not None else {}

    def really(self) -> dict[str, Really]:
        """The same as they are."""
        sessions = {id(getattr(value, "sync_session", value)): name for name, value in self.frame.f_locals.items() if isinstance(value, (Session, AsyncSession))} if self.frame is not None else {}
        found: dict[str, Really] = {}
        for name, thing in self.things().items():
            state = inspect(thing)
            session = state.session
            loaded = frozenset(state.dict) - {"_sa_instance_state"}
            found[name] = Really(state_of(thing), sessions.get(id(session), "?") if session is not None else None, loaded, state.dict.get("id") is None)
        return found

    def note(self, *cells: Cell) -> None:
        if self.run.visits:
            self.run.visits[-1].cells += cells

    def operated(self, operation: str, session: Session, given: tuple[Any, ...], act: Callable[[], Any]) -> Any:
        """Do something to a session, and note to what objects; what is part of another operation is not noted."""
        if self.busy or self.frame is None:
            return act()
        things = list({id(thing): thing for thing in self.things().values()}.values())
        argument = given[0] if given and isinstance(given[0], self.thing) else None
        for thing in things:
            if argument is None or thing is argument:
                attached = inspect(thing).session
                self.note(Cell("2.2", "in other session" if argument is not None and attached not in {None, session} else state_of(thing), operation))
            self.note(Cell("2.4", operation, "given" if thing is argument else "of the session" if inspect(thing).session is session else "of none, or another"))
        inside = [thing for thing in things if inspect(thing).session is session and inspect(thing).persistent]
        self.busy = True
        try:
            return act()
        except Exception:
            if operation in CALM and self.run.visits:
                self.run.visits[-1].refused = True
            raise
        finally:
            self.busy = False
            for thing in [thing for thing in inside if argument is None or thing is argument]:
                self.remember(thing, operation, session)

    def remember(self, thing: Any, operation: str, session: Session) -> None:
        """What has happened last to an object, as far as it matters to what can be read of it."""
        _, before, left = self.after.get(id(thing), (None, "", ""))
        if operation == "commit":
            before = f"commit, {'expiring' if session.expire_on_commit else 'keeping'}"
        elif operation in {"rollback", "expire", "refresh", "expire_all"}:
            before = operation.removesuffix("_all")
        elif operation in LEAVING:
            left = f"{operation}"
        else:
            return
        self.after[id(thing)] = thing, before, left if inspect(thing).session is None else ""

    def read(self, line: str) -> None:
        """Note what is read or set on a line, by what has happened to the object before."""
        found = ATTRIBUTE.match(line)
        thing = self.things().get(found[1]) if found is not None else None
        if found is None or thing is None:
            return
        kind, setting = KINDS[found[2]], " = " in line
        _, before, left = self.after.get(id(thing), (None, "", ""))
        if (before or left) and not inspect(thing).transient:
            self.note(Cell("2.3", " then ".join(filter(None, (before, left))), f"{'set ' if setting else ''}{kind}"))
        if kind in {"column", "relation"} and not setting:
            self.note(Cell("2.2", state_of(thing), f"read {kind}"))

    def outside(self, value: Any) -> None:
        """Code that nobody can read: it does this or that to a session, or reads an object."""
        choice = (self.run.seed + self.run.flag) % 4
        value = getattr(value, "sync_session", value)
        if isinstance(value, Session):
            (value.commit, value.expunge_all, value.rollback, value.close)[choice]()
        elif choice == 1:
            _ = value.parts
        elif choice == 2:
            _ = value.name, value.notes

    # -- runs ---------------------------------------------------------------------------------------------------------

    def runs(self, seeds: Sequence[int]) -> list[Run]:
        """Every program, with the flag up and down."""

        async def all_of_them() -> list[Run]:
            done: list[Run] = []
            for seed in seeds:
                done += [await self.one(seed, flag) for flag in (True, False)]
                if len(done) % 100 == 0:
                    gc.collect()
            await self.async_engine.dispose()
            self.engine.dispose()
            return done

        end = SessionTransaction.__exit__

        def left(transaction: SessionTransaction, kind: type[BaseException] | None, *rest: Any) -> Any:
            if not self.busy:
                self.left("begin_nested" if transaction.nested else "begin", kind)
            return end(transaction, kind, *rest)

        with warnings.catch_warnings(), mock.patch.object(SessionTransaction, "__exit__", left):
            warnings.simplefilter("ignore")
            gc.disable()  # coroutines that a read outside of a greenlet has begun complain: not where it happens to be, which may be code without builtins
            try:
                made = asyncio.run(all_of_them())
            finally:
                gc.enable()
            gc.collect()
        return made

    def left(self, block: str, error: object) -> None:
        if self.frame is not None and self.things():
            self.note(Cell("2.5", block, "by an error" if error is not None else "normally"))

    def fill(self, connection: Connection) -> None:
        self.space["Base"].metadata.create_all(connection)  # a connection that was invalidated has taken its database along
        for statement in ROWS:
            connection.execute(text(statement))

    async def one(self, seed: int, flag: bool) -> Run:
        function = self.space[f"program_{seed}"]
        asks = python.iscoroutinefunction(function)
        if asks:
            async with self.async_engine.begin() as connection:
                await connection.run_sync(self.fill)
        else:
            with self.engine.begin() as connection:
                self.fill(connection)
        self.run, self.frame, self.after, self.opened = Run(seed, flag), None, {}, []
        with suppress(Exception):  # programs may end in any error; what is compared was noted before
            made = function(flag)
            if asks:
                await made
        self.frame = None
        for session in self.opened:
            with suppress(SQLAlchemyError):  # a connection that was invalidated has no savepoint to go back to
                await session.close() if isinstance(session, AsyncSession) else session.close()
        return self.run


ROWS = (
    "DELETE FROM mark", "DELETE FROM part", "DELETE FROM thing", "INSERT INTO thing (id, name, notes) VALUES (1, 'one', 'n'), (2, 'two', 'n')",
    "INSERT INTO part (id, name, thing_id) VALUES (1, 'p', 1)", "INSERT INTO mark (id, thing_id) VALUES (1, 1)",
)  # fmt: skip
LEAVING = frozenset({"close", "reset", "invalidate", "expunge", "expunge_all"})
CALM = frozenset({"add", "delete", "expire", "expunge"})
"""Operations of which the linter believes that they come back, unless it knows the object that they are given."""
NOTED = ("add", "delete", "merge", "refresh", "expire", "expunge", "flush", "commit", "rollback", "close", "reset", "invalidate", "expire_all", "expunge_all")


def sign(error: Exception) -> str:
    """What an error shows."""
    inner = getattr(error, "orig", None) if isinstance(error, StatementError) else error
    match inner:
        case AttributeError() | UnmappedInstanceError():
            return "no object"  # a query has found nothing
        case DetachedInstanceError():
            return "detached"
        case ObjectDeletedError():
            return "gone"
        case PendingRollbackError():
            return "pending rollback"
        case InvalidRequestError() if type(inner).__name__ == "MissingGreenlet":
            return "greenlet"
        case InvalidRequestError():
            return next((shown for words, shown in ERRORS if words in str(inner)), "invalid")
    return "other"


def state_of(thing: Any) -> str:
    """The state of an object, in the words of the tables."""
    state = inspect(thing)
    if state.transient:
        return "transient"
    if state.pending:
        return "pending"
    empty = not state.dict.keys() & {"id", "name"}
    if state.deleted or state.was_deleted:
        return "deleted flushed" if state.session is not None and state.session._transaction is not None and state in state.session._transaction._deleted else "deleted committed"
    if state.detached:
        return "detached expired" if empty else "detached loaded"
    if state in state.session._deleted:
        return "marked delete"
    return "expired" if empty else "persistent dirty" if state.modified else "persistent"


def recording(reality: Reality) -> type[Session]:
    class Recorded(Session):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            reality.opened.append(self)

        def __exit__(self, *error: object) -> None:
            if not reality.busy:
                reality.left("session", error[0])
            super().__exit__(*error)

    def recorded(name: str) -> Callable[..., Any]:
        original = getattr(Session, name)
        return lambda self, *given, **options: reality.operated(name, self, given, lambda: original(self, *given, **options))

    for name in NOTED:
        setattr(Recorded, name, recorded(name))
    return Recorded


def noted_closing(reality: Reality) -> Callable[[Any], Any]:
    class Closing(closing[Any], aclosing[Any]):
        def __exit__(self, *error: object) -> None:
            reality.left("closing", error[0])
            closing.__exit__(self, *error)

        async def __aexit__(self, *error: object) -> None:
            reality.left("closing", error[0])
            await aclosing.__aexit__(self, *error)

    return Closing


def recording_async(reality: Reality) -> type[AsyncSession]:
    class Recorded(AsyncSession):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            reality.opened[-1] = self

        async def __aexit__(self, *error: object) -> None:
            reality.left("async session", error[0])
            await super().__aexit__(*error)

    return Recorded
