"""Where a project begins and which files it holds."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sa_session_lint.project.files import FOREIGN, by_root, list_python, root_of
from tests.linting import write

OURS = "[tool.sa-session-lint]\nprofile = 'strict'\n"
OTHERS = "[project]\nname = 'x'\n"


def root(files: dict[str, str], file: str, top: Path) -> str:
    """The root of `file`, relative to the folder of the test; `x/.git/` makes a folder."""
    write({path: text for path, text in files.items() if not path.endswith("/")}, top)
    for path in files:
        if path.endswith("/"):
            (top / path).mkdir(parents=True, exist_ok=True)
    return os.path.relpath(root_of(top / file), top)


def listed(files: dict[str, str], top: Path, **how: object) -> list[str]:
    return list(list_python(write({**files}, top), **how))  # type: ignore[arg-type]


# -- roots ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "file", "wanted"),
    [
        ({"shop/pyproject.toml": OURS, "shop/api/a.py": "", ".git/": ""}, "shop/api/a.py", "shop"),
        ({"shop/sa-session-lint.toml": "", "shop/api/a.py": "", ".git/": ""}, "shop/api/a.py", "shop"),
        ({"shop/api/sa-session-lint.toml": "", "shop/pyproject.toml": OURS, "shop/api/a.py": ""}, "shop/api/a.py", "shop/api"),
        ({"shop/pyproject.toml": OURS, "shop/api/pyproject.toml": OTHERS, "shop/api/a.py": "", "shop/api/.git/": ""}, "shop/api/a.py", "shop"),
        ({".git/": "", "shop/pyproject.toml": OTHERS, "shop/api/a.py": ""}, "shop/api/a.py", "."),
        ({".git/": "", "shop/.git/": "", "shop/a.py": ""}, "shop/a.py", "shop"),
        ({"shop/.git": "gitdir: ../elsewhere\n", "shop/api/a.py": ""}, "shop/api/a.py", "shop"),
        ({"shop/pyproject.toml": OTHERS, "shop/api/pyproject.toml": OTHERS, "shop/api/a.py": ""}, "shop/api/a.py", "shop"),
        ({"shop/pyproject.toml": "[tool.sa-session-lint\nbroken", "shop/api/a.py": "", ".git/": ""}, "shop/api/a.py", "."),
        ({"shop/pyproject.toml": "[tool.sa-session-lint]\nbroken", "shop/api/a.py": "", ".git/": ""}, "shop/api/a.py", "shop"),
        ({"shop/a.py": ""}, "shop/a.py", "shop"),
        ({"shop/pyproject.toml": OURS, "shop/api/a.py": ""}, "shop/api", "shop"),
        ({"shop/pyproject.toml": OURS, "shop/api/a.py": ""}, "shop", "shop"),
        ({"shop/pyproject.toml": OURS}, "shop/api/not_yet.py", "shop"),
    ],
    ids=["our table", "our file", "the nearest", "ours before git", "git before pyproject", "the nearest git", "a worktree",
         "the outermost pyproject", "a header that is none", "broken but ours", "nothing", "a folder", "itself", "a file that is not yet there"],
)  # fmt: skip
def test_the_root_depends_on_the_file_alone(files: dict[str, str], file: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert root(files, file, tmp_path) == wanted
    monkeypatch.chdir(tmp_path)
    assert os.path.relpath(root_of(Path(file)), tmp_path) == wanted


def test_files_are_grouped_by_their_roots(tmp_path: Path) -> None:
    write({"a/pyproject.toml": OURS, "a/x.py": "", "a/lib/y.py": "", "b/sa-session-lint.toml": "", "b/z.py": ""}, tmp_path)
    grouped = by_root([tmp_path / "a/x.py", tmp_path / "b/z.py", tmp_path / "a/lib/../lib/y.py"])
    assert grouped == {tmp_path / "a": [tmp_path / "a/x.py", tmp_path / "a/lib/y.py"], tmp_path / "b": [tmp_path / "b/z.py"]}


# -- listing ----------------------------------------------------------------------------------------------------------


def test_python_files_are_listed_sorted_and_relative(tmp_path: Path) -> None:
    files = {"b.py": "", "a.pyi": "", "lib/c.py": "", "lib/d.txt": "", "e.pyc": "", "f.ipynb": "", ".hidden/g.py": "", "lib/.h.py": "", "py": ""}
    assert listed(files, tmp_path) == [".hidden/g.py", "a.pyi", "b.py", "lib/.h.py", "lib/c.py"]
    assert list(list_python(tmp_path, "lib")) == ["lib/.h.py", "lib/c.py"]
    assert list(list_python(tmp_path, "lib/")) == ["lib/.h.py", "lib/c.py"]
    assert list(list_python(tmp_path, "nowhere")) == []


@pytest.mark.parametrize("folder", sorted(FOREIGN))
def test_what_is_never_the_projects_own_is_left_out(folder: str, tmp_path: Path) -> None:
    files = {"a.py": "", f"{folder}/b.py": "", f"lib/{folder}/c/d.py": ""}
    assert listed(files, tmp_path) == ["a.py"]
    assert listed(files, tmp_path, respect_gitignore=False) == ["a.py"]


def test_an_environment_is_left_out_whatever_its_name(tmp_path: Path) -> None:
    files = {"a.py": "", "python39/pyvenv.cfg": "", "python39/lib/b.py": "", "tools/env/conda-meta/history": "", "tools/env/c.py": ""}
    assert listed(files, tmp_path) == ["a.py"]


def test_a_project_that_lies_in_an_environment_is_listed(tmp_path: Path) -> None:
    write({"venv/pyvenv.cfg": "", "venv/src/shop/a.py": "", "venv/b.py": ""}, tmp_path)
    assert list(list_python(tmp_path / "venv/src")) == ["shop/a.py"]
    assert "b.py" in list_python(tmp_path / "venv")


def test_build_is_left_out_unless_it_is_a_package(tmp_path: Path) -> None:
    files = {"build/lib/a.py": "", "shop/build/__init__.py": "", "shop/build/b.py": ""}
    assert listed(files, tmp_path) == ["shop/build/__init__.py", "shop/build/b.py"]


@pytest.mark.parametrize(
    ("ignore", "wanted"),
    [
        ({".gitignore": "old/\n"}, "a.py lib/b.py lib/new/c.py new.py"),
        ({".gitignore": "b.py\n"}, "a.py lib/new/c.py lib/old/d.py new.py old/e.py"),
        ({".gitignore": "/old/\n"}, "a.py lib/b.py lib/new/c.py lib/old/d.py new.py"),
        ({".gitignore": "*.py\n!a.py\n"}, "a.py"),
        ({".gitignore": "lib/*\n!lib/new/\n"}, "a.py lib/new/c.py new.py old/e.py"),
        ({".gitignore": "lib/\n!lib/new/c.py\n"}, "a.py new.py old/e.py"),
        ({"lib/.gitignore": "old/\nb.py\n"}, "a.py lib/new/c.py new.py old/e.py"),
        ({".gitignore": "b.py\n", "lib/.gitignore": "!b.py\n"}, "a.py lib/b.py lib/new/c.py lib/old/d.py new.py old/e.py"),
        ({".gitignore": "lib/\n", "lib/.gitignore": "!b.py\n"}, "a.py new.py old/e.py"),
        ({"lib/.gitignore": "*\n"}, "a.py new.py old/e.py"),
        ({"lib/.gitignore": "/new/\n"}, "a.py lib/b.py lib/old/d.py new.py old/e.py"),
        ({".gitignore": "**/new/**\n"}, "a.py lib/b.py lib/old/d.py new.py old/e.py"),
        ({".gitignore": "new\n"}, "a.py lib/b.py lib/old/d.py new.py old/e.py"),
        ({".gitignore": "# b.py\n\n\\#x.py\n"}, "a.py lib/b.py lib/new/c.py lib/old/d.py new.py old/e.py"),
        ({".gitignore": "\ufeffa.py\r\nnew.py\r\n"}, "lib/b.py lib/new/c.py lib/old/d.py old/e.py"),
        ({".gitignore": "a.py\n!\nnew.py\n"}, "lib/b.py lib/new/c.py lib/old/d.py old/e.py"),
        ({".gitignore": "[ab.py\nnew.py\n"}, "a.py lib/b.py lib/new/c.py lib/old/d.py old/e.py"),
        ({".gitignore": ""}, "a.py lib/b.py lib/new/c.py lib/old/d.py new.py old/e.py"),
        ({".git/info/exclude": "lib/\n"}, "a.py new.py old/e.py"),
        ({".git/info/exclude": "a.py\n", ".gitignore": "!a.py\nnew.py\n"}, "a.py lib/b.py lib/new/c.py lib/old/d.py old/e.py"),
    ],
)
def test_what_git_ignores_is_left_out(ignore: dict[str, str], wanted: str, tmp_path: Path) -> None:
    files = dict.fromkeys(("a.py", "new.py", "old/e.py", "lib/b.py", "lib/new/c.py", "lib/old/d.py"), "")
    assert " ".join(listed({**files, ".git/HEAD": "", **ignore}, tmp_path)) == wanted
    assert len(list_python(tmp_path, respect_gitignore=False)) == len(files)


def test_ignore_files_above_the_root_count_up_to_the_repository(tmp_path: Path) -> None:
    files = {".gitignore": "a.py\n", "repo/.git/HEAD": "", "repo/.gitignore": "b.py\n/shop/c.py\n", "repo/.git/info/exclude": "e.py\n"}
    write({**files, **{f"repo/shop/{name}.py": "" for name in "abcde"}}, tmp_path)
    assert list(list_python(tmp_path / "repo/shop")) == ["a.py", "d.py"]
    assert list(list_python(tmp_path / "repo", "shop")) == ["shop/a.py", "shop/d.py"]


def test_a_folder_that_was_asked_for_by_name_is_listed_though_git_ignores_it(tmp_path: Path) -> None:
    write({".git/HEAD": "", ".gitignore": "shop/\n", "shop/a.py": ""}, tmp_path)
    assert list(list_python(tmp_path)) == []
    assert list(list_python(tmp_path / "shop")) == ["a.py"]


def test_the_excludes_of_a_worktree_are_found(tmp_path: Path) -> None:
    git = {"main/.git/info/exclude": "a.py\n", "main/.git/worktrees/tree/commondir": "../..\n"}
    write({**git, "tree/.git": f"gitdir: {tmp_path}/main/.git/worktrees/tree\n", "tree/a.py": "", "tree/b.py": ""}, tmp_path)
    assert list(list_python(tmp_path / "tree")) == ["b.py"]


def test_links_to_files_are_followed_links_to_folders_are_not(tmp_path: Path) -> None:
    write({"shop/a.py": "", "other/b.py": "", "shop/lib/c.py": ""}, tmp_path)
    (tmp_path / "shop/link.py").symlink_to(tmp_path / "other/b.py")
    (tmp_path / "shop/elsewhere").symlink_to(tmp_path / "other", target_is_directory=True)
    (tmp_path / "shop/lib/up").symlink_to(tmp_path / "shop", target_is_directory=True)
    (tmp_path / "shop/broken.py").symlink_to(tmp_path / "gone.py")
    (tmp_path / "shop/loop.py").symlink_to(tmp_path / "shop/loop.py")
    assert list(list_python(tmp_path / "shop")) == ["a.py", "lib/c.py", "link.py"]


def test_pipes_sockets_and_folders_called_like_files_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write({"a.py": "", "package.py/b.py": ""}, tmp_path)
    os.mkfifo(tmp_path / "pipe.py")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.py")
        assert list(list_python(tmp_path)) == ["a.py", "package.py/b.py"]


def test_a_folder_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    told: list[OSError] = []
    assert list_python(tmp_path / "gone", onerror=told.append) == ()
    assert len(told) == 1 and str(told[0].filename).startswith(str(tmp_path / "gone"))


def test_odd_names_are_listed(tmp_path: Path) -> None:
    names = ["täglich.py", "a b.py", "日本.py", "[x].py", "-.py"]
    assert listed(dict.fromkeys(names, ""), tmp_path) == sorted(names)
    if os.name == "posix":
        (tmp_path / os.fsdecode(b"\xff.py")).touch()
        assert os.fsdecode(b"\xff.py") in list_python(tmp_path)


def test_a_deep_tree_is_listed(tmp_path: Path) -> None:
    folder = "/".join("d" * 300)
    assert listed({f"{folder}/a.py": ""}, tmp_path) == [f"{folder}/a.py"]
