"""The verdicts on real findings: a table that later versions are held against (tools/corpus.py recheck)."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from sa_session_lint import catalogue

VERDICTS = Path(__file__).parent / "corpus" / "verdicts.tsv"


def test_every_verdict_is_complete_and_quotes_no_code() -> None:
    with VERDICTS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rules = catalogue.load().entries
    for row in rows:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", row["repository"]), row
        assert re.fullmatch(r"[0-9a-f]{40}", row["commit"]), row
        assert row["path"].endswith((".py", ".pyi")) and int(row["line"]) > 0, row
        assert row["rule"] in rules, row
        assert row["verdict"] in {"right", "wrong"}, row
        assert 0 < len(row["reason"].split()) <= 20, row
    keys = [(row["repository"], row["commit"], row["path"], row["line"], row["rule"]) for row in rows]
    assert len(keys) == len(set(keys)) >= 100
