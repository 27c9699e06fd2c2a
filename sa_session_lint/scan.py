"""A scan of Python source that knows strings, formatted strings and comments, and needs no tree.

Formatted strings nest (PEP 701): what stands in their braces is code again, with strings and comments of its own, and what stands
behind a colon there is text again.

    f"{d["key"]:>{width}}"  # why     hole, open, string, close, hole, filled, filled, string, comment

The scan never fails: of text that is no Python it tells something, and the parser will object.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Literal

Kind = Literal["string", "comment", "open", "close", "hole", "filled", "dots", "end", "line", "operator"]

_STRINGS = (
    r'(?P<formatted>(?<!\w)(?:[fFtT][rR]?|[rR][fFtT])(?:"""|\'\'\'|"|\'))'
    r'|(?P<string>"""(?:[^\\"]+|\\.|"(?!""))*(?:"""|\Z)|\'\'\'(?:[^\\\']+|\\.|\'(?!\'\'))*(?:\'\'\'|\Z)'
    r'|"(?:[^\\"\r\n]+|\\(?:\r\n|.))*"?|\'(?:[^\\\'\r\n]+|\\(?:\r\n|.))*\'?)'
    r"|(?P<comment>\#[^\r\n]*)"
)
_STRINGS_ONLY = re.compile(_STRINGS, re.DOTALL)
# What a search would try at each character is skipped in strides: words, and marks that begin no token. Every match succeeds, so nothing is tried twice.
_KEYWORD = r"(?:and|or|not|if|lambda|await|in|is)\b"
_PLAIN = r"[^\w\"'#()\[\]{}.:,;\\\r\n\-+*/%@&|^~<>!=]*"
_WORD = rf"(?!{_KEYWORD}|(?:[fFtT][rR]?|[rR][fFtT])[\"'])\w+\b"
_DOTS = r"\.(?:\s*[^\W\d]\w*\s*\.){8,}"
_CODE = re.compile(
    rf"{_PLAIN}(?:(?:{_WORD}|(?!{_DOTS})\.|[=!](?!=)){_PLAIN})*"
    rf"(?:{_STRINGS}|(?P<open>[(\[{{])|(?P<close>[)\]}}])|(?P<dots>{_DOTS})|(?P<colon>:(?!=))|(?P<end>[,;])"
    rf"|(?P<joined>\\(?:\r\n|[\r\n]))|(?P<line>[\r\n]+)|(?P<operator>[-+*/%@&|^~<>]=?|[!:=]=|{_KEYWORD})|(?P<other>.)|\Z)",
    re.DOTALL,
)
_NAMED, _ESCAPE = r"\\N\{[^}\r\n]*\}|", r"\\(?:\r\n|[^{}])|"
_QUOTES = {'"': r"\"|[\r\n]", "'": r"'|[\r\n]", '"""': r"\"{3}", "'''": r"'{3}"}  # a string of one line is over when its line is
_TEXTS = {
    (quote, raw): re.compile(rf"(?P<skip>{'' if raw else _NAMED}{_ESCAPE}\{{\{{)|(?P<hole>\{{)|(?P<end>{end})", re.DOTALL)
    for quote, end in _QUOTES.items()
    for raw in (False, True)
}
_FORMATS = {quote: re.compile(rf"(?P<hole>\{{)|(?P<filled>\}})|(?P<end>{end})") for quote, end in _QUOTES.items()}
_LINE = re.compile(r"\r\n?|\n")


Token = tuple[Kind, int, int]
"""Kind, offset of its beginning, offset of its end. A formatted string is a `string` at its end, its braces are `hole` and `filled`;
`dots` is a long chain of attributes, without the last name."""


class _Open:
    """A formatted string that is open: in its text, in the code of a hole (`depth` brackets deep), or in the format of one."""

    def __init__(self, start: int, quote: str, raw: bool) -> None:
        self.start, self.quote, self.raw = start, quote, raw
        self.holes: list[int | None] = []  # brackets open in each hole; None once its format has begun


def scan(text: str, strings_only: bool = False) -> Iterator[Token]:
    """The tokens of `text`; with `strings_only` just strings and comments, which is faster."""
    at = 0
    stack: list[_Open] = []
    while True:
        inner = stack[-1] if stack else None
        if inner is not None and (not inner.holes or inner.holes[-1] is None):
            pattern = _FORMATS[inner.quote] if inner.holes else _TEXTS[inner.quote, inner.raw]
            match = pattern.search(text, at)
            if match is None:
                return
            at = match.end()
            if match.lastgroup == "hole":
                inner.holes.append(0)
                yield "hole", match.start(), at
            elif match.lastgroup == "filled":
                inner.holes.pop()
                yield "filled", match.start(), at
            elif match.lastgroup == "end":
                stack.pop()
                yield "string", inner.start, at
            continue
        match = _STRINGS_ONLY.search(text, at) if strings_only and inner is None else _CODE.match(text, at)
        kind = None if match is None else match.lastgroup
        if match is None or kind is None:
            return
        start, at = match.start(kind), match.end()
        if kind == "formatted":
            opening = match["formatted"]
            stack.append(_Open(start, opening.lstrip("fFtTrR"), "r" in opening.lower()))
            continue
        if inner is not None:
            depth = inner.holes[-1] or 0
            if kind == "open":
                inner.holes[-1] = depth + 1
            elif kind == "close" and depth:
                inner.holes[-1] = depth - 1
            elif kind == "close" and text[start] == "}":
                inner.holes.pop()
                kind = "filled"
            elif not depth and text[start] == ":":  # also of `:=`, which needs brackets here
                inner.holes[-1] = None
                at = start + 1
                continue
        if kind not in {"colon", "joined", "other"}:
            yield kind, start, at  # type: ignore[misc]  # the groups are named after the kinds


class Lines:
    """The lines of a text, ended by CR, LF or both together, as Python counts them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(match.end() for match in _LINE.finditer(text))]

    def place(self, at: int) -> tuple[int, int]:
        """Line and column (1-based) of an offset."""
        line = bisect_right(self._starts, at)
        return line, at - self._starts[line - 1] + 1

    def is_first(self, at: int) -> bool:
        """Whether nothing stands before it on its line."""
        return not self._text[self._starts[self.place(at)[0] - 1] : at].strip()
