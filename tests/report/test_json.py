"""The JSON report is a contract: exactly these keys, in this order."""

from __future__ import annotations

import json

from sa_session_lint.report import FORMATS, Style
from sa_session_lint.run import Report
from tests.report import sample


def parsed(report: Report) -> dict[str, object]:
    document: dict[str, object] = json.loads(FORMATS["json"](report, Style(colour=True, width=60)))
    return document


def test_keys_and_their_order() -> None:
    text = FORMATS["json"](sample.FULL, Style())
    document = json.loads(text)
    assert list(document) == ["version", "findings", "failures", "summary"]
    assert document["version"] == 1
    finding = document["findings"][1]
    assert list(finding) == [
        *("rule", "code", "severity", "message", "path", "start", "end", "trail", "fix", "entry"),
    ]
    assert list(finding["start"]) == list(finding["end"]) == ["line", "column"]
    assert list(finding["trail"][0]) == ["path", "line", "column", "text"]
    assert list(finding["entry"]) == ["title", "problem", "why", "solution", "gotchas", "error_messages", "docs"]
    assert list(document["failures"][0]) == ["path", "line", "stage", "message", "reported"]
    assert list(document["summary"]) == ["files", "consulted", "findings", "by_rule", "coarse", "seconds"]
    assert text.startswith('{\n  "version"') and text.endswith("}\n")


def test_a_finding_over_two_files() -> None:
    document = json.loads(FORMATS["json"](sample.FULL, Style()))
    finding = document["findings"][1]
    assert (finding["rule"], finding["code"], finding["severity"]) == ("module-level-session", "SAS101", "error")
    assert finding["message"].startswith("`session` is opened on import")
    assert (finding["path"], finding["start"], finding["end"]) == (
        "app/db.py",
        {"line": 7, "column": 1},
        {"line": 7, "column": 25},
    )
    assert finding["trail"][1] == {"path": "app/routes.py", "line": 6, "column": 5, "text": "used in a request here"}
    assert finding["fix"] is None


def test_a_fix_has_title_safety_and_edits() -> None:
    document = json.loads(FORMATS["json"](sample.FULL, Style()))
    here = {"line": 6, "column": 19}
    edit = {"path": "app/routes.py", "start": here, "end": here, "text": "()"}
    assert document["findings"][2]["fix"] == {"title": "Call it", "safe": False, "edits": [edit]}
    assert document["findings"][2]["trail"] == []


def test_text_is_not_escaped() -> None:
    assert '"path": "app/täglich, 100%: a.py"' in FORMATS["json"](sample.FULL, Style())


def test_failures_say_whether_their_file_was_reported() -> None:
    assert parsed(sample.FULL)["failures"] == [
        {
            "path": "app/broken.py",
            "line": 3,
            "stage": "parse",
            "message": "Syntax error: unexpected `)`",
            "reported": True,
        },
        {"path": "lib/old.py", "line": None, "stage": "read", "message": "is not UTF-8", "reported": False},
    ]
    assert parsed(sample.CONSULTED_FAILURE)["findings"] == []


def test_summary() -> None:
    by_rule = {"module-level-session": 1, "pool-without-pre-ping": 1, "session-method-not-called": 6}
    assert parsed(sample.FULL)["summary"] == {
        "files": 14, "consulted": 5, "findings": 8, "by_rule": by_rule, "coarse": 1, "seconds": 0.315,
    }


def test_nothing_found() -> None:
    summary = {"files": 14, "consulted": 5, "findings": 0, "by_rule": {}, "coarse": 0, "seconds": 0.2}
    assert parsed(sample.CLEAN) == {"version": 1, "findings": [], "failures": [], "summary": summary}
