"""The entries: a broken one is named with file, line and key and hides no other; words that choose rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa_session_lint import catalogue
from sa_session_lint.catalogue import Catalogue, UnknownRule
from sa_session_lint.finding import Failure
from tests.linting import write

GOOD = """\
+++
code = "SAS209"
title = "Named but not called"
severity = "error"
profile = "default"
fix = "none"
since = "0.1"
message = "`{call}` is only looked up: {what}"
error_messages = ["PendingRollbackError: no"]
tags = ["transaction", "missing-commit"]
docs = ["https://docs.sqlalchemy.org/en/20/"]
+++

## Problem
One `session.commit`
over two lines.

## Why
It is legal.

## Solution
Call it.

## Gotchas
- One
  over two lines.
- Two.

## Reported
```python
session.commit  # error
```
Between the two.
```python
## no heading
session.close  # error
```

## Accepted
```python
session.commit()
```
```python
session.close()
```

## Limits
None.
"""


def loaded(files: dict[str, str], root: Path) -> Catalogue:
    return catalogue.load(write(files, root / "rules"))


def broken(text: str, root: Path, name: str = "wrong-one.md") -> Failure:
    """The failure of a broken entry; a good one beside it must survive."""
    found = loaded({name: text, "session-method-not-called.md": GOOD.replace("SAS209", "SAS101")}, root)
    assert list(found.entries) == ["session-method-not-called"]
    [failure] = found.broken
    assert (failure.path, failure.stage) == (f"rules/{name}", "config")
    return failure


def line_of(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


def test_an_entry_is_read_whole(tmp_path: Path) -> None:
    found = loaded({"session-method-not-called.md": GOOD, "README.md": "# The rules\n", "notes.txt": ""}, tmp_path)
    assert found.broken == ()
    entry = found.entries["session-method-not-called"]
    assert (entry.name, entry.code, entry.title, entry.severity) == ("session-method-not-called", "SAS209", "Named but not called", "error")
    assert (entry.profile, entry.fix, entry.since) == ("default", "none", "0.1")
    assert (entry.tags, entry.docs) == (("transaction", "missing-commit"), ("https://docs.sqlalchemy.org/en/20/",))
    assert entry.problem == "One `session.commit`\nover two lines."
    assert (entry.why, entry.solution, entry.limits) == ("It is legal.", "Call it.", "None.")
    assert entry.gotchas == ("One over two lines.", "Two.")
    assert [e.code for e in entry.reported] == ["session.commit  # error\n", "## no heading\nsession.close  # error\n"]
    assert [e.line for e in entry.reported] == [line_of(GOOD, "session.commit  # error"), line_of(GOOD, "## no heading")]
    assert [e.code for e in entry.accepted] == ["session.commit()\n", "session.close()\n"]


@pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text], ids=["CRLF", "byte order mark"])
def test_line_ends_and_marks_do_not_matter(change: object, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a-rule.md").write_bytes(change(GOOD).encode())  # type: ignore[operator]
    found = catalogue.load(tmp_path / "rules")
    assert found.broken == ()
    assert found.entries["a-rule"].reported[0].code == "session.commit  # error\n"


def test_a_sentence_is_the_message_filled_in(tmp_path: Path) -> None:
    entry = loaded({"a-rule.md": GOOD}, tmp_path).entries["a-rule"]
    assert entry.sentence({"call": "s.commit", "what": "{call}"}) == "`s.commit` is only looked up: {call}"
    assert entry.sentence({"call": "{x:{what}}"}) == "`{x:{what}}` is only looked up: {what}"


@pytest.mark.parametrize("key", ["code", "title", "severity", "profile", "fix", "since", "message", "error_messages", "tags", "docs"])
def test_a_key_that_is_missing_is_named(key: str, tmp_path: Path) -> None:
    text = "".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith(f"{key} ="))
    failure = broken(text, tmp_path)
    assert (failure.line, failure.message) == (1, f"`{key}` is missing")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("code", '"SAS2"'),
        ("code", '"E209"'),
        ("code", "209"),
        ("code", '"sas209"'),
        ("title", '""'),
        ("title", '"one\\ntwo"'),
        ("severity", '"fatal"'),
        ("severity", '["error"]'),
        ("profile", '"pedantic"'),
        ("fix", "false"),
        ("since", '"soon"'),
        ("since", "0.1"),
        ("message", "[]"),
        ("error_messages", '"one"'),
        ("error_messages", "[1]"),
        ("tags", '["Two Words"]'),
        ("docs", '["http://docs.sqlalchemy.org"]'),
        ("docs", '["docs"]'),
    ],
)
def test_a_value_of_the_wrong_form_is_named_with_its_line(key: str, value: str, tmp_path: Path) -> None:
    old = next(line for line in GOOD.splitlines() if line.startswith(f"{key} ="))
    failure = broken(GOOD.replace(old, f"{key} = {value}"), tmp_path)
    assert failure.line == line_of(GOOD, old)
    assert failure.message.startswith(f"`{key}` must be a ")


def test_a_key_that_there_is_not_is_named_with_its_line(tmp_path: Path) -> None:
    failure = broken(GOOD.replace("since =", 'author = "me"\nsince ='), tmp_path)
    assert failure.line == line_of(GOOD, "since =")
    assert failure.message.startswith("`author` is no key of an entry; these are: code, title, ")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('since = "0.1"', "since = ", "since ="),
        ('severity = "error"', 'severity "error"', "severity"),
        ('docs = ["https://docs.sqlalchemy.org/en/20/"]', "docs = [", "docs ="),
        ('fix = "none"', 'fix = "none"\nfix = "safe"', "since ="),
    ],
)
def test_a_head_that_is_no_toml_is_named_with_its_line(old: str, new: str, line: str, tmp_path: Path) -> None:
    failure = broken(GOOD.replace(old, new), tmp_path)
    assert failure.message.startswith("the head is no TOML: ")
    assert failure.line == line_of(GOOD, line)


@pytest.mark.parametrize("text", ["", "no head\n", "+++\ncode = 1\n", GOOD.replace("+++", "---"), "\n" + GOOD])
def test_a_head_that_is_missing_is_named(text: str, tmp_path: Path) -> None:
    failure = broken(text, tmp_path)
    assert (failure.line, failure.message) == (1, "must begin with a TOML head between two lines `+++`")


@pytest.mark.parametrize("heading", catalogue.HEADINGS)
def test_a_heading_that_is_missing_is_named(heading: str, tmp_path: Path) -> None:
    start = GOOD.index(f"## {heading}\n")
    end = GOOD.find("\n## ", start) + 1
    if heading == "Reported":
        end = GOOD.index("## Accepted")
    failure = broken(GOOD[:start] + (GOOD[end:] if end else ""), tmp_path)
    assert f"`## {heading}` is missing" in failure.message
    assert failure.line is not None


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("## Why", "## Because", "## Why", "`## Because` is no heading of an entry; these are: Problem, "),
        ("## Limits", "## Problem", "## Limits", "`## Problem` stands twice"),
        ("## Problem", "Some words.\n## Problem", "## Problem", "only headings may follow the head"),
        ("It is legal.", "", "## Why", "`## Why` is empty"),
        ("Call it.\n", "\n", "## Solution", "`## Solution` is empty"),
        ("```python\nsession.close()\n```\n", "", "## Accepted", "`## Reported` has 2 Python blocks, `## Accepted` 1: each needs its pair"),
        ("session.close()\n```\n", "session.close()\n", "session.close()", ""),
        ("```python", "```", "## Accepted", "`## Reported` has 0 Python blocks"),
    ],
)
def test_what_is_wrong_with_the_headings_is_named_with_its_line(old: str, new: str, line: str, words: str, tmp_path: Path) -> None:
    failure = broken(GOOD.replace(old, new), tmp_path)
    assert words in failure.message
    assert failure.line is not None
    if words:
        assert failure.line == line_of(GOOD, line)


@pytest.mark.parametrize("name", ["Upper-case.md", "under_score.md", "two words.md", "-a.md", "a--b.md", "1a.md", "é.md"])
def test_a_name_that_is_none_is_named(name: str, tmp_path: Path) -> None:
    assert "is no rule name" in broken(GOOD, tmp_path, name).message


def test_two_entries_with_one_code_are_named(tmp_path: Path) -> None:
    found = loaded({"a-rule.md": GOOD, "b-rule.md": GOOD}, tmp_path)
    assert list(found.entries) == ["a-rule"]
    assert [(f.path, f.line, f.message) for f in found.broken] == [("rules/b-rule.md", 2, "`code`: SAS209 is already the code of a-rule.md")]


def test_an_entry_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    loaded({"a-rule.md": GOOD}, tmp_path)
    (tmp_path / "rules/b-rule.md").write_bytes(b"\xff")
    (tmp_path / "rules/c-rule.md").mkdir()
    found = catalogue.load(tmp_path / "rules")
    assert list(found.entries) == ["a-rule"]
    assert [f.path for f in found.broken] == ["rules/b-rule.md", "rules/c-rule.md"]
    assert all(f.message.startswith("cannot be read: ") for f in found.broken)


def test_a_folder_without_entries_is_a_failure(tmp_path: Path) -> None:
    found = catalogue.load(tmp_path / "nowhere")
    assert found.entries == {}
    assert [(f.path, f.message) for f in found.broken] == [("nowhere", "no entry of any rule was found")]


# -- choosing ---------------------------------------------------------------------------------------------------------

THREE = {"b-rule.md": GOOD.replace("SAS209", "SAS201"), "a-rule.md": GOOD.replace("SAS209", "SAS212"), "other-rule.md": GOOD.replace("SAS209", "SAS105")}


def test_entries_stand_in_the_order_of_their_codes(tmp_path: Path) -> None:
    assert list(loaded(THREE, tmp_path).entries) == ["other-rule", "b-rule", "a-rule"]


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        ([], ""),
        (["a-rule"], "a-rule"),
        (["SAS201"], "b-rule"),
        (["sas201"], "b-rule"),
        (["SAS2"], "a-rule b-rule"),
        (["SAS20"], "b-rule"),
        (["sas1"], "other-rule"),
        (["SAS"], "a-rule b-rule other-rule"),
        (["ALL"], "a-rule b-rule other-rule"),
        (["SAS1", "a-rule", "SAS212"], "a-rule other-rule"),
    ],
)
def test_rules_are_chosen_by_name_code_prefix_and_all(tokens: list[str], wanted: str, tmp_path: Path) -> None:
    assert loaded(THREE, tmp_path).select(tokens) == set(wanted.split())


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("other-rul", "there is no rule `other-rul`; did you mean `other-rule`?"),
        ("other_rule", "there is no rule `other_rule`; did you mean `other-rule`?"),
        ("OTHER-RULE", "there is no rule `OTHER-RULE`; did you mean `other-rule`?"),
        ("SAS106", "there is no rule `SAS106`; did you mean `SAS105`?"),
        ("sas2121", "there is no rule `sas2121`; did you mean `SAS212`?"),
        ("nonsense", "there is no rule `nonsense`"),
        ("", "there is no rule ``"),
        ("SAS9", "there is no rule `SAS9`"),
    ],
)
def test_a_word_that_is_no_rule_is_refused_with_a_suggestion(token: str, message: str, tmp_path: Path) -> None:
    found = loaded(THREE, tmp_path)
    for ask in (found.find, lambda word: found.select([word])):
        with pytest.raises(UnknownRule) as caught:
            ask(token)
        assert str(caught.value).startswith(message)


def test_find_takes_a_name_or_a_code_in_either_case(tmp_path: Path) -> None:
    found = loaded(THREE, tmp_path)
    assert {found.find(word).name for word in ("a-rule", "SAS212", "sas212")} == {"a-rule"}


def test_the_entries_that_are_shipped_can_all_be_read() -> None:
    found = catalogue.load()
    assert found.broken == ()
    assert found.find("SAS209").name == "session-method-not-called"
    assert found.find("SAS001").name == "unused-suppression"
