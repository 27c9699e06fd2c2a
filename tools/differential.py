"""Random programs of session operations: what SQLAlchemy does must be a way of the model.

    python tools/differential.py [--programs 20000] [--seed 1] [--jobs 2]
    python tools/differential.py --objects [--programs 20000] [--seed 290000] [--jobs 2]    programs that read attributes and give objects to sessions
    python tools/differential.py --faults [--programs 2000] [--seed 299000] [--jobs 2]      the same with wrong rules, made on purpose, each of which must be noticed

Prints every disagreement with its program, how often each cell of the tables was compared, and the figures; of objects also, after a slash, how often
something was claimed of them. Exit status 1 when there is a disagreement, a cell that was compared less than `--least` times, or a fault that nobody notices.
Objects: seeds below 200000 give plain programs, those from 200000 on have loops, savepoints, failing blocks and asyncio, those from 300000 on drill the cells.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).parent.parent))

from sa_session_lint.model.protocol import Operation, Txn
from tests.differential.compare import Disagreement, batch
from tests.differential.model import Counts
from tests.differential.objects.cells import IMPOSSIBLE, TABLES, TITLES, Cell, cells
from tests.differential.objects.compare import Compared, compare
from tests.differential.objects.compare import batch as batch_of_objects
from tests.differential.objects.faults import FAULTS
from tests.differential.objects.programs import SHOWN
from tests.differential.reality import reality

TOGETHER = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--least", type=int, default=0, help="how often each cell must have been compared")
    parser.add_argument("--objects", action="store_true", help="programs that read attributes of objects")
    parser.add_argument("--faults", action="store_true", help="the same with wrong rules")
    options = parser.parse_args()
    last = options.seed + options.programs
    ranges = [range(start, min(start + TOGETHER, last)) for start in range(options.seed, last, TOGETHER)]
    if options.objects:
        return objects(ranges, options.jobs, options.least)
    if options.faults:
        return faults(ranges, options.jobs)
    total, wrong = Counts(), 0
    for counts, found in judged(ranges, options.jobs):
        total.add(counts)
        wrong += len(found)
        for each in found:
            print(each, flush=True)
    print("".ljust(10), *(operation.rjust(8) for operation in get_args(Operation)))
    for txn in Txn:
        print(repr(txn).ljust(10), *(str(total.cells[txn, operation]).rjust(8) for operation in get_args(Operation)))
    print(
        f"{options.programs} programs, {total.events} events compared, {total.unknown} runs up to where nothing is claimed, "
        f"{total.coarse} runs too wide, {wrong} disagreements"
    )
    rare = [f"{txn!r}/{operation}" for txn in Txn for operation in get_args(Operation) if total.cells[txn, operation] < options.least]
    if rare:
        print(f"compared less than {options.least} times: {', '.join(rare)}")
    return 1 if wrong or rare else 0


def objects(ranges: list[range], jobs: int, least: int) -> int:
    """Programs with objects: what is compared with reality, and every report or claim that a run belies."""
    total = Compared()
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(read, ranges):
            total.add(found)
            print(*found.wrong, sep="\n", end="", flush=True)
    for table, (rows, columns) in TABLES.items():
        print(f"\n{TITLES[table]}".ljust(42), *(column.rjust(14) for column in columns))
        for row in rows:
            here = [Cell(table, row, column) for column in columns]
            print(row.ljust(41), *(("-" if cell in IMPOSSIBLE else f"{total.cells[cell]}/{total.claimed[cell]}").rjust(14) for cell in here))
    told = ", ".join(f"{rule} {number}" for rule, number in sorted(total.rules.items()))
    print(
        f"\n{sum(map(len, ranges))} programs, {total.visits} lines compared, {total.coarse} runs too wide, {total.reads} reads, {total.raised} lines raised, "
        f"{total.found} of them reported ({told}), {len(total.wrong)} disagreements"
    )
    rare = [" / ".join(cell[1:]) for cell in cells() if total.cells[cell] < least]
    if rare:
        print(f"compared less than {least} times: {', '.join(rare)}")
    return 1 if total.wrong or rare else 0


def read(seeds: range) -> Compared:
    with quiet():
        return compare(seeds)


def faults(ranges: list[range], jobs: int) -> int:
    """Every fault, and how many of the batches have noticed it."""
    noticed: Counter[str] = Counter()
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(noticing, [SHOWN, *ranges]):
            noticed.update(found)
    for fault in FAULTS:
        print(f"{'noticed' if noticed[fault.name] else 'MISSED':8} {noticed[fault.name]:4d} {fault.name}")
    print(f"{len(FAULTS)} faults, {sum(not noticed[fault.name] for fault in FAULTS)} missed by {len(SHOWN) + sum(map(len, ranges))} programs")
    return 0 if all(noticed[fault.name] for fault in FAULTS) else 1


def noticing(seeds: Iterable[int]) -> list[str]:
    """The faults that programs notice."""
    with quiet():
        made = batch_of_objects(seeds)
        right = made.judged()
        found: list[str] = []
        for fault in FAULTS:
            with fault.made():
                wrong = made.judged()
            if fault.is_noticed(right, wrong):
                found.append(fault.name)
        return found


@contextmanager
def quiet() -> Iterator[None]:
    """What programs leave behind is no news: connections that were invalidated, warnings."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def judged(ranges: list[range], jobs: int) -> Iterator[tuple[Counts, list[Disagreement]]]:
    if jobs == 1:
        yield from map(one, ranges)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(one, ranges)


def one(seeds: range) -> tuple[Counts, list[Disagreement]]:
    """One batch, on a database of its own."""
    counts = Counts()
    with reality() as real:
        made = batch(seeds, real)
    return counts, list(made.judged(counts))


if __name__ == "__main__":
    sys.exit(main())
