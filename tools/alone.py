"""Checks that a file gets the same answer alone and with its tree.

    python tools/alone.py TREE... [--files 300] [--seed 1] [--all TREE ...] [--reported]

Draws files from the trees (each folder is a project), lints each in a run of its own and compares with the run over its whole tree.
Files of trees given to --all are compared one and all; with --reported, so is every file that has findings. Exit status 1 when an answer differs or the linter fails inside.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from sa_session_lint import config, run
from sa_session_lint.project.files import list_python

Answer = list[tuple[str, int, int, str, str, tuple[str, ...]]]


def answer(root: Path, path: Path) -> tuple[Answer, list[str]]:
    """The findings of a run, and the failures that are ours."""
    report = run.check(run.Request(paths=(path,), project_root=root, isolated=True, overrides=config.Overrides(select=("ALL",))))
    found = [
        (r.finding.path, r.finding.span.line, r.finding.span.column, r.entry.code, r.message, tuple(f"{n.path}:{n.span.line} {n.text}" for n in r.finding.trail))
        for r in report.reported
    ]
    return found, [f"{f.path}: {f.message}" for f in report.failures if f.stage == "check"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", nargs="*", type=Path, default=[])
    parser.add_argument("--reported", action="store_true")
    options = parser.parse_args()
    every = [(tree, path) for tree in options.trees for path in list_python(tree, respect_gitignore=False)]
    chosen = random.Random(options.seed).sample(every, min(options.files, len(every)))
    chosen += [(tree, path) for tree in options.all for path in list_python(tree, respect_gitignore=False)]
    trees = sorted({tree for tree, _ in chosen} | (set(options.trees) if options.reported else set()))
    wrong = compared = reported = 0
    for tree in trees:
        whole, failures = answer(tree, tree)
        extra = {path for path, *_ in whole} if options.reported else set()
        for path in sorted(extra | {p for t, p in chosen if t == tree}):
            alone, more = answer(tree, tree / path)
            failures += more
            here = [f for f in whole if f[0] == path]
            compared += 1
            reported += len(here)
            if alone != here:
                wrong += 1
                print(f"{tree.name}/{path}: alone {alone}, with the tree {here}")
        for failure in sorted(set(failures)):
            wrong += 1
            print(f"{tree.name}: failed inside: {failure}")
    print(f"{compared} files of {len(trees)} trees compared, {reported} findings in them, {wrong} differences or failures")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
