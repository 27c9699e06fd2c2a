"""The catalogue's Markdown as plain text for a terminal: paragraphs and list items wrapped, code left as it stands."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

_ITEM = re.compile(r"\s*(?:[-*]|[0-9]+[.)])\s+")


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, but for code and for words that are longer by themselves. Items hang."""
    lines: list[str] = []
    for paragraph in _paragraphs(text):
        if paragraph[0].startswith("```"):
            lines += [f"    {line}".rstrip() for line in paragraph[1:]]
            continue
        item = _ITEM.match(paragraph[0])
        lines += textwrap.wrap(
            " ".join(line.strip() for line in paragraph),
            max(20, width),
            subsequent_indent=" " * len(item[0].lstrip()) if item else "",
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return lines


def _paragraphs(text: str) -> Iterator[list[str]]:
    """Runs of lines that belong together; `[""]` for a blank line between two; code begins with its fence."""
    held: list[str] = []
    for line in text.splitlines():
        fenced = bool(held) and held[0].startswith("```")
        if line.lstrip().startswith("```"):
            if held:
                yield held
            held = [] if fenced else ["```"]
        elif fenced:
            held.append(line)
        elif not line.strip():
            if held:
                yield held
            yield [""]
            held = []
        else:
            if held and _begins_item(line, held):
                yield held
                held = []
            held.append(line)
    if held:
        yield held


def _begins_item(line: str, held: list[str]) -> bool:
    """As CommonMark has it: within a paragraph only a bullet or the number 1 begins a list, for a sentence may end in a number."""
    item = _ITEM.match(line)
    return item is not None and (item[0].strip() in {"-", "*", "1.", "1)"} or _ITEM.match(held[0]) is not None)
