"""Random programs of session operations: what SQLAlchemy does must be a way of the model.

    python tools/differential.py [--programs 20000] [--seed 1] [--jobs 2]
    python tools/differential.py --objects [--programs 50000] [--seed 1] [--jobs 2]     programs that read attributes: what a rule reports must happen

Prints every disagreement with its program, how often each cell of the protocol's table was compared, and the figures. Exit status 1 when there is a
disagreement or a cell that was compared less than `--least` times.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).parent.parent))

from sa_session_lint.model.protocol import Operation, Txn
from tests.differential.compare import Disagreement, batch
from tests.differential.model import Counts
from tests.differential.objects import Compared, compare
from tests.differential.reality import reality

TOGETHER = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--least", type=int, default=0, help="how often each cell must have been compared")
    parser.add_argument("--objects", action="store_true", help="programs that read attributes of objects")
    options = parser.parse_args()
    last = options.seed + options.programs
    ranges = [range(start, min(start + TOGETHER, last)) for start in range(options.seed, last, TOGETHER)]
    if options.objects:
        return objects(ranges, options.jobs)
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


def objects(ranges: list[range], jobs: int) -> int:
    """The reads of programs: how many raised for want of a session, how many of them were reported, and every report that a run belies."""
    total = Compared()
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(read, ranges):
            total.add(found)
            print(*found.wrong, sep="\n", end="", flush=True)
    told = ", ".join(f"{rule} {number}" for rule, number in sorted(total.rules.items()))
    print(f"{sum(map(len, ranges))} programs, {total.reads} reads, {total.raised} lines raised, {total.found} of them reported ({told}), {len(total.wrong)} reports wrong")
    return 1 if total.wrong else 0


def read(seeds: range) -> Compared:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compare(seeds, Path(folder))


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
