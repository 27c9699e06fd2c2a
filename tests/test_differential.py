"""The short form of the differential test: programs that ran really are ways of the model, and wrong entries of its table are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa_session_lint.model.protocol import ANY, BEGUN, CONN, CTXDONE, IDLE, INACTIVE, TABLE, Arrival, Operation, Txn
from tests.differential.compare import Batch, batch
from tests.differential.reality import reality
from tests.proving import VERSION

pytestmark = pytest.mark.skipif(VERSION < (2, 0), reason="in 1.4 rollback() and commit() of a session end the savepoint alone: the model follows 2.x")

SEEDS = Path(__file__).parent / "differential" / "seeds.txt"


def _back(*after: Txn) -> Arrival:
    return Arrival(after)


WRONG: dict[tuple[Txn, Operation], Arrival] = {
    (IDLE, "add"): _back(IDLE), (BEGUN, "add"): _back(CONN), (CONN, "add"): _back(BEGUN), (INACTIVE, "add"): Arrival((), (INACTIVE,), "use of inactive"),
    (CTXDONE, "add"): _back(CTXDONE),
    (IDLE, "sql"): _back(IDLE), (BEGUN, "sql"): _back(BEGUN), (CONN, "sql"): _back(IDLE), (INACTIVE, "sql"): _back(INACTIVE), (CTXDONE, "sql"): _back(CONN),
    (ANY, "sql"): _back(IDLE),
    (CONN, "get"): _back(IDLE), (INACTIVE, "get"): _back(INACTIVE), (CTXDONE, "get"): _back(CONN),
    (BEGUN, "flush"): _back(CONN), (CONN, "flush"): _back(BEGUN), (INACTIVE, "flush"): Arrival((), (INACTIVE,), "use of inactive"),
    (IDLE, "begin"): _back(IDLE), (BEGUN, "begin"): _back(BEGUN), (CONN, "begin"): _back(CONN), (INACTIVE, "begin"): _back(BEGUN), (CTXDONE, "begin"): _back(BEGUN),
    (IDLE, "nested"): _back(CONN), (BEGUN, "nested"): _back(IDLE), (CONN, "nested"): _back(BEGUN), (INACTIVE, "nested"): _back(INACTIVE),
    (CTXDONE, "nested"): _back(BEGUN),
    (IDLE, "commit"): _back(BEGUN), (BEGUN, "commit"): _back(IDLE), (CONN, "commit"): _back(CONN), (INACTIVE, "commit"): _back(IDLE), (CTXDONE, "commit"): _back(IDLE),
    (IDLE, "rollback"): _back(BEGUN), (BEGUN, "rollback"): _back(BEGUN), (CONN, "rollback"): _back(CONN), (INACTIVE, "rollback"): _back(INACTIVE),
    (CTXDONE, "rollback"): _back(IDLE),
    (IDLE, "close"): _back(BEGUN), (BEGUN, "close"): _back(BEGUN), (CONN, "close"): _back(CONN), (INACTIVE, "close"): _back(INACTIVE),
    (CTXDONE, "close"): _back(IDLE),
}  # fmt: skip


def seeds() -> list[int]:
    """The programs that have shown an error of the model."""
    return [int(line.split()[0]) for line in SEEDS.read_text().splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def programs() -> list[Batch]:
    wanted = [*seeds(), *range(1, 142)]
    with reality() as real:
        return [batch(wanted[start : start + 20], real) for start in range(0, len(wanted), 20)]


def test_what_happens_is_a_way_of_the_model(programs: list[Batch]) -> None:
    assert not [str(each) for some in programs for each in some.judged()]


@pytest.mark.parametrize("cell", WRONG, ids=str)
def test_a_wrong_entry_is_noticed(cell: tuple[Txn, Operation], programs: list[Batch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, cell, WRONG[cell])
    assert any(next(some.judged(), None) for some in programs)
