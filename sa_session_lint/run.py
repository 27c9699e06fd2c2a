"""The pipeline: paths in, one `Report` out.

Given paths choose what is reported; the project root bounds what may be consulted. So a file gets the same answer alone and with
the tree. Whatever fails costs the work on one file, is named, and hides nothing else.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sa_session_lint import catalogue, checks, config, suppress
from sa_session_lint.finding import Failure, Finding, Severity, Span
from sa_session_lint.model.settings import ConfiguredMaker, Settings
from sa_session_lint.project.files import by_root, is_marked, list_python, root_of
from sa_session_lint.project.importable import is_importable
from sa_session_lint.project.index import Index
from sa_session_lint.project.reach import is_left_over, serves_commands
from sa_session_lint.project.running import runs_as_script, runs_at_start
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.source import deep, uncollected

if TYPE_CHECKING:
    import libcst as cst

    from sa_session_lint.catalogue import Entry
    from sa_session_lint.checks.check import Check
    from sa_session_lint.project.outline import Outline, Scope
    from sa_session_lint.source import Source

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for. With `stdin`, its text stands in for `stdin_filename`, which is what is reported."""

    paths: tuple[Path, ...] = ()
    stdin: bytes | None = None
    stdin_filename: Path | None = None
    project_root: Path | None = None
    config_file: Path | None = None
    isolated: bool = False
    overrides: config.Overrides = config.Overrides()
    force_exclude: bool = False


@dataclass(frozen=True, slots=True)
class Reported:
    """A finding as a reader sees it: with its sentence, its severity under the present settings, and its entry."""

    finding: Finding
    entry: Entry
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a reporter prints. `reported` is sorted by path, line, column, code.

    `files` were checked, `consulted` merely read for what they say about others; `coarse` counts functions that were too
    large to be followed exactly; `texts` holds the text of each file that a finding or a station of its trail names.
    """

    root: Path
    reported: tuple[Reported, ...] = ()
    failures: tuple[Failure, ...] = ()
    files: int = 0
    consulted: int = 0
    coarse: int = 0
    seconds: float = 0.0
    texts: Mapping[str, str] = field(default_factory=dict)
    fail_on: Severity = "warning"


def check(request: Request, progress: Progress | None = None) -> Report:
    """Check what `request` names. Raises config.ConfigError and catalogue.UnknownRule for settings that cannot be used."""
    started = time.perf_counter()
    entries = catalogue.load()
    projects = _projects(request)
    top = request.project_root or (projects[0].root if len(projects) == 1 else Path(os.path.commonpath([str(p.root) for p in projects] or ["."])))
    reports: list[Report] = []
    total, done = sum(len(p.named) + len(p.found) for p in projects), 0
    for project in projects:
        step = None if progress is None else (lambda here, base=done: progress(base + here, total))
        with deep(), uncollected():
            reports.append(_check_project(request, entries, project, step))
        if project is not projects[-1]:
            gc.collect()  # the trees of one project at a time
        done += len(project.named) + len(project.found)
    return _merged(Path(os.path.abspath(top)), reports, entries.broken, time.perf_counter() - started)


def open_project(file: Path, project_root: Path | None, overrides: config.Overrides) -> tuple[Index, str]:
    """The index of the project that holds `file`, and the file's path in it. Raises config.ConfigError."""
    root = Path(os.path.abspath(project_root)) if project_root is not None else root_of(file)
    settings = config.load(root).overridden(overrides)
    path = _relative(file, root)
    known = list_python(root, respect_gitignore=settings.respect_gitignore)
    return Index(root, tuple(sorted({*known, path})), _settings(settings), settings.target_versions), path


@dataclass(slots=True)
class _Project:
    """A root with the files to report, absolute: those `named` one by one, and those `found` in named folders."""

    root: Path
    named: list[Path] = field(default_factory=list)
    found: list[Path] = field(default_factory=list)


def _projects(request: Request) -> list[_Project]:
    """Every file goes to its own root, however it was reached: a folder may hold projects within a project."""
    paths = request.paths or (() if request.stdin is not None else (Path(),))
    named = [Path(os.path.abspath(path)) for path in paths if not path.is_dir()]
    if request.stdin_filename is not None:
        named.append(Path(os.path.abspath(request.stdin_filename)))
    folders = [Path(os.path.abspath(path)) for path in paths if path.is_dir()]
    if request.project_root is not None:
        root = Path(os.path.abspath(request.project_root))
        return [_Project(root, named, [file for folder in folders for file in _below(request, root, folder)])]
    projects: dict[Path, _Project] = {}
    for root, files in by_root(named).items():
        projects.setdefault(root, _Project(root)).named += files
    for folder in folders:
        outer = root_of(folder)
        projects.setdefault(outer, _Project(outer))
        for root, files in by_root(_below(request, outer, folder)).items():
            home = root if is_marked(root) else outer
            projects.setdefault(home, _Project(home)).found += files
    return sorted(projects.values(), key=lambda project: project.root)


def _below(request: Request, root: Path, folder: Path) -> list[Path]:
    """The files of a folder that the settings of `root` do not exclude."""
    settings = _load(request, root)
    names = list_python(root, _relative(folder, root), respect_gitignore=settings.respect_gitignore)
    return [root / name for name in names if not settings.is_excluded(name)]


def _load(request: Request, root: Path) -> config.Config:
    return config.load(root, request.config_file, request.isolated).overridden(request.overrides)


def _check_project(request: Request, entries: catalogue.Catalogue, project: _Project, progress: Callable[[int], None] | None) -> Report:
    root, settings = project.root, _load(request, project.root)
    config.check_rules(settings, entries.entries.values())
    failures: list[Failure] = []
    known = list_python(root, respect_gitignore=settings.respect_gitignore)
    wanted = _wanted(project, known, settings, request, failures)
    index = Index(root, tuple(sorted({*known, *wanted})), _settings(settings), settings.target_versions)
    if request.stdin is not None and request.stdin_filename is not None:
        index.put(_relative(request.stdin_filename, root), request.stdin)
    rules = [entry for entry in entries.entries.values() if settings.selects(entry)]
    found: list[Reported] = []
    for number, path in enumerate(wanted):
        found += _check_file(index, path, rules, entries, settings, failures)
        if progress is not None:
            progress(number + 1)
    checked = frozenset(wanted)
    failures += [replace(f, reported=f.path in checked) for f in index.failures.values()]
    texts = {
        path: source.text
        for path in {p for r in found for p in (r.finding.path, *(note.path for note in r.finding.trail))}
        if (source := index.source(path)) is not None
    }
    return Report(
        root, tuple(found), tuple(dict.fromkeys(failures)), len(wanted), len(index.consulted - checked), engine_of(index).coarse, 0.0, texts,
        settings.fail_on,
    )  # fmt: skip


def _wanted(project: _Project, known: tuple[str, ...], settings: config.Config, request: Request, failures: list[Failure]) -> tuple[str, ...]:
    """The files to report, in order of their names."""
    wanted = {name for name in (_relative(file, project.root) for file in project.found) if not settings.is_excluded(name)}
    stdin = None if request.stdin_filename is None else Path(os.path.abspath(request.stdin_filename))
    for path in project.named:
        name = _relative(path, project.root)
        if request.force_exclude and (settings.is_excluded(name) or (path.suffix in {".py", ".pyi"} and path.exists() and name not in known)):
            continue
        if path != stdin and path.exists() and not path.is_file():
            failures.append(Failure(name, None, "read", "not a regular file"))
            continue
        wanted.add(name)
    return tuple(sorted(wanted))


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(os.path.abspath(path), root)).as_posix()


def _settings(settings: config.Config) -> Settings:
    makers = {m.name: ConfiguredMaker(m.name, m.kind or "sync", m.expire_on_commit, m.closes or False) for m in settings.makers}
    return Settings(makers, frozenset(settings.scope_hooks), frozenset(settings.slow_calls), settings.src)


def _check_file(
    index: Index,
    path: str,
    rules: list[Entry],
    entries: catalogue.Catalogue,
    settings: config.Config,
    failures: list[Failure],
) -> list[Reported]:
    """The findings of one file that are kept under the settings and its comments."""
    from sa_session_lint.checks.check import File
    from sa_session_lint.checks.flow_check import FlowCheck
    from sa_session_lint.walk import walk

    source, outline = index.source(path), index.outline(path)
    if source is None or outline is None:
        return []
    # Jupyter heads each cell that it exports with such a comment.
    notebook = "# In[" in source.text and any(c.alone and c.text.startswith("# In[") for c in source.comments)
    once = notebook or {"revision", "down_revision"} <= outline.module.bindings.keys()  # a migration of Alembic, wherever it lies
    applying = [rule for rule in rules if settings.applies(rule, path) and not (once and config.SCOPE_TAGS & set(rule.tags))]
    running: list[Check] = []
    broken: set[str] = set()

    def broke(rule: str, error: Exception) -> None:
        broken.add(rule)
        failures.append(Failure(path, None, "check", f"{rule}: {type(error).__name__}: {error}"))

    for rule in applying:
        try:
            kind = checks.load(rule.name)
            if kind is not None:
                running.append(kind(File(path, source, outline, index)))
        except Exception as error:
            broke(rule.name, error)
    walk(source.module, running, on_error=lambda visitor, error: broke(visitor.rule, error))
    scripts = [_body(source, outline.nodes[at]) for at in outline.main_blocks] if any(c.findings for c in running) else []
    findings: list[Finding] = []
    for check in running:
        try:
            findings += [f for f in check.findings if not _is_idle(f, entries.entries[check.rule], isinstance(check, FlowCheck), scripts, index, outline)]
        except Exception as error:  # what cannot be told to be idle is reported
            broke(check.rule, error)
            findings += check.findings
    findings = findings if findings and is_importable(index, path) else []
    codes = {entry.name: entry.code for entry in entries.entries.values()}
    outcome = suppress.judge(source, findings, codes, [rule.name for rule in applying if rule.name not in broken])
    return sorted(
        (_reported(finding, entries, settings) for finding in (*outcome.kept, *outcome.unused)),
        key=lambda r: (r.finding.span, r.entry.code),
    )


def _body(source: Source, block: cst.CSTNode) -> Span:
    """What runs when the condition of an `if` holds."""
    return source.span_of(getattr(block, "body", block))


def _is_idle(finding: Finding, entry: Entry, follows: bool, scripts: Sequence[Span], index: Index, outline: Outline) -> bool:
    """Whether it is about lifetime in code that never runs, that only a script runs, or that runs once at the start of a program; or about what comes of
    what in a run (`follows`) of a function that nobody calls. What is wrong with a statement by itself is so anywhere."""
    line = finding.span.line
    around = [(outline, scope) for scope in _around(index, outline, line)]
    tags = config.SCOPE_TAGS & set(entry.tags)
    if not tags:
        return follows and bool(finding.trail) and any(is_left_over(index, found, scope) for found, scope in around)
    if any(block.line <= line <= block.end_line for block in scripts):
        return True
    callers = [(found, scope) for note in finding.trail if (found := index.outline(note.path)) is not None for scope in _around(index, found, note.span.line)]
    if any(is_left_over(index, found, scope) or serves_commands(index, found, scope) for found, scope in (*around, *callers)):
        return True
    if any(runs_as_script(index, finding.path, scope) for _, scope in around):
        return True
    return bool(tags & config.ONCE_TAGS) and any(runs_at_start(index, finding.path, scope) for _, scope in around)


def _around(index: Index, outline: Outline, line: int) -> list[Scope]:
    """The functions that a line stands in."""
    source = index.source(outline.path)
    functions = [scope for scope in outline.scopes.values() if scope.kind == "function"] if source is not None else []
    return [scope for scope in functions if source is not None and (span := source.span_of(outline.nodes[scope.at])).line <= line <= span.end_line]


def _reported(finding: Finding, entries: catalogue.Catalogue, settings: config.Config) -> Reported:
    entry = entries.entries[finding.rule]
    return Reported(finding, entry, settings.severity_of(entry), entry.sentence(dict(finding.values)))


def _merged(root: Path, reports: list[Report], broken: tuple[Failure, ...], seconds: float) -> Report:
    """One report of several projects: paths become relative to `root`."""
    found: list[Reported] = []
    failures = list(broken)
    texts: dict[str, str] = {}
    for report in reports:
        prefix = Path(os.path.relpath(report.root, root)).as_posix()
        move = _mover("" if prefix == "." else f"{prefix}/")
        found += [replace(r, finding=_moved(r.finding, move)) for r in report.reported]
        failures += [replace(f, path=move(f.path)) for f in report.failures]
        texts.update({move(path): text for path, text in report.texts.items()})
    found.sort(key=lambda r: (r.finding.path, r.finding.span, r.entry.code))
    order: list[Severity] = ["info", "warning", "error"]
    fail_on: Severity = min((r.fail_on for r in reports), key=order.index, default="warning")
    return Report(
        root, tuple(found), tuple(failures), sum(r.files for r in reports), sum(r.consulted for r in reports),
        sum(r.coarse for r in reports), seconds, texts, fail_on,
    )  # fmt: skip


def seen_from(report: Report, folder: Path) -> Report:
    """The same report with paths as a person in `folder` writes them: for terminals and for annotations, which start from there."""
    try:
        prefix = Path(os.path.relpath(report.root, folder)).as_posix()
    except ValueError:  # another drive
        return report
    if prefix == ".":
        return report
    move = _mover(f"{prefix}/")
    return replace(
        report,
        root=folder,
        reported=tuple(replace(r, finding=_moved(r.finding, move)) for r in report.reported),
        failures=tuple(f if f.stage == "config" else replace(f, path=move(f.path)) for f in report.failures),
        texts={move(path): text for path, text in report.texts.items()},
    )


def _mover(prefix: str) -> Callable[[str], str]:
    return lambda path: os.path.normpath(f"{prefix}{path}").replace(os.sep, "/") if ".." in prefix else f"{prefix}{path}"


def _moved(finding: Finding, move: Callable[[str], str]) -> Finding:
    trail = tuple(replace(note, path=move(note.path)) for note in finding.trail)
    return replace(finding, path=move(finding.path), trail=trail)
