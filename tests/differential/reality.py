"""Programs run on real SQLAlchemy, and what was seen: the state of every session before each operation, and how the operation ended."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Query, Session
from sqlalchemy.orm.session import SessionTransactionState
from sqlalchemy.pool import QueuePool

from sa_session_lint.model.protocol import BEGUN, CONN, CTXDONE, HOLDING, IDLE, INACTIVE, METHODS, Txn
from tests.differential.programs import HEADER

SENTENCES = {"Can't operate on closed transaction": "use of done", "A transaction is already begun": "begin of begun"}


@dataclass(slots=True)
class Event:
    """An operation of the program: `states` of all sessions by name before it, `error` the exception that left it, `fault` what kind of misuse that says."""

    line: int
    what: str
    states: dict[str, Txn]
    error: type[BaseException] | None = None
    fault: str | None = None
    raising: bool = False


@dataclass(slots=True)
class Trace:
    """One run. `states` are those at the end, `out` the connections that are out then."""

    flag: bool
    events: list[Event] = field(default_factory=list)
    error: type[BaseException] | None = None
    states: dict[str, Txn] = field(default_factory=dict)
    out: int = 0


def txn(session: Session) -> Txn:
    """The real state of a session in the words of the model."""
    around, transaction = session._trans_context_manager, session._transaction
    if around is not None and around._transaction_is_closed():
        return CTXDONE
    if transaction is None:
        return IDLE
    if transaction._state is SessionTransactionState.DEACTIVE:
        return INACTIVE
    while transaction._parent is not None:
        transaction = transaction._parent
    return CONN if transaction._connections else BEGUN


class Reality:
    """One engine for all runs; `cells` counts what was done to sessions in which state."""

    def __init__(self, folder: Path) -> None:
        self.engine = create_engine(f"sqlite:///{folder / 'real.db'}", poolclass=QueuePool, pool_size=20, connect_args={"timeout": 0})
        with self.engine.connect() as connection:
            connection.execute(text("PRAGMA journal_mode=WAL"))
        self.cells: Counter[tuple[Txn, str]] = Counter()
        self.busy = False
        self.helper = 0
        self.trace = Trace(False)
        self.frame: FrameType | None = None
        self.sessions: list[Session] = []
        self.space: dict[str, Any] = {}
        exec(compile(HEADER, "setting", "exec"), self.space)
        maker, base = self.space["SessionLocal"], self.space["Base"]
        base.metadata.create_all(self.engine)
        maker.configure(bind=self.engine, query_cls=_queries(self))
        maker.class_ = _sessions(self)
        for name in ("commits", "rolls_back", "closes", "writes"):
            self.space[name] = self.helping(name, self.space[name])

    def helping(self, name: str, function: Callable[[Session], None]) -> Callable[[Session], None]:
        def call(session: Session) -> None:
            def inside() -> None:
                self.busy, self.helper = False, self.helper + 1
                try:
                    function(session)
                finally:
                    self.busy, self.helper = True, self.helper - 1

            self.observed(name, None, sys._getframe(1), inside)

        return call

    def observed(self, what: str, session: Session | None, frame: FrameType, act: Callable[[], Any], raising: bool = False) -> Any:
        """Do something and note it, unless it is part of an operation already noted."""
        if self.busy:
            return act()
        if session is not None and what in METHODS:
            self.cells[txn(session), METHODS[what]] += 1
        event = Event(frame.f_lineno, what, states(frame), raising=raising)
        if not self.helper:
            self.frame = frame
            self.trace.events.append(event)
        self.busy = True
        try:
            return act()
        except BaseException as error:
            event.error = type(error)
            event.fault = "use of inactive" if type(error).__name__ == "PendingRollbackError" else None
            event.fault = event.fault or next((fault for words, fault in SENTENCES.items() if words in str(error)), None)
            raise
        finally:
            self.busy = False

    def run(self, function: Callable[[bool], object], flag: bool) -> Trace:
        """One run from an empty table but for one row."""
        self.trace, self.frame, self.sessions = Trace(flag), None, []
        with self.engine.begin() as connection:
            connection.execute(text("DELETE FROM thing"))
            connection.execute(text("INSERT INTO thing (id, name) VALUES (1, 'seed')"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                function(flag)
            except (SQLAlchemyError, self.space["Own"]) as error:
                self.trace.error = type(error)
            self.trace.states = states(self.frame) if self.frame is not None else {}
            self.trace.out = self.engine.pool.checkedout()
            assert self.trace.out == sum(txn(session) in HOLDING for session in self.sessions)
            self.busy = True
            for session in self.sessions:
                session.close()
            self.busy = False
        return self.trace


def states(frame: FrameType) -> dict[str, Txn]:
    return {name: txn(value) for name, value in frame.f_locals.items() if isinstance(value, Session)}


def _sessions(reality: Reality) -> type[Session]:
    class Recorded(Session):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            reality.sessions.append(self)

        def begin(self, nested: bool = False) -> Any:
            plain = reality.busy
            made = reality.observed("begin", self, sys._getframe(1), lambda: super(Recorded, self).begin(nested))
            return made if plain else _Block(reality, made, "begin")

        def begin_nested(self) -> Any:
            plain = reality.busy
            made = reality.observed("begin_nested", self, sys._getframe(1), super().begin_nested)
            return made if plain else _Block(reality, made, "nested")

        def __exit__(self, *error: object) -> None:
            reality.observed("leave session", self, sys._getframe(1), lambda: super(Recorded, self).__exit__(*error), error[0] is not None)

        def _maker_context_manager(self) -> Any:
            return _Block(reality, super()._maker_context_manager(), "maker")

    for name in ("add", "execute", "scalars", "get", "flush", "commit", "rollback", "close", "query"):
        setattr(Recorded, name, _recorded(reality, name))
    return Recorded


def _recorded(reality: Reality, name: str) -> Callable[..., Any]:
    original = getattr(Session, name)

    def method(self: Session, *args: Any, **options: Any) -> Any:
        return reality.observed(name, self, sys._getframe(1), lambda: original(self, *args, **options))

    return method


def _queries(reality: Reality) -> type[Query[Any]]:
    class Recorded(Query[Any]):
        def all(self) -> Any:
            if not reality.busy:
                reality.cells[txn(self.session), "sql"] += 1
            return reality.observed("all", None, sys._getframe(1), super().all)

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


@contextmanager
def reality() -> Iterator[Reality]:
    """SQLAlchemy with a database of its own."""
    with tempfile.TemporaryDirectory() as folder:
        made = Reality(Path(folder))
        yield made
        made.engine.dispose()
