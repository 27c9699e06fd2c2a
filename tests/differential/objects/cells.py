"""The cells of which every one must have been compared: what is done to an object in each state, what is read of it after what, what a call does to the other
objects, and how a block is left. Those that no program can come to, or that mean nothing, stand in `IMPOSSIBLE` with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Cell(NamedTuple):
    table: str
    row: str
    column: str


STATES = (
    "transient", "pending", "persistent", "persistent dirty", "expired", "marked delete", "deleted flushed", "deleted committed", "detached loaded", "detached expired",
)  # fmt: skip
OF_OBJECT = ("add", "delete", "merge", "refresh", "expire", "expunge")
OF_SESSION = ("flush", "commit", "rollback", "close", "reset", "invalidate", "expire_all", "expunge_all")
BEFORE = ("", "commit, expiring", "commit, keeping", "rollback", "expire", "refresh")
LEFT = ("", "close", "reset", "invalidate", "expunge", "expunge_all")
READ = ("key", "column", "deferred", "relation", "set column")
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "2.2": ((*STATES, "in other session"), (*OF_OBJECT, *OF_SESSION, "read column", "read relation")),
    "2.3": (tuple(" then ".join(filter(None, (before, left))) for left in LEFT for before in BEFORE if before or left), READ),
    "2.4": ((*OF_OBJECT, *OF_SESSION), ("given", "of the session", "of none, or another")),
    "2.5": (("session", "begin", "begin_nested", "async session", "closing"), ("normally", "by an error")),
}
TITLES = {
    "2.2": "state of an object, and what is done", "2.3": "what has happened to an object, and what of it is read", "2.4": "a call, and the object",
    "2.5": "a block, and how it is left",
}  # fmt: skip
IMPOSSIBLE = {
    **{Cell("2.2", "in other session", each): "what is done to the session of an object is done in its state there" for each in (*OF_SESSION, "read column", "read relation")},
    **{Cell("2.4", each, "given"): "nothing is given" for each in OF_SESSION},
}


def cells() -> Iterator[Cell]:
    """Every cell that can be come to."""
    for table, (rows, columns) in TABLES.items():
        yield from (cell for row in rows for column in columns if (cell := Cell(table, row, column)) not in IMPOSSIBLE)
