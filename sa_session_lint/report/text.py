"""For people: `full` prints code frame, sentence, trail and entry; `concise` one line a finding.

The matching entry stands under the first finding of its rule, once; later findings of the rule point back to it.
What could steer a terminal is replaced wherever it comes from the checked project: paths, sentences, source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa_session_lint.finding import Failure
from sa_session_lint.report import Style
from sa_session_lint.report.frame import frame, shown, source_line
from sa_session_lint.report.paint import SEVERITY_COLOUR, Paint
from sa_session_lint.report.prose import wrapped

if TYPE_CHECKING:
    from sa_session_lint.catalogue import Entry
    from sa_session_lint.run import Report, Reported

_PROSE = 100  # longer lines are hard to read, however wide the terminal


def full(report: Report, style: Style) -> str:
    """Everything there is to say."""
    paint = Paint(style.colour)
    gutter = max((len(str(r.finding.span.end_line + 1)) for r in report.reported), default=1)
    parts: list[str] = []
    seen: set[str] = set()
    for reported in report.reported:
        explain = reported.entry.name not in seen
        parts.append("\n".join(_finding(reported, report, paint, gutter, style.width, explain)))
        seen.add(reported.entry.name)
    failures = [_failure(failure, paint, min(style.width, _PROSE)) for failure in report.failures if failure.reported]
    if failures:
        parts.append("\n".join(failures))
    parts.append(summary(report, paint))
    return "\n\n".join(parts) + "\n"


def concise(report: Report, style: Style) -> str:
    """`path:line:column: CODE [severity] sentence (rule)`."""
    paint = Paint(style.colour)
    lines = [
        f"{shown(r.finding.path)}:{r.finding.span.line}:{r.finding.span.column}: "
        f"{paint(r.entry.code, SEVERITY_COLOUR[r.severity])} [{r.severity}] {shown(r.message)} ({r.entry.name})"
        for r in report.reported
    ]
    lines += [_failure(failure, paint) for failure in report.failures if failure.reported]
    return "\n".join([*lines, summary(report, paint)]) + "\n"


def summary(report: Report, paint: Paint) -> str:
    """What was found, in one line."""
    counts = [
        paint(_count(number, severity) if severity != "info" else f"{number} info", SEVERITY_COLOUR[severity])
        for severity in ("error", "warning", "info")
        if (number := sum(r.severity == severity for r in report.reported))
    ]
    files = len({r.finding.path for r in report.reported})
    found = f"{', '.join(counts)} in {_count(files, 'file')}" if counts else paint("No session mistakes found", "green")
    failed = sum(failure.reported for failure in report.failures)
    trouble = f", {paint(_count(failed, 'failure'), 'red')}" if failed else ""
    known = f"{report.files} checked, {report.consulted} consulted"
    if report.coarse:
        known += f", {_count(report.coarse, 'function')} too large to follow exactly"
    return f"{found}{trouble} ({known}) in {report.seconds:.2f} s"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _failure(failure: Failure, paint: Paint, width: int | None = None) -> str:
    """One line; with a `width`, what does not fit into it goes below, indented."""
    where = failure.path if failure.line is None else f"{failure.path}:{failure.line}"
    where, message = shown(where) or "sa-session-lint", shown(failure.message)
    head = f"{where}: {paint('failed', 'red')} ({failure.stage}):"
    if width is None or len(f"{where}: failed ({failure.stage}): {message}") <= width:
        return f"{head} {message}"
    return "\n".join([head, *(f"  {line}" for line in wrapped(message, width - 2))])


def _finding(reported: Reported, report: Report, paint: Paint, gutter: int, width: int, explain: bool) -> list[str]:
    """All bars, arrows and numbers of a report stand in one column, `gutter` wide."""
    found, entry = reported.finding, reported.entry
    colour, margin = SEVERITY_COLOUR[reported.severity], " " * (gutter + 1)
    lines = [f"{paint(f'{reported.severity}[{entry.code}]', colour)} {paint(entry.name, 'bold')}"]
    lines += paint.prose([f"  {line}" for line in wrapped(shown(reported.message), min(width, _PROSE) - 2)])
    place = f"{shown(found.path)}:{found.span.line}:{found.span.column}"
    lines.append(f"{' ' * gutter}{paint('-->', 'cyan')} {place}")
    lines += frame(report.texts.get(found.path), found.span, paint, gutter, width, colour)
    for number, note in enumerate(found.trail, 1):
        station = paint(f"{number}.".rjust(gutter + 1), "cyan")
        lines.append(f"{station} {paint(f'{shown(note.path)}:{note.span.line}', 'cyan')}  {shown(note.text)}")
        code = source_line(report.texts.get(note.path), note.span.line, width - gutter - 6)
        if code:
            lines.append(f"{margin}     {paint(code, 'dim')}")
    if found.trail:
        lines.append(f"{margin}{paint('|', 'cyan')}")
    return [
        *lines,
        *(_entry(entry, paint, margin, width) if explain else [f"{margin}{paint('=', 'cyan')} see {entry.code} above"]),
    ]


def _entry(entry: Entry, paint: Paint, margin: str, width: int) -> list[str]:
    """The entry's text behind a bar, its headings in a column of their own."""
    sections = (("Problem", entry.problem), ("Why", entry.why), ("Solution", entry.solution))
    bar, column = f"{margin}{paint('|', 'cyan')}", 10
    lines = [f"{margin}{paint('=', 'cyan')} {paint(f'{entry.code}: {entry.title}', 'bold')}", bar]
    for heading, text in sections:
        body = paint.prose(wrapped(text, min(width, _PROSE) - column - len(margin) - 2))
        lines.append(f"{bar} {paint(heading, 'bold')}{' ' * (column - len(heading))}{body[0]}")
        lines += [f"{bar} {' ' * column}{line}".rstrip() for line in body[1:]]
    more, room = "sa-session-lint rule ", width - len(margin) - 2 - column
    more += entry.name if len(more + entry.name) <= room else entry.code  # a command is not to be broken over lines
    return [*lines, f"{bar} {paint('More', 'bold')}{' ' * (column - 4)}{more}"]
