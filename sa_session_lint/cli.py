"""The command line. Only a door: everything is done in `run`."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from sa_session_lint import __version__, catalogue, config, run
from sa_session_lint.report import FORMATS, Style
from sa_session_lint.report.frame import shown

if TYPE_CHECKING:
    from sa_session_lint.finding import Severity

_FOR_PEOPLE = frozenset({"full", "concise", "github"})
_ORDER: list[Severity] = ["info", "warning", "error"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sa-session-lint")
def main() -> None:
    """Find SQLAlchemy session lifecycle mistakes.

    Exit status: 0 nothing to report, 1 findings, 2 could not do its work.
    """


def command() -> None:
    """The program. It ends soon: collecting cycles among the trees of a project, which are all there is, frees what the system takes back in any case."""
    gc.disable()
    try:
        main()
    finally:
        gc.freeze()  # or the interpreter would go through them once more as it ends


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--output-format", type=click.Choice(list(FORMATS)), default="full", show_default=True)
@click.option("--output-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the report there instead of to stdout.")
@click.option("--select", multiple=True, metavar="RULES", help="Run these rules only: names, codes, prefixes of codes, or ALL.")
@click.option("--ignore", multiple=True, metavar="RULES", help="Do not run these rules.")
@click.option("--extend-select", multiple=True, metavar="RULES", help="Run these rules as well.")
@click.option("--profile", type=click.Choice(["default", "strict"]), help="strict adds advice and doubtful cases.")
@click.option("--fail-on", type=click.Choice(["error", "warning"]), help="Lowest severity that makes the exit status 1.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even when there are findings.")
@click.option("--project-root", type=click.Path(file_okay=False, exists=True, path_type=Path), help="What may be consulted lies below it.")
@click.option("--config", "config_file", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="Read settings from this file.")
@click.option("--isolated", is_flag=True, help="Ignore all configuration of sa-session-lint.")
@click.option("--no-cache", is_flag=True, help="Nothing is cached yet; accepted so that scripts need not change.")
@click.option("--stdin-filename", type=click.Path(path_type=Path), help="With `-`: the file that stdin stands in for.")
@click.option("--force-exclude", is_flag=True, help="Honour exclude for files that are named, too (as pre-commit does).")
@click.option("--respect-gitignore/--no-respect-gitignore", default=None, help="Leave out what Git ignores. [default: yes]")
def check(
    paths: tuple[Path, ...],
    output_format: str,
    output_file: Path | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    extend_select: tuple[str, ...],
    profile: str | None,
    fail_on: str | None,
    exit_zero: bool,
    project_root: Path | None,
    config_file: Path | None,
    isolated: bool,
    no_cache: bool,
    stdin_filename: Path | None,
    force_exclude: bool,
    respect_gitignore: bool | None,
) -> None:
    """Check files and folders (default: the current folder)."""
    from_stdin = Path("-") in paths
    if from_stdin and (len(paths) > 1 or stdin_filename is None):
        _give_up("`-` stands alone and needs --stdin-filename")
    if stdin_filename is not None and not from_stdin:
        _give_up("--stdin-filename needs the path `-`")
    for path in () if from_stdin else paths:
        if not path.exists():
            _give_up(f"{path}: no such file or folder")
    overrides = config.Overrides(
        _words(select), _words(ignore), _words(extend_select), "strict" if profile == "strict" else "default" if profile else None, respect_gitignore
    )
    request = run.Request(
        paths=() if from_stdin else paths or (Path(),),
        stdin=sys.stdin.buffer.read() if from_stdin else None,
        stdin_filename=stdin_filename,
        project_root=project_root,
        config_file=config_file,
        isolated=isolated,
        overrides=overrides,
        force_exclude=force_exclude,
    )
    try:
        with _progress() as step:
            report = run.check(request, step)
    except (config.ConfigError, catalogue.UnknownRule) as error:
        _give_up(str(error))
    if output_format in _FOR_PEOPLE:
        report = run.seen_from(report, Path.cwd())
    colour = output_file is None and _colour()
    _print(FORMATS[output_format](report, Style(colour, _width())), output_file)
    for failure in report.failures:
        if not failure.reported or output_format not in {"full", "concise"}:
            where = failure.path if failure.line is None else f"{failure.path}:{failure.line}"
            click.echo(shown(f"{where}: {failure.stage}: {failure.message}" + ("" if failure.reported else " (only consulted)")), err=True)
    if any(failure.reported for failure in report.failures):
        sys.exit(2)
    least = _ORDER.index(fail_on or report.fail_on)  # type: ignore[arg-type]  # click checked the choice
    worst = max((_ORDER.index(reported.severity) for reported in report.reported), default=-1)
    sys.exit(1 if worst >= max(1, least) and not exit_zero else 0)


@main.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Print every rule.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def rule(name: str | None, every: bool, output_format: str) -> None:
    """Print what the catalogue says of a rule (by name or code)."""
    from sa_session_lint.report.rule import render_entry, render_json

    entries = catalogue.load()
    if every == (name is not None):
        _give_up("give the name or code of one rule, or --all")
    try:
        wanted = list(entries.entries.values()) if name is None else [entries.find(name)]
    except catalogue.UnknownRule as error:
        _give_up(str(error))
    if output_format == "json":
        _print(render_json(wanted), None)
    else:
        style = Style(_colour(), _width())
        _print("\n\n".join(render_entry(entry, style) for entry in wanted), None)


@main.command("show-sessions")
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--project-root", type=click.Path(file_okay=False, exists=True, path_type=Path))
def show_sessions(file: Path, project_root: Path | None) -> None:
    """Print what is known of the sessions in FILE: why is the linter silent?"""
    from sa_session_lint.explain import show_sessions as explain
    from sa_session_lint.source import deep

    try:
        with deep():
            text = explain(file, project_root)
    except config.ConfigError as error:
        _give_up(str(error))
    _print(text, None)


def _words(given: tuple[str, ...]) -> tuple[str, ...] | None:
    return tuple(word.strip() for text in given for word in text.split(",") if word.strip()) or None


def _give_up(message: str) -> NoReturn:
    click.echo(shown(f"sa-session-lint: {message}"), err=True)
    sys.exit(2)


def _colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _width() -> int:
    return max(60, min(140, click.get_current_context().terminal_width or _columns()))


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def _print(text: str, file: Path | None) -> None:
    """Always UTF-8, whatever the locale; a reader that goes away is no error."""
    if file is not None:
        try:
            file.write_text(text, encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            _give_up(f"{file}: {error.strerror or error}")
        return
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, for runs that last longer than a second."""
    if not sys.stderr.isatty():
        yield None
        return
    started = time.monotonic()
    shown = False

    def step(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - started > 1 and total:
            shown = True
            filled = 30 * done // total
            click.echo(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{total} files", nl=False, err=True)

    try:
        yield step
    finally:
        if shown:
            click.echo("\r" + " " * 60 + "\r", nl=False, err=True)
