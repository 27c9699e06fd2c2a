"""What would crash or stall the parser is refused before it is parsed.

LibCST's parser overflows the process's stack at about 1,170 nested brackets and takes quadratic time on long chains (2,000 chained
calls: 12 seconds). Whoever walks the tree afterwards goes as deep as it is: a chain of operators, calls or strings, and the branches
of one `if`, are as deep as they are long. Real code stays below 60 of either.
"""

from __future__ import annotations

import re

from sa_session_lint.scan import Lines, scan

DEEPEST = 200
LONGEST = 500


def refusal(text: str) -> tuple[int, str] | None:
    """Line (1-based) and reason why `text` must not be parsed, or None."""
    if len(text) < 2 * DEEPEST:
        return None
    branches = _Branches()
    branches.line(text, 0)
    # Of the present level of brackets, since the last comma: operators, and what the last operand is a chain of. Of all: their sum.
    operators = trailers = length = 0
    last = ""
    outer: list[tuple[int, int]] = []
    for kind, start, end in scan(text):
        if kind in {"open", "hole"}:
            outer.append((operators, trailers))
            if len(outer) > DEEPEST:
                return _line(text, start), f"brackets nested more than {DEEPEST} deep"
            operators = trailers = 0
        elif kind in {"close", "filled"}:
            length -= operators + trailers
            operators, trailers = outer.pop() if outer else (0, 0)
            if kind == "filled":
                kind = "string"  # its own: the next one is a second
            elif _TRAILER.match(text, end):
                trailers += 1
                length += 1
        elif kind == "operator":
            length += 1 - trailers
            operators, trailers = operators + 1, 0
        elif kind == "string":
            if last == "string":
                trailers += 1
                length += 1
        elif kind == "dots":
            more = text.count(".", start, end)
            trailers += more
            length += more
        elif kind == "end" or (kind == "line" and not outer):
            length -= operators + trailers
            operators = trailers = 0
            if kind == "line":
                branches.line(text, end)
                if branches.total > LONGEST:
                    return _line(text, end), f"more than {LONGEST} branches of one `if`"
        else:
            continue
        if length > LONGEST:
            return _line(text, start), f"a chain of more than {LONGEST} operators, calls or strings"
        last = kind
    return None


_TRAILER = re.compile(r"[\s\\]*[.(\[]")


class _Branches:
    """The `elif` of all statements that are open, the bodies between them aside."""

    _START = re.compile(r"([ \t\f]*)(elif\b|else\b|[^\s#])")

    def __init__(self) -> None:
        self.total = 0
        self._blocks: list[tuple[int, int]] = []  # indentation, number of `elif`

    def line(self, text: str, at: int) -> None:
        """A statement begins with the line at `at`, or it is empty."""
        found = self._START.match(text, at)
        if found is None:
            return
        indent, count = len(found[1].expandtabs(8)), 0
        while self._blocks and self._blocks[-1][0] >= indent:
            where, count = self._blocks.pop()
            self.total -= count
            count = count if where == indent else 0
        count = count + 1 if found[2] == "elif" else count if found[2] == "else" else 0
        self._blocks.append((indent, count))
        self.total += count


def _line(text: str, at: int) -> int:
    return Lines(text).place(at)[0]
