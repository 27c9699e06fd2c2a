"""The code frame: a few lines of source with the reported stretch underlined.

       |
    13 |     db = SessionLocal()
    14 |     yield db
       |     ^^^^^^^^
    15 |     db.close()
       |

A stretch over several lines is marked by a bar along its left side. Columns here are those of a terminal: tabs reach to
the next stop, wide characters take two, combining ones none. What would steer the terminal, or turn the direction of
writing, is replaced.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from sa_session_lint.finding import Span
from sa_session_lint.report.paint import Paint

_TAB = 4
_ENDS = re.compile(r"\r\n?|\n")
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HEAD, _TAIL = 4, 2  # lines shown of a long stretch


def lines_of(text: str) -> list[str]:
    """The lines of a source text, split where Python splits them."""
    return _ENDS.split(text)


def shown(text: str) -> str:
    """`text` on one line of a terminal, with nothing that could steer it."""
    return "".join(cell for cell, _ in _cells(text))


def frame(text: str | None, span: Span, paint: Paint, gutter: int, width: int, colour: str) -> list[str]:
    """The lines of a frame, `gutter` columns for the numbers; none where the text is missing or has no such line."""
    lines = [] if text is None else lines_of(text)
    if not 1 <= span.line <= len(lines):
        return []
    last = min(max(span.line, span.end_line - (span.end_column == 1)), len(lines))
    before, after = span.line - 1, last + 1
    numbers = [before] if before >= 1 and lines[before - 1].strip() else []
    numbers += range(span.line, last + 1)
    numbers += [after] if after <= len(lines) and lines[after - 1].strip() else []
    bar = paint("|", "cyan")
    empty = f"{' ' * gutter} {bar}"
    room = max(20, width - gutter - 5)
    framed = [empty]
    many = last > span.line
    for number in numbers:
        if span.line + _HEAD <= number <= last - _TAIL and last - span.line >= _HEAD + _TAIL + 1:
            if number == span.line + _HEAD:
                framed.append(f"{paint('.' * gutter, 'cyan')} {bar} {paint('|', colour)} ...")
            continue
        inside = span.line <= number <= last
        edge = "" if not many else f"{paint('|' if inside else ' ', colour)} "
        start = span.column if inside and not many else 1
        end = span.end_column if number == span.end_line else len(lines[number - 1]) + 1 if inside else 1
        code, left, right = _fitted(lines[number - 1], start, end, room - 2 * many)
        framed.append(f"{paint(str(number).rjust(gutter), 'cyan')} {bar} {edge}{code}".rstrip())
        if inside and not many:
            framed.append(f"{empty} {' ' * left}{paint('^' * max(1, right - left), colour)}")
        elif many and number == last:
            framed.append(f"{empty} {paint('|' + '_' * right + '^', colour)}")
    return [*framed, empty]


def source_line(text: str | None, line: int, width: int) -> str:
    """One line of the source, stripped and cut; "" if there is none."""
    lines = [] if text is None else lines_of(text)
    if not 1 <= line <= len(lines):
        return ""
    return _fitted(lines[line - 1].strip(), 1, 1, max(20, width))[0]


def _fitted(line: str, start: int, end: int, room: int) -> tuple[str, int, int]:
    """`line` in at most `room` columns, a "…" for what is cut; the first column of its stretch and the one after it."""
    cells = [*_cells(line.rstrip())]
    at = [0]
    for _, columns in cells:
        at.append(at[-1] + columns)
    left, right = at[min(start - 1, len(cells))], at[min(max(start, end) - 1, len(cells))]
    if at[-1] <= room:
        return "".join(cell for cell, _ in cells), left, right
    # The whole stretch stays in view if it fits, else its beginning, with a quarter of the room for what is before it.
    wanted = 0 if right < room else max(0, min(left - room // 4, at[-1] - room + 1))
    first = next(number for number, column in enumerate(at) if column >= wanted)
    cut = "…" if first else ""
    stop = first
    while stop < len(cells) and at[stop + 1] - at[first] + len(cut) <= room - (at[-1] - at[first] + len(cut) > room):
        stop += 1
    code = cut + "".join(cell for cell, _ in cells[first:stop]) + ("…" if stop < len(cells) else "")
    shift = at[first] - len(cut)
    return code, max(0, left - shift), min(right - shift, at[stop] - shift)


def _cells(line: str) -> Iterator[tuple[str, int]]:
    """Each character as it is shown, with the columns that it takes."""
    column = 0
    for character in line:
        kind = unicodedata.category(character)
        if character == "\t":
            columns = _TAB - column % _TAB
            shape = " " * columns
        elif character == "\f":
            shape, columns = "", 0
        elif kind == "Cc" or character in _TURNING or kind == "Cs":
            shape, columns = "\ufffd", 1
        elif kind in {"Mn", "Me", "Cf"}:
            shape, columns = character, 0
        else:
            shape, columns = character, 2 if unicodedata.east_asian_width(character) in "WF" else 1
        column += columns
        yield shape, columns
