"""For people: `full` prints code frame, sentence, trail and entry; `concise` one line a finding.

The matching entry stands under the first finding of its rule, once; later findings of the rule point back to it.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from sa_session_lint.finding import Failure
from sa_session_lint.report import Style
from sa_session_lint.report.frame import frame, source_line
from sa_session_lint.report.paint import SEVERITY_COLOUR, Paint

if TYPE_CHECKING:
    from sa_session_lint.catalogue import Entry
    from sa_session_lint.run import Report, Reported


def full(report: Report, style: Style) -> str:
    """Everything there is to say."""
    paint = Paint(style.colour)
    parts: list[str] = []
    seen: set[str] = set()
    for reported in report.reported:
        parts.append("\n".join(_finding(reported, report, paint, style.width, reported.entry.name not in seen)))
        seen.add(reported.entry.name)
    parts += [_failure(failure, paint) for failure in report.failures if failure.reported]
    parts.append(summary(report, paint))
    return "\n\n".join(parts) + "\n"


def concise(report: Report, style: Style) -> str:
    """`path:line:column: CODE [severity] sentence (rule)`."""
    paint = Paint(style.colour)
    lines = [
        f"{r.finding.path}:{r.finding.span.line}:{r.finding.span.column}: "
        f"{paint(r.entry.code, SEVERITY_COLOUR[r.severity])} [{r.severity}] {r.message} ({r.entry.name})"
        for r in report.reported
    ]
    lines += [_failure(failure, paint) for failure in report.failures if failure.reported]
    return "\n".join([*lines, summary(report, paint)]) + "\n"


def summary(report: Report, paint: Paint) -> str:
    """What was found, in one line."""
    checked = f"{_count(report.files, 'file')} checked, {report.consulted} more consulted, {report.seconds:.2f} s"
    failed = sum(failure.reported for failure in report.failures)
    trouble = f"; {_count(failed, 'failure')}" if failed else ""
    if not report.reported:
        return f"{paint('No session mistakes found', 'green')}{trouble} ({checked})"
    counts = [
        paint(_count(number, severity) if severity != "info" else f"{number} info", SEVERITY_COLOUR[severity])
        for severity in ("error", "warning", "info")
        if (number := sum(r.severity == severity for r in report.reported))
    ]
    files = len({r.finding.path for r in report.reported})
    return f"{', '.join(counts)} in {_count(files, 'file')}{trouble} ({checked})"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _failure(failure: Failure, paint: Paint) -> str:
    where = failure.path if failure.line is None else f"{failure.path}:{failure.line}"
    return f"{where}: {paint('failed', 'red')} ({failure.stage}): {failure.message}"


def _finding(reported: Reported, report: Report, paint: Paint, width: int, explain: bool) -> list[str]:
    found, entry = reported.finding, reported.entry
    colour = SEVERITY_COLOUR[reported.severity]
    lines = [f"{paint(f'{reported.severity}[{entry.code}]', colour)} {paint(entry.name, 'bold')}: {reported.message}"]
    lines.append(f"  {paint('-->', 'cyan')} {found.path}:{found.span.line}:{found.span.column}")
    lines += frame(report.texts.get(found.path, ""), found.span, paint, width, colour)
    for number, note in enumerate(found.trail, 1):
        where = f"{note.path}:{note.span.line}"
        code = source_line(report.texts.get(note.path, ""), note.span.line, max(20, width - len(where) - 8))
        lines.append(f"  {paint(f'{number}.', 'cyan')} {note.text}")
        lines.append(f"     {paint(where, 'dim')}  {code}".rstrip())
    if explain:
        lines += _entry(entry, paint, width)
    else:
        lines.append(f"  {paint('=', 'cyan')} see {entry.code} above, or `sa-session-lint rule {entry.code}`")
    return lines


def _entry(entry: Entry, paint: Paint, width: int) -> list[str]:
    bar = paint("|", "dim")
    lines = [f"  {bar}", f"  {bar} {paint(entry.title, 'bold')}"]
    for heading, text in (("Problem", entry.problem), ("Why", entry.why), ("Solution", entry.solution)):
        lines.append(f"  {bar} {paint(heading, 'bold')}")
        lines += [f"  {bar}   {line}".rstrip() for line in wrapped(text, min(width, 110) - 6)]
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """Markdown as plain text: paragraphs and list items are wrapped, code blocks stay as they are."""
    lines: list[str] = []
    is_code = False
    paragraph: list[str] = []

    def close() -> None:
        if paragraph:
            head = "  " if paragraph[0].lstrip().startswith(("- ", "* ", "1. ", "2. ", "3. ")) else ""
            lines.extend(textwrap.wrap(" ".join(paragraph), max(20, width), subsequent_indent=head, break_long_words=False, break_on_hyphens=False))
            paragraph.clear()

    for line in text.splitlines():
        if line.startswith("```"):
            close()
            is_code = not is_code
        elif is_code:
            lines.append(f"  {line}")
        elif not line.strip():
            close()
        else:
            if line.lstrip().startswith(("- ", "* ", "1. ", "2. ", "3. ")):
                close()
            paragraph.append(line.strip())
    close()
    return lines
