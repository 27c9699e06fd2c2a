"""The operators of the mutation test (tools/mutate.py): each finds correct code in a function and says how it becomes a sure bug.

    with Session() as s:            unwrap_with ->   s = Session()
        return s.scalars(q).all()                    return s.scalars(q).all()        session-never-closed

An operator yields the rule that must report, and which statements take whose place. Whatever is unsure yields nothing: a session that is handed on, one of a
class of the project (it may commit as it closes) or bound to a connection, an SQL statement that a run may pass by, a handler that may leave.
"""

from __future__ import annotations

from collections.abc import Callable

from mutation.ending import (
    begin_late,
    close_straight,
    commit_at_last,
    commit_in_begin,
    drop_await,
    drop_close,
    drop_commit,
    drop_rollback,
    move_behind,
    return_session,
    return_unread,
    unwrap_with,
)
from mutation.function import Body
from mutation.reading import Made

OPERATORS: dict[str, Callable[[Body], Made]] = {
    operator.__name__.replace("_", "-"): operator
    for operator in (
        unwrap_with, drop_close, close_straight, drop_rollback, drop_await, return_session, return_unread, drop_commit, move_behind, commit_in_begin,
        begin_late, commit_at_last,
    )
}  # fmt: skip
