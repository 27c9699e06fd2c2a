"""The whole test suite on every Python from 3.10 to 3.13 that is to be had, and the proofs on SQLAlchemy 1.4, 2.0 and 2.1.

    python tools/matrix.py [--keep DIR] [--only VERSION]

Each run has a virtual environment of its own. SQLAlchemy 2.1 needs Python 3.11; SQLModel needs SQLAlchemy 2.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
NEEDS = ["aiosqlite", "celery", "fastapi", "flask", "greenlet", "httpx", "jsonschema", "pytest"]
LIBRARIES = (
    ("1.4", [str(TOP), *NEEDS, "sqlalchemy==1.4.*", "flask-sqlalchemy==3.0.*"]),
    ("2.0", [f"{TOP}[test]", "sqlalchemy==2.0.*"]),
    ("2.1", [f"{TOP}[test]", "sqlalchemy==2.1.*"]),
)


def interpreter(version: str) -> str | None:
    """The newest pyenv Python of a version, or the one on PATH."""
    homes = sorted((Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions").glob(f"{version}.*/bin/python"))
    return str(homes[-1]) if homes else shutil.which(f"python{version}")


def environment(python: str, folder: Path, requirements: list[str]) -> str:
    """A virtual environment with the project, editable, and what the tests need; its interpreter."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    inside = str(folder / "bin" / "python")
    subprocess.run([inside, "-m", "pip", "install", "-q", "-e", *requirements], check=True)
    return inside


def tested(inside: str, *arguments: str) -> bool:
    return subprocess.run([inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], cwd=TOP, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="where the environments are made (default: a temporary folder)")
    parser.add_argument("--only", help="one version, of Python or of SQLAlchemy")
    options = parser.parse_args()
    place = options.keep or Path(tempfile.mkdtemp())
    results: list[tuple[str, str]] = []
    for version in [v for v in PYTHONS if options.only in (None, v)]:
        python = interpreter(version)
        if python is None:
            results.append((f"Python {version}", "not on this machine"))
            continue
        inside = environment(python, place / f"python-{version}", [f"{TOP}[test]"])
        results.append((f"Python {version}", "passed" if tested(inside) else "FAILED"))
    for version, requirements in [each for each in LIBRARIES if options.only in (None, each[0])]:
        python = interpreter("3.12") or sys.executable
        inside = environment(python, place / f"sqlalchemy-{version}", requirements)
        results.append((f"proofs on SQLAlchemy {version}", "passed" if tested(inside, "tests/test_entries.py") else "FAILED"))
    for name, result in results:
        print(f"{name}: {result}")
    if options.keep is None:
        shutil.rmtree(place)
    return 1 if any(result == "FAILED" for _, result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
