"""The command line as a user sees it: exit status, what stands on stdout and what on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sa_session_lint import __version__
from sa_session_lint.cli import main
from sa_session_lint.report import FORMATS
from tests.linting import write

RULE = "session-method-not-called"
BAD = "from sqlalchemy.orm import Session\n\ns = Session()\ns.commit\n"
GOOD = "from sqlalchemy.orm import Session\n\n\ndef f(engine):\n    with Session(engine) as s:\n        s.commit()\n"
ONLY = "[tool.sa-session-lint]\nselect = ['SAS209', 'SAS001']\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is a project in which SAS209 and SAS001 alone are on."""
    write({"pyproject.toml": ONLY}, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


def cli(*arguments: str, stdin: str | bytes | None = None) -> Any:
    """The result of a command: `exit_code`, `stdout`, `stderr`. An exception that is no exit fails the test."""
    try:
        runner = CliRunner(mix_stderr=False)  # type: ignore[call-arg]  # before click 8.2
    except TypeError:
        runner = CliRunner()
    result = runner.invoke(main, arguments, input=stdin, env={"COLUMNS": None})  # as wide as where nobody looks, also where the tests run side by side
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def places(result: Any) -> list[tuple[str, int]]:
    """Path and line of the findings of a run with `--output-format json`."""
    return [(found["path"], found["start"]["line"]) for found in json.loads(result.stdout)["findings"]]


def module(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """`python -m sa_session_lint`, in a process of its own."""
    home = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": home, **environment}
    return subprocess.run([sys.executable, "-m", "sa_session_lint", *arguments], cwd=cwd, env=environment, capture_output=True, check=False)


# -- exit status ------------------------------------------------------------------------------------------------------


def test_nothing_to_report_is_0(here: Path) -> None:
    write({"a.py": GOOD}, here)
    result = cli("check")
    assert result.exit_code == 0
    assert result.stdout.startswith("No session mistakes found (1 checked, ")
    assert result.stderr == ""


def test_a_finding_is_1(here: Path) -> None:
    write({"lib/a.py": BAD, "b.py": GOOD}, here)
    for arguments in (["check"], ["check", "."], ["check", "lib"], ["check", "lib/a.py"], ["check", "b.py", "lib/a.py"]):
        result = cli(*arguments, "--output-format=json")
        assert (result.exit_code, places(result)) == (1, [("lib/a.py", 4)])
    assert cli("check", "b.py").exit_code == 0


def test_an_empty_folder_is_0(here: Path) -> None:
    (here / "empty").mkdir()
    assert cli("check", "empty").exit_code == 0


def test_exit_zero_reports_and_exits_with_0(here: Path) -> None:
    write({"a.py": BAD}, here)
    result = cli("check", "--exit-zero")
    assert result.exit_code == 0
    assert "SAS209" in result.stdout


def test_exit_zero_hides_no_failure(here: Path) -> None:
    write({"a.py": "def f(:\n"}, here)
    assert cli("check", "--exit-zero").exit_code == 2


@pytest.mark.parametrize(
    ("severity", "arguments", "configured", "status"),
    [
        ("error", [], None, 1),
        ("warning", [], None, 1),
        ("info", [], None, 0),
        ("warning", ["--fail-on=error"], None, 0),
        ("error", ["--fail-on=error"], None, 1),
        ("warning", [], "error", 0),
        ("warning", ["--fail-on=warning"], "error", 1),
        ("info", ["--fail-on=warning"], None, 0),
    ],
)
def test_fail_on_is_the_least_severity_that_counts(severity: str, arguments: list[str], configured: str | None, status: int, here: Path) -> None:
    line = f"fail-on = '{configured}'\n" if configured else ""
    write({"pyproject.toml": f"{ONLY}{line}severity = {{ SAS209 = '{severity}' }}\n", "a.py": BAD}, here)
    result = cli("check", *arguments, "--output-format=json")
    assert result.exit_code == status
    assert [found["severity"] for found in json.loads(result.stdout)["findings"]] == [severity]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "gone.py"], "gone.py: no such file or folder"),
        (["check", "a.py", "gone/"], "gone: no such file or folder"),
        (["check", "--select=XYZ9"], "there is no rule `XYZ9`"),
        (["check", "--select=session-method-not-caled"], "did you mean `session-method-not-called`?"),
        (["check", "--ignore=E501"], "there is no rule `E501`"),
        (["check", "--extend-select=nothing"], "there is no rule `nothing`"),
        (["check", "--fail-on=info"], "info"),
        (["check", "--output-format=xml"], "xml"),
        (["check", "--profile=pedantic"], "pedantic"),
        (["check", "--config=gone.toml"], "gone.toml"),
        (["check", "--project-root=gone"], "gone"),
        (["check", "--wrong"], "--wrong"),
        (["check", "-"], "`-` stands alone and needs --stdin-filename"),
        (["check", "-", "a.py", "--stdin-filename=a.py"], "`-` stands alone"),
        (["check", "--stdin-filename=a.py"], "--stdin-filename needs the path `-`"),
        (["check", "a.py", "--output-file=gone/report.txt"], "gone/report.txt: No such file or directory"),
        (["rule"], "give the name or code of one rule, or --all"),
        (["rule", "SAS209", "--all"], "give the name or code of one rule, or --all"),
        (["rule", "session-method-not-caled"], "did you mean `session-method-not-called`?"),
        (["show-sessions", "gone.py"], "gone.py"),
        (["wrong"], "wrong"),
    ],
)
def test_what_cannot_be_done_is_2_and_said_on_stderr(arguments: list[str], words: str, here: Path) -> None:
    write({"a.py": GOOD}, here)
    result = cli(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_fault_in_the_settings_is_2_with_its_place(here: Path) -> None:
    write({"pyproject.toml": "[project]\nname = 'x'\n\n[tool.sa-session-lint]\nselct = []\n", "a.py": GOOD}, here)
    for command in (["check"], ["show-sessions", "a.py"]):
        result = cli(*command)
        assert result.exit_code == 2
        assert result.stderr == f"sa-session-lint: {here / 'pyproject.toml'}:5: unknown key `selct`; did you mean `select`?\n"


# -- files that cannot be read ----------------------------------------------------------------------------------------

UNREADABLE = {
    "syntax": (b"x = 1\ndef f(:\n", "parse", 2),
    "bytes": (b"x = 1\ny = '\xff'\n", "read", 2),
    "null": (b"\0", "read", 1),
    "deep": (b"x = " + b"(" * 5000, "read", 1),
}


@pytest.mark.parametrize("what", UNREADABLE)
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_cannot_be_read_is_2_and_hides_no_finding(what: str, form: str, here: Path) -> None:
    data, stage, line = UNREADABLE[what]
    write({"a.py": BAD}, here)
    (here / "b.py").write_bytes(data)
    result = cli("check", f"--output-format={form}")
    assert result.exit_code == 2
    assert "SAS209" in result.stdout
    shown = result.stdout if form in {"full", "concise"} else result.stderr
    assert "b.py:" + str(line) in shown and stage in shown
    if form == "json":
        [failure] = json.loads(result.stdout)["failures"]
        assert (failure["path"], failure["line"], failure["stage"], failure["reported"]) == ("b.py", line, stage, True)


@pytest.mark.parametrize("named", [True, False], ids=["named", "in a folder"])
def test_a_pipe_is_not_waited_for(named: bool, here: Path) -> None:
    write({"a.py": BAD}, here)
    os.mkfifo(here / "pipe.py")
    result = cli("check", "a.py", "pipe.py") if named else cli("check")
    assert "SAS209" in result.stdout
    assert result.exit_code == (2 if named else 1)
    assert ("pipe.py: failed (read): not a regular file" in result.stdout) == named


def test_a_broken_file_that_was_merely_consulted_is_told_of_but_does_not_count(here: Path) -> None:
    files = {"a.py": "from db import Session\n\ns = Session()\ns.commit\n", "db.py": "def f(:\n", "c.py": GOOD}
    write(files, here)
    result = cli("check", "a.py", "--output-format=json")
    assert result.exit_code == 0  # what `Session` is cannot be known
    [failure] = json.loads(result.stdout)["failures"]
    assert (failure["path"], failure["stage"], failure["reported"]) == ("db.py", "parse", False)
    assert result.stderr.startswith("db.py:1: parse: ") and result.stderr.endswith(" (only consulted)\n")
    full = cli("check", "a.py")
    assert full.exit_code == 0
    assert "db.py" not in full.stdout and "(only consulted)" in full.stderr
    assert cli("check").exit_code == 2


def test_a_broken_file_that_nobody_asks_for_is_not_mentioned(here: Path) -> None:
    write({"a.py": GOOD, "lib/old.py": "print 'hello'\n"}, here)
    result = cli("check", "a.py")
    assert (result.exit_code, result.stderr) == (0, "")


# -- choosing rules and files -----------------------------------------------------------------------------------------

SHARED = "from sqlalchemy import create_engine\nfrom sqlalchemy.orm import Session\n\ns = Session(create_engine('sqlite://'))\ns.commit  # sa-session-lint: ignore\n"


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        ([], "SAS001 SAS209"),
        (["--select=SAS209"], "SAS209"),
        (["--select=SAS2"], "SAS209"),
        (["--select=session-method-not-called,unused-suppression"], "SAS001 SAS209"),
        (["--select=SAS209", "--select=SAS001"], "SAS001 SAS209"),
        (["--select=SAS209 , SAS001"], "SAS001 SAS209"),
        (["--ignore=SAS209"], "SAS001"),
        (["--ignore=SAS0,SAS2"], "SAS001 SAS209"),  # the settings name both more exactly
        (["--select=SAS", "--ignore=SAS209"], "SAS001"),
        (["--select=SAS001", "--extend-select=SAS209"], "SAS001 SAS209"),
        (["--extend-select=SAS2", "--ignore=SAS001"], "SAS209"),
    ],
)
def test_rules_are_chosen_on_the_command_line(arguments: list[str], codes: str, here: Path) -> None:
    write({"a.py": SHARED}, here)
    result = cli("check", *arguments, "--output-format=json")
    assert result.stderr == ""
    found = {finding["code"] for finding in json.loads(result.stdout)["findings"]}
    assert " ".join(sorted(found & {"SAS001", "SAS209"})) == codes


def test_isolated_reads_no_settings(here: Path) -> None:
    write({"pyproject.toml": "[tool.sa-session-lint]\nselect = []\n", "a.py": BAD}, here)
    assert cli("check").exit_code == 0
    assert cli("check", "--isolated", "--select=SAS209").exit_code == 1
    write({"pyproject.toml": "[tool.sa-session-lint]\nbroken = \n"}, here)
    assert cli("check", "--isolated", "--select=SAS209").exit_code == 1


def test_settings_may_come_from_another_file(here: Path) -> None:
    write({"ci/lint.toml": "select = []\n", "a.py": BAD}, here)
    assert cli("check", "--config=ci/lint.toml").exit_code == 0


def test_what_is_excluded_is_checked_only_when_it_is_named(here: Path) -> None:
    write({"pyproject.toml": ONLY + "exclude = ['old/']\n", "old/a.py": BAD}, here)
    assert cli("check").exit_code == 0
    assert cli("check", "old").exit_code == 0
    assert cli("check", "old/a.py").exit_code == 1
    assert cli("check", "--force-exclude", "old/a.py").exit_code == 0


def test_what_git_ignores_is_checked_only_when_it_is_named_or_asked_for(here: Path) -> None:
    write({".git/HEAD": "", ".gitignore": "old/\n", "old/a.py": BAD}, here)
    assert cli("check").exit_code == 0
    assert cli("check", "--no-respect-gitignore").exit_code == 1
    assert cli("check", "old/a.py").exit_code == 1
    assert cli("check", "old/a.py", "--force-exclude").exit_code == 0
    write({"pyproject.toml": ONLY + "respect-gitignore = false\n"}, here)
    assert cli("check").exit_code == 1
    assert cli("check", "--respect-gitignore").exit_code == 0


def test_a_file_without_the_ending_of_python_is_checked_when_it_is_named(here: Path) -> None:
    write({"script": BAD}, here)
    assert cli("check").exit_code == 0
    assert cli("check", "script").exit_code == 1


# -- stdin ------------------------------------------------------------------------------------------------------------


def test_stdin_stands_in_for_a_file(here: Path) -> None:
    write({"lib/a.py": GOOD, "lib/b.py": BAD}, here)
    result = cli("check", "-", "--stdin-filename=lib/a.py", "--output-format=json", stdin=BAD)
    assert (result.exit_code, places(result)) == (1, [("lib/a.py", 4)])
    assert cli("check", "-", "--stdin-filename=lib/b.py", stdin=GOOD).exit_code == 0
    assert cli("check", "-", "--stdin-filename=lib/b.py", stdin="").exit_code == 0


def test_stdin_may_be_a_file_that_is_not_yet_there(here: Path) -> None:
    write({"db.py": "from sqlalchemy.orm import sessionmaker\n\nMaker = sessionmaker()\n"}, here)
    text = "from db import Maker\n\ns = Maker()\ns.commit\n"
    result = cli("check", "-", f"--stdin-filename={here}/new.py", "--output-format=json", stdin=text)
    assert (result.exit_code, places(result)) == (1, [("new.py", 4)])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_stdin_is_read_as_bytes(end: str, here: Path) -> None:
    text = "# coding: latin-1\n" + BAD + "x = 'é'\n"
    result = cli("check", "-", "--stdin-filename=a.py", "--output-format=json", stdin=text.replace("\n", end).encode("latin-1"))
    assert (result.exit_code, places(result)) == (1, [("a.py", 5)])


def test_a_fault_in_stdin_is_named_by_its_file(here: Path) -> None:
    result = cli("check", "-", "--stdin-filename=a.py", stdin="def f(:\n")
    assert result.exit_code == 2
    assert "a.py:1: failed (parse)" in result.stdout


def test_stdin_of_an_excluded_file(here: Path) -> None:
    write({"pyproject.toml": ONLY + "exclude = ['old/']\n", "old/x.py": ""}, here)
    assert cli("check", "-", "--stdin-filename=old/a.py", stdin=BAD).exit_code == 1
    assert cli("check", "-", "--stdin-filename=old/a.py", "--force-exclude", stdin=BAD).exit_code == 0


# -- output -----------------------------------------------------------------------------------------------------------


def test_full_shows_frame_sentence_and_entry(here: Path) -> None:
    write({"a.py": BAD}, here)
    lines = cli("check").stdout.splitlines()
    assert lines[0] == f"error[SAS209] {RULE}"
    assert lines[1] == "  `s.commit` is only looked up: without `()` nothing is committed, rolled back or closed"
    assert lines[2].endswith("--> a.py:4:1")
    assert any(line.endswith("4 | s.commit") for line in lines)
    assert any("Problem" in line for line in lines) and any(f"sa-session-lint rule {RULE}" in line for line in lines)


def test_concise_is_one_line(here: Path) -> None:
    write({"a.py": BAD}, here)
    first, last = cli("check", "--output-format=concise").stdout.splitlines()
    assert first.startswith("a.py:4:1: SAS209 [error] `s.commit` is only looked up") and first.endswith(f"({RULE})")
    assert last.startswith("1 error in 1 file (1 checked, ")


def test_json_sarif_and_github_can_be_read_by_machines(here: Path) -> None:
    write({"a.py": BAD}, here)
    document = json.loads(cli("check", "--output-format=json").stdout)
    assert (document["version"], document["findings"][0]["rule"], document["summary"]["findings"]) == (1, RULE, 1)
    sarif = json.loads(cli("check", "--output-format=sarif").stdout)
    assert sarif["runs"][0]["results"][0]["ruleId"] == "SAS209"
    github = cli("check", "--output-format=github").stdout
    assert github.startswith("::error file=a.py,line=4,endLine=4,col=1,endColumn=9,title=SAS209 session-method-not-called::")
    assert github.count("\n") == 1


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_be_written_to_a_file(form: str, here: Path) -> None:
    write({"a.py": BAD + "# 日本 ☕\n"}, here)
    printed = cli("check", f"--output-format={form}")
    written = cli("check", f"--output-format={form}", "--output-file=report.out")
    assert (written.exit_code, written.stdout) == (1, "")
    text = (here / "report.out").read_text(encoding="utf-8")
    assert "SAS209" in text
    assert len(text.splitlines()) == len(printed.stdout.splitlines())


def test_a_trail_leads_over_files(here: Path) -> None:
    write({"db.py": "from sqlalchemy.orm import Session\n\nshared = Session()\n", "a.py": "from db import shared\n\nshared.commit\n"}, here)
    [finding] = json.loads(cli("check", "a.py", "--output-format=json").stdout)["findings"]
    assert [(note["path"], note["line"]) for note in finding["trail"]] == [("db.py", 3)]


def test_output_is_utf_8_whatever_the_locale(here: Path) -> None:
    write({"täglich.py": BAD.replace("s.commit", "名前 = s; 名前.commit")}, here)
    done = module("check", cwd=here, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert done.returncode == 1, done.stderr
    assert "täglich.py:4:9" in done.stdout.decode("utf-8")
    assert "名前.commit" in done.stdout.decode("utf-8")


def test_a_name_that_is_no_unicode_is_shown_and_checked(here: Path) -> None:
    name = os.fsdecode(b"\xff.py")
    write({name: BAD}, here)
    for form in FORMATS:
        done = module("check", f"--output-format={form}", cwd=here)
        assert done.returncode == 1, (form, done.stderr)
        assert b"SAS209" in done.stdout
        if form in {"json", "sarif"}:
            assert json.loads(done.stdout.decode("utf-8"))
        done = module("check", f"--output-format={form}", "--output-file=out.txt", cwd=here)
        assert done.returncode == 1, done.stderr


def test_a_path_cannot_steer_the_terminal(here: Path) -> None:
    write({"\x1b[31m.py": "def f(:\n", "\x1b[32m.py": BAD}, here)
    for form in ("full", "concise", "json"):
        result = cli("check", f"--output-format={form}")
        assert result.exit_code == 2
        assert "\x1b" not in result.stdout + result.stderr
    assert "\x1b" not in cli("check", "\x1b[33m.py").stderr


def test_a_reader_that_goes_away_is_no_error(here: Path) -> None:
    write({f"m{number}.py": BAD for number in range(300)}, here)
    command = f"{sys.executable} -m sa_session_lint check | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=here, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}, capture_output=True, text=True, check=False)
    assert done.stdout == f"error[SAS209] {RULE}\n"
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)], ids=["colour", "NO_COLOR", "NO_COLOR empty"])
def test_colour_is_for_terminals_that_want_it(environment: dict[str, str], coloured: bool, here: Path) -> None:
    write({"a.py": BAD}, here)
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "TERM": "xterm", **environment}
    done = subprocess.Popen([sys.executable, "-m", "sa_session_lint", "check"], cwd=here, env=env, stdout=theirs, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the other end was closed
        pass
    os.close(ours)
    assert done.stderr is not None
    done.stderr.close()
    assert done.wait() == 1
    assert b"SAS209" in shown
    assert (b"\x1b[" in shown) == coloured


def test_without_a_terminal_there_is_no_colour(here: Path) -> None:
    write({"a.py": BAD}, here)
    assert "\x1b" not in cli("check").stdout


# -- other commands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [RULE, "SAS209", "sas209"])
def test_rule_prints_an_entry(name: str, here: Path) -> None:
    result = cli("rule", name)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"SAS209 {RULE}: ")
    for heading in ("Problem", "Why", "Solution", "Gotchas", "Reported", "Accepted", "Limits", "Documentation"):
        assert heading in result.stdout


def test_rule_prints_all_entries(here: Path) -> None:
    result = cli("rule", "--all")
    assert result.exit_code == 0
    assert f"SAS209 {RULE}: " in result.stdout and "SAS001 unused-suppression: " in result.stdout
    entries = json.loads(cli("rule", "--all", "--output-format=json").stdout)
    assert {"SAS209", "SAS001"} <= {entry["code"] for entry in entries}
    [entry] = json.loads(cli("rule", "SAS209", "--output-format=json").stdout)
    assert entry["rule"] == RULE


def test_show_sessions_tells_what_is_known(here: Path) -> None:
    text = "from sqlalchemy.orm import Session, sessionmaker\n\nMaker = sessionmaker()\n\n\ndef f(given, db: Session):\n    with Maker() as s:\n        s.commit()\n    given.commit()\n"
    write({"a.py": text}, here)
    result = cli("show-sessions", "a.py")
    assert result.exit_code == 0
    for part in (f"a.py, project root {here}", "a.py:3  Maker: sync sessionmaker", "f: s: sync session, opened by a with-block", "f: db: sync session, handed in", "`given` could not be traced to a session"):
        assert part in result.stdout


def test_show_sessions_of_a_broken_file_says_why(here: Path) -> None:
    write({"a.py": "def f(:\n"}, here)
    assert cli("show-sessions", "a.py").stdout.startswith("a.py: parse: ")


def test_version_and_help(here: Path) -> None:
    assert cli("--version").stdout == f"sa-session-lint, version {__version__}\n"
    for arguments in (["--help"], ["-h"], ["check", "-h"], ["rule", "--help"], ["show-sessions", "--help"]):
        result = cli(*arguments)
        assert result.exit_code == 0 and "Usage: " in result.stdout
    assert "0 nothing to report, 1 findings, 2 could not do its work" in cli("--help").stdout


def test_python_dash_m_is_the_same(here: Path) -> None:
    write({"a.py": BAD}, here)
    done = module("check", "--output-format=concise", cwd=here)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"a.py:4:1: SAS209 [error] ")
    assert module("rule", "SAS209", cwd=here).returncode == 0
    assert module("check", "gone.py", cwd=here).returncode == 2


@pytest.mark.parametrize(("folder", "shown"), [(".", "inner/a.py"), ("inner", "a.py"), ("other", "../inner/a.py")])
def test_people_see_paths_from_where_they_are_and_machines_from_the_root(folder: str, shown: str, tmp_path: Path) -> None:
    write({"inner/sa-session-lint.toml": "", "inner/a.py": BAD, "other/b.py": ""}, tmp_path)
    place, target = tmp_path / folder, str(tmp_path / "inner")
    people = subprocess.run([sys.executable, "-m", "sa_session_lint", "check", target, "--output-format", "concise"], cwd=place, capture_output=True, text=True, check=False)
    assert people.stdout.startswith(f"{shown}:")
    machine = subprocess.run([sys.executable, "-m", "sa_session_lint", "check", target, "--output-format", "json"], cwd=place, capture_output=True, text=True, check=False)
    assert json.loads(machine.stdout)["findings"][0]["path"] == "a.py"


def test_a_pattern_that_python_warns_of_is_no_news_to_the_user(here: Path, recwarn: pytest.WarningsRecorder) -> None:
    write({".git/HEAD": "", ".gitignore": "old/[[a]*\n", "a.py": BAD}, here)
    assert cli("check").exit_code == 1
    assert not [str(warning.message) for warning in recwarn if warning.category is FutureWarning]
