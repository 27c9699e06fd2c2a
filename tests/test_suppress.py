"""Comments that silence: where they reach, what they must say, and when they are reported themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa_session_lint import suppress
from sa_session_lint.finding import Finding, Note, Span
from sa_session_lint.source import Source
from tests.linting import lint, write

CODES = {"session-method-not-called": "SAS209", "module-level-session": "SAS101", "unused-suppression": "SAS001"}
RULE = "session-method-not-called"
HEAD = "from sqlalchemy.orm import Session\ns = Session()\n"


def judged(
    text: str, *lines: int, statement: tuple[int, int] | None = None, trail: tuple[Note, ...] = (), ran: tuple[str, ...] = tuple(CODES), rule: str = RULE
) -> suppress.Outcome:
    """What becomes of findings of a rule in these lines."""
    findings = [Finding(rule, "a.py", Span(n, 1, n, 5), statement or (n, n), trail=trail) for n in lines]
    return suppress.judge(Source.from_bytes(text.encode(), "a.py"), findings, CODES, ran)


def reasons(outcome: suppress.Outcome) -> list[tuple[int, str, str]]:
    return [(f.span.line, dict(f.values)["comment"], dict(f.values)["reason"]) for f in outcome.unused]


def found(files: dict[str, str], root: Path, **how: object) -> list[tuple[str, int, str]]:
    report = lint(write(files, root), **how)  # type: ignore[arg-type]
    assert not report.failures
    return [(r.finding.path, r.finding.span.line, r.entry.name) for r in report.reported]


@pytest.mark.parametrize(
    "comment",
    [
        "# sa-session-lint: ignore[session-method-not-called]",
        "# sa-session-lint: ignore[SAS209]",
        "# sa-session-lint: ignore[sas209]",
        "# sa-session-lint: ignore[module-level-session, session-method-not-called]",
        "# sa-session-lint: ignore [ session-method-not-called ] a property of ours",
        "#sa-session-lint:ignore[session-method-not-called]",
        "# SA-Session-Lint: Ignore[session-method-not-called]",
        "# type: ignore  # sa-session-lint: ignore[session-method-not-called]",
        "# sa-session-lint: ignore[session-method-not-called]  # type: ignore",
        "# sa-session-lint: ignore[SAS101] # sa-session-lint: ignore[SAS209]",
        "# noqa: SAS209",
        "# noqa:SAS209",
        "# NOQA: sas209",
        "# noqa: E501, SAS209",
        "# noqa: E501 SAS209",
        "# noqa: SAS209,E501 too long",
        "# pragma: no cover  # noqa: SAS209",
    ],
)
def test_a_comment_that_names_the_rule_silences_it(comment: str) -> None:
    outcome = judged(f"s.commit  {comment}\n", 1, ran=(RULE,))
    assert [f.rule for f in outcome.silenced] == [RULE]
    assert outcome.kept == outcome.unused == ()


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: E501",
        "# noqa: SAS101",
        "# noqa: SAS2",
        "# noqa: SAS",
        "# noqa : E501 but SAS209 is fine",
        "# noqa-SAS209",
        "# sa-session-lint: ignore",
        "# sa-session-lint: ignore[]",
        "# sa-session-lint: ignore[module-level-session]",
        "# sa-session-lint: ignore[SAS2]",
        "# sa-session-lint: ignore[ALL]",
        "# sa-session-lint: disable[session-method-not-called]",
        "# session-method-not-called",
        "# type: ignore[SAS209]",
        "# pylint: disable=SAS209",
    ],
)
def test_any_other_comment_silences_nothing(comment: str) -> None:
    assert len(judged(f"s.commit  {comment}\n", 1).kept) == 1


@pytest.mark.parametrize("text", ["x = '# noqa: SAS209'; s.commit\n", 's.commit; """ # sa-session-lint: ignore[SAS209] """\n', "x = f'{y} # noqa: SAS209'; s.commit\n"])
def test_a_comment_in_a_string_is_none(text: str) -> None:
    outcome = judged(text, 1)
    assert len(outcome.kept) == 1
    assert outcome.unused == ()


# -- how far it reaches -----------------------------------------------------------------------------------------------


def test_it_holds_for_its_own_statement_only() -> None:
    text = "s.commit  # noqa: SAS209\ns.commit\ns.commit  # noqa: SAS209\n"
    outcome = judged(text, 1, 2, 3)
    assert [f.span.line for f in outcome.kept] == [2]
    assert outcome.unused == ()


@pytest.mark.parametrize(("line", "silenced"), [(1, False), (2, True), (3, True), (4, True), (5, False)])
def test_it_may_stand_on_any_line_of_the_statement(line: int, silenced: bool) -> None:
    lines = ["x = 1", "f(", "    s.commit", ")", "y = 2"]
    lines[line - 1] += "  # noqa: SAS209"
    assert bool(judged("\n".join(lines), 3, statement=(2, 4)).silenced) == silenced


def test_it_may_stand_where_the_trail_has_a_station_in_the_same_file() -> None:
    text = "a = 1\ns = Session()  # noqa: SAS209\ns.commit\n"
    here = (Note("a.py", Span(2, 1, 2, 5), "made here"),)
    there = (Note("b.py", Span(2, 1, 2, 5), "made here"),)
    assert judged(text, 3, trail=here).silenced
    assert judged(text, 3, trail=there).kept


def test_alone_above_a_statement_it_holds_for_nothing() -> None:
    outcome = judged("x = 1\n# noqa: SAS209\ns.commit\n", 3)
    assert len(outcome.kept) == 1
    assert reasons(outcome) == [(2, "noqa: SAS209", "`session-method-not-called` reports nothing here")]


@pytest.mark.parametrize(
    "head",
    [
        "@@\n",
        "#!/usr/bin/env python\n# coding: utf-8\n@@\n",
        '"""What it does."""\n\n@@\n',
        '@@\n"""What it does."""\n',
        '"""What it does,\n\nat length.\n"""\n@@\n',
        "'''One.''' # two\n@@\n",
        "r'''One.'''\n@@\n",
        "\n\n   @@\n",
        "\ufeff@@\n",
        "'What it does.'\n@@\n",
        "# one\n\n# two\n@@\n# three\n",
    ],
)
def test_alone_before_the_first_statement_it_holds_for_the_whole_file(head: str) -> None:
    text = head.replace("@@", "# sa-session-lint: ignore[SAS209]") + "x = 1\n\ns.commit\n\n\ns.commit\n"
    last = text.count("\n")
    outcome = judged(text, last, last - 3)
    assert len(outcome.silenced) == 2
    assert outcome.unused == ()


@pytest.mark.parametrize(
    "head",
    [
        "import a\n@@\n",
        "import a  @@\n",
        '"""What."""; import a\n@@\n',
        '"""What.""" % a\n@@\n',
        "from __future__ import annotations\n@@\n",
        '"""What."""  @@\n',
        '"""What."""\n"""no docstring"""\nimport a\n@@\n',
    ],
)
def test_behind_a_statement_it_holds_not_for_the_whole_file(head: str) -> None:
    text = head.replace("@@", "# sa-session-lint: ignore[SAS209]") + "x = 1\ns.commit\n"
    assert judged(text, text.count("\n")).kept


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_line_ends_do_not_matter(end: str) -> None:
    text = end.join(["x = 1", "s.commit  # noqa: SAS209", "s.commit", ""])
    assert [f.span.line for f in judged(text, 2, 3).kept] == [3]
    whole = end.join(['"""Docs.', '"""', "# noqa: SAS209", "x = 1", "s.commit", ""])
    assert judged(whole, 5).silenced


# -- comments that are reported themselves ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "wanted"),
    [
        ("# noqa: SAS209", ("noqa: SAS209", "`session-method-not-called` reports nothing here")),
        ("# sa-session-lint: ignore[SAS209]", ("sa-session-lint: ignore[SAS209]", "`session-method-not-called` reports nothing here")),
        ("# sa-session-lint: ignore", ("sa-session-lint: ignore", "it must name its rules, as in `ignore[rule-name]`")),
        ("# sa-session-lint: ignore[]", ("sa-session-lint: ignore[]", "it must name its rules, as in `ignore[rule-name]`")),
        ("# sa-session-lint: skip-file", ("sa-session-lint: skip-file", "it must name its rules, as in `ignore[rule-name]`")),
        ("# sa-session-lint: ignore[SAS2]", ("sa-session-lint: ignore[SAS2]", "there is no rule `SAS2`; did you mean `SAS209`?")),
        ("# sa-session-lint: ignore[session-method-not-caled]", ("sa-session-lint: ignore[session-method-not-caled]", "there is no rule `session-method-not-caled`; did you mean `session-method-not-called`?")),
        ("# sa-session-lint: ignore[zzz]", ("sa-session-lint: ignore[zzz]", "there is no rule `zzz`")),
    ],
)  # fmt: skip
def test_a_comment_that_silences_nothing_is_reported(comment: str, wanted: tuple[str, str]) -> None:
    outcome = judged(f"x = 1\ny = 2  {comment}\n")
    assert reasons(outcome) == [(2, *wanted)]
    assert outcome.unused[0].span == Span(2, 8, 2, 8 + len(comment))


@pytest.mark.parametrize("comment", ["# noqa", "# noqa: E501", "# noqa: SAS999", "# type: ignore", "# see sa-session-lint for more", "# https://example.org/sa-session-lint/noqa"])
def test_comments_of_others_are_left_in_peace(comment: str) -> None:
    assert judged(f"x = 1  {comment}\n").unused == ()


def test_only_the_part_that_silences_nothing_is_reported() -> None:
    outcome = judged("s.commit  # sa-session-lint: ignore[SAS209, SAS101]\n", 1)
    assert len(outcome.silenced) == 1
    assert reasons(outcome) == [(1, "sa-session-lint: ignore[SAS101]", "`module-level-session` reports nothing here")]


def test_a_rule_that_did_not_run_is_not_judged() -> None:
    text = "x = 1  # noqa: SAS209\n"
    assert reasons(judged(text)) != []
    assert judged(text, ran=("unused-suppression", "module-level-session")).unused == ()


def test_where_the_rule_itself_is_off_nothing_is_reported() -> None:
    assert judged("x = 1  # noqa: SAS209\ny = 1  # sa-session-lint: ignore\n", ran=(RULE,)).unused == ()


def test_a_report_of_an_unused_comment_can_be_silenced_in_turn() -> None:
    text = "x = 1  # sa-session-lint: ignore[SAS209, unused-suppression] only on Windows\n"
    assert judged(text).unused == ()
    whole = "# sa-session-lint: ignore[unused-suppression]\nx = 1  # noqa: SAS209\n"
    assert judged(whole).unused == ()


def test_two_comments_for_one_finding_are_both_used() -> None:
    assert judged("f(  # noqa: SAS209\n    s.commit  # noqa: SAS209\n)\n", 2, statement=(1, 3)).unused == ()


def test_reports_stand_in_the_order_of_the_file() -> None:
    text = "x = 1  # sa-session-lint: ignore\ny = 1  # noqa: SAS209\nz = 1  # sa-session-lint: ignore[zzz]\n"
    assert [line for line, *_ in reasons(judged(text))] == [1, 2, 3]


# -- in a run ---------------------------------------------------------------------------------------------------------


def test_a_run_heeds_comments_and_reports_the_unused(tmp_path: Path) -> None:
    text = HEAD + "s.commit  # noqa: SAS209\ns.commit\ns.commit()  # sa-session-lint: ignore[session-method-not-called]\n"
    assert found({"a.py": text}, tmp_path) == [("a.py", 4, RULE), ("a.py", 5, "unused-suppression")]


def test_with_select_a_comment_for_another_rule_is_left_in_peace(tmp_path: Path) -> None:
    text = HEAD + "s.commit()  # noqa: SAS209\n"
    assert found({"a.py": text}, tmp_path, select=("unused-suppression",)) == []
    assert found({"a.py": text}, tmp_path, select=("unused-suppression", "SAS209")) == [("a.py", 3, "unused-suppression")]


def test_a_statement_over_lines_is_silenced_on_its_first_and_its_last(tmp_path: Path) -> None:
    first = HEAD + "(  # noqa: SAS209\n    s\n    .commit\n)\n"
    last = HEAD + "(\n    s\n    .commit\n)  # noqa: SAS209\n"
    assert found({"a.py": first, "b.py": last}, tmp_path) == []
