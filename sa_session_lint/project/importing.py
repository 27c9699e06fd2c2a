"""The import statements that the bytes of a file spell, read without parsing it.

They serve to leave out files: what a comment or a string says is among them, and nothing that the file imports by a statement is missing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sa_session_lint.model.expression import Imported

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_START = re.compile(rb"(?<![\w.])(?:from|import)\b")
_LINE = rb"(?:[^\n\\]|\\\r?\n|\\)*"
_FROM = re.compile(rb"from(?=[\s.\\])(?P<dots>[.\s\\]*)(?P<module>[\w.]*)[\s\\]*\b(?P<import>import)\b[\s\\]*(?P<names>\((?:[^)#]|#[^\n]*)*\)?|" + _LINE + rb")")
_IMPORT = re.compile(rb"import(?=[\s\\])(?P<modules>" + _LINE + rb")")
_COMMENT = re.compile(rb"#[^\n]*")
_NAME = re.compile(rb"[\w.*\x80-\xff]+")


def spelled_imports(index: Index, path: str) -> tuple[Imported, ...]:
    """What the import statements of a file name (None: the module, or all that is in it), and what merely reads like one."""
    return index.once(("spelled imports", path), lambda: tuple(_read(index.data(path) or b"")))


def _read(data: bytes) -> list[Imported]:
    """Every place is tried: what merely reads like a statement hides none that is one."""
    found: list[Imported] = []
    read: set[int] = set()
    for start in _START.finditer(data):
        if (made := _FROM.match(data, start.start())) is not None:
            read.add(made.start("import"))
            module, level = made["module"].decode("utf-8", "replace"), made["dots"].count(b".")
            found.extend(Imported(module, None if name == "*" else name, level) for name in _names(made["names"]))
        elif start.start() not in read and (plain := _IMPORT.match(data, start.start())) is not None:
            found.extend(Imported(name, None) for name in _names(plain["modules"]))
    return found


def _names(text: bytes) -> list[str]:
    """The first word of each part between commas: what stands before `as`."""
    parts = (_NAME.search(part) for part in _COMMENT.sub(b"", text).split(b","))
    return [part[0].decode("utf-8", "replace") for part in parts if part is not None]
