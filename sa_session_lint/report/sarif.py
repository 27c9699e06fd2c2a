"""SARIF 2.1.0 for code scanning: the trail as a code flow, the entry as the rule's help.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sa_session_lint import __version__
from sa_session_lint.finding import Failure, Fix, Note, Span
from sa_session_lint.report import Style
from sa_session_lint.report.frame import lines_of
from sa_session_lint.report.json import written

if TYPE_CHECKING:
    from sa_session_lint.catalogue import Entry
    from sa_session_lint.run import Report, Reported

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_ROOT = "%SRCROOT%"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(report: Report, style: Style) -> str:
    """One SARIF document."""
    return written(document(report))


def document(report: Report) -> dict[str, Any]:
    """The document as plain values."""
    entries = list(dict.fromkeys(reported.entry for reported in report.reported))
    numbers = {entry.name: number for number, entry in enumerate(entries)}
    seen: Counter[str] = Counter()
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "sa-session-lint",
                        "version": __version__,
                        "rules": [_rule(entry) for entry in entries],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {_ROOT: {"uri": f"{report.root.as_uri().rstrip('/')}/"}},
                "invocations": [
                    {
                        "executionSuccessful": not any(f.reported for f in report.failures),
                        "toolExecutionNotifications": [_notification(failure) for failure in report.failures],
                    }
                ],
                "results": [_result(reported, report, numbers, seen) for reported in report.reported],
            }
        ],
    }


def _rule(entry: Entry) -> dict[str, Any]:
    sections = [
        ("Problem", entry.problem),
        ("Why", entry.why),
        ("Solution", entry.solution),
        ("Gotchas", "\n".join(f"- {gotcha}" for gotcha in entry.gotchas)),
        ("Reported", "\n\n".join(f"```python\n{example.code}```" for example in entry.reported)),
        ("Accepted", "\n\n".join(f"```python\n{example.code}```" for example in entry.accepted)),
        ("Limits", entry.limits),
        ("Error messages", "\n".join(f"- `{message}`" for message in entry.error_messages)),
        ("Documentation", "\n".join(f"- <{page}>" for page in entry.docs)),
    ]
    text = "\n\n".join(f"{heading}: {body}" for heading, body in sections[:3])
    markdown = "\n\n".join(f"## {heading}\n\n{body}" for heading, body in sections if body)
    rule: dict[str, Any] = {
        "id": entry.code,
        "name": "".join(part.capitalize() for part in entry.name.split("-")),
        "shortDescription": {"text": entry.title},
        "fullDescription": {"text": entry.problem},
        "help": {"text": text, "markdown": markdown},
        "defaultConfiguration": {"level": _LEVELS[entry.severity]},
        "properties": {"tags": ["sqlalchemy", *entry.tags], "rule": entry.name},
    }
    if entry.docs:
        rule["helpUri"] = entry.docs[0]
    return rule


def _result(reported: Reported, report: Report, numbers: dict[str, int], seen: Counter[str]) -> dict[str, Any]:
    found = reported.finding
    result: dict[str, Any] = {
        "ruleId": reported.entry.code,
        "ruleIndex": numbers[reported.entry.name],
        "level": _LEVELS[reported.severity],
        "message": {"text": reported.message},
        "locations": [_location(found.path, found.span)],  # the one that viewers show; its sentence is `message`
        "partialFingerprints": {"sessionFinding/v1": _fingerprint(reported, report, seen)},
    }
    if found.trail:
        steps = [*found.trail, Note(found.path, found.span, reported.message)]
        flow = [{"location": {**_location(note.path, note.span), "message": {"text": note.text}}} for note in steps]
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    if found.fix is not None:
        result["fixes"] = [_fix(found.fix)]
    return result


def _location(path: str, span: Span) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": _artifact(path), "region": _region(span)}}


def _artifact(path: str) -> dict[str, Any]:
    """Relative to the root; a configuration file elsewhere is named by its own URI."""
    pure = PurePath(path)
    return {"uri": pure.as_uri()} if pure.is_absolute() else {"uri": quote(path, errors="surrogateescape"), "uriBaseId": _ROOT}


def _region(span: Span) -> dict[str, int]:
    return {"startLine": span.line, "startColumn": span.column, "endLine": span.end_line, "endColumn": span.end_column}


def _fingerprint(reported: Reported, report: Report, seen: Counter[str]) -> str:
    """Stable when lines move: rule, path, the text of the line, and which of several equal ones it is."""
    lines = lines_of(report.texts.get(reported.finding.path, ""))
    number = reported.finding.span.line
    line = " ".join(lines[number - 1].split()) if number <= len(lines) else reported.message
    key = f"{reported.entry.code}\0{reported.finding.path}\0{line}"
    seen[key] += 1
    return hashlib.sha256(f"{key}\0{seen[key]}".encode(errors="surrogateescape")).hexdigest()[:32]


def _fix(fix: Fix) -> dict[str, Any]:
    changes = [
        {
            "artifactLocation": _artifact(path),
            "replacements": [
                {"deletedRegion": _region(e.span), "insertedContent": {"text": e.text}}
                for e in fix.edits
                if e.path == path
            ],
        }
        for path in dict.fromkeys(edit.path for edit in fix.edits)
    ]
    return {"description": {"text": fix.title}, "artifactChanges": changes}


def _notification(failure: Failure) -> dict[str, Any]:
    notification: dict[str, Any] = {
        "level": "error" if failure.reported else "warning",
        "message": {"text": f"{failure.stage}: {failure.message}"},
        "properties": {"stage": failure.stage, "reported": failure.reported},
    }
    if failure.path:
        region = {"region": {"startLine": failure.line}} if failure.line else {}
        notification["locations"] = [{"physicalLocation": {"artifactLocation": _artifact(failure.path), **region}}]
    return notification
