"""Every fixture: marked lines are reported, all others are silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.linting import files_of, found_in, lint, marks_in, write
from tests.metamorphic import CHANGES

FIXTURES = Path(__file__).parent / "fixtures"
CASES = sorted(
    case
    for folder in FIXTURES.iterdir()
    for case in folder.iterdir()
    if case.name != "__pycache__" and (case.is_dir() or (case.suffix == ".py" and case.name != "proof.py" and not case.name.endswith(".fixed.py")))
)


def strictly(root: Path, *paths: str) -> set[tuple[str, int, str]]:
    """What is found by all rules."""
    return found_in(lint(root, *paths, profile="strict"))


def name(case: Path) -> str:
    return case.relative_to(FIXTURES).as_posix()


@pytest.mark.parametrize("case", CASES, ids=name)
def test_marked_lines_are_reported_and_no_others(case: Path, tmp_path: Path) -> None:
    files = files_of(case)
    found = strictly(write(files, tmp_path))
    alarms = marks_in(files, "false alarm")
    known = {(path, line) for path, line, _ in alarms}
    assert {f for f in found if f[:2] not in known} == marks_in(files, "expect")
    assert known <= {f[:2] for f in found}, "a known false alarm is gone: delete its mark"
    for path, line, why in marks_in(files, "missed"):
        assert (path, line) not in {f[:2] for f in found}, f"no longer missed, delete the mark: {why}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_one_file_alone_gets_the_same_answer(case: Path, tmp_path: Path) -> None:
    files = files_of(case)
    root = write(files, tmp_path)
    whole = strictly(root)
    for path in files:
        if path.endswith(".py"):
            assert strictly(root, path) == {f for f in whole if f[0] == path}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("case", CASES, ids=name)
def test_what_does_not_matter_changes_nothing(case: Path, change: str, tmp_path: Path) -> None:
    files = files_of(case)
    before = sorted((path, rule) for path, _, rule in strictly(write(files, tmp_path / "before")))
    changed = CHANGES[change](files)
    after = sorted((path, rule) for path, _, rule in strictly(write(changed, tmp_path / "after")))
    assert after == before


def test_every_rule_has_something_reported_something_silent_and_something_over_two_files() -> None:
    for folder in (f for f in FIXTURES.iterdir() if f.is_dir() and f.name != "good"):
        cases = [files_of(case) for case in CASES if case.parent == folder]
        rules = [{rule for _, _, rule in marks_in(files, "expect")} for files in cases]
        assert any(folder.name in each for each in rules), f"{folder.name}: nothing is reported"
        assert any(folder.name not in each for each in rules), f"{folder.name}: no near miss"
        assert any(len([p for p in files if p.endswith(".py")]) > 1 for files in cases), f"{folder.name}: nothing over two files"
