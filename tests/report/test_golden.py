"""One golden file per format over one shared set of findings.

`python -m tests.report.test_golden` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sa_session_lint import __version__
from sa_session_lint.report import FORMATS, Style
from tests.report import sample

GOLDEN = Path(__file__).parent / "golden"
SUFFIX = {"full": "txt", "concise": "txt", "json": "json", "sarif": "json", "github": "txt"}


def rendered(name: str) -> str:
    return FORMATS[name](sample.FULL, Style(width=100)).replace(f'"version": "{__version__}"', '"version": "0"')


def golden(name: str) -> Path:
    return GOLDEN / f"{name}.{SUFFIX[name]}"


@pytest.mark.parametrize("name", FORMATS)
def test_format_is_as_recorded(name: str) -> None:
    assert rendered(name) == golden(name).read_text("utf-8")


def test_every_format_has_its_golden_file_and_no_other_is_left() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {golden(each).name for each in FORMATS}


if __name__ == "__main__":
    for each in FORMATS:
        golden(each).write_text(rendered(each), "utf-8")
