"""A run over one project or several: what fails is named and hides nothing else; some rules are off where they mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import libcst as cst
import pytest

from sa_session_lint import catalogue, checks, config, run
from sa_session_lint.catalogue import Catalogue
from sa_session_lint.checks.session_method_not_called import SessionMethodNotCalled
from tests.linting import lint, write

RULE = "session-method-not-called"
BAD = "from sqlalchemy.orm import Session\n\ns = Session()\ns.commit\n"
ONLY = "select = ['SAS209', 'SAS001']\n"


def check(*paths: Path, **how: object) -> run.Report:
    return run.check(run.Request(paths=paths, **how))  # type: ignore[arg-type]


def found(report: run.Report) -> list[tuple[str, int, str]]:
    return [(r.finding.path, r.finding.span.line, r.entry.code) for r in report.reported]


def only(root: Path, *paths: str) -> list[tuple[str, int]]:
    """Path and line where SAS209 is reported; nothing else runs, nothing fails."""
    report = lint(root, *paths, select=("SAS209",))
    assert report.failures == ()
    return [(path, line) for path, line, _ in found(report)]


# -- projects ---------------------------------------------------------------------------------------------------------


def test_each_project_has_its_own_settings_and_its_own_modules(tmp_path: Path) -> None:
    files = {
        "one/sa-session-lint.toml": ONLY + "severity = { SAS209 = 'warning' }\n",
        "one/db.py": "from sqlalchemy.orm import Session\n\ns = Session()\n",
        "one/a.py": "from db import s\n\ns.commit\n",
        "two/sa-session-lint.toml": ONLY,
        "two/db.py": "s = object()\n",
        "two/a.py": "from db import s\n\ns.commit\n",
        "two/b.py": BAD,
        "three/sa-session-lint.toml": "select = []\n",
        "three/a.py": BAD,
    }
    root = write(files, tmp_path)
    for paths in ([root / "one", root / "two", root / "three"], [root / path for path in files if path.endswith(".py")]):
        report = check(*paths)
        assert report.root == root
        assert found(report) == [("one/a.py", 3, "SAS209"), ("two/b.py", 4, "SAS209")]
        assert [r.severity for r in report.reported] == ["warning", "error"]
        assert [note.path for note in report.reported[0].finding.trail] == ["one/db.py"]
        assert set(report.texts) == {"one/a.py", "one/db.py", "two/b.py"}
        assert report.files == 6


def test_of_several_settings_the_strictest_fail_on_counts(tmp_path: Path) -> None:
    root = write({"one/sa-session-lint.toml": "fail-on = 'error'\n", "one/a.py": "", "two/sa-session-lint.toml": "", "two/a.py": ""}, tmp_path)
    assert check(root / "one").fail_on == "error"
    assert check(root / "one", root / "two").fail_on == "warning"


def test_failures_of_several_projects_are_named_from_their_common_folder(tmp_path: Path) -> None:
    root = write({"one/sa-session-lint.toml": "", "one/a.py": "def f(:\n", "two/sa-session-lint.toml": ONLY, "two/a.py": BAD}, tmp_path)
    report = check(root / "one", root / "two")
    assert [(f.path, f.line, f.stage, f.reported) for f in report.failures] == [("one/a.py", 1, "parse", True)]
    assert found(report) == [("two/a.py", 4, "SAS209")]


def test_a_file_gets_the_same_answer_alone_with_others_and_with_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"sa-session-lint.toml": ONLY, "lib/db.py": BAD, "lib/a.py": "from lib.db import s\n\ns.close\n", "b.py": ""}, tmp_path)
    wanted = ("lib/a.py", 3, "SAS209")
    assert found(check(root / "lib/a.py")) == found(check(root / "lib/a.py", root / "b.py")) == [wanted]
    assert wanted in found(check(root)) and wanted in found(check(root / "lib"))
    monkeypatch.chdir(root / "lib")
    assert found(check(Path("a.py"))) == [wanted]
    assert found(check(Path("../lib/a.py"))) == [wanted]
    assert found(check()) == [("lib/a.py", 3, "SAS209"), ("lib/db.py", 4, "SAS209")]
    assert found(check(Path(".."))) == found(check())


def test_a_project_within_a_project_has_its_own_settings_however_it_is_reached(tmp_path: Path) -> None:
    root = write({"sa-session-lint.toml": ONLY, "inner/sa-session-lint.toml": "select = []\n", "inner/a.py": BAD}, tmp_path)
    assert found(check(root / "inner/a.py")) == []
    assert found(check(root)) == []


def test_a_file_that_is_named_twice_is_reported_once(tmp_path: Path) -> None:
    root = write({"sa-session-lint.toml": ONLY, "lib/a.py": BAD}, tmp_path)
    report = check(root, root / "lib", root / "lib/a.py", root / "lib/../lib/a.py")
    assert (found(report), report.files) == ([("lib/a.py", 4, "SAS209")], 1)


def test_checked_and_consulted_files_are_counted(tmp_path: Path) -> None:
    files = {"sa-session-lint.toml": ONLY, "db.py": "from sqlalchemy.orm import Session\ns = Session()\n", "a.py": "from db import s\ns.commit\n", "c.py": ""}
    root = write(files, tmp_path)
    alone, all_of_them = check(root / "a.py"), check(root)
    assert (alone.files, alone.consulted) == (1, 1)
    assert (all_of_them.files, all_of_them.consulted) == (3, 0)


def test_the_order_of_a_report_is_that_of_paths_lines_columns_and_codes(tmp_path: Path) -> None:
    text = "from sqlalchemy.orm import Session\ns = Session()\ns.close; s.commit\ns.flush  # sa-session-lint: ignore\n"
    root = write({"sa-session-lint.toml": ONLY, "b.py": text, "a/z.py": text, "B.py": text}, tmp_path)
    keys = [(r.finding.path, r.finding.span, r.entry.code) for r in check(root / "b.py", root).reported]
    assert keys == sorted(keys) and len(keys) == 12


def test_progress_reaches_the_number_of_files(tmp_path: Path) -> None:
    root = write({"sa-session-lint.toml": ONLY, "a.py": "", "b.py": "", "c.py": ""}, tmp_path)
    heard: list[tuple[int, int]] = []
    run.check(run.Request(paths=(root / "a.py", root / "b.py", root / "c.py")), lambda done, total: heard.append((done, total)))
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_what_is_excluded_is_still_consulted(tmp_path: Path) -> None:
    root = write({"sa-session-lint.toml": ONLY + "exclude = ['db.py']\n", "db.py": BAD, "a.py": "from db import s\ns.close\n"}, tmp_path)
    assert found(check(root)) == [("a.py", 2, "SAS209")]


def test_slow_calls_of_the_settings_are_known(tmp_path: Path) -> None:
    service = """import remote
from elsewhere import Robot, paint, render
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

robot = Robot()


def show(session: Session):
    title = session.scalar("select 1")
    paint(title)
    render(title)


def move(session: Session):
    title = session.scalar("select 1")
    robot.stop(title)
    robot.turn(title)


async def publish(session: AsyncSession):
    title = await session.scalar("select 1")
    await remote.spell(title)
    await remote.translate(title)
"""
    remote = "async def translate(text): ...\n\n\nasync def spell(text): ...\n"
    settings = "select = ['SAS552']\nslow-calls = ['elsewhere.render', 'elsewhere.Robot.turn', 'remote.translate']\n"
    root = write({"sa-session-lint.toml": settings, "service.py": service, "remote.py": remote}, tmp_path)
    assert found(check(root)) == [("service.py", line, "SAS552") for line in (12, 18, 24)]


def test_makers_and_folders_of_the_settings_are_known(tmp_path: Path) -> None:
    text = "from app.db import new_session\n\ns = new_session()\ns.commit\n"
    files = {"app/db.py": "from elsewhere import pool\n\n\ndef new_session():\n    return pool.next()\n", "a.py": text}
    assert found(check(write({**files, "sa-session-lint.toml": ONLY}, tmp_path / "without"))) == []
    made = ONLY + "makers = ['app.db.new_session']\n"
    assert found(check(write({**files, "sa-session-lint.toml": made}, tmp_path / "with"))) == [("a.py", 4, "SAS209")]


# -- stdin ------------------------------------------------------------------------------------------------------------


def test_stdin_is_what_others_see_of_the_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"sa-session-lint.toml": ONLY, "db.py": "s = None\n", "a.py": "import db\n"}, tmp_path)
    monkeypatch.chdir(root)
    report = check(stdin=BAD.encode(), stdin_filename=Path("db.py"))
    assert found(report) == [("db.py", 4, "SAS209")]
    assert report.texts == {"db.py": BAD}
    assert (root / "db.py").read_text() == "s = None\n"


def test_stdin_may_be_called_like_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"sa-session-lint.toml": ONLY, "lib/a.py": BAD}, tmp_path)
    monkeypatch.chdir(root)
    report = check(stdin=b"", stdin_filename=Path("lib"))
    assert (found(report), report.failures) == ([], ())


# -- failures ---------------------------------------------------------------------------------------------------------


def broken_check(monkeypatch: pytest.MonkeyPatch, *paths: str) -> None:
    """Let the check of SAS209 break on these files."""
    plain = SessionMethodNotCalled.visit_Expr

    def visit_Expr(self: SessionMethodNotCalled, node: cst.Expr) -> None:
        if self.file.path in paths:
            raise ZeroDivisionError("by mistake")
        plain(self, node)

    monkeypatch.setattr(SessionMethodNotCalled, "visit_Expr", visit_Expr)


def test_a_check_that_breaks_is_named_and_costs_itself_on_one_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_check(monkeypatch, "a.py")
    text = BAD + "s.commit()  # sa-session-lint: ignore\n"
    report = check(write({"sa-session-lint.toml": ONLY, "a.py": text, "b.py": text}, tmp_path))
    assert found(report) == [("a.py", 5, "SAS001"), ("b.py", 4, "SAS209"), ("b.py", 5, "SAS001")]
    assert [(f.path, f.stage, f.message, f.reported) for f in report.failures] == [("a.py", "check", f"{RULE}: ZeroDivisionError: by mistake", True)]


def test_comments_for_a_check_that_broke_are_not_called_unused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_check(monkeypatch, "a.py")
    report = check(write({"sa-session-lint.toml": ONLY, "a.py": BAD.replace("s.commit", "s.commit  # noqa: SAS209")}, tmp_path))
    assert found(report) == []
    assert len(report.failures) == 1


def test_a_check_that_cannot_even_start_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: SessionMethodNotCalled, file: object) -> None:
        raise ZeroDivisionError("at once")

    monkeypatch.setattr(SessionMethodNotCalled, "__init__", start)
    report = check(write({"sa-session-lint.toml": ONLY, "a.py": "x = 1  # sa-session-lint: ignore\n"}, tmp_path))
    assert found(report) == [("a.py", 1, "SAS001")]
    assert [(f.path, f.stage, f.message) for f in report.failures] == [("a.py", "check", f"{RULE}: ZeroDivisionError: at once")]


def test_what_cannot_be_read_is_named_and_hides_no_other(tmp_path: Path) -> None:
    root = write({"sa-session-lint.toml": ONLY, "a.py": "def f(:\n", "c.py": BAD}, tmp_path)
    (root / "b.py").write_bytes(b"\xff")
    report = check(root)
    assert found(report) == [("c.py", 4, "SAS209")]
    assert [(f.path, f.line, f.stage) for f in sorted(report.failures, key=lambda f: f.path)] == [("a.py", 1, "parse"), ("b.py", 1, "read")]


def test_a_broken_entry_is_named_and_the_other_rules_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = catalogue.load()
    entry = Path(catalogue.__file__).parent.parent / "rules" / f"{RULE}.md"
    folder = write({f"rules/{RULE}.md": entry.read_text(encoding="utf-8"), "rules/a-rule.md": "nothing\n"}, tmp_path) / "rules"
    broken = catalogue.load(folder)
    monkeypatch.setattr(catalogue, "load", lambda: broken)
    report = check(write({"a.py": BAD}, tmp_path / "shop"), isolated=True)
    assert found(report) == [("a.py", 4, "SAS209")]
    assert [(f.path, f.line, f.stage) for f in report.failures] == [("rules/a-rule.md", 1, "config")]
    assert shipped.entries[RULE] == broken.entries[RULE]


@pytest.mark.parametrize("settings", ["selct = []\n", "select = ['SAS77']\n", "select = [\n"])
def test_settings_that_cannot_be_used_end_the_run(settings: str, tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError):
        check(write({"sa-session-lint.toml": settings, "a.py": ""}, tmp_path))


# -- where rules about lifetime mean nothing --------------------------------------------------------------------------


@pytest.fixture(params=["lifetime", "leak", "missing-commit"])
def tagged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """SAS209 as if it were a rule about that: so the policy is tested, and not what other rules happen to find."""
    tag: str = request.param
    shipped = catalogue.load()
    entry = replace(shipped.entries[RULE], tags=("session", tag))
    changed = Catalogue({**shipped.entries, RULE: entry}, shipped.broken)
    monkeypatch.setattr(catalogue, "load", lambda: changed)
    return tag


OFF = [
    "tests/a.py", "shop/tests/deep/a.py", "test/a.py", "conftest.py", "shop/conftest.py", "test_a.py", "shop/a_test.py", "migrations/versions/a.py",
    "shop/alembic/versions/a.py", "alembic/env.py", "migrations/env.py", "db/versions/0a1b2c3d4e5f_add.py",
]  # fmt: skip
ON = ["a.py", "shop/a.py", "shop/testing.py", "contest.py", "shop/versions/a.py", "env.py"]


@pytest.mark.parametrize("path", OFF)
def test_in_tests_and_migrations_such_rules_are_off(path: str, tagged: str, tmp_path: Path) -> None:
    assert only(write({path: BAD}, tmp_path)) == []
    assert only(tmp_path, path) == []


@pytest.mark.parametrize("path", ON)
def test_elsewhere_they_are_on(path: str, tagged: str, tmp_path: Path) -> None:
    assert only(write({path: BAD}, tmp_path)) == [(path, 4)]


@pytest.mark.parametrize("path", OFF)
def test_other_rules_are_on_in_tests_and_migrations(path: str, tmp_path: Path) -> None:
    assert only(write({path: BAD}, tmp_path)) == [(path, 4)]


def test_where_tests_lie_can_be_said(tagged: str, tmp_path: Path) -> None:
    root = write({"sa-session-lint.toml": ONLY + "tests = ['checks/']\n", "checks/a.py": BAD, "tests/a.py": BAD}, tmp_path)
    assert found(check(root)) == [("tests/a.py", 4, "SAS209")]


def test_in_a_notebook_that_was_exported_such_rules_are_off(tagged: str, tmp_path: Path) -> None:
    files = {"a.py": f"#!/usr/bin/env python\n# coding: utf-8\n\n# In[1]:\n\n\n{BAD}", "b.py": f"# In[ ]:\n\n{BAD}", "c.py": f"# %% no export\n{BAD}"}
    assert [path for path, _ in only(write(files, tmp_path))] == ["c.py"]


def test_a_string_that_looks_like_a_notebook_makes_none(tagged: str, tmp_path: Path) -> None:
    assert only(write({"a.py": "x = '# In[1]:'\n" + BAD}, tmp_path)) == [("a.py", 5)]


def test_other_rules_are_on_in_notebooks(tmp_path: Path) -> None:
    assert only(write({"a.py": f"# In[1]:\n\n{BAD}"}, tmp_path)) == [("a.py", 6)]


SCRIPT = """\
from sqlalchemy.orm import Session

s = Session()


def serve():
    s.commit


if __name__ == "__main__":
    s.flush
    if s:
        s.close
"""


@pytest.mark.parametrize(
    "condition",
    ['__name__ == "__main__"', "'__main__' == __name__"],
)
def test_under_the_main_block_such_rules_are_off(condition: str, tagged: str, tmp_path: Path) -> None:
    text = SCRIPT.replace('__name__ == "__main__"', condition)
    assert only(write({"a.py": text}, tmp_path)) == [("a.py", 7)]


def test_under_the_main_block_other_rules_are_on(tmp_path: Path) -> None:
    assert only(write({"a.py": SCRIPT}, tmp_path)) == [("a.py", 7), ("a.py", 11), ("a.py", 13)]


def test_what_is_no_main_block_changes_nothing(tagged: str, tmp_path: Path) -> None:
    text = SCRIPT.replace('if __name__ == "__main__":', "if __name__ == 'shop':")
    assert only(write({"a.py": text}, tmp_path)) == [("a.py", 7), ("a.py", 11), ("a.py", 13)]


@pytest.mark.parametrize(("also", "lines"), [("", []), ("for _ in range(3):\n    main()\n", [6]), ("def more():\n    main()\n", [6])])
def test_a_function_that_only_the_main_block_calls_is_part_of_the_script(also: str, lines: list[int], tagged: str, tmp_path: Path) -> None:
    text = f"from sqlalchemy.orm import Session\ns = Session()\n\n\ndef main():\n    s.commit\n\n\nif __name__ == '__main__':\n    main()\n{also}"
    assert only(write({"a.py": text}, tmp_path)) == [("a.py", line) for line in lines]


def test_the_else_of_a_main_block_is_no_script(tagged: str, tmp_path: Path) -> None:
    text = "from sqlalchemy.orm import Session\ns = Session()\nif __name__ == '__main__':\n    s.flush\nelse:\n    s.commit\n"
    assert only(write({"a.py": text}, tmp_path)) == [("a.py", 6)]


# -- trust ------------------------------------------------------------------------------------------------------------

HOSTILE: dict[str, Callable[[str], str]] = {
    "setup.py": lambda code: f"{code}\nfrom setuptools import setup\nsetup(install_requires=['sqlalchemy<2'])\n",
    "conftest.py": lambda code: code,
    "sitecustomize.py": lambda code: code,
    "sqlalchemy.py": lambda code: code,
    "sa_session_lint/checks/evil.py": lambda code: code,
    "sa_session_lint/__init__.py": lambda code: code,
    "libcst/__init__.py": lambda code: code,
    "a.py": lambda code: f"# coding: utf-8\n{code}\n{BAD}",
    "requirements.txt": lambda code: f"-e .\n$({code})\nsqlalchemy @ file:///$(touch ran)\n",
    "setup.cfg": lambda code: f"[options]\ninstall_requires = attr: evil.{code}\n  sqlalchemy\n",
}


def test_nothing_of_the_project_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w').close()"
    root = write({path: make(code) for path, make in HOSTILE.items()}, tmp_path / "shop")
    write({"sa-session-lint.toml": ONLY + "src = ['.', 'sa_session_lint']\n"}, root)
    monkeypatch.chdir(root)
    report = check(Path())
    assert ("a.py", 7 - 1, "SAS209") in found(report)
    assert not mark.exists()


@pytest.mark.parametrize(
    "settings",
    [
        "plugins = ['evil']\n",
        "checks = ['evil.Check']\n",
        "extend = '../evil.toml'\n",
        "rules = 'evil/rules'\n",
        "command = 'touch ran'\n",
        "makers = ['evil.__import__(\"os\")']\n",
        "select = ['evil.Check']\n",
        "select = ['../../evil']\n",
        "scope-hooks = ['evil;run']\n",
    ],
)
def test_settings_cannot_name_code_to_run(settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "ran"
    root = write({"sa-session-lint.toml": settings, "evil.py": f"open({str(mark)!r}, 'w')\n", "evil/__init__.py": f"open({str(mark)!r}, 'w')\n"}, tmp_path / "shop")
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root))
    with pytest.raises(config.ConfigError):
        check(Path())
    assert not mark.exists()


def test_names_in_the_settings_are_never_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "ran"
    settings = ONLY + "makers = ['evil.make']\nslow-calls = ['evil.slow']\nscope-hooks = ['evil.hook']\nsrc = ['/', '..']\n"
    root = write({"sa-session-lint.toml": settings, "evil.py": f"open({str(mark)!r}, 'w')\n\n\ndef make(): ...\n", "a.py": "import evil\ns = evil.make()\ns.commit\n"}, tmp_path / "shop")
    monkeypatch.syspath_prepend(str(root))
    assert found(check(root)) == [("a.py", 3, "SAS209")]
    assert not mark.exists()


def test_files_outside_of_the_project_are_not_consulted(tmp_path: Path) -> None:
    write({"db.py": BAD}, tmp_path)
    settings = ONLY + "src = ['..', '/']\n"
    root = write({"sa-session-lint.toml": settings, "a.py": "from db import s\ns.commit\n", "lib/b.py": "from ...db import s\ns.commit\n"}, tmp_path / "shop")
    report = check(root)
    assert found(report) == []
    assert report.consulted == 0


def test_every_rule_that_is_shipped_has_a_check_that_can_be_loaded() -> None:
    for name in catalogue.load().entries:
        kind = checks.load(name)
        assert kind is not None or name == "unused-suppression"
        assert kind is None or kind.rule == name
