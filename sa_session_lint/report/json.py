"""The JSON report: a contract, version 1 (see README, "Formats")."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from sa_session_lint.finding import Fix, Note, Span
from sa_session_lint.report import Style

if TYPE_CHECKING:
    from sa_session_lint.catalogue import Entry
    from sa_session_lint.run import Report, Reported


def render(report: Report, style: Style) -> str:
    """One JSON document."""
    return written(document(report))


def written(value: object) -> str:
    """JSON that is UTF-8 even where a path is not: its odd bytes, which Python holds as lone surrogates, are escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return re.sub("[\ud800-\udfff]", lambda odd: f"\\u{ord(odd[0]):04x}", text) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The document as plain values, keys in the order of the contract."""
    return {
        "version": 1,
        "findings": [_finding(reported) for reported in report.reported],
        "failures": [
            {"path": f.path, "line": f.line, "stage": f.stage, "message": f.message, "reported": f.reported}
            for f in report.failures
        ],
        "summary": {
            "files": report.files,
            "consulted": report.consulted,
            "findings": len(report.reported),
            "by_rule": dict(sorted(Counter(r.entry.name for r in report.reported).items())),
            "coarse": report.coarse,
            "seconds": round(report.seconds, 3),
        },
    }


def _finding(reported: Reported) -> dict[str, Any]:
    found = reported.finding
    return {
        "rule": reported.entry.name,
        "code": reported.entry.code,
        "severity": reported.severity,
        "message": reported.message,
        "path": found.path,
        "start": {"line": found.span.line, "column": found.span.column},
        "end": {"line": found.span.end_line, "column": found.span.end_column},
        "trail": [_note(note) for note in found.trail],
        "fix": None if found.fix is None else _fix(found.fix),
        "entry": entry_document(reported.entry),
    }


def _note(note: Note) -> dict[str, Any]:
    return {"path": note.path, "line": note.span.line, "column": note.span.column, "text": note.text}


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "title": fix.title,
        "safe": fix.safe,
        "edits": [{"path": e.path, **_span(e.span), "text": e.text} for e in fix.edits],
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "start": {"line": span.line, "column": span.column},
        "end": {"line": span.end_line, "column": span.end_column},
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """What the report says of an entry."""
    return {
        "title": entry.title,
        "problem": entry.problem,
        "why": entry.why,
        "solution": entry.solution,
        "gotchas": list(entry.gotchas),
        "error_messages": list(entry.error_messages),
        "docs": list(entry.docs),
    }
