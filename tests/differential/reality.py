"""Programs run on real SQLAlchemy, and what was seen: the state of every session before each operation, how the operation ended, what it saved."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Query, Session
from sqlalchemy.pool import QueuePool

from sa_session_lint.model.protocol import BEGUN, CONN, CTXDONE, HOLDING, IDLE, INACTIVE, METHODS, Operation, Txn
from tests.differential.programs import HEADER

SENTENCES = {
    "Can't operate on closed transaction": "use of done", "A transaction is already begun": "begin of begun", "permanently closed": "use after close"
}  # fmt: skip
HELPERS = ("commits", "rolls_back", "closes", "writes")
WORKING = frozenset({"add", "sql", "get"})
"""The operations that work with what a session has: after its close they are a mistake. Whoever commits, rolls back, begins or enters it starts it anew."""


@dataclass(slots=True)
class Event:
    """An operation of the program, and `name`, the session it was called on, if it was. Before it: the `states` of all sessions by name, and which of
    them had `work` that only a commit keeps. After it: which of them have work `left`, whether anything was `committed`; or the exception that left
    it, what kind of misuse that says, and whether that counts: `pardoned` is the use of a closed session that was started anew."""

    line: int
    what: str
    name: str | None
    operation: Operation
    states: dict[str, Txn]
    work: frozenset[str]
    raising: bool = False
    left: frozenset[str] = frozenset()
    committed: bool = False
    error: type[BaseException] | None = None
    fault: str | None = None
    pardoned: bool = False


@dataclass(slots=True)
class Trace:
    """One run. `permanent`: a session that was closed refuses to be used again. `states` and `work` are those at the end, `out` the connections that are out
    then."""

    flag: bool
    permanent: bool
    events: list[Event] = field(default_factory=list)
    error: type[BaseException] | None = None
    states: dict[str, Txn] = field(default_factory=dict)
    work: frozenset[str] = frozenset()
    out: int = 0

    @property
    def run(self) -> tuple[bool, bool]:
        return self.flag, self.permanent


def txn(session: Session) -> Txn:
    """The real state of a session in the words of the model."""
    around, transaction = session._trans_context_manager, session._transaction
    if around is not None and around._transaction_is_closed():
        return CTXDONE
    if transaction is None:
        return IDLE
    if transaction._state.name == "DEACTIVE":
        return INACTIVE
    while transaction._parent is not None:
        transaction = transaction._parent
    return CONN if transaction._connections else BEGUN


class Reality:
    """One engine for all runs."""

    def __init__(self, folder: Path) -> None:
        self.engine = create_engine(f"sqlite:///{folder / 'real.db'}", poolclass=QueuePool, pool_size=20, connect_args={"timeout": 0})
        assert isinstance(self.engine.pool, QueuePool)
        self.pool = self.engine.pool
        with self.engine.connect() as connection:
            connection.execute(text("PRAGMA journal_mode=WAL"))
        event.listen(self.engine, "connect", _plain)
        event.listen(self.engine, "begin", _begun)
        event.listen(self.engine, "after_cursor_execute", _noted)
        self.observer = sqlite3.connect(folder / "real.db")
        self.busy = False
        self.helper = 0
        self.trace = Trace(False, False)
        self.frame: FrameType | None = None
        self.sessions: list[Session] = []
        self.last: tuple[Operation | None, bool] = (None, False)
        self.space: dict[str, Any] = {}
        exec(compile(HEADER, "setting", "exec"), self.space)
        self.maker, base = self.space["SessionLocal"], self.space["Base"]
        base.metadata.create_all(self.engine)
        self.maker.configure(bind=self.engine, query_cls=_queries(self))
        self.maker.class_ = _sessions(self)
        self.space["outside"] = self.outside
        for name in (*HELPERS, "outside"):
            self.space[name] = self.helping(name, self.space[name])
        for name in ("saving", "reading"):
            self.space[name] = self.managing(self.space[name])

    def close(self) -> None:
        self.observer.close()
        self.engine.dispose()

    # -- what is called -----------------------------------------------------------------------------------------------

    def outside(self, session: Session) -> None:
        """Code that nobody can read: it does this or that."""
        match len(self.trace.events) % 8:
            case 1:
                session.commit()
            case 2:
                session.rollback()
            case 3:
                session.close()
            case 4:
                session.execute(text("SELECT 1"))
            case 5:
                session.begin_nested()
            case 6:
                session.add(self.space["Thing"](name="outside"))
            case 7:
                raise self.space["Own"]

    def helped(self, act: Callable[[], Any]) -> Callable[[], Any]:
        """Something in which nothing but the kind of misuse is noted."""

        def inside() -> Any:
            busy, self.busy, self.helper = self.busy, False, self.helper + 1
            try:
                return act()
            finally:
                self.busy, self.helper = busy, self.helper - 1

        return inside

    def helping(self, name: str, function: Callable[[Session], None]) -> Callable[[Session], None]:
        def call(session: Session) -> None:
            self.observed(name, None, sys._getframe(1), self.helped(lambda: function(session)))

        return call

    def managing(self, function: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: _Managed(self, function())

    # -- what is seen -------------------------------------------------------------------------------------------------

    def observed(self, what: str, session: Session | None, frame: FrameType, act: Callable[[], Any], raising: bool = False, operation: Operation | None = None) -> Any:
        """Do something and note it, unless it is part of an operation already noted."""
        if self.busy:
            return act()
        operation = operation or METHODS.get(what, "any")
        if session is not None:
            self.last = operation, bool(getattr(session, "anew", False))
        if self.helper:
            self.busy = True
            try:
                return act()
            finally:
                self.busy = False
        name = next((n for n, value in frame.f_locals.items() if value is session), None) if session is not None else None
        noted = Event(frame.f_lineno, what, name, operation, states(frame), self.work(frame), raising)
        version = self.version()
        self.frame = frame
        self.trace.events.append(noted)
        self.busy = True
        try:
            return act()
        except BaseException as error:
            noted.error = type(error)
            noted.fault = "use of inactive" if type(error).__name__ == "PendingRollbackError" else None
            noted.fault = noted.fault or next((fault for words, fault in SENTENCES.items() if words in str(error)), None)
            if noted.fault == "use of done" and session is not None and noted.states.get(name or "") is INACTIVE:
                noted.fault = "use of inactive"  # inside the block of the very transaction that a flush has ended, it is told in other words
            noted.pardoned = self.last[0] not in WORKING or self.last[1]
            raise
        finally:
            noted.left, noted.committed = self.work(frame), self.version() != version
            self.busy = False

    def version(self) -> int:
        """What changes whenever anybody commits a change."""
        return int(self.observer.execute("PRAGMA data_version").fetchone()[0])

    def work(self, frame: FrameType) -> frozenset[str]:
        """The sessions that hold work which only a commit keeps: objects that are not sent, or rows that nobody else can see."""
        return frozenset(name for name, value in frame.f_locals.items() if isinstance(value, Session) and self.has_work(value))

    def has_work(self, session: Session) -> bool:
        if session._new or session._deleted or session._dirty_states:
            return True
        transaction = session._transaction
        while transaction is not None and transaction._parent is not None:
            transaction = transaction._parent
        if transaction is None:
            return False
        for connection in {entry[0] for entry in transaction._connections.values()}:
            raw = connection.connection.dbapi_connection if not connection.invalidated else None
            if raw is not None and connection.info.get("wrote") and raw.in_transaction:
                count = "SELECT count(*) FROM thing"
                return bool(raw.execute(count).fetchone() != self.observer.execute(count).fetchone())
        return False

    def run(self, function: Callable[[bool], object], flag: bool, permanent: bool) -> Trace:
        """One run from an empty table but for one row."""
        self.trace, self.frame, self.sessions = Trace(flag, permanent), None, []
        self.maker.configure(close_resets_only=not permanent)
        with self.engine.begin() as connection:
            connection.execute(text("DELETE FROM thing"))
            connection.execute(text("INSERT INTO thing (id, name) VALUES (1, 'seed')"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                function(flag)
            except (SQLAlchemyError, self.space["Own"]) as error:
                self.trace.error = type(error)
            self.end()
            self.trace.out = self.pool.checkedout()
            assert self.trace.out == sum(txn(session) in HOLDING for session in self.sessions)
            self.busy = True
            for session in self.sessions:
                session.close()
            self.busy = False
        return self.trace

    def end(self) -> None:
        """Note how the sessions are left."""
        if self.frame is not None:
            self.trace.states, self.trace.work = states(self.frame), self.work(self.frame)


def states(frame: FrameType) -> dict[str, Txn]:
    return {name: txn(value) for name, value in frame.f_locals.items() if isinstance(value, Session)}


def _plain(raw: Any, _: object) -> None:
    raw.isolation_level = None  # the driver would begin late, and commit at the end of a savepoint: docs.sqlalchemy.org, "pysqlite savepoint"


def _begun(connection: Any) -> None:
    connection.info["wrote"] = False
    connection.exec_driver_sql("BEGIN")


def _noted(connection: Any, _: object, statement: str, *__: object) -> None:  # called when it has succeeded
    connection.info["wrote"] = connection.info.get("wrote", False) or statement.startswith("INSERT")


def _sessions(reality: Reality) -> type[Session]:
    class Recorded(Session):
        anew = False

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            reality.sessions.append(self)

        def begin(self, nested: bool = False) -> Any:
            plain = reality.busy
            made = reality.observed("begin", self, sys._getframe(1), lambda: super(Recorded, self).begin(nested))
            self.anew = True
            return made if plain else _Block(reality, made, "begin")

        def begin_nested(self) -> Any:
            plain = reality.busy
            made = reality.observed("begin_nested", self, sys._getframe(1), super().begin_nested)
            return made if plain else _Block(reality, made, "nested")

        def __enter__(self) -> Any:
            self.anew = True
            return super().__enter__()

        def __exit__(self, *error: object) -> None:
            reality.observed("leave session", self, sys._getframe(1), lambda: super(Recorded, self).__exit__(*error), error[0] is not None)

        def _maker_context_manager(self) -> Any:
            return _Block(reality, super()._maker_context_manager(), "maker")

    for name in ("add", "add_all", "execute", "scalars", "get", "flush", "commit", "rollback", "close", "query", "in_transaction", "prepare", "bulk_save_objects", "bulk_insert_mappings"):
        setattr(Recorded, name, _recorded(reality, name))
    return Recorded


def _recorded(reality: Reality, name: str) -> Callable[..., Any]:
    original = getattr(Session, name)

    def method(self: Any, *args: Any, **options: Any) -> Any:
        made = reality.observed(name, self, sys._getframe(1), lambda: original(self, *args, **options))
        if name in {"commit", "rollback", "close"}:
            self.anew = name != "close"
        return made

    return method


def _queries(reality: Reality) -> type[Query[Any]]:
    class Recorded(Query[Any]):
        def all(self) -> Any:
            return reality.observed("all", self.session, sys._getframe(1), super().all, operation="sql")

    return Recorded


class _Block:
    """A transaction's with-block, whose end is noted."""

    def __init__(self, reality: Reality, inner: Any, kind: str) -> None:
        self.reality, self.inner, self.kind = reality, inner, kind

    def __enter__(self) -> Any:
        self.reality.busy = True
        try:
            return self.inner.__enter__()
        finally:
            self.reality.busy = False

    def __exit__(self, *error: object) -> Any:
        return self.reality.observed(f"leave {self.kind}", None, sys._getframe(1), lambda: self.inner.__exit__(*error), error[0] is not None)


class _Managed:
    """A with-block over a function of the programs' own."""

    def __init__(self, reality: Reality, inner: Any) -> None:
        self.reality, self.inner = reality, inner

    def __enter__(self) -> Any:
        return self.reality.helped(self.inner.__enter__)()

    def __exit__(self, *error: object) -> Any:
        leave = self.reality.helped(lambda: self.inner.__exit__(*error))
        return self.reality.observed("leave managed", None, sys._getframe(1), leave, error[0] is not None)


@contextmanager
def reality() -> Iterator[Reality]:
    """SQLAlchemy with a database of its own."""
    with tempfile.TemporaryDirectory() as folder:
        made = Reality(Path(folder))
        yield made
        made.close()
