"""The Session automaton as tables: what each operation makes of each state, and which arrivals are faults.

Measured on SQLAlchemy 1.4.54, 2.0.58 and 2.1.9; see https://docs.sqlalchemy.org/en/20/orm/session_basics.html and
https://docs.sqlalchemy.org/en/20/errors.html. A session has no closed state: after `close()` it is IDLE and the next use begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal


class Txn(Enum):
    """The transaction of a session."""

    IDLE = "no transaction, no connection"
    BEGUN = "a transaction, no connection yet"
    CONN = "a transaction and a connection that is out"
    INACTIVE = "a flush failed: the connection is out, everything but rollback() and close() raises PendingRollbackError"
    CTXDONE = "within `with begin()` whose transaction was ended early: every use raises InvalidRequestError"
    ANY = "not known"

    def __repr__(self) -> str:
        return self.name


IDLE, BEGUN, CONN, INACTIVE, CTXDONE, ANY = Txn
HOLDING = frozenset({CONN, INACTIVE})
"""The states in which a connection is out of the pool."""

Operation = Literal["add", "sql", "bulk", "get", "flush", "begin", "nested", "commit", "rollback", "close", "none", "any"]
USES: frozenset[Operation] = frozenset({"add", "sql", "bulk", "get"})
"""The operations that do the work of a transaction."""

Fault = Literal["use of inactive", "use of done", "begin of begun"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an operation does in a state: where it may lead when it comes back, where when it raises, and what kind of mistake it is that raises there."""

    after: tuple[Txn, ...] = ()
    raised: tuple[Txn, ...] = ()
    fault: Fault | None = None


def _ok(*after: Txn, raised: tuple[Txn, ...] = ()) -> Arrival:
    return Arrival(after, raised)


_PENDING = Arrival((), (INACTIVE,), "use of inactive")
_DONE = Arrival((), (CTXDONE,), "use of done")

TABLE: dict[tuple[Txn, Operation], Arrival] = {
    (IDLE, "add"): _ok(BEGUN), (BEGUN, "add"): _ok(BEGUN), (CONN, "add"): _ok(CONN),
    (INACTIVE, "add"): _ok(INACTIVE), (CTXDONE, "add"): _DONE, (ANY, "add"): _ok(ANY),

    (IDLE, "sql"): _ok(CONN, raised=(CONN,)), (BEGUN, "sql"): _ok(CONN, raised=(CONN,)), (CONN, "sql"): _ok(CONN, raised=(CONN,)),
    (INACTIVE, "sql"): _PENDING, (CTXDONE, "sql"): _DONE, (ANY, "sql"): _ok(CONN, raised=(ANY,)),

    (IDLE, "bulk"): _ok(CONN, raised=(INACTIVE,)), (BEGUN, "bulk"): _ok(CONN, raised=(INACTIVE,)), (CONN, "bulk"): _ok(CONN, raised=(INACTIVE,)),
    (INACTIVE, "bulk"): _PENDING, (CTXDONE, "bulk"): _DONE, (ANY, "bulk"): _ok(ANY, raised=(INACTIVE, ANY)),

    (IDLE, "get"): _ok(IDLE, CONN, raised=(CONN,)), (BEGUN, "get"): _ok(BEGUN, CONN, raised=(CONN,)), (CONN, "get"): _ok(CONN, raised=(CONN,)),
    (INACTIVE, "get"): Arrival((ANY,), (INACTIVE,), "use of inactive"), (CTXDONE, "get"): _DONE, (ANY, "get"): _ok(CONN, ANY, raised=(ANY,)),

    (IDLE, "flush"): _ok(IDLE), (BEGUN, "flush"): _ok(CONN, raised=(INACTIVE,)), (CONN, "flush"): _ok(CONN, raised=(INACTIVE,)),
    (INACTIVE, "flush"): _ok(INACTIVE, raised=(INACTIVE,)), (CTXDONE, "flush"): _ok(CTXDONE, raised=(CTXDONE,)), (ANY, "flush"): _ok(ANY, raised=(INACTIVE, ANY)),

    (IDLE, "begin"): _ok(BEGUN), (BEGUN, "begin"): Arrival((), (BEGUN,), "begin of begun"), (CONN, "begin"): Arrival((), (CONN,), "begin of begun"),
    (INACTIVE, "begin"): Arrival((), (INACTIVE,), "begin of begun"), (CTXDONE, "begin"): _DONE, (ANY, "begin"): _ok(BEGUN, raised=(ANY,)),

    (IDLE, "nested"): _ok(BEGUN), (BEGUN, "nested"): _ok(BEGUN, CONN, raised=(INACTIVE,)), (CONN, "nested"): _ok(CONN, raised=(INACTIVE,)),
    (INACTIVE, "nested"): _PENDING, (CTXDONE, "nested"): _DONE, (ANY, "nested"): _ok(ANY, raised=(ANY,)),

    (IDLE, "commit"): _ok(IDLE), (BEGUN, "commit"): _ok(IDLE, raised=(INACTIVE,)), (CONN, "commit"): _ok(IDLE, raised=(INACTIVE,)),
    (INACTIVE, "commit"): _PENDING, (CTXDONE, "commit"): _DONE, (ANY, "commit"): _ok(IDLE, raised=(INACTIVE, ANY)),

    **{(state, "rollback"): _ok(IDLE) for state in (IDLE, BEGUN, CONN, INACTIVE, ANY)}, (CTXDONE, "rollback"): _ok(CTXDONE),
    **{(state, "close"): _ok(IDLE) for state in (IDLE, BEGUN, CONN, INACTIVE, ANY)}, (CTXDONE, "close"): _ok(CTXDONE),
    **{(state, "none"): _ok(state) for state in Txn},
    **{(state, "any"): _ok(ANY, raised=(ANY,)) for state in Txn},
}  # fmt: skip
"""Within the block of the very transaction that a failed flush has ended, SQL raises InvalidRequestError, not PendingRollbackError: the same mistake in other
words. After a failed flush `get()` may still find an object in memory: one that was loaded before the savepoint that failed. Cells that the rest of a state
decides in part (is there anything to flush, is a block open) hold what is so in the general case."""

FLUSHING = frozenset({"sql", "flush", "nested", "commit", "rollback", "close"})
"""The operations after which nothing is pending any more: it was sent or thrown away. What `get()` finds in memory sends nothing."""

METHODS: dict[str, Operation] = {
    **dict.fromkeys(("add", "add_all"), "add"),
    **dict.fromkeys(("delete",), "add"),
    **dict.fromkeys(
        ("execute", "exec", "scalar", "scalars", "stream", "stream_scalars", "refresh", "connection"), "sql",
    ),
    **dict.fromkeys(("bulk_insert_mappings", "bulk_save_objects", "bulk_update_mappings"), "bulk"),
    **dict.fromkeys(("get", "get_one", "merge"), "get"),
    "flush": "flush", "begin": "begin", "begin_nested": "nested", "commit": "commit", "rollback": "rollback",
    **dict.fromkeys(("close", "aclose", "reset", "invalidate", "remove"), "close"),
    **dict.fromkeys(
        ("query", "in_transaction", "in_nested_transaction", "get_transaction", "get_nested_transaction", "expire", "expire_all", "expunge",
         "expunge_all", "is_modified", "get_bind", "object_session", "identity_key", "enable_relationship_loading", "bind_mapper", "bind_table",
         "__contains__", "__iter__", "info", "configure"), "none",
    ),
}  # fmt: skip
"""Method of a session -> what it does to the transaction; what is not listed may do anything."""

WORKING = frozenset({name for name, operation in METHODS.items() if operation != "none"} | {"query", "run_sync"})
"""Methods that work with the session's objects or its connection: no two of them may run at once."""

SUSPENDING = WORKING - {"delete", "add", "add_all"}
"""Of those of an AsyncSession the ones during which other tasks surely have a turn: `delete()` asks the database only for what it cascades to."""

WRITES = frozenset({"add", "add_all", "delete", "merge", "bulk_insert_mappings", "bulk_save_objects", "bulk_update_mappings"})
"""Methods after which the session holds work that only a commit keeps."""

INERT = frozenset(
    {"execution_options", "set_isolation_level", "get_isolation_level", "get_execution_options", "in_transaction", "in_nested_transaction", "set_session"}
)  # fmt: skip
"""Methods of a Connection, or of a raw one, that put it to no work: it still goes back to its pool with the last name that leads to it."""

TERMINALS = frozenset(
    {"all", "first", "one", "one_or_none", "scalar", "scalars", "count", "get", "delete", "update", "exists_", "fetchall", "fetchone", "fetchmany", "partitions",
     "mappings_", "scalar_one", "scalar_one_or_none", "__iter__", "value", "values_", "first_or_404", "get_or_404", "one_or_404", "paginate"}
)  # fmt: skip
"""Methods of a Query that send it."""

SINGLE = frozenset({"first", "one", "one_or_none", "get", "scalar", "scalar_one", "scalar_one_or_none", "fetchone", "first_or_404", "get_or_404", "one_or_404"})
"""Methods of a Query or Result that take one object."""

GIVING = SINGLE | {"all", "fetchall", "fetchmany"}
"""Methods of a Query or Result that give the objects that were asked for."""

CONSUMING = frozenset(
    {"all", "first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none", "fetchall", "fetchone", "fetchmany", "close", "freeze"}
)
"""Methods of a Result that take its rows out while the session is there."""
