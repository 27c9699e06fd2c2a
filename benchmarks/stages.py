"""Where the time of a cold run goes: CPU seconds per stage for each tree.

    python benchmarks/stages.py TREE...

`parse` is LibCST alone with garbage collection off; `list` finds the files, `read` reads and decodes, `guard` refuses what would crash the
parser, `outline` lowers, `check` asks the index and walks, which includes reading and parsing what is merely consulted.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import libcst as cst

from sa_session_lint import catalogue as entries
from sa_session_lint import checks, guard
from sa_session_lint.checks.check import File
from sa_session_lint.project.files import list_python
from sa_session_lint.project.index import Index
from sa_session_lint.project.lowering import outline
from sa_session_lint.source import Source, Unreadable
from sa_session_lint.walk import walk


def measure(tree: Path) -> dict[str, float]:
    """Seconds of CPU by stage."""
    spent: dict[str, float] = {}
    mark = time.process_time()

    def lap(stage: str) -> None:
        nonlocal mark
        now = time.process_time()
        spent[stage] = spent.get(stage, 0.0) + now - mark
        mark = now

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
    for source in parsed:
        found = index.outline(source.path)
        assert found is not None
        walk(source.module, [kind(File(source.path, source, found, index)) for kind in kinds])
    lap("check")
    return spent


def main() -> int:
    for argument in sys.argv[1:]:
        tree = Path(argument)
        spent = measure(tree)
        print(f"{tree.name}: " + ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in spent.items()) + f"; in all {sum(spent.values()):.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
