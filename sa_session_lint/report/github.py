"""Annotations of GitHub Actions.

https://docs.github.com/en/actions/writing-workflows/choosing-what-your-workflow-does/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sa_session_lint.report import Style
from sa_session_lint.report.prose import wrapped

if TYPE_CHECKING:
    from sa_session_lint.run import Report, Reported

_UNWRAPPED = 100_000  # the page wraps by itself
_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def render(report: Report, style: Style) -> str:
    """One workflow command a finding, and one a failure."""
    lines: list[str] = []
    for reported in report.reported:
        span = reported.finding.span
        places: dict[str, str | int | None] = {
            "file": reported.finding.path,
            "line": span.line,
            "endLine": span.end_line,
        }
        if span.line == span.end_line:  # columns are allowed within one line only
            places |= {"col": span.column, "endColumn": span.end_column}
        places["title"] = f"{reported.entry.code} {reported.entry.name}"
        lines.append(_command(_COMMANDS[reported.severity], places, _message(reported)))
    for failure in report.failures:
        where: dict[str, str | int | None] = {
            "file": failure.path or None,
            "line": failure.line,
            "title": "sa-session-lint failed",
        }
        lines.append(_command("error" if failure.reported else "warning", where, f"{failure.stage}: {failure.message}"))
    return "".join(f"{line}\n" for line in lines)


def _message(reported: Reported) -> str:
    """The sentence, then what led there, then the way out of it: an annotation shows all of its lines."""
    trail = [
        f"{number}. {note.path}:{note.span.line} {note.text}" for number, note in enumerate(reported.finding.trail, 1)
    ]
    return "\n".join([reported.message, *trail, "", *wrapped(f"Solution: {reported.entry.solution}", _UNWRAPPED)])


def _command(command: str, properties: Mapping[str, str | int | None], message: str) -> str:
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{command} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
