"""What a run hands from layer to layer: plain frozen values, without syntax nodes, importing nothing of ours.

Paths are relative to the project root, with `/`. Lines and columns are 1-based and count code points; an end is exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]
Stage = Literal["read", "parse", "config", "check", "write"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of one file."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Note:
    """One station of a trail: what happened there, in the past tense ("opened here", "committed here")."""

    path: str
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` in the place of `span` of `path`."""

    path: str
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that mend a finding; `safe` when they cannot change what a correct program does."""

    title: str
    edits: tuple[Edit, ...]
    safe: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake. Its sentence is the entry's message filled with `values`.

    `statement` is the first and the last line of the statement (of a compound one: of its header) that holds `span`: a comment that
    silences may stand on any of them.
    """

    rule: str
    path: str
    span: Span
    statement: tuple[int, int]
    values: tuple[tuple[str, str], ...] = ()
    trail: tuple[Note, ...] = ()
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Work that could not be done; `line` is 1-based, or None; `reported` is False for a file that was merely consulted."""

    path: str
    line: int | None
    stage: Stage
    message: str
    reported: bool = True
