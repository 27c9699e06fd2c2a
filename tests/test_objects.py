"""The short form of the differential test of objects: a read that is reported shows what the rule says on every run that comes to it, objects are as they are on
one of the model's ways, and wrong entries of the model are noticed."""

from __future__ import annotations

import pytest

from tests.differential.objects.cells import IMPOSSIBLE, Cell, cells
from tests.differential.objects.compare import Batch, batch
from tests.differential.objects.faults import FAULTS, Fault
from tests.differential.objects.programs import DRILLED, SHOWN, WIDE
from tests.proving import VERSION

pytestmark = pytest.mark.skipif(VERSION < (2, 0), reason="the model follows 2.x, as in test_differential.py")

SHORT = ("what a commit does", "what a rollback does", "what close() does", "what SQL does", "a lazy relationship", "a failed flush")
"""The faults that every build makes; the others are made by the long form."""


@pytest.fixture(scope="module")
def programs() -> list[Batch]:
    return [batch(SHOWN), batch(range(1, 100)), batch(range(WIDE, WIDE + 60)), batch(range(DRILLED, DRILLED + 30))]


def test_what_is_reported_happens(programs: list[Batch]) -> None:
    found = [each.judged() for each in programs]
    assert not [wrong for each in found for wrong in each.wrong]
    assert sum(each.found for each in found) > sum(each.raised for each in found) / 3


@pytest.mark.parametrize("fault", [each for each in FAULTS if each.name in SHORT], ids=lambda fault: fault.name)
def test_a_wrong_rule_of_the_model_is_noticed(fault: Fault, programs: list[Batch]) -> None:
    right = [each.judged() for each in programs]
    with fault.made():
        assert any(fault.is_noticed(before, each.judged()) for before, each in zip(right, programs, strict=True))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_made(fault: Fault) -> None:
    with fault.made():
        pass


def test_the_tables_are_whole() -> None:
    assert len({*cells()}) == len(list(cells()))
    assert all(isinstance(cell, Cell) and cell not in {*cells()} for cell in IMPOSSIBLE)
