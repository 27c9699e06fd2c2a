"""An entry on its own: `sa-session-lint rule NAME`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sa_session_lint.report import Style
from sa_session_lint.report.json import entry_document, written
from sa_session_lint.report.paint import SEVERITY_COLOUR, Paint
from sa_session_lint.report.prose import wrapped

if TYPE_CHECKING:
    from sa_session_lint.catalogue import Entry, Example

_PROSE = 100
_FIX = {"safe": "safe fix", "unsafe": "unsafe fix", "none": "no fix"}


def render_entry(entry: Entry, style: Style) -> str:
    """All that the catalogue says of a rule."""
    paint = Paint(style.colour)
    facts = (f"{entry.profile} profile", _FIX[entry.fix], f"since {entry.since}", *entry.tags)
    lines = [
        f"{paint(entry.code, SEVERITY_COLOUR[entry.severity])} {paint(entry.name, 'bold')}: {entry.title}",
        f"{paint(entry.severity, SEVERITY_COLOUR[entry.severity])}, {', '.join(facts)}",
    ]

    def section(heading: str, body: Sequence[str], by: str = "  ") -> None:
        if body:
            lines.extend(["", paint(heading, "bold"), *(f"{by}{line}".rstrip() for line in body)])

    def prose(text: str) -> list[str]:
        return paint.prose(wrapped(text, min(style.width, _PROSE) - 2))

    section("Problem", prose(entry.problem))
    section("Why", prose(entry.why))
    section("Solution", prose(entry.solution))
    section("Gotchas", [line for gotcha in entry.gotchas for line in prose(f"- {gotcha}")])
    for number, (wrong, right) in enumerate(zip(entry.reported, entry.accepted, strict=True), 1):
        which = f" {number}" if len(entry.reported) > 1 else ""
        section(f"Reported{which}", _code(wrong, paint), "    ")
        section(f"Accepted{which}", _code(right, paint), "    ")
    section("Limits", prose(entry.limits))
    section("Error messages", entry.error_messages)
    section("Documentation", entry.docs)
    return "\n".join(lines) + "\n"


def _code(example: Example, paint: Paint) -> list[str]:
    """The example with its marks coloured: they are what distinguishes the reported line."""
    lines = example.code.rstrip().splitlines()
    return [line.replace("# error", paint("# error", "red")) if line.endswith("# error") else line for line in lines]


def render_json(entries: Sequence[Entry]) -> str:
    """Entries as a JSON list."""
    return written([_document(entry) for entry in entries])


def _document(entry: Entry) -> dict[str, Any]:
    head = {
        "rule": entry.name,
        "code": entry.code,
        "severity": entry.severity,
        "profile": entry.profile,
        "fix": entry.fix,
    }
    more = {"since": entry.since, "message": entry.message, "tags": list(entry.tags), "limits": entry.limits}
    examples = {"reported": [one.code for one in entry.reported], "accepted": [one.code for one in entry.accepted]}
    return {**head, **more, **entry_document(entry), **examples}
