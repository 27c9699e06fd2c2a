"""Annotations of GitHub Actions.

https://docs.github.com/en/actions/writing-workflows/choosing-what-your-workflow-does/workflow-commands-for-github-actions
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa_session_lint.report import Style

if TYPE_CHECKING:
    from sa_session_lint.run import Report

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def render(report: Report, style: Style) -> str:
    """One workflow command a finding, and one a failure."""
    lines: list[str] = []
    for reported in report.reported:
        span = reported.finding.span
        places = {"file": reported.finding.path, "line": span.line, "endLine": span.end_line}
        if span.line == span.end_line:  # columns are allowed within one line only
            places |= {"col": span.column, "endColumn": span.end_column}
        places["title"] = f"{reported.entry.code} {reported.entry.name}"
        lines.append(_command(_COMMANDS[reported.severity], places, reported.message))
    for failure in report.failures:
        where: dict[str, object] = {"file": failure.path}
        if failure.line is not None:
            where["line"] = failure.line
        lines.append(_command("error" if failure.reported else "warning", where, f"{failure.stage}: {failure.message}"))
    return "".join(f"{line}\n" for line in lines)


def _command(command: str, properties: dict[str, object], message: str) -> str:
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{command} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
