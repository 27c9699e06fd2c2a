"""Many programs at once, both sides, and what does not agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.differential.model import PATH, Model
from tests.differential.programs import HEADER, program
from tests.differential.reality import Reality, Trace


@dataclass(frozen=True, slots=True)
class Disagreement:
    seed: int
    flag: bool
    reason: str
    text: str


@dataclass(slots=True)
class Batch:
    """Programs in one text, with what really happened in each."""

    text: str
    seeds: tuple[int, ...]
    traces: dict[int, tuple[Trace, ...]]

    def judged(self) -> tuple[Model, list[Disagreement]]:
        """What the model, as its tables are now, says to that."""
        model = Model(self.text, Path(__file__).parent)
        found: list[Disagreement] = []
        for seed in self.seeds:
            for trace in self.traces[seed]:
                reason = model.disagreement(f"program_{seed}", trace)
                if reason is not None:
                    found.append(Disagreement(seed, trace.flag, reason, program(seed)))
        return model, found


def batch(seeds: Iterable[int], real: Reality) -> Batch:
    """Programs, run with the flag up and down."""
    seeds = tuple(seeds)
    body = "\n\n".join(program(seed) for seed in seeds)
    start = HEADER + "\n\n"
    exec(compile("\n" * start.count("\n") + body, PATH, "exec"), real.space)
    traces = {seed: tuple(real.run(real.space[f"program_{seed}"], flag) for flag in (True, False)) for seed in seeds}
    return Batch(start + body, seeds, traces)
