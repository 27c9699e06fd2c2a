"""Running the linter on a little project made for a test."""

from __future__ import annotations

import re
from pathlib import Path

from sa_session_lint import config, run

MARK = re.compile(r"#\s*(expect|missed|false alarm|also):\s*(.+?)\s*$")


def files_of(case: Path) -> dict[str, str]:
    """The files of a fixture: one file, or a folder of them."""
    if case.is_file():
        return {case.name: case.read_text(encoding="utf-8")}
    found = (p for p in sorted(case.rglob("*")) if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(case).as_posix(): p.read_text(encoding="utf-8") for p in found}


def write(files: dict[str, str], root: Path) -> Path:
    """Lay a project out under `root`."""
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return root


def lint(root: Path, *paths: str, select: tuple[str, ...] | None = None, profile: config.Profile = "default") -> run.Report:
    """The report of a project, or of some of its files."""
    wanted = tuple(root / path for path in paths) or (root,)
    overrides = config.Overrides(select=select, profile=profile)
    return run.check(run.Request(paths=wanted, project_root=root, isolated=True, overrides=overrides))


def found_in(report: run.Report) -> set[tuple[str, int, str]]:
    """(path, line, rule) of every finding; a failure fails the test."""
    assert not report.failures, report.failures
    return {(r.finding.path, r.finding.span.line, r.entry.name) for r in report.reported}


def marks_in(files: dict[str, str], kind: str) -> set[tuple[str, int, str]]:
    """(path, line, words) of every mark of a kind; a list of rules gives one for each."""
    found: set[tuple[str, int, str]] = set()
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            mark = MARK.search(line)
            if mark is not None and mark[1] == kind:
                found |= {(path, number, word.strip()) for word in (mark[2].split(",") if kind == "expect" else [mark[2]])}
    return found
