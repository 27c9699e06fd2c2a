"""Where the time of a cold run goes: CPU seconds per stage for each tree.

    python benchmarks/stages.py [--flow] TREE...                 without the walk of the checks when `--flow`

`parse` is LibCST alone with garbage collection off; `list` finds the files, `read` reads and decodes, `guard` refuses what would crash the
parser, `outline` lowers. Then every function that a check would follow is followed: `graph` builds flow graphs, `sketch` cuts them down, which
asks the index, and `states` carries sessions through them. `check` asks what is left and walks. A line of counts follows, and how much of `parse`
the three stages cost; `coarse` are functions that had too many ways.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median_low
from typing import Any

import libcst as cst

from sa_session_lint import catalogue as entries
from sa_session_lint import checks, guard
from sa_session_lint.checks.check import File
from sa_session_lint.project import sketching, tracking
from sa_session_lint.project.files import list_python
from sa_session_lint.project.index import Index
from sa_session_lint.project.lowering import outline
from sa_session_lint.source import Source, Unreadable, uncollected
from sa_session_lint.typestate.engine import Engine
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.walk import walk


class Clock:
    """CPU seconds by stage; a stage within another stops that."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.stages: list[str] = []
        self.mark = time.process_time()

    def lap(self, stage: str) -> None:
        """What has passed since the last lap belongs to a stage."""
        now = time.process_time()
        self.spent[stage] = self.spent.get(stage, 0.0) + now - self.mark
        self.mark = now

    @contextmanager
    def stage(self, name: str, owner: Any, attribute: str) -> Iterator[None]:
        """Count every call of a function as a stage of its own."""
        function: Callable[..., Any] = getattr(owner, attribute)

        def timed(*arguments: Any, **named: Any) -> Any:
            self.lap(self.stages[-1])
            self.stages.append(name)
            try:
                return function(*arguments, **named)
            finally:
                self.lap(self.stages.pop())

        setattr(owner, attribute, timed)
        try:
            yield
        finally:
            setattr(owner, attribute, function)


def follow(index: Index, clock: Clock) -> dict[str, int]:
    """Follow every function that a check would, by stage; the counts. `widest` is the median of the most ways to a step of a function, `wide` how often
    they are more than 32."""
    counts = dict.fromkeys(("functions", "followed", "coarse", "steps", "disjuncts", "widest", "wide"), 0)
    widths: list[int] = []
    clock.lap("outline")
    clock.stages = ["sketch"]
    with clock.stage("graph", sketching, "build"), clock.stage("sketch", tracking, "sketch"), clock.stage("states", Engine, "follow"):
        for path in list(index._outlines):  # noqa: SLF001
            found = index.outline(path)
            for scope in found.scopes.values() if found is not None else ():
                result: Followed | None = tracking.followed(index, found, scope) if found is not None else None
                counts["functions"] += scope.kind == "function"
                if result is not None:
                    counts["followed"] += 1
                    counts["coarse"] += result.coarse
                    counts["steps"] += len(result.sketch.steps)
                    counts["disjuncts"] += len(result.came)
                    widths.append(max((len(ways) for ways in result.ways.values()), default=0))
    clock.lap("sketch")
    counts["widest"] = median_low(widths or [0])
    counts["wide"] = sum(width > 32 for width in widths)
    return counts


def measure(tree: Path, whole: bool) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds of CPU by stage, and the counts."""
    clock = Clock()
    spent, lap = clock.spent, clock.lap
    paths = list_python(tree, respect_gitignore=False)
    lap("list")
    index = Index(tree, paths)
    kinds = [check for name in entries.load().entries if (check := checks.load(name)) is not None]
    lap("catalogue")
    readable: list[Source] = []
    for path in paths:
        try:
            source = Source.from_bytes(index.data(path) or b"", path)
        except Unreadable:
            continue
        finally:
            lap("read")
        refused = guard.refusal(source.text)
        lap("guard")
        if refused is None:
            readable.append(source)
    parsed: list[Source] = []
    for source in readable:
        try:
            assert isinstance(source.module, cst.Module)
        except Unreadable:
            continue
        finally:
            lap("parse")  # the guard once more, which is taken off below
        parsed.append(source)
    spent["parse"] -= spent["guard"]
    for source in parsed:
        index._sources[source.path] = source  # noqa: SLF001  # so that the stages do not run twice
        index._outlines[source.path] = outline(source.path, source.module)  # noqa: SLF001
        lap("outline")
    counts = follow(index, clock)
    for source in parsed if whole else ():
        found = index.outline(source.path)
        assert found is not None
        walk(source.module, [kind(File(source.path, source, found, index)) for kind in kinds])
    lap("check")
    return spent, counts


def main() -> int:
    whole = "--flow" not in sys.argv
    for argument in sys.argv[1:]:
        if argument == "--flow":
            continue
        tree = Path(argument)
        with uncollected():
            spent, counts = measure(tree, whole)
        print(f"{tree.name}: " + ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in spent.items()) + f"; in all {sum(spent.values()):.2f} s")
        flow = spent["graph"] + spent["sketch"] + spent["states"]
        share = counts["coarse"] / max(1, counts["followed"])
        words = ", ".join(f"{number} {name}" for name, number in counts.items())
        print(f"    {words} ({share:.1%} of those followed); flow costs {flow / spent['parse']:.2f} of parse", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
