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
    r'''(?P<long>(?<!\w)[bBrRuUfF]{0,2}(?:"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'))'''
    r"""|(?P<formatted>[rR]?[fF][rR]?(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))"""
    r"""|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<comment>#[^\n]*)"""
    r"""|(?P<imports>^[ \t]*(?:from[^\n]*)?import\b(?:\s*\([^)]*\)|[^\n]*))"""
    r"""|(?P<exported>^__all__\b[^\[(\n]*[\[(][^\])]*)""",
    re.MULTILINE,
)
_NAMES = re.compile(r"[\w.:/-]+")
_LINE = re.compile(r"^(?P<indent>[ \t]*)(?:(?:async[ \t]+)?(?P<what>def|class)[ \t]+(?P<name>\w+)|[^\s)\]}])", re.MULTILINE)


class Mention(NamedTuple):
    """A place that says a name. `unit` is the function, class or method around it, "" where none is: the statements of the module."""

    path: str
    unit: str
    how: Literal["name", "attribute", "text"]


def mentions(index: Index, name: str) -> tuple[Mention, ...]:
    """What says a name, its definitions left out."""
    return index.once(("mentions", name), lambda: tuple(one for path in index.files_with(name) for one in mentions_in(index, name, path)))


def mentions_in(index: Index, name: str, path: str) -> Iterator[Mention]:
    text, units = index.once(("code", path), lambda: _read(index, path))
    for found in re.finditer(r"(?<!\w)" + re.escape(name) + r"(?!\w)", text):
        before = text[max(0, found.start() - 12) : found.start()].rstrip(" \t")
        if before.endswith(("def", "class")):
            continue
        unit = next((unit for start, unit in reversed(units) if start <= found.start()), "")
        yield Mention(path, unit, _how(text, found, before))


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
    around: list[tuple[int, str, str]] = []  # the functions and classes that a line stands in: how far in they are, which they are, their names
    for found in _LINE.finditer(text):
        while around and around[-1][0] >= len(found["indent"]):
            around.pop()
        if found["what"]:
            around.append((len(found["indent"]), found["what"], found["name"]))
        unit = "" if not around else f"{around[0][2]}.{around[1][2]}" if len(around) > 1 and (around[0][1], around[1][1]) == ("class", "def") else around[0][2]
        if not units or units[-1][1] != unit:
            units.append((found.start(), unit))
    return text, units


def _left(found: re.Match[str]) -> str:
    """What is left of text, a comment or an import: lines keep their numbers."""
    text = found[0]
    kept = found["formatted"] is not None or (found["long"] is not None and "f" in text[:2].lower()) or (found["text"] is not None and _NAMES.fullmatch(text[1:-1])) or (found["imports"] is not None and " as " in text)
    return text if kept else "\n" * text.count("\n") if found["text"] is None else '""'
