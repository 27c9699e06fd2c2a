"""What the bytes of a file spell as imports is at least what the file imports."""

from __future__ import annotations

from pathlib import Path

import libcst as cst
import pytest

from sa_session_lint.model.expression import Imported
from sa_session_lint.project.importing import spelled_imports
from sa_session_lint.project.index import Index
from sa_session_lint.project.lowering import outline

CASES = """\
import a
import a.b as c, d
from a import b
from . import b
from .. a import b as c, d
from ...a.b import *
from a import (b, c as d,  # e, f)
    g,
)
if x: import h
try: from i import j; import k
except ImportError: l = None
from m \\
    import n, \\
    o
def f():
    from p import q
"""


def spelled(tmp_path: Path, text: str) -> set[Imported]:
    (tmp_path / "x.py").write_text(text, encoding="utf-8")
    return set(spelled_imports(Index(tmp_path, ("x.py",)), "x.py"))


@pytest.mark.parametrize("text", [CASES, CASES.replace("\n", "\r\n")], ids=["lf", "crlf"])
def test_every_form_of_import_is_read(tmp_path: Path, text: str) -> None:
    found = outline("x.py", cst.parse_module(text))
    assert {*found.imports, *found.stars} <= spelled(tmp_path, text)
    assert len(found.imports) > 12


def test_nothing_is_made_up_of_other_statements(tmp_path: Path) -> None:
    assert not spelled(tmp_path, "x = important\nraise Error from error\ny = x.from_.import_\nyield from imports\n")


def test_no_import_of_the_fixtures_is_missed() -> None:
    root = Path(__file__).parent / "fixtures"
    index = Index(root, tuple(path.relative_to(root).as_posix() for path in root.rglob("*.py")))
    for path in sorted(index.modules.files):
        found = index.outline(path)
        if found is not None:
            assert {*found.imports, *found.stars} <= set(spelled_imports(index, path)), path
