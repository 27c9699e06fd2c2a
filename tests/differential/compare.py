"""Many programs at once, both sides, and what does not agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.differential.model import PATH, Counts, Model
from tests.differential.programs import HEADER, program
from tests.differential.reality import Reality, Trace


@dataclass(frozen=True, slots=True)
class Disagreement:
    seed: int
    run: tuple[bool, bool]
    reason: str

    def __str__(self) -> str:
        flag, permanent = self.run
        return f"seed {self.seed}, flag {flag}{', closed for good' if permanent else ''}: {self.reason}\n{program(self.seed)}"


@dataclass(slots=True)
class Batch:
    """Programs in one text, with what really happened in each."""

    text: str
    traces: dict[int, list[Trace]]

    def judged(self, counts: Counts | None = None) -> Iterator[Disagreement]:
        """What the model, as its tables are now, says to that."""
        model = Model(self.text, Path(__file__).parent, counts or Counts())
        for seed, traces in self.traces.items():
            for trace in traces:
                reason = model.disagreement(f"program_{seed}", trace)
                if reason is not None:
                    yield Disagreement(seed, trace.run, reason)


def batch(seeds: Iterable[int], real: Reality) -> Batch:
    """Programs, run with the flag up and down, and once more where sessions are closed: with sessions that can be closed for good."""
    programs = {seed: program(seed) for seed in seeds}
    start, body = HEADER + "\n\n", "\n\n".join(programs.values())
    exec(compile("\n" * start.count("\n") + body, PATH, "exec"), real.space)
    traces: dict[int, list[Trace]] = {}
    for seed in programs:
        function = real.space[f"program_{seed}"]
        traces[seed] = [real.run(function, flag, False) for flag in (True, False)]
        if any(event.what.startswith(("close", "leave")) for trace in traces[seed] for event in trace.events):
            traces[seed] += [real.run(function, flag, True) for flag in (True, False)]
    return Batch(start + body, traces)
