"""The short form of the differential test of objects: a read that is reported raises on every run that comes to it, and wrong rules of the model are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa_session_lint.model.value import Place
from sa_session_lint.typestate import instances, way
from sa_session_lint.typestate.state import Object
from tests.differential.objects import compare
from tests.proving import VERSION

pytestmark = pytest.mark.skipif(VERSION < (2, 0), reason="the model follows 2.x, as in test_differential.py")

SEEDS = (1320, 1529, 2006, 2684, 3233, 7613, 8594, 31039, 32130, 54518, 478, 1199, 1435, 1993, *range(1, 300))
"""First the programs that have shown an error of the model, or show one that is made on purpose."""
CHANGED = {"commit": "keep", "rollback": "keep", "close": "keep"}
"""What happens to objects, taken for something that leaves them as they are: reads that raise are missed."""
INVENTED = {"keep": "commit", "sql": "keep", "delete": "forget"}
"""What happens to objects, taken for something that leaves them expired: reads that come back are reported."""


def test_a_read_that_is_reported_raises(tmp_path: Path) -> None:
    found = compare(SEEDS, tmp_path)
    assert not found.wrong
    assert found.found > found.raised / 2


@pytest.mark.parametrize("event", INVENTED)
def test_a_rule_that_leaves_objects_expired_wrongly_is_noticed(event: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_fault(event, INVENTED[event], monkeypatch)
    assert compare(SEEDS, tmp_path).wrong


@pytest.mark.parametrize("event", CHANGED)
def test_a_rule_that_leaves_objects_readable_wrongly_is_noticed(event: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = compare(SEEDS, tmp_path / "right").found
    seed_fault(event, CHANGED[event], monkeypatch)
    assert compare(SEEDS, tmp_path / "wrong").found < right


def seed_fault(event: str, taken_for: str, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = way.swept

    def wrong(found: Object, happened: str, at: Place) -> Object:
        return swept(found, taken_for if happened == event else happened, at)

    for module in (way, instances):
        monkeypatch.setattr(module, "swept", wrong)
