"""An entry on its own."""

from __future__ import annotations

import json
import re

from sa_session_lint.catalogue import load
from sa_session_lint.report import Style
from sa_session_lint.report.rule import render_entry, render_json
from tests.report import sample


def test_every_part_of_the_entry_is_printed() -> None:
    text = render_entry(sample.MODULE_LEVEL, Style(width=200))
    entry = sample.MODULE_LEVEL
    assert text.startswith(
        "SAS101 module-level-session: One session for the whole program\nerror, default profile, no fix"
    )
    for part in (
        *entry.gotchas,
        *entry.error_messages,
        *entry.docs,
        "session = Session()  # error",
        "Session = sessionmaker()",
    ):
        assert part in text
    assert "Limits" not in text  # it has none


def test_sections_stand_in_the_order_of_the_entry() -> None:
    lines = render_entry(sample.MODULE_LEVEL, Style(width=80)).splitlines()
    headings = [line for line in lines[2:] if line and not line.startswith(" ")]
    assert headings == [
        *("Problem", "Why", "Solution", "Gotchas", "Reported", "Accepted", "Error messages", "Documentation"),
    ]


def test_colour_changes_nothing_but_colour() -> None:
    plain, coloured = (render_entry(sample.MODULE_LEVEL, Style(colour, 80)) for colour in (False, True))
    assert "\033" not in plain and "\033[" in coloured
    assert re.sub(r"\033\[[0-9;]*m", "", coloured).replace("`", "") == plain.replace("`", "")


def test_json_holds_all_of_it() -> None:
    [entry] = json.loads(render_json([sample.MODULE_LEVEL]))
    assert list(entry) == [
        *(
            "rule",
            "code",
            "severity",
            "profile",
            "fix",
            "since",
            "message",
            "tags",
            "limits",
            "title",
            "problem",
            "why",
        ),
        *("solution", "gotchas", "error_messages", "docs", "reported", "accepted"),
    ]
    assert entry["reported"] == ["session = Session()  # error\n"]


def test_each_shipped_entry_can_be_printed() -> None:
    entries = load().entries
    assert entries
    for entry in entries.values():
        text = render_entry(entry, Style(width=80))
        assert all(example.code.splitlines()[0] in text for example in (*entry.reported, *entry.accepted))
