"""The operators of the mutation test (tools/mutate.py): each finds correct code in a function and says how it becomes a sure bug.

    with Session() as s:            unwrap_with ->   s = Session()
        return s.scalars(q).all()                    return s.scalars(q).all()        session-never-closed

An operator yields the rule that must report, and which statements take whose place. Whatever is unsure yields nothing: a session that is handed on, one of a
class of the project (it may commit as it closes) or bound to a connection, an SQL statement that a run may pass by, a handler that may leave.
"""

from __future__ import annotations

from collections.abc import Callable

from mutation import ending, objects, sharing
from mutation.function import Body
from mutation.reading import Made

OPERATORS: dict[str, Callable[[Body], Made]] = {
    operator.__name__.replace("_", "-"): operator
    for operator in (
        ending.unwrap_with, ending.drop_close, ending.close_straight, ending.drop_rollback, ending.drop_await, ending.return_session, ending.return_unread,
        ending.drop_commit, ending.move_behind, ending.commit_in_begin, ending.begin_late, ending.commit_at_last, ending.unwrap_connection, ending.begin_alone,
        ending.open_before_loop, ending.work_forever, ending.swallow_flush, ending.use_in_handler, ending.read_behind, ending.commit_behind, ending.keep_in_cache,
        sharing.wait_within, sharing.open_second, sharing.share_with_thread, sharing.send_to_process, sharing.gather, sharing.leave_to_task,
        sharing.end_callers_work, sharing.end_in_helper, sharing.yield_rows,
        objects.read_relation_behind, objects.read_deferred_behind, objects.read_expired_behind, objects.drop_refresh_behind, objects.read_relation_async, objects.commit_before_read, objects.drop_refresh,
        objects.read_key_early, objects.refresh_early, objects.commit_in_loop, objects.give_to_other, objects.give_to_thread,
    )
}  # fmt: skip
