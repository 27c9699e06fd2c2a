"""What a project pins, by every manifest that people use; nothing of it is run, and a broken one costs itself only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sa_session_lint.project.environment import Bounds, Environment, Pins, pins
from tests.linting import lint, write


def read(files: dict[str, str], root: Path, folder: str = ".") -> Pins:
    return pins(write(files, root), root / folder)


def shown(bounds: Bounds) -> str:
    """`1.4..2.1`: from, and up to but not with; `1.4..2.1]`: with it."""
    lower, upper = ("" if each is None else str(each) for each in (bounds.lower, bounds.upper))
    return lower if bounds.closed and lower == upper else f"{lower}..{upper}{']' if bounds.closed else ''}"


def of(files: dict[str, str], root: Path, package: str = "sqlalchemy", folder: str = ".") -> str:
    found = read(files, root, folder)
    assert found.broken == ()
    return shown(found.of(package))


SETUP_PY = '''"""Shop."""
import os
from setuptools import setup

# SQLAlchemy==0.9
requires = ["Flask>=2.0", "SQLAlchemy[asyncio] >= 1.4, < 2.1"]
os.remove("/definitely/not/there")
setup(name="shop", install_requires=requires, extras_require={"x": "celery==5.3.1\\ncelery"}, version=f"{os.environ['V']}")
'''


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("pyproject.toml", '[project]\ndependencies = ["SQLAlchemy>=1.4,<2.1"]\n', "1.4..2.1"),
        ("pyproject.toml", '[project]\ndependencies = ["sqlalchemy[asyncio] ~= 2.0.3 ; python_version > \'3.8\'"]\n', "2.0.3..2.1"),
        ("pyproject.toml", '[project]\ndependencies = ["sqlalchemy (>=2.0)"]\n', "2.0.."),
        ("pyproject.toml", '[project]\ndependencies = ["sqlalchemy==2.0.*"]\n', "2.0..2.1"),
        ("pyproject.toml", '[project]\ndependencies = ["sqlalchemy==2.0.30"]\n', "2.0.30"),
        ("pyproject.toml", '[project]\ndependencies = ["sqlalchemy==2.*,!=2.0.4"]\n', "2..3"),
        ("pyproject.toml", '[project]\ndependencies = ["sqlalchemy"]\n', ".."),
        ("pyproject.toml", '[project]\ndependencies = ["sqlalchemy @ git+https://example.org/x@v1"]\n', ".."),
        ("pyproject.toml", '[project]\ndependencies = ["sqlalchemy-utils==0.41", "sqlalchemy!=2.0.4"]\n', ".."),
        ("pyproject.toml", '[project.optional-dependencies]\ndb = ["sqlalchemy<2"]\n', "..2"),
        ("pyproject.toml", '[dependency-groups]\ndev = ["sqlalchemy<2", {include-group = "x"}]\n', "..2"),
        ("pyproject.toml", '[tool.poetry.dependencies]\nsqlalchemy = "^1.4"\n', "1.4..2"),
        ("pyproject.toml", '[tool.poetry.dependencies]\nSQLAlchemy = {version = "~1.4.2", extras = ["asyncio"]}\n', "1.4.2..1.5"),
        ("pyproject.toml", '[tool.poetry.dependencies]\nsqlalchemy = [{version = "<2", python = "<3.8"}, {version = "^2.0"}]\n', "..3"),
        ("pyproject.toml", '[tool.poetry.dependencies]\nsqlalchemy = "*"\n', ".."),
        ("pyproject.toml", '[tool.poetry.dependencies]\nsqlalchemy = {git = "https://example.org/x"}\n', ".."),
        ("pyproject.toml", '[tool.poetry.dependencies]\nsqlalchemy = "^1.4 || ^2.0"\n', "1.4..3"),
        ("pyproject.toml", '[tool.poetry.dev-dependencies]\nsqlalchemy = "1.4.54"\n', "1.4.54"),
        ("pyproject.toml", '[tool.poetry.group.db.dependencies]\nsqlalchemy = "2.0.1"\n', "2.0.1"),
        ("pyproject.toml", '[tool.pdm.dev-dependencies]\ntest = ["sqlalchemy>=2"]\n', "2.."),
        ("pyproject.toml", '[tool.uv]\ndev-dependencies = ["sqlalchemy<=2.0.9"]\n', "..2.0.9]"),
        ("uv.lock", 'version = 1\n\n[[package]]\nname = "sqlalchemy"\nversion = "2.0.36"\nsource = { registry = "x" }\n', "2.0.36"),
        ("poetry.lock", '[[package]]\nname = "SQLAlchemy"\nversion = "1.4.54"\ndescription = "ORM"\n', "1.4.54"),
        ("pdm.lock", '[[package]]\nname = "sqlalchemy"\nversion = "2.1.0b2"\n', "2.1.0"),
        ("Pipfile", '[packages]\nsqlalchemy = "==1.4.5"\n', "1.4.5"),
        ("Pipfile", '[packages]\nsqlalchemy = {version = ">=2.0", extras = ["asyncio"]}\n', "2.0.."),
        ("Pipfile", '[dev-packages]\nsqlalchemy = "<2"\n', "..2"),
        ("Pipfile.lock", json.dumps({"default": {"sqlalchemy": {"version": "==1.4.5"}}, "develop": {}}), "1.4.5"),
        ("requirements.txt", "flask\nSQLAlchemy==1.4.5  # as in production\n", "1.4.5"),
        ("requirements.txt", "sqlalchemy[asyncio,mypy]>=1.4,<2 ; python_version < '3.12'\n", "1.4..2"),
        ("requirements.txt", "sqlalchemy==2.0.1 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\n", "2.0.1"),
        ("requirements.txt", "sqlalchemy==2.0.1 --hash=sha256:abc\r\n", "2.0.1"),
        ("requirements.txt", "\ufeffsqlalchemy==2.0.1\n", "2.0.1"),
        ("requirements.txt", "# sqlalchemy==1.3\n", ".."),
        ("requirements.txt", "-e .\n--index-url https://example.org\nhttps://example.org/sqlalchemy-1.3.tar.gz\n", ".."),
        ("requirements-dev.txt", "sqlalchemy<2\n", "..2"),
        ("requirements/base.txt", "sqlalchemy<2\n", "..2"),
        ("constraints.txt", "sqlalchemy<2\n", "..2"),
        ("setup.cfg", "[options]\ninstall_requires =\n    flask\n    SQLAlchemy >= 1.3, < 1.5\n", "1.3..1.5"),
        ("setup.cfg", "[options.extras_require]\ndb =\n    sqlalchemy==2.0.1\n", "2.0.1"),
        ("setup.py", SETUP_PY, "1.4..2.1"),
    ],
)  # fmt: skip
def test_a_pin_is_read_from_every_kind_of_manifest(name: str, text: str, wanted: str, tmp_path: Path) -> None:
    assert of({name: text}, tmp_path) == wanted


def test_other_packages_are_read_as_well(tmp_path: Path) -> None:
    text = "Flask_SQLAlchemy==3.1.1\nfastapi>=0.100\nflask<3\nsqlmodel==0.0.22\nstarlette~=0.40.1\ncelery===5.4.0\nrequests==2\n"
    found = read({"requirements.txt": text}, tmp_path)
    assert {name: shown(bounds) for name, bounds in found.bounds} == {
        "celery": "5.4.0", "fastapi": "0.100..", "flask": "..3", "flask-sqlalchemy": "3.1.1", "sqlmodel": "0.0.22", "starlette": "0.40.1..0.41",
    }  # fmt: skip


def test_setup_py_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = f"open({str(mark)!r}, 'w')\nimport setuptools\nsetuptools.setup(install_requires=['sqlalchemy<2'])\n"
    assert of({"setup.py": text}, tmp_path) == "..2"
    assert not mark.exists()


# -- several of them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"pyproject.toml": '[project]\ndependencies = ["sqlalchemy>=1.4"]\n', "uv.lock": '[[package]]\nname = "sqlalchemy"\nversion = "2.0.36"\n'}, "2.0.36"),
        ({"requirements.txt": "sqlalchemy>=1.4\n", "requirements-dev.txt": "sqlalchemy==1.3\n"}, "1.4.."),
        ({"requirements-old.txt": "sqlalchemy==1.3\n", "requirements-new.txt": "sqlalchemy==2.0\n"}, "1.3..2.0]"),
        ({"requirements.txt": "sqlalchemy>=1.4\n", "setup.cfg": "[options]\ninstall_requires = sqlalchemy<2\n"}, "1.4..2"),
        ({"requirements.txt": "sqlalchemy==1.3\n", "setup.cfg": "[options]\ninstall_requires = sqlalchemy==2.0\n"}, "1.3..2.0]"),
        ({"requirements.txt": "sqlalchemy\n", "setup.cfg": "[options]\ninstall_requires = sqlalchemy<2\n"}, "..2"),
        ({"requirements.txt": "sqlalchemy==1.4; python_version < '3.7'\nsqlalchemy==2.0; python_version >= '3.7'\n"}, "1.4..2.0]"),
        ({"requirements.txt": "-r requirements/base.txt\n", "requirements/base.txt": "sqlalchemy==2.0.1\n"}, "2.0.1"),
        ({"requirements.txt": "-c pins/all.txt\nsqlalchemy\n", "pins/all.txt": "sqlalchemy==2.0.1\n"}, "2.0.1"),
        ({"requirements.txt": "--requirement=a/b.txt\n", "a/b.txt": "-r c.txt\n", "a/c.txt": "sqlalchemy<2\n"}, "..2"),
        ({"requirements.txt": "-r requirements.txt\n-r b/x.txt\nsqlalchemy<2\n", "b/x.txt": "-r ../requirements.txt\n"}, "..2"),
        ({"requirements.txt": "-r gone.txt\nsqlalchemy<2\n"}, "..2"),
        ({"requirements.txt": "-r https://example.org/r.txt\nsqlalchemy<2\n"}, "..2"),
    ],
)  # fmt: skip
def test_manifests_are_combined(files: dict[str, str], wanted: str, tmp_path: Path) -> None:
    assert of(files, tmp_path) == wanted


def test_an_include_outside_of_the_project_is_not_read(tmp_path: Path) -> None:
    write({"secret.txt": "sqlalchemy==1.2\n"}, tmp_path)
    assert of({"requirements.txt": f"-r ../secret.txt\n-r {tmp_path}/secret.txt\n"}, tmp_path / "shop") == ".."


@pytest.mark.parametrize(
    ("files", "folder", "wanted"),
    [
        ({"requirements.txt": "sqlalchemy==1.4\n", "api/requirements.txt": "sqlalchemy==2.0\n"}, "api/v1", "2.0"),
        ({"requirements.txt": "sqlalchemy==1.4\n", "api/requirements.txt": "flask\n"}, "api", "1.4"),
        ({"uv.lock": '[[package]]\nname = "sqlalchemy"\nversion = "2.0.36"\n', "api/pyproject.toml": '[project]\ndependencies = ["sqlalchemy>=2"]\n'}, "api", "2.0.36"),
        ({"uv.lock": '[[package]]\nname = "sqlalchemy"\nversion = "2.0.36"\n', "api/pyproject.toml": '[project]\ndependencies = ["sqlalchemy<2"]\n'}, "api", "..2"),
        ({"other/requirements.txt": "sqlalchemy==1.4\n"}, "api", ".."),
    ],
)  # fmt: skip
def test_the_nearest_folder_decides(files: dict[str, str], folder: str, wanted: str, tmp_path: Path) -> None:
    assert of(files, tmp_path, folder=folder) == wanted


def test_what_lies_above_the_root_does_not_count(tmp_path: Path) -> None:
    write({"requirements.txt": "sqlalchemy==1.2\n", "shop/a.py": ""}, tmp_path)
    assert Environment(tmp_path / "shop").pins(tmp_path / "shop").bounds == ()


# -- what follows from it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pin", "version", "below", "at_least"),
    [
        ("==1.4.5", "2.0", True, False),
        ("==2.0", "2.0", False, True),
        ("<2.0", "2.0", True, False),
        ("<=2.0", "2.0", False, False),
        (">=2.0", "2.0", False, True),
        (">=1.4", "2.0", False, False),
        (">=1.4,<2.1", "2.0", False, False),
        ("", "2.0", False, False),
        ("==2.1.0b1", "2.1", False, True),
        ("~=1.4", "2.0", True, False),
    ],
)
def test_a_version_is_relied_on_only_where_no_other_is_left(pin: str, version: str, below: bool, at_least: bool, tmp_path: Path) -> None:
    found = read({"requirements.txt": f"sqlalchemy{pin}\n"}, tmp_path)
    assert found.surely_below("sqlalchemy", version) == below
    assert found.surely_at_least("sqlalchemy", version) == at_least


def test_the_settings_overrule_the_manifests(tmp_path: Path) -> None:
    found = read({"requirements.txt": "sqlalchemy==1.4\nflask==2.0\n"}, tmp_path).targeting((("sqlalchemy", "2.0"), ("celery", "5.3")))
    assert {name: shown(bounds) for name, bounds in found.bounds} == {"celery": "5.3", "flask": "2.0", "sqlalchemy": "2.0"}


# -- broken ones ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("pyproject.toml", b"[project]\ndependencies = ['sqlalchemy'\n"),
        ("pyproject.toml", b"# sqlalchemy \xff\n"),
        ("uv.lock", b'<<<<<<< HEAD\n[[package]]\nname = "sqlalchemy"\nversion = "2.0"\n=======\n>>>>>>> theirs\n'),
        ("poetry.lock", b"sqlalchemy \xff\n"),
        ("Pipfile", b"[packages\nsqlalchemy = 1\n"),
        ("Pipfile.lock", b'{"default": {"sqlalchemy": '),
        ("Pipfile.lock", b"[" * 100_000),
        ("requirements.txt", b"\xff\xfes\0q\0l\0"),
        ("setup.cfg", b"sqlalchemy\n[options\n"),
        ("setup.cfg", b"[options]\ninstall_requires = sqlalchemy \xff\n"),
        ("setup.py", b"x = ('sqlalchemy<2'\n"),
        ("setup.py", b"# coding: klingon\nx = 'sqlalchemy'\n"),
        ("setup.py", b"x = 'sqlalchemy \xff'\n"),
        ("setup.py", b"if x:\n    a = 'sqlalchemy'\n  b = 1\n"),
    ],
)
def test_a_broken_manifest_is_named_and_the_others_are_read(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    found = read({"requirements-dev.txt": "sqlalchemy<2\n"}, tmp_path)
    assert shown(found.of("sqlalchemy")) == "..2" or name == "setup.py"
    assert [(f.path, f.stage, f.reported) for f in found.broken] == [(name, "read", False)]
    assert found.broken[0].message.startswith("versions cannot be read: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "project = 1 # sqlalchemy\n"),
        ("pyproject.toml", "[project]\ndependencies = 'sqlalchemy'\n"),
        ("pyproject.toml", "[project]\ndependencies = [1, ['sqlalchemy']]\noptional-dependencies = ['sqlalchemy']\n"),
        ("pyproject.toml", "[tool.poetry]\ndependencies = ['sqlalchemy']\ngroup = 1\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nsqlalchemy = 1\n"),
        ("pyproject.toml", "tool = ['sqlalchemy']\n"),
        ("Pipfile.lock", '["sqlalchemy"]'),
        ("Pipfile.lock", '{"default": {"sqlalchemy": null}}'),
        ("requirements.txt", "sqlalchemy==\nsqlalchemy>=x.y\nsqlalchemy==1.4.x!\n"),
        ("setup.cfg", "[options]\ninstall_requires = %(sqlalchemy)s\n"),
        ("setup.py", "x = b'sqlalchemy<2'\ny = 'sqlalchemy is what we use'\n"),
        ("requirements.txt", "sqlalchemy" + " " * 100_000 + "!\n"),
    ],
)
def test_what_is_not_understood_says_nothing(name: str, text: str, tmp_path: Path) -> None:
    assert of({name: text}, tmp_path) == ".."


def test_manifests_that_are_no_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    (tmp_path / "requirements").write_text("")
    (tmp_path / "setup.py").symlink_to(tmp_path / "gone")
    assert of({"uv.lock": '[[package]]\nname = "sqlalchemy"\nversion = "2.0"\n'}, tmp_path) == "2.0"


def test_a_broken_manifest_does_not_end_a_run(tmp_path: Path) -> None:
    files = {"setup.cfg": "sqlalchemy\n[options\n", "a.py": "from sqlalchemy.orm import Session\ns = Session()\ns.commit\n"}
    report = lint(write(files, tmp_path))
    assert [r.entry.code for r in report.reported if r.entry.code == "SAS209"] == ["SAS209"]
    assert not any(failure.reported for failure in report.failures)
