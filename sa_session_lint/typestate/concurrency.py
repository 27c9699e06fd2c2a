"""What runs beside the caller: threads, processes, tasks, and the sessions that they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa_session_lint.model.protocol import ANY
from sa_session_lint.model.value import Place
from sa_session_lint.typestate.state import (
    Abstract,
    Bound,
    Group,
    Loc,
    Pending,
    Ref,
    locs_in,
    sessions_in,
)
from sa_session_lint.typestate.way import Outcome, Way

if TYPE_CHECKING:
    from sa_session_lint.typestate.transfer import Transfer


class Concurrency:
    """The calls of one sketch that start something."""

    def __init__(self, transfer: Transfer) -> None:
        self.of = transfer

    def spawned(self, kind: str, arguments: tuple[Abstract, ...], at: Place, way: Way) -> Outcome:
        """Sessions are given to a thread or a process."""
        locs = [loc for argument in arguments for loc in sessions_in(argument)]
        for loc in dict.fromkeys(locs):
            if kind == "process":
                way.faults.append(("to process", loc, at))
            elif way.state(loc).lent is not None:
                way.faults.append(("use while lent", loc, way.state(loc).lent))
            way.update(loc, lent=at, unsaved=None, owner="given" if way.state(loc).owner == "here" else way.state(loc).owner)
        return [(way, Bound(tuple(Ref(loc) for loc in locs), runs=True) if locs else None)], [way.copy()]

    def task(self, arguments: tuple[Abstract, ...], at: Place, way: Way) -> Outcome:
        """A coroutine becomes a task that works on its sessions from now on."""
        first = arguments[0] if arguments else None
        if isinstance(first, Pending):
            for loc in dict.fromkeys(sessions_in(first)):
                if way.state(loc).lent is not None:
                    way.faults.append(("shared by tasks", loc, way.state(loc).lent))
                way.update(loc, lent=at, unsaved=None)
            return [(way, Pending(first.call, first.arguments, first.receiver, at))], []
        return self.of.calls.unknown(arguments, way)

    def gathered(self, arguments: tuple[Abstract, ...], at: Place, way: Way) -> Outcome:
        """Coroutines run at once until all have ended."""
        counts: dict[Loc, int] = {}

        def count(value: Abstract) -> None:
            if isinstance(value, Group):
                for item in value.items:
                    count(item)
                    if value.open:
                        count(item)
            else:
                for loc in dict.fromkeys(sessions_in(value)):
                    counts[loc] = counts.get(loc, 0) + 1

        for argument in arguments:
            count(argument)
        for loc, number in counts.items():
            if number > 1:
                way.faults.append(("shared by tasks", loc, at))
            way.update(loc, txn=ANY, lent=None, unsaved=None, fresh=False)
        return [(way, None)], [way.copy()]

    def returned(self, value: Abstract, way: Way) -> None:
        """What ran beside the caller has ended."""
        for loc in locs_in(value):
            if way.state(loc).lent is not None:
                way.update(loc, lent=None)
