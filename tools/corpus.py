"""Measuring precision on real projects: draw findings, judge them, keep the verdicts, check them again.

    python tools/corpus.py checkout REPOS.tsv --mirrors DIR --into TREES    lay out the listed commits (columns repo, commit)
    python tools/corpus.py lint TREES [--json OUT]                          lint every tree; counts by rule and project, failures
    python tools/corpus.py sample TREES --size 100 --seed 1 > sheet.md      a sheet to judge, without known verdicts
    python tools/corpus.py recheck TREES                                    what became of the verdicts

TREES holds one folder per project, `owner__name` or `owner__name@commit`, with its commit in a file `.commit`. DIR holds git directories named `owner+name`.
Verdicts are lines of tests/corpus/verdicts.tsv: repository, commit, path, line, rule, verdict, reason. No code of others is kept.
A verdict is `right` when the finding's sentence is true on a feasible run and a maintainer would change the code; else `wrong`.
"""

from __future__ import annotations

import argparse
import collections
import csv
import io
import json
import random
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sa_session_lint import config, run

VERDICTS = Path(__file__).parent.parent / "tests" / "corpus" / "verdicts.tsv"
KEPT = (".py", ".pyi", ".toml", ".cfg", ".txt", ".lock", ".in", "Pipfile", ".gitignore")
A_RULE = 12


@dataclass(frozen=True)
class Hit:
    """One finding in one project, in plain values that travel between processes."""

    repository: str
    commit: str
    path: str
    line: int
    rule: str
    severity: str
    message: str
    trail: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        return self.repository, self.commit, self.path, self.line, self.rule


@dataclass(frozen=True)
class Linted:
    repository: str
    hits: tuple[Hit, ...]
    failures: tuple[str, ...]
    inner: tuple[str, ...]
    files: int
    seconds: float


def named(tree: Path) -> str:
    """The repository of a tree; several commits of one may lie side by side as `owner__name@commit`."""
    return tree.name.partition("@")[0].replace("__", "/", 1)


def trees(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def lint(tree: Path, select: tuple[str, ...] | None = None) -> Linted:
    """The findings of one project under the default settings; `inner` are failures that are mistakes of ours."""
    overrides = config.Overrides(select=select)
    report = run.check(run.Request(paths=(tree,), project_root=tree, isolated=True, overrides=overrides))
    repository = named(tree)
    mark = tree / ".commit"
    commit = mark.read_text().strip() if mark.exists() else ""
    hits = tuple(
        Hit(repository, commit, r.finding.path, r.finding.span.line, r.entry.name, r.severity, r.message, tuple(f"{n.path}:{n.span.line} {n.text}" for n in r.finding.trail))
        for r in report.reported
    )
    failures = tuple(f"{f.path}:{f.line or 1}: {f.stage}: {f.message}" for f in report.failures)
    inner = tuple(f"{f.path}: {f.message}" for f in report.failures if f.stage not in {"read", "parse"})
    return Linted(repository, hits, failures, inner, report.files, report.seconds)


def lint_all(folder: Path, select: tuple[str, ...] | None = None) -> list[Linted]:
    with ProcessPoolExecutor() as pool:
        return list(pool.map(lint, trees(folder), [select] * len(trees(folder))))


def verdicts() -> dict[tuple[str, str, str, int, str], tuple[str, str]]:
    if not VERDICTS.exists():
        return {}
    with VERDICTS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {(r["repository"], r["commit"], r["path"], int(r["line"]), r["rule"]): (r["verdict"], r["reason"]) for r in rows}


def checkout(options: argparse.Namespace) -> int:
    """Lay out Python files and manifests of each listed commit."""
    missing = 0
    with options.repos.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            target = options.into / row["repo"].replace("/", "__")
            git = _git_dir(options.mirrors, row["repo"])
            if git is None or not _lay_out(git, row["commit"], target):
                print(f"{row['repo']}: commit {row['commit']} is not to be had", file=sys.stderr)
                missing += 1
    return 1 if missing else 0


def _git_dir(mirrors: Path, repository: str) -> Path | None:
    top = mirrors / repository.replace("/", "+")
    for candidate in (top, *sorted(top.glob("*")), *sorted(top.glob("*/.git"))):
        if (candidate / "HEAD").exists() and (candidate / "objects").exists():
            return candidate
    return None


def _lay_out(git: Path, commit: str, into: Path) -> bool:
    listing = subprocess.run(["git", f"--git-dir={git}", "ls-tree", "-r", "-z", commit], capture_output=True, check=False)
    if listing.returncode:
        return False
    wanted: list[tuple[str, str]] = []
    for entry in listing.stdout.decode("utf-8", "surrogateescape").split("\0"):
        meta, _, path = entry.partition("\t")
        mode, _, blob = meta.partition(" blob ")
        if mode.startswith("100") and path.endswith(KEPT):
            wanted.append((blob, path))
    request = "".join(f"{blob}\n" for blob, _ in wanted).encode()
    reply = io.BytesIO(subprocess.run(["git", f"--git-dir={git}", "cat-file", "--batch"], input=request, capture_output=True, check=True).stdout)
    for _, path in wanted:
        header = reply.readline().split()
        if len(header) == 3:  # a blob that the mirror lacks is left out
            target = into / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(reply.read(int(header[2])))
            reply.read(1)
    (into / ".git").mkdir(exist_ok=True)
    (into / ".commit").write_text(f"{commit}\n")
    return True


def lint_command(options: argparse.Namespace) -> int:
    found = lint_all(options.trees, tuple(options.select) if options.select else None)
    for project in found:
        counts = collections.Counter(hit.rule for hit in project.hits)
        print(f"{project.repository}: {project.files} files, {project.seconds:.1f} s, {len(project.hits)} findings, {len(project.failures)} failures  {dict(counts)}")
        for failure in (*project.inner,):
            print(f"    FAILED INSIDE {failure}")
    total = collections.Counter(hit.rule for project in found for hit in project.hits)
    print(f"\n{sum(total.values())} findings, {sum(len(p.failures) for p in found)} files not read, {sum(len(p.inner) for p in found)} failures inside")
    for rule, count in total.most_common():
        print(f"{count:5d}  {rule} in {sum(any(h.rule == rule for h in p.hits) for p in found)} projects")
    if options.json:
        options.json.write_text(json.dumps([vars(hit) for project in found for hit in project.hits], indent=1))
    return 1 if any(project.inner for project in found) else 0


def draw(found: list[Linted], size: int, seed: int, known: set[tuple[str, str, str, int, str]]) -> list[Hit]:
    """A stratified sample: rules in turn, at most 12 a rule, no project with more than a tenth, each file of a rule as rarely as can be."""
    chance = random.Random(seed)
    pools: dict[str, list[Hit]] = collections.defaultdict(list)
    for project in found:
        for hit in project.hits:
            if hit.key not in known:
                pools[hit.rule].append(hit)
    for rule in sorted(pools):
        chance.shuffle(pools[rule])
    chosen: list[Hit] = []
    by_rule: collections.Counter[str] = collections.Counter()
    by_project: collections.Counter[str] = collections.Counter()
    moved = True
    while moved and len(chosen) < size:
        moved = False
        for rule in sorted(pools):
            fits = [h for h in pools[rule] if by_project[h.repository] < max(1, size // 10)]
            if by_rule[rule] >= A_RULE or not fits or len(chosen) >= size:
                continue
            hit = min(fits, key=lambda h: (by_project[h.repository], sum(c.path == h.path for c in chosen)))
            pools[rule].remove(hit)
            chosen.append(hit)
            by_rule[rule] += 1
            by_project[hit.repository] += 1
            moved = True
    return chosen


def sample(options: argparse.Namespace) -> int:
    known = set() if options.again else set(verdicts())
    chosen = draw(lint_all(options.trees), options.size, options.seed, known)
    print(f"# {len(chosen)} findings to judge, seed {options.seed}\n")
    print("right: the sentence is true on a feasible run and a maintainer would change the code. Unclear counts as wrong.\n")
    for number, hit in enumerate(chosen, 1):
        print(f"## {number}. {hit.rule} ({hit.severity})\n{hit.repository} {hit.path}:{hit.line}\n{hit.message}")
        for station in hit.trail:
            print(f"  - {station}")
        print("\t".join((hit.repository, hit.commit, hit.path, str(hit.line), hit.rule, "VERDICT", "REASON")) + "\n")
    return 0


def recheck(options: argparse.Namespace) -> int:
    """Whether the judged findings are still reported: right ones should be, wrong ones should not."""
    found = {hit.key for project in lint_all(options.trees) for hit in project.hits}
    here = {(named(path), (path / ".commit").read_text().strip()) for path in trees(options.trees)}
    judged = {key: verdict for key, verdict in verdicts().items() if key[:2] in here}
    per_rule: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for key, (verdict, reason) in judged.items():
        state = f"{verdict} {'reported' if key in found else 'silent'}"
        per_rule[key[4]][state] += 1
        if state in {"right silent", "wrong reported"}:
            print(f"{state}: {key[0]} {key[2]}:{key[3]} {key[4]} ({reason})")
    for rule, counts in sorted(per_rule.items()):
        print(f"{rule:45s} {dict(counts)}")
    shown = sum(c["right reported"] + c["wrong reported"] for c in per_rule.values())
    right = sum(c["right reported"] for c in per_rule.values())
    print(f"{right} of {shown} judged findings that are reported are right; {len(found)} findings in all")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("checkout")
    command.add_argument("repos", type=Path)
    command.add_argument("--mirrors", type=Path, required=True)
    command.add_argument("--into", type=Path, required=True)
    command.set_defaults(do=checkout)
    command = commands.add_parser("lint")
    command.add_argument("trees", type=Path)
    command.add_argument("--json", type=Path)
    command.add_argument("--select", action="append")
    command.set_defaults(do=lint_command)
    command = commands.add_parser("sample")
    command.add_argument("trees", type=Path)
    command.add_argument("--size", type=int, default=100)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--again", action="store_true", help="draw judged findings, too")
    command.set_defaults(do=sample)
    command = commands.add_parser("recheck")
    command.add_argument("trees", type=Path)
    command.set_defaults(do=recheck)
    options = parser.parse_args()
    result: int = options.do(options)
    return result


if __name__ == "__main__":
    sys.exit(main())
