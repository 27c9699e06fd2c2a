"""An entry on its own: `sa-session-lint rule NAME`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sa_session_lint.report import Style
from sa_session_lint.report.json import entry_document
from sa_session_lint.report.paint import SEVERITY_COLOUR, Paint
from sa_session_lint.report.text import wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sa_session_lint.catalogue import Entry, Example


def render_entry(entry: Entry, style: Style) -> str:
    """All that the catalogue says of a rule."""
    paint = Paint(style.colour)
    lines = [f"{paint(entry.code, SEVERITY_COLOUR[entry.severity])} {paint(entry.name, 'bold')}: {entry.title}"]
    lines.append(f"{entry.severity}, {entry.profile} profile, fix: {entry.fix}, since {entry.since}")
    for heading, text in (("Problem", entry.problem), ("Why", entry.why), ("Solution", entry.solution)):
        lines += ["", paint(heading, "bold"), *_indented(wrapped(text, style.width - 2))]
    lines += ["", paint("Gotchas", "bold"), *_indented(wrapped("\n".join(f"- {g}" for g in entry.gotchas), style.width - 2))]
    for heading, examples in (("Reported", entry.reported), ("Accepted", entry.accepted)):
        for example in examples:
            lines += ["", paint(heading, "bold"), *_indented(example.code.rstrip().splitlines(), "    ")]
    lines += ["", paint("Limits", "bold"), *_indented(wrapped(entry.limits, style.width - 2))]
    if entry.error_messages:
        lines += ["", paint("Error messages", "bold"), *_indented(entry.error_messages)]
    if entry.docs:
        lines += ["", paint("Documentation", "bold"), *_indented(entry.docs)]
    return "\n".join(lines) + "\n"


def _indented(lines: Sequence[str], by: str = "  ") -> list[str]:
    return [f"{by}{line}".rstrip() for line in lines]


def render_json(entries: Sequence[Entry]) -> str:
    """Entries as a JSON list."""
    return json.dumps([_document(entry) for entry in entries], ensure_ascii=False, indent=2) + "\n"


def _document(entry: Entry) -> dict[str, Any]:
    head = {"rule": entry.name, "code": entry.code, "severity": entry.severity, "profile": entry.profile, "fix": entry.fix}
    more = {"since": entry.since, "message": entry.message, "tags": list(entry.tags), "limits": entry.limits}
    return {**head, **more, **entry_document(entry), "reported": _codes(entry.reported), "accepted": _codes(entry.accepted)}


def _codes(examples: tuple[Example, ...]) -> list[str]:
    return [example.code for example in examples]
