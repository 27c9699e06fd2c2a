"""Damages real files at random and lints them: whatever comes of it must be findings or a named failure, never a crash of ours.

    python tools/fuzz.py TREES [--files 300] [--seed 1]

Each damaged file is linted alone, in a process of its own, so that a crash of the parser is seen. Exit status 1 when a process died or
a failure was a mistake of ours (any stage but read and parse).
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from sa_session_lint.project.files import list_python

INSIDE = """
import sys
from pathlib import Path
from sa_session_lint import config, run
root = Path(sys.argv[1])
report = run.check(run.Request(paths=(root,), project_root=root, isolated=True, overrides=config.Overrides(select=("ALL",))))
bad = [f"{f.path}: {f.stage}: {f.message}" for f in report.failures if f.stage not in {"read", "parse"}]
print("\\n".join(bad))
sys.exit(3 if bad else 0)
"""
PIECES = [b"(", b")", b"[" * 60, b"{", b"'''", b'"', b"\\\n", b"\x00", b"\xff\xfe", b"\t", b"yield ", b"await ", b"lambda: ", b"*", b":=", b"def f(", b"async ", b"\r", b"#", b"f'{", b"."]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A few random cuts, repetitions and insertions."""
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(data))
        match chance.randint(0, 4):
            case 0:
                data = data[:at] + data[at + chance.randint(1, 40) :]
            case 1:
                data = data[:at] + chance.choice(PIECES) + data[at:]
            case 2:
                lines = data.split(b"\n")
                chance.shuffle(lines)
                data = b"\n".join(lines)
            case 3:
                data = data[:at]
            case _:
                data = data[:at] + data[at : at + 200] * chance.randint(2, 30) + data[at:]
    return data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", type=Path)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    every = [tree / path for tree in sorted(options.trees.iterdir()) if tree.is_dir() for path in list_python(tree, respect_gitignore=False)]
    small = [path for path in every if path.stat().st_size < 60_000]
    wrong = 0
    for start in range(0, options.files, 20):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for number, path in enumerate(chance.sample(small, min(20, options.files - start))):
                (root / f"file_{number}.py").write_bytes(damaged(path.read_bytes(), chance))
            done = subprocess.run([sys.executable, "-c", INSIDE, folder], capture_output=True, text=True, check=False, timeout=300)
            if done.returncode:
                wrong += 1
                print(f"files {start} to {start + 20}: exit {done.returncode} {done.stdout.strip()} {done.stderr.strip()[-500:]}")
    print(f"{options.files} damaged files, {wrong} batches with a crash or a mistake of ours")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
