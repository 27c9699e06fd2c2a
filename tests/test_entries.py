"""Every entry: its examples are linted and run on real SQLAlchemy."""

from __future__ import annotations

import difflib
import importlib.util
import re
from pathlib import Path

import pytest

from sa_session_lint import catalogue, checks, config
from sa_session_lint.catalogue import Entry, Example
from tests.linting import found_in, lint, marks_in, write
from tests.proving import EXAMPLE, VERSION, Proof, prove, unmarked

CATALOGUE = catalogue.load()
ENTRIES = list(CATALOGUE.entries.values())
PAIRS = [(entry, number) for entry in ENTRIES for number in range(len(entry.reported))]
FIXTURES = Path(__file__).parent / "fixtures"


def name(value: object) -> str:
    return value.name if isinstance(value, Entry) else str(value)


def test_every_entry_can_be_read() -> None:
    assert CATALOGUE.broken == ()
    assert len(ENTRIES) > 15


@pytest.mark.parametrize(("entry", "number"), PAIRS, ids=name)
def test_the_marked_line_of_the_reported_example_is_reported_and_no_other(entry: Entry, number: int, tmp_path: Path) -> None:
    code = entry.reported[number].code
    wanted = {("example.py", line, entry.name) for line, text in enumerate(code.splitlines(), 1) if text.endswith("# error")}
    assert wanted, "no line is marked `# error`"
    assert _lint(code, tmp_path, entry.profile) == wanted


@pytest.mark.parametrize(("entry", "number"), PAIRS, ids=name)
def test_what_else_is_reported_is_of_other_rules(entry: Entry, number: int) -> None:
    for example in (entry.reported[number], entry.accepted[number]):
        assert entry.name not in {rule for _, _, rule in marks_in({"example.py": example.code}, "also")}


@pytest.mark.parametrize(("entry", "number"), PAIRS, ids=name)
def test_the_accepted_example_is_silent(entry: Entry, number: int, tmp_path: Path) -> None:
    assert _lint(entry.accepted[number].code, tmp_path, entry.profile) == set()


def _lint(code: str, folder: Path, profile: config.Profile) -> set[tuple[str, int, str]]:
    also = marks_in({"example.py": code}, "also")
    root = write({"models.py": (EXAMPLE / "models.py").read_text(), "example.py": unmarked(code)}, folder)
    assert also <= found_in(lint(root, profile="strict"))
    return found_in(lint(root, profile=profile)) - also


@pytest.mark.parametrize(("entry", "number"), PAIRS, ids=name)
def test_reported_and_accepted_differ_by_the_mistake_alone(entry: Entry, number: int) -> None:
    reported, accepted = (unmarked(e.code).splitlines() for e in (entry.reported[number], entry.accepted[number]))
    changed = [line for line in difflib.ndiff(reported, accepted) if line[0] in "+-" and line[2:].strip()]
    shared = len(reported) - sum(line[0] == "-" for line in changed)
    assert 0 < len(changed) <= 12
    assert shared >= len(reported) / 2


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_every_example_has_a_proof(entry: Entry) -> None:
    if checks.load(entry.name) is not None:
        assert len(proofs(entry)) == len(entry.reported)


@pytest.mark.parametrize(("entry", "number"), [pair for pair in PAIRS if checks.load(pair[0].name) is not None], ids=name)
@pytest.mark.filterwarnings("ignore")  # the examples are wrong on purpose: coroutines never awaited, connections dropped
def test_the_reported_example_fails_on_sqlalchemy_and_the_accepted_one_does_not(
    entry: Entry, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = proofs(entry)[number]
    if proof.since > VERSION:
        pytest.skip(f"needs SQLAlchemy {proof.since}")
    assert proof.reported != proof.accepted
    assert _outcome(proof, entry.reported[number], tmp_path / "reported", monkeypatch) == proof.reported
    assert _outcome(proof, entry.accepted[number], tmp_path / "accepted", monkeypatch) == proof.accepted


def _outcome(proof: Proof, example: Example, folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    folder.mkdir()
    monkeypatch.chdir(folder)
    return prove(proof, example.code, folder)


def proofs(entry: Entry) -> tuple[Proof, ...]:
    file = FIXTURES / entry.name / "proof.py"
    spec = importlib.util.spec_from_file_location(f"proof_{entry.name.replace('-', '_')}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: tuple[Proof, ...] = module.PROOFS
    return found


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_the_message_is_a_sentence_of_ours(entry: Entry) -> None:
    assert not entry.message.endswith(".")
    assert entry.message[0].islower() or entry.message[0] == "`"


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_known_wrong_answers_of_the_fixtures_are_told_under_limits(entry: Entry) -> None:
    folder = FIXTURES / entry.name
    files = {p.as_posix(): p.read_text() for p in folder.rglob("*.py")} if folder.is_dir() else {}
    for kind in ("missed", "false alarm"):
        for _, _, why in marks_in(files, kind):
            assert _plain(why) in _plain(entry.limits)


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()
