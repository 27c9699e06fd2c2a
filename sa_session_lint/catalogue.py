"""The catalogue: every entry of `rules/`, and how rules are selected by name, code or prefix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sa_session_lint.finding import Severity


@dataclass(frozen=True, slots=True)
class Example:
    """One Python block of an entry; `line` is where it starts in the entry's file (1-based)."""

    line: int
    code: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule in words. `message` holds `{placeholders}` that a finding's values fill."""

    name: str
    code: str
    title: str
    severity: Severity
    profile: Literal["default", "strict"]
    fix: Literal["safe", "unsafe", "none"]
    since: str
    message: str
    error_messages: tuple[str, ...]
    tags: tuple[str, ...]
    docs: tuple[str, ...]
    problem: str
    why: str
    solution: str
    gotchas: tuple[str, ...]
    reported: tuple[Example, ...]
    accepted: tuple[Example, ...]
    limits: str
