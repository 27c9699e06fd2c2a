"""The code frame: a few lines of source with the reported stretch underlined.

    12 | def get_db():
    13 |     db = SessionLocal()
    14 |     yield db
       |     ^^^^^^^^
"""

from __future__ import annotations

import re
import unicodedata

from sa_session_lint.finding import Span
from sa_session_lint.report.paint import Paint

_TAB = "    "
_ENDS = re.compile(r"\r\n?|\n")
_AROUND = 2


def lines_of(text: str) -> list[str]:
    """The lines of a source text, split where Python splits them."""
    return _ENDS.split(text)


def frame(text: str, span: Span, paint: Paint, width: int, colour: str) -> list[str]:
    """The lines of a frame; empty where the text has no such line."""
    lines = lines_of(text)
    if not 1 <= span.line <= len(lines):
        return []
    first = max(1, span.line - _AROUND)
    while first < span.line and not lines[first - 1].strip():
        first += 1
    gutter = len(str(span.line))
    room = max(20, width - gutter - 4)
    bar = paint("|", "cyan")
    shown = [f"{paint(str(number).rjust(gutter), 'cyan')} {bar} {_cut(_spaced(lines[number - 1]), room)}".rstrip() for number in range(first, span.line + 1)]
    line = lines[span.line - 1]
    start = span.column - 1
    end = span.end_column - 1 if span.end_line == span.line else len(line.rstrip())
    before = _columns(_spaced(line[:start]))
    length = max(1, _columns(_spaced(line[start:end])))
    if before < room:
        mark = "^" * min(length, room - before) + ("..." if span.end_line > span.line else "")
        shown.append(f"{' ' * gutter} {bar} {' ' * before}{paint(mark, colour)}")
    return shown


def source_line(text: str, line: int, width: int) -> str:
    """One line of the source, stripped and cut."""
    lines = lines_of(text)
    return _cut(" ".join(lines[line - 1].split()), width) if 1 <= line <= len(lines) else ""


def _spaced(text: str) -> str:
    return text.replace("\t", _TAB).replace("\f", "")


def _columns(text: str) -> int:
    """The width of a text on a terminal: wide characters take two columns, combining marks none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
