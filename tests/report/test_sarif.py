"""SARIF: valid by the standard's schema, and saying the same as the other formats."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from jsonschema.validators import validator_for

from sa_session_lint.finding import Failure, Span
from sa_session_lint.report import FORMATS, Style
from sa_session_lint.run import Report
from tests.report import sample

SCHEMA = json.loads((Path(__file__).parent / "sarif-schema-2.1.0.json").read_text("utf-8"))
REPORTS = {
    "full": sample.FULL,
    "clean": sample.CLEAN,
    "nothing": sample.NOTHING,
    "consulted failure": sample.CONSULTED_FAILURE,
    "configuration elsewhere": Report(root=sample.ROOT, failures=(Failure("/etc/a b.toml", 2, "config", "no"),)),
    "configuration nowhere": Report(root=sample.ROOT, failures=(Failure("", None, "config", "no"),)),
}


def run(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FORMATS["sarif"](report, Style()))["runs"][0]
    return found


def fingerprints(report: Report) -> list[str]:
    return [next(iter(result["partialFingerprints"].values())) for result in run(report)["results"]]


@pytest.mark.parametrize("name", REPORTS)
def test_is_valid(name: str) -> None:
    document = json.loads(FORMATS["sarif"](REPORTS[name], Style()))
    kind = validator_for(SCHEMA)
    kind.check_schema(SCHEMA)
    assert [error.message for error in kind(SCHEMA).iter_errors(document)] == []


def test_the_schema_would_notice() -> None:
    document = json.loads(FORMATS["sarif"](sample.FULL, Style()))
    document["runs"][0]["results"][0]["level"] = "fatal"
    assert list(validator_for(SCHEMA)(SCHEMA).iter_errors(document))


def test_columns_count_code_points_and_paths_hang_on_the_root() -> None:
    found = run(sample.FULL)
    assert found["columnKind"] == "unicodeCodePoints"
    assert found["originalUriBaseIds"] == {"%SRCROOT%": {"uri": "file:///srv/my%20shop/"}}
    region = found["results"][4]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 15, "startColumn": 17, "endLine": 15, "endColumn": 33}


def test_odd_paths_are_uris_that_read_back() -> None:
    artifact = run(sample.FULL)["results"][6]["locations"][0]["physicalLocation"]["artifactLocation"]
    uri = artifact["uri"]
    assert artifact["uriBaseId"] == "%SRCROOT%"
    assert uri.isascii() and " " not in uri and not urlsplit(uri).scheme
    assert unquote(uri) == "app/täglich, 100%: a.py"


def test_levels_follow_the_severity_under_the_settings() -> None:
    levels = [result["level"] for result in run(sample.FULL)["results"]]
    assert levels == ["note", "error", *["warning"] * 6]
    raised = replace(sample.FULL, reported=(replace(sample.FULL.reported[0], severity="error"),))
    assert run(raised)["results"][0]["level"] == "error"
    assert run(raised)["tool"]["driver"]["rules"][0]["defaultConfiguration"] == {"level": "note"}


def test_rules_carry_the_entry_and_results_point_at_them() -> None:
    found = run(sample.FULL)
    rules = found["tool"]["driver"]["rules"]
    assert len(rules) == 3
    for result, reported in zip(found["results"], sample.FULL.reported, strict=True):
        rule = rules[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"] == reported.entry.code
        assert rule["shortDescription"]["text"] == reported.entry.title
        for part in (reported.entry.problem, reported.entry.why, reported.entry.solution):
            assert part in rule["help"]["text"] and part in rule["help"]["markdown"]
    module_level = next(rule for rule in rules if rule["id"] == "SAS101")
    assert module_level["helpUri"] == sample.MODULE_LEVEL.docs[0]
    assert "```python\nsession = Session()  # error\n```" in module_level["help"]["markdown"]


def test_the_trail_is_a_code_flow_that_ends_at_the_finding() -> None:
    results = run(sample.FULL)["results"]
    assert "codeFlows" not in results[0]
    [flow] = results[1]["codeFlows"][0]["threadFlows"]
    stations = [step["location"] for step in flow["locations"]]
    assert [one["message"]["text"] for one in stations[:2]] == ["made here", "used in a request here"]
    uris = [one["physicalLocation"]["artifactLocation"]["uri"] for one in stations]
    assert uris == ["app/db.py", "app/routes.py", "app/db.py"]
    assert stations[-1]["physicalLocation"] == results[1]["locations"][0]["physicalLocation"]


def test_fixes_are_replacements() -> None:
    [fix] = run(sample.FULL)["results"][2]["fixes"]
    [change] = fix["artifactChanges"]
    [replacement] = change["replacements"]
    assert replacement["insertedContent"] == {"text": "()"}
    assert replacement["deletedRegion"]["startColumn"] == replacement["deletedRegion"]["endColumn"] == 19


def test_failures_are_notifications_of_the_invocation() -> None:
    [invocation] = run(sample.FULL)["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [note["level"] for note in invocation["toolExecutionNotifications"]] == ["error", "warning"]
    place = invocation["toolExecutionNotifications"][0]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("app/broken.py", 3)
    [consulted] = run(sample.CONSULTED_FAILURE)["invocations"]
    assert consulted["executionSuccessful"] is True
    assert consulted["toolExecutionNotifications"][0]["properties"] == {"stage": "parse", "reported": False}


def test_fingerprints_survive_moved_lines_and_differ_from_one_another() -> None:
    before = fingerprints(sample.FULL)
    assert len(set(before)) == len(before)
    moved = tuple(
        replace(one, finding=replace(one.finding, span=_down(one.finding.span, 2))) for one in sample.FULL.reported
    )
    texts = {path: "# one\n# two\n" + text for path, text in sample.FULL.texts.items()}
    assert fingerprints(replace(sample.FULL, reported=moved, texts=texts)) == before


def test_fingerprints_ignore_indentation_but_count_equal_lines() -> None:
    one = sample.FULL.reported[2]
    twice = tuple(replace(one, finding=replace(one.finding, span=Span(line, 1, line, 9))) for line in (1, 3))
    flat, indented = "s.commit\n\ns.commit\n", "    s.commit\n\n\ts.commit  \n"
    found = [
        fingerprints(Report(root=sample.ROOT, reported=twice, texts={one.finding.path: text}))
        for text in (flat, indented, flat.replace("commit", "close"))
    ]
    assert found[0] == found[1]
    assert len({*found[0], *found[2]}) == 4


def _down(span: Span, lines: int) -> Span:
    return replace(span, line=span.line + lines, end_line=span.end_line + lines)
