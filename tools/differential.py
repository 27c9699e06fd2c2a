"""Random programs of session operations: what SQLAlchemy does must be a way of the model.

    python tools/differential.py [--programs 20000] [--seed 1]

Prints the cells of the protocol's table that were hit, and every disagreement with its program. Exit status 1 when there is one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).parent.parent))

from sa_session_lint.model.protocol import Operation, Txn
from tests.differential.compare import batch
from tests.differential.reality import reality

TOGETHER = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = events = unknown = coarse = 0
    last = options.seed + options.programs
    with reality() as real:
        for start in range(options.seed, last, TOGETHER):
            model, found = batch(range(start, min(start + TOGETHER, last)), real).judged()
            events, unknown, coarse = events + model.counts.events, unknown + model.counts.unknown, coarse + model.counts.coarse
            wrong += len(found)
            for each in found:
                print(f"seed {each.seed}, flag {each.flag}: {each.reason}\n{each.text}")
        print("".ljust(10), *(operation.rjust(8) for operation in get_args(Operation)))
        for txn in Txn:
            print(repr(txn).ljust(10), *(str(real.cells[txn, operation]).rjust(8) for operation in get_args(Operation)))
    print(f"{options.programs} programs, {events} events, {unknown} at states not known, {coarse} runs too wide, {wrong} disagreements")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
