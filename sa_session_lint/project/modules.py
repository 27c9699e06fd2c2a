"""Which file a module name means: import roots, src layouts, namespace packages, several packages in one repository.

The linted project is never imported, so its `sys.path` is not known. Roots are tried from the importing file outwards; a name
that only one place in the project can mean is taken from there, unless the standard library has it. What is not found in the project is somebody else's.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

NEVER_OURS = frozenset(
    {"sqlalchemy", "sqlmodel", "flask", "flask_sqlalchemy", "fastapi", "starlette", "celery", "typing", "contextlib", "functools",
     "typing_extensions", "alembic", "pytest", "threading", "asyncio", "zope", "__future__"}
)  # fmt: skip
"""Top-level names of libraries that count as libraries even where a folder of the project is called so."""


class Modules:
    """`files` are the Python files below the root; `src` are further folders to look for packages in."""

    def __init__(self, files: tuple[str, ...], src: tuple[str, ...] = ()) -> None:
        self.files = frozenset(files)
        self.src = tuple(folder.strip("/") for folder in src)
        self._found: dict[tuple[str, str], str | None] = {}

    def find(self, module: str, level: int, importer: str) -> str | None:
        """The file of a module (`a/b.py`, `a/b/__init__.py`), its folder (`a/b/`) for a namespace package, or None."""
        folder = importer.rpartition("/")[0]
        if level:
            for _ in range(level - 1):
                folder = folder.rpartition("/")[0]
            return self.file_of(folder, module)
        key = (folder, module)
        if key not in self._found:
            self._found[key] = self._absolute(module, folder)
        return self._found[key]

    def file_of(self, folder: str, module: str) -> str | None:
        """The file of `module` below `folder`, as `find` gives it."""
        path = "/".join(part for part in (folder, module.replace(".", "/")) if part)
        for candidate in (f"{path}/__init__.py" if path else "__init__.py", f"{path}.py", f"{path}/__init__.pyi", f"{path}.pyi"):
            if candidate in self.files:
                return candidate
        return f"{path}/" if path in self.folders else None

    def dotted(self, path: str) -> frozenset[str]:
        """The names that the file may be imported by."""
        parts = path.removesuffix(".pyi").removesuffix(".py").removesuffix("/__init__").split("/")
        return frozenset(".".join(parts[start:]) for start in range(len(parts)))

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds a Python file, itself or further below."""
        found: set[str] = set()
        for file in self.files:
            folder = file.rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    @cached_property
    def _tops(self) -> dict[str, list[str]]:
        """Name of a top-level package or module -> the folders that hold one of that name."""
        tops: dict[str, list[str]] = defaultdict(list)
        for file in sorted(self.files):
            folder, _, name = file.rpartition("/")
            if name == "__init__.py":
                folder, _, name = folder.rpartition("/")
            else:
                name = name.removesuffix(".pyi").removesuffix(".py")
            if not self._is_package(folder):
                tops[name].append(folder)
        return tops

    def _is_package(self, folder: str) -> bool:
        return bool(folder) and f"{folder}/__init__.py" in self.files

    def _roots(self, folder: str) -> Iterator[str]:
        yield from self.src
        while True:
            if not self._is_package(folder):
                yield folder
                source = f"{folder}/src" if folder else "src"
                if source in self.folders:
                    yield source
            if not folder:
                return
            folder = folder.rpartition("/")[0]

    def _absolute(self, module: str, folder: str) -> str | None:
        top = module.partition(".")[0]
        if top in NEVER_OURS or not top:
            return None
        partial = False
        for root in self._roots(folder):
            found = self.file_of(root, module)
            if found is not None:
                return found
            partial = partial or self.file_of(root, top) is not None
        if partial or top in sys.stdlib_module_names:
            return None
        places = [place for place in self._tops.get(top, ()) if self.file_of(place, module) is not None]
        if not places:
            return None
        near = max(places, key=lambda place: (_common(place, folder), -len(place)))
        return self.file_of(near, module)


def _common(first: str, second: str) -> int:
    count = 0
    for a, b in zip(first.split("/"), second.split("/"), strict=False):
        if a != b:
            break
        count += 1
    return count


_ASIDE = re.compile(r"(^|/)(tests?|testing|docs?|examples?|benchmarks?|scripts?)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
_TEST = re.compile(r"(^|/)tests?/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")


def is_aside(path: str) -> bool:
    """Whether a file is a test, an example, a script or documentation, and so no sign of how the program runs."""
    return _ASIDE.search(path) is not None


def is_test(path: str) -> bool:
    """Whether a file is a test by its name or folder."""
    return _TEST.search(path) is not None


def stem(path: str) -> str:
    """The last part of the name that a file is imported by."""
    return path.removesuffix("/__init__.py").removesuffix(".py").rpartition("/")[2]
