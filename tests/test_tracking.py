"""Following sessions through calls: the answer does not depend on who was asked first, and what was given up is counted."""

from __future__ import annotations

from pathlib import Path

from tests.linting import found_in, lint, write

HEAD = "from sqlalchemy import create_engine\nfrom sqlalchemy.orm import sessionmaker\n\nMaker = sessionmaker(create_engine('sqlite://'))\n\n\n"
CIRCLE = (
    "def even(session, n):\n    if n:\n        odd(session, n - 1)\n    else:\n        session.close()\n\n\n",
    "def odd(session, n):\n    if n:\n        even(session, n - 1)\n    else:\n        session.close()\n\n\n",
    "def one(n):\n    session = Maker()\n    even(session, n)\n    session.execute('x')\n\n\n",
    "def other(n):\n    session = Maker()\n    odd(session, n)\n    session.execute('x')\n\n\n",
    "def straight():\n    session = Maker()\n    session.close()\n    session.execute('x')\n\n\n",
)


def test_functions_that_call_one_another_get_the_same_answer_in_every_order(tmp_path: Path) -> None:
    answers = []
    for number, order in enumerate((CIRCLE, CIRCLE[::-1], CIRCLE[2:] + CIRCLE[:2])):
        text = HEAD + "".join(order)
        root = write({"a.py": text}, tmp_path / str(number))
        lines = text.splitlines()
        answers.append({_function(lines, line) for _, line, rule in found_in(lint(root)) if rule == "session-use-after-close"})
    assert answers[0] == answers[1] == answers[2]
    assert "straight" in answers[0]


def test_a_function_with_too_many_ways_is_silent_and_counted(tmp_path: Path) -> None:
    tests = "".join(f"    if a{n}:\n        s{n} = Maker()\n        s{n}.add(1)\n" for n in range(7))
    parameters = ", ".join(f"a{n}" for n in range(7))
    wide = f"def wide({parameters}):\n{tests}    session = Maker()\n    session.close()\n    session.execute('x')\n"
    report = lint(write({"a.py": HEAD + wide}, tmp_path))
    assert report.coarse == 1
    assert not [r for r in report.reported if r.entry.name == "session-use-after-close"]


def test_questions_that_decide_nothing_about_a_session_cost_nothing(tmp_path: Path) -> None:
    asked = "".join(f"    a{n} = row[{n}] is None\n    if a{n}:\n        errors.append({n})\n" for n in range(12))
    again = "".join(f"    if a{n}:\n        print({n})\n" for n in range(12))
    form = f"def form(row, errors):\n    session = Maker()\n{asked}{again}    session.close()\n    session.execute('x')\n"
    report = lint(write({"a.py": HEAD + form}, tmp_path))
    assert report.coarse == 0
    assert [r.entry.name for r in report.reported] == ["session-use-after-close"]


def test_a_question_that_is_asked_again_decides(tmp_path: Path) -> None:
    text = HEAD + (
        "def keep(own, rows):\n"
        "    session = Maker()\n"
        "    try:\n"
        "        session.execute('x')\n"
        "        if rows.empty:\n"
        "            session.commit()\n"
        "        print(own)\n"
        "        if not rows.empty:\n"
        "            session.rollback()\n"
        "        return 1\n"
        "    finally:\n"
        "        if rows:\n"
        "            print(own)\n"
        "        session.close()\n"
        "    session.execute('x')\n"
    )
    assert not lint(write({"a.py": text}, tmp_path)).reported


def test_answers_about_calls_in_circles_are_those_of_the_place_where_they_are_asked(tmp_path: Path) -> None:
    ring = "".join(f"def f{n}(session, k):\n    if k:\n        f{(n + 1) % 6}(session, k - 1)\n        f{(n + 2) % 6}(session, k - 2)\n    session.close()\n\n\n" for n in range(6))
    users = [f"def use{n}():\n    session = Maker()\n    f{n}(session, 1)\n    session.execute('x')\n\n\n" for n in range(6)]
    answers = []
    for number, order in enumerate((users, users[::-1], users[3:] + users[:3])):
        text = HEAD + ring + "".join(order)
        lines = text.splitlines()
        report = lint(write({"a.py": text}, tmp_path / str(number)))
        answers.append({_function(lines, line) for _, line, rule in found_in(report) if rule == "session-use-after-close"})
    assert answers[0] == answers[1] == answers[2] == {f"use{n}" for n in range(6)}


def _function(lines: list[str], line: int) -> str:
    """The name of the function around a line."""
    return next(text.removeprefix("def ").partition("(")[0] for text in reversed(lines[:line]) if text.startswith("def "))
