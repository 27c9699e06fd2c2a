"""The flow graph of a function: steps, and where control goes from each.

    def f():                    0 test `x`     -> 1 2
        if x:                   1 call `g()`   -> 2 !raised
            g()                 2 return       -> returned
        return

One kind of node: nearly every statement can raise, so basic blocks would buy nothing. `next` is where control goes when all is well (of a
`test`: if true, if false; of a `next`: one more turn, no more), `error` where an exception goes that `except Exception` catches, `base`
where GeneratorExit (at a yield) or a cancellation (at an await) goes, `misuse` where the exception of a call goes that raises only when it is
misused. Clean-up (`finally`, the exit of a `with`) stands in the graph once
for each way out that leads through it, so that "closed on the error path, too?" has an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import libcst as cst

StepKind = Literal[
    "call", "await", "yield", "test", "pick", "bind", "drop", "enter", "leave", "next", "dispatch", "catch", "return", "raise", "define", "merge", "end"
]
"""What a step does.

    call, await, yield    evaluates this expression, after its parts
    test                  chooses by a condition
    pick                  the value of `a or b`, `a and b`, `a if c else b` is that of the part numbered `option`
    bind                  an assignment: a statement, a walrus, the capture of a `case`
    drop                  an expression statement has ended and its value is gone
    enter, leave          a with-item; it is left by an exception when `raising`
    next                  a `for`, or one of a comprehension, takes its next element or ends
    dispatch, catch       an exception looks for its handler; a handler begins
    define, return, raise, del    the statements
    merge                 the end of clean-up that stands for many ways out at once
    end                   returned, raised, abandoned (a BASE way out)
"""

RETURNED, RAISED, ABANDONED = 0, 1, 2


@dataclass(slots=True, eq=False)
class Step:
    """One step. `node` is the syntax it stands for; for `leave` and `enter` the `WithItem`, for `catch` the handler.

    `handler` numbers the `except` block in which it stands, 0 outside of any; `lazy` marks the loop of a generator
    expression, which runs when somebody reads it.
    """

    kind: StepKind
    node: cst.CSTNode | None
    next: tuple[int, ...]
    error: int | None = None
    base: int | None = None
    raising: bool = False
    option: int = 0
    handler: int = 0
    lazy: bool = False
    misuse: int | None = None


@dataclass(slots=True, eq=False)
class Graph:
    """The steps of a function; the first three are its ends: returned, raised, abandoned. `coarse`: clean-up was merged for want of room."""

    steps: list[Step]
    start: int
    coarse: bool = False

    def order(self) -> list[int]:
        """The steps that control can reach, in the order in which it first does."""
        seen: dict[int, None] = {}
        stack = [self.start]
        while stack:
            at = stack.pop()
            if at in seen:
                continue
            seen[at] = None
            step = self.steps[at]
            stack += [to for to in (step.base, step.error, step.misuse, *reversed(step.next)) if to is not None]
        return list(seen)
