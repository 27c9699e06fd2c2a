"""What a person sees: the frame under every kind of source line, the entry once per rule, colour only when asked for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sa_session_lint.finding import Failure, Span
from sa_session_lint.report import FORMATS, Style
from sa_session_lint.report.frame import frame
from sa_session_lint.report.paint import Paint
from sa_session_lint.report.prose import wrapped
from sa_session_lint.run import Report
from tests.report import sample

PLAIN = Style(width=100)


def full(report: Report, style: Style = PLAIN) -> str:
    return FORMATS["full"](report, style)


def concise(report: Report) -> str:
    return FORMATS["concise"](report, PLAIN)


def framed(text: str, span: Span, width: int = 60) -> list[str]:
    return frame(text, span, Paint(False), 2, width, "red")


def marked(lines: list[str]) -> str:
    """What stands above the carets."""
    at = next(number for number, line in enumerate(lines) if "^" in line)
    found = re.search(r"\^+", lines[at])
    assert found
    return lines[at - 1][found.start() : found.end()]


def test_carets_stand_under_the_reported_stretch() -> None:
    lines = framed("a = 1\nsession = make()\n", Span(2, 11, 2, 17))
    assert lines == ["   |", " 1 | a = 1", " 2 | session = make()", "   |           ^^^^^^", "   |"]


def test_tabs_are_expanded_in_line_and_carets() -> None:
    lines = framed("if x:\n\tif\tsession.commit:\n", Span(2, 5, 2, 19))
    assert lines[2] == " 2 |     if  session.commit:"
    assert marked(lines) == "session.commit"


def test_wide_and_combining_characters_take_the_columns_of_a_terminal() -> None:
    lines = framed('名前 = "cafe\u0301"; commit\n', Span(1, 15, 1, 21))
    assert lines[2] == "   |                ^^^^^^"  # 2 wide characters: two columns more; 1 combining: one less


def test_what_steers_a_terminal_is_replaced() -> None:
    report = replace(sample.FULL, texts={"app/db.py": "\n" * 6 + "x = 1  # \x1b[2J\u202e\x07\n"})
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", full(report))
    one = sample.FULL.reported[0]
    bad = replace(one, message="a\x1b[31mb", finding=replace(one.finding, path="\x1b]0;title\x07.py"))
    assert "\x1b" not in full(Report(root=sample.ROOT, reported=(bad,))) + concise(
        Report(root=sample.ROOT, reported=(bad,))
    )


@pytest.mark.parametrize("column", [1, 20, 150, 280])
def test_a_long_line_is_cut_around_the_stretch(column: int) -> None:
    text = "".join(chr(97 + number % 26) for number in range(300))
    lines = framed(text, Span(1, column, 1, column + 10))
    assert max(map(len, lines)) <= 60
    assert marked(lines) == text[column - 1 : column + 9]
    assert ("…" in lines[1][:8]) == (column > 60)
    assert lines[1].endswith("…") == (column < 260)


def test_a_stretch_longer_than_the_terminal_shows_its_beginning() -> None:
    lines = framed("x" * 100 + "session" + "y" * 300, Span(1, 101, 1, 408))
    assert max(map(len, lines)) <= 60
    assert "session" in marked(lines)


def test_a_stretch_over_several_lines_has_a_bar_at_its_side() -> None:
    lines = framed("with a:\n    call(\n        1,\n    )\nend\n", Span(2, 5, 4, 6))
    assert lines == [
        "   |",
        " 1 |   with a:",
        " 2 | |     call(",
        " 3 | |         1,",
        " 4 | |     )",
        "   | |_____^",
        " 5 |   end",
        "   |",
    ]


def test_a_very_long_stretch_is_folded() -> None:
    lines = framed("".join(f"line {number}\n" for number in range(1, 31)), Span(2, 1, 29, 1))
    assert len(lines) < 14
    assert " 2 | | line 2" in lines and "28 | | line 28" in lines  # it ends before line 29 begins
    assert not any("line 15" in line for line in lines)


def test_a_stretch_beyond_the_file_or_without_its_text_has_no_frame() -> None:
    assert framed("a\n", Span(9, 1, 9, 2)) == []
    assert frame(None, Span(1, 1, 1, 2), Paint(False), 1, 80, "red") == []


def test_an_empty_stretch_and_one_beyond_its_line_still_get_a_caret() -> None:
    assert framed("abc\n", Span(1, 2, 1, 2))[2] == "   |  ^"
    assert framed("abc\n", Span(1, 9, 1, 12))[2] == "   |    ^"


def test_the_entry_stands_once_per_rule_under_its_first_finding() -> None:
    text = full(sample.FULL)
    assert text.count("SAS209: A session method that is named but not called") == 1
    assert text.count("see SAS209 above") == len([r for r in sample.FULL.reported if r.entry.code == "SAS209"]) - 1
    first = text.index("warning[SAS209]")
    assert first < text.index("SAS209: A session method") < text.index("see SAS209 above")
    for section in ("Problem   It is opened", "Why       A Session is", "Solution  Add the parentheses."):
        assert text.count(section) >= 1


def test_the_trail_is_numbered_with_places_and_source() -> None:
    text = full(sample.FULL)
    assert re.search(r"1\. app/db\.py:5  made here\n +SessionLocal = sessionmaker\(engine\)\n", text)
    assert re.search(r"2\. app/routes\.py:6  used in a request here\n +if session\.commit:\n", text)


def test_summary_counts_findings_files_and_failures() -> None:
    last = full(sample.FULL).splitlines()[-1]
    assert last.startswith("1 error, 6 warnings, 1 info in 4 files, 1 failure (14 checked, 5 consulted, ")
    assert last.endswith("in 0.31 s")


def test_failures_of_reported_files_are_listed_those_of_consulted_ones_are_not() -> None:
    for text in (full(sample.FULL), concise(sample.FULL)):
        assert "app/broken.py:3: failed (parse): Syntax error: unexpected `)`" in text.splitlines()
        assert "lib/old.py" not in text
    assert full(sample.CONSULTED_FAILURE) == "No session mistakes found (1 checked, 1 consulted) in 0.00 s\n"
    anywhere = Report(root=sample.ROOT, failures=(Failure("", None, "config", "`selct` is no setting"),))
    assert "sa-session-lint: failed (config): `selct` is no setting" in full(anywhere)


@pytest.mark.parametrize("report", [sample.CLEAN, sample.NOTHING], ids=["clean", "nothing"])
def test_a_clean_report_is_one_line(report: Report) -> None:
    assert re.fullmatch(r"No session mistakes found \(\d+ checked, \d+ consulted\) in \d\.\d\d s\n", full(report))


def test_concise_has_one_line_per_finding() -> None:
    lines = concise(sample.FULL).splitlines()
    assert len(lines) == len(sample.FULL.reported) + 2
    expected = "app/routes.py:6:5: SAS209 [warning] `session.commit` is not called, so nothing happens"
    assert f"{expected} (session-method-not-called)" in lines


@pytest.mark.parametrize("name", ["full", "concise"])
def test_colour_changes_nothing_but_colour(name: str) -> None:
    plain, coloured = (FORMATS[name](sample.FULL, Style(colour, 100)) for colour in (False, True))
    assert "\033" not in plain
    assert "\033[1;31m" in coloured and coloured.count("\033[0m") * 2 == coloured.count("\033[")
    assert re.sub(r"\033\[[0-9;]*m", "", coloured).replace("`", "") == plain.replace("`", "")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_full_keeps_to_the_width(width: int) -> None:
    lines = full(sample.FULL, Style(width=width)).splitlines()[:-1]
    assert max(len(line) for line in lines if "-->" not in line) <= width


def test_prose_wraps_paragraphs_hangs_items_and_leaves_code() -> None:
    text = "One two\nthree four five six.\n\n- item that is long enough\n- other\n\n```python\nx = 1  # never wrapped, however long\n```"
    assert wrapped(text, 20) == [
        "One two three four",
        "five six.",
        "",
        "- item that is long",
        "  enough",
        "- other",
        "",
        "    x = 1  # never wrapped, however long",
    ]


def test_a_number_that_begins_a_line_is_no_list() -> None:
    assert wrapped("every request is refused with\n422. A lambda gets past", 80) == ["every request is refused with 422. A lambda gets past"]
    assert wrapped("do this:\n1. one\n2. two", 80) == ["do this:", "1. one", "2. two"]
