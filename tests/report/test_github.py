"""Workflow commands: one line each, whatever stands in path or sentence."""

from __future__ import annotations

import re
from dataclasses import replace

from sa_session_lint.report import FORMATS, Style
from sa_session_lint.run import Report
from tests.report import sample

COMMAND = re.compile(r"::(error|warning|notice) ((?:\w+=[^,:\r\n]*,)*\w+=[^,:\r\n]*)::(.*)")


def commands(report: Report) -> list[tuple[str, dict[str, str], str]]:
    """Each command as the runner reads it: kind, properties, message, unescaped."""
    found = []
    for line in FORMATS["github"](report, Style(colour=True, width=40)).splitlines():
        match = COMMAND.fullmatch(line)
        assert match, line
        properties = dict(part.split("=", 1) for part in match[2].split(","))
        found.append((match[1], {key: _plain(value) for key, value in properties.items()}, _plain(match[3])))
    return found


def _plain(text: str) -> str:
    for escaped, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(escaped, character)
    return text


def test_a_finding_is_a_command_with_its_place_trail_and_solution() -> None:
    kind, properties, message = commands(sample.FULL)[1]
    assert kind == "error"
    assert properties == {
        "file": "app/db.py", "line": "7", "endLine": "7", "col": "1", "endColumn": "25",
        "title": "SAS101 module-level-session",
    }
    lines = message.splitlines()
    assert lines[0].startswith("`session` is opened on import")
    assert lines[1:3] == ["1. app/db.py:5 made here", "2. app/routes.py:6 used in a request here"]
    assert "Solution: Keep the maker at module level and open a session for each request:" in lines


def test_kinds_follow_the_severity() -> None:
    kinds = [kind for kind, _, _ in commands(sample.FULL)]
    assert kinds == ["notice", "error", *["warning"] * 6, "error", "warning"]


def test_columns_are_given_within_one_line_only() -> None:
    _, properties, _ = commands(sample.FULL)[3]
    assert (properties["line"], properties["endLine"]) == ("9", "12")
    assert "col" not in properties and "endColumn" not in properties


def test_odd_characters_read_back() -> None:
    one = sample.FULL.reported[6]
    odd = replace(one, message="50%, of: two\r\nlines ::error::")
    [(_, properties, message)] = commands(Report(root=sample.ROOT, reported=(odd,)))
    assert properties["file"] == "app/täglich, 100%: a.py"
    assert message.startswith("50%, of: two\r\nlines ::error::\n")


def test_failures_are_commands_too() -> None:
    reported, consulted = commands(sample.FULL)[-2:]
    assert reported[:2] == ("error", {"file": "app/broken.py", "line": "3", "title": "sa-session-lint failed"})
    assert consulted == ("warning", {"file": "lib/old.py", "title": "sa-session-lint failed"}, "read: is not UTF-8")
    assert [kind for kind, _, _ in commands(sample.CONSULTED_FAILURE)] == ["warning"]


def test_silent_when_there_is_nothing() -> None:
    assert commands(sample.CLEAN) == commands(sample.NOTHING) == []
