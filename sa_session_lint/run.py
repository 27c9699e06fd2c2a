"""The pipeline: files in, one `Report` out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sa_session_lint.catalogue import Entry
    from sa_session_lint.finding import Failure, Finding, Severity


@dataclass(frozen=True, slots=True)
class Reported:
    """A finding as a reader sees it: with its sentence, its severity under the present settings, and its entry."""

    finding: Finding
    entry: Entry
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a reporter prints. `reported` is sorted by path, line, column, code.

    `files` were checked, `consulted` merely read for what they say about others; `coarse` counts functions that were too
    large to be followed exactly; `texts` holds the text of each file that a finding or a station of its trail names.
    """

    root: Path
    reported: tuple[Reported, ...] = ()
    failures: tuple[Failure, ...] = ()
    files: int = 0
    consulted: int = 0
    coarse: int = 0
    seconds: float = 0.0
    texts: Mapping[str, str] = field(default_factory=dict)
