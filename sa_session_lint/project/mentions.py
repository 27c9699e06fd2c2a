"""Where the code of the project says a name, and in which of its functions and classes: read off the text, so that no file is parsed for it.

Comments, docstrings, text that is more than a name, and imports do not count: what is imported need not be used, unless that gives it another name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_SKIPPED = re.compile(
    r'''(?P<long>[bBrRuU]{0,2}(?:"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'))'''
    r"""|(?P<formatted>[rR]?[fF][rR]?(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))"""
    r"""|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<comment>#[^\n]*)"""
    r"""|(?P<imports>^[ \t]*(?:from[^\n]*)?import\b(?:\s*\([^)]*\)|[^\n]*))"""
    r"""|(?P<exported>^__all__\b[^\[(\n]*[\[(][^\])]*)""",
    re.MULTILINE,
)
_NAMES = re.compile(r"[\w.:/-]+")
_STATEMENT = re.compile(r"^(?:(?:async[ \t]+)?(?P<what>def|class)[ \t]+(?P<name>\w+)|(?P<main>if[ \t]+__name__\b)|[^\s)\]}])", re.MULTILINE)
_INNER = re.compile(r"^(?P<indent>[ \t]+)(?:(?:async[ \t]+)?def[ \t]+(?P<name>\w+)|[^\s)\]}])", re.MULTILINE)


class Mention(NamedTuple):
    """A place that says a name. `unit` is the function, class or method around it, "" where none is: the statements of the module."""

    path: str
    line: int
    unit: str
    how: Literal["name", "attribute", "text"]


def mentions(index: Index, name: str) -> tuple[Mention, ...]:
    """What says a name, its definitions left out."""
    return index.once(("mentions", name), lambda: tuple(one for path in index.files_with(name) for one in mentions_in(index, name, path)))


def mentions_in(index: Index, name: str, path: str) -> Iterator[Mention]:
    text, units = index.once(("code", path), lambda: _read(index, path))
    line = at = 0
    for found in re.finditer(r"(?<!\w)" + re.escape(name) + r"(?!\w)", text):
        before = text[max(0, found.start() - 12) : found.start()].rstrip(" \t")
        if before.endswith(("def", "class")):
            continue
        unit = next((unit for start, unit in reversed(units) if start <= found.start()), "")
        line += text.count("\n", at, found.start())
        at = found.start()
        yield Mention(path, line + 1, unit, _how(text, found, before))


def _how(text: str, found: re.Match[str], before: str) -> Literal["name", "attribute", "text"]:
    if before.endswith("."):
        return "attribute"
    start = text.rfind("\n", 0, found.start()) + 1
    quoted = any(text.count(mark, start, found.start()) % 2 for mark in "\"'")
    return "text" if quoted else "name"


def _read(index: Index, path: str) -> tuple[str, list[tuple[int, str]]]:
    """The code of a file, and where each of its functions, classes and methods begins."""
    text = _SKIPPED.sub(_left, (index.data(path) or b"").decode("utf-8", "replace"))
    units: list[tuple[int, str]] = []
    statements = list(_STATEMENT.finditer(text))
    for number, found in enumerate(statements):
        units.append((found.start(), found["name"] or ""))
        if found["what"] == "class":
            end = statements[number + 1].start() if number + 1 < len(statements) else len(text)
            units.extend(_methods(text, found["name"], found.end(), end))
    return text, units


def _methods(text: str, owner: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    inner = list(_INNER.finditer(text, start, end))
    least = min((len(found["indent"]) for found in inner), default=0)
    for found in inner:
        if len(found["indent"]) == least:
            yield found.start(), f"{owner}.{found['name']}" if found["name"] else owner


def _left(found: re.Match[str]) -> str:
    """What is left of text, a comment or an import: lines keep their numbers."""
    text = found[0]
    kept = found["formatted"] is not None or (found["text"] is not None and _NAMES.fullmatch(text[1:-1])) or (found["imports"] is not None and " as " in text)
    return text if kept else "\n" * text.count("\n") if found["text"] is None else '""'
