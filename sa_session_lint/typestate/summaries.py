"""What calls come to, kept: when an answer found in one place holds in another.

Calls are followed `DEPTH` deep, and a function that is being followed already is not followed again inside of itself: there the answer is that of an
unknown call. So an answer depends on where it was asked, unless neither limit was met. It is kept with what it depends on, and used again only where
following the call anew would find the same: whatever is asked first, the findings are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from sa_session_lint.model.value import Place
from sa_session_lint.typestate.state import (
    NO_ENV,
    Abstract,
    Frozen,
    Loc,
    SessionState,
)

CALLERS, CALLEES = Place("", 0), Place("", 1)
"""Where a session was written to, closed or lost to a failed flush, as the answer about a call tells it: in the caller, or somewhere in the called function."""

DEPTH = 5
Called = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a call ends: it returned (or raised, or yielded), with these states and this value."""

    end: int
    heap: Frozen[Loc, SessionState]
    value: Abstract
    raising: str | None
    env: Frozen[object, Abstract] = NO_ENV


@dataclass(frozen=True, slots=True)
class Effect:
    """All ways in which a call ends; `faults` are those that its sessions, as they were handed in, surely meet inside."""

    cases: tuple[Case, ...]
    faults: tuple[tuple[str, Loc, Place | None], ...] = ()


@dataclass(slots=True, eq=False)
class Frame:
    """A function being followed: `seen` what was entered below it, `cut` those of it that were being followed already, `height` how deep it went."""

    depth: int
    seen: set[Called] = field(default_factory=set)
    cut: set[Called] = field(default_factory=set)
    height: int = 0
    answer: Effect | None = None

    def add(self, other: Frame, deeper: int = 0) -> None:
        """Depend on what another depends on, which is used this much deeper than where it was found."""
        self.seen |= other.seen
        self.cut |= other.cut
        self.height = max(self.height, other.height + deeper)


class Summaries:
    """The answers about calls by what is called and with what."""

    def __init__(self) -> None:
        self.known: dict[Hashable, list[Frame]] = {}
        self.open: dict[Called, None] = {}
        self.frames: list[Frame] = [Frame(0)]

    def ask(self, key: Hashable, function: Called, find: Callable[[], Effect | None]) -> Effect | None:
        """The answer of `find`, found or kept; None beyond the limits."""
        depth, above = len(self.open), self.frames[-1]
        if depth >= DEPTH or function in self.open:
            if function in self.open:
                above.cut.add(function)
            else:
                above.height = DEPTH + 1
            return None
        for each in self.known.get(key, ()):
            deeper = depth - each.depth
            if (deeper == 0 or each.height + max(deeper, 0) <= DEPTH) and each.cut <= self.open.keys() and each.seen.isdisjoint(self.open):
                above.add(each, deeper)
                return each.answer
        frame: Frame = Frame(depth, {function}, height=depth + 1)
        self.frames.append(frame)
        self.open[function] = None
        try:
            frame.answer = find()
        finally:
            self.frames.pop()
            del self.open[function]
        frame.cut.discard(function)
        self.known.setdefault(key, []).append(frame)
        above.add(frame)
        return frame.answer
