"""Which versions of SQLAlchemy and the web frameworks the linted project pins.

Several mistakes exist only below or above a version. What is read here is read as text and never run: a lock, a requirements file,
pyproject.toml, setup.cfg, and the string literals of setup.py. Manifests contradict one another (a matrix of tests, an old
requirements file), so a package has *bounds*, and a rule may rely on a version only when the bounds leave no other
(`surely_below`); without any pin both answers stay possible.

    pyproject.toml  dependencies = ["fastapi>=0.100"]
    uv.lock         fastapi 0.115.2                      a lock beats a range: surely_below("fastapi", "0.118")

The nearest folder that names a package decides, from the file's own up to the root; a lock further up, such as that of a
workspace, counts when its version lies within that folder's range.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sa_session_lint.finding import Failure
from sa_session_lint.project.files import read_toml

if TYPE_CHECKING:
    from packaging.version import Version

PACKAGES = ("sqlalchemy", "fastapi", "flask", "flask-sqlalchemy", "sqlmodel", "starlette", "celery")


@dataclass(frozen=True, slots=True)
class Bounds:
    """`lower` is possible, `upper` only if `closed`; None is no bound. Pre-releases count as what they precede."""

    lower: Version | None = None
    upper: Version | None = None
    closed: bool = False

    def meet(self, other: Bounds) -> Bounds | None:
        """What both allow; None: nothing."""
        lower = max((each for each in (self.lower, other.lower) if each is not None), default=None)
        upper, closed = min(
            ((each.upper, each.closed) for each in (self, other) if each.upper is not None), default=(None, False)
        )
        if lower is not None and upper is not None and (lower > upper or (lower == upper and not closed)):
            return None
        return Bounds(lower, upper, closed)

    def span(self, other: Bounds) -> Bounds:
        """What either allows. A mention without a version says nothing."""
        if Bounds() in (self, other):
            return self if other == Bounds() else other
        lower = None if self.lower is None or other.lower is None else min(self.lower, other.lower)
        if self.upper is None or other.upper is None:
            return Bounds(lower)
        upper, closed = max((self.upper, self.closed), (other.upper, other.closed))
        return Bounds(lower, upper, closed)


@dataclass(frozen=True, slots=True)
class Pins:
    """The bounds of each package that is pinned; `broken` are manifests that could not be read."""

    bounds: tuple[tuple[str, Bounds], ...] = ()
    broken: tuple[Failure, ...] = ()

    def of(self, package: str) -> Bounds:
        return dict(self.bounds).get(package, Bounds())

    def surely_below(self, package: str, version: str) -> bool:
        bounds, limit = self.of(package), _version(version)
        return bounds.upper is not None and (bounds.upper < limit or (bounds.upper == limit and not bounds.closed))

    def surely_at_least(self, package: str, version: str) -> bool:
        lower = self.of(package).lower
        return lower is not None and lower >= _version(version)

    def targeting(self, versions: Iterable[tuple[str, str]]) -> Pins:
        """The same, but for what the settings say (`target-versions`)."""
        stated = {package: Bounds(_version(text), _version(text), True) for package, text in versions}
        return Pins(tuple(sorted((dict(self.bounds) | stated).items(), key=lambda each: each[0])), self.broken)


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What one folder says: exact versions of locks, and ranges."""

    locked: dict[str, Bounds]
    ranged: dict[str, Bounds]
    broken: tuple[Failure, ...]


class Environment:
    """The manifests of a project, each folder read once."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.abspath(root))
        self._read: dict[Path, _Manifest] = {}
        self._pins: dict[Path, Pins] = {}

    def pins(self, folder: Path) -> Pins:
        """What holds for the files of `folder`, which lies in the root (outside of it the root's own manifests hold)."""
        folder = Path(os.path.abspath(folder))
        if folder not in self._pins:
            self._pins[folder] = self._combined(folder)
        return self._pins[folder]

    def _combined(self, folder: Path) -> Pins:
        ways = [each for each in (folder, *folder.parents) if each == self._root or self._root in each.parents]
        manifests = [self._manifest(each) for each in ways or [self._root]]
        found: dict[str, Bounds] = {}
        for package in PACKAGES:
            bounds = None
            for each in manifests:
                locked = each.locked.get(package)
                if bounds is None:
                    bounds = each.ranged.get(package) if locked is None else None
                if locked is not None and (bounds is None or bounds.meet(locked) == locked):
                    bounds = locked
                    break
            if bounds is not None and bounds != Bounds():
                found[package] = bounds
        return Pins(tuple(sorted(found.items())), tuple(failure for each in manifests for failure in each.broken))

    def _manifest(self, folder: Path) -> _Manifest:
        if folder not in self._read:
            self._read[folder] = _read_folder(folder, self._root)
        return self._read[folder]


def pins(root: Path, folder: Path) -> Pins:
    """The versions that hold in `folder`, a folder of the project at `root`."""
    return Environment(root).pins(folder)


# (package, its version specifier, whether every installation has it)
_Mention = tuple[str, str, bool]

_NAMES = "|".join(re.escape(name).replace(r"\-", "[-_.]") for name in sorted(PACKAGES, key=len, reverse=True))
_NAMED = re.compile(_NAMES.encode(), re.IGNORECASE)
_REQUIREMENT = re.compile(
    rf"\s*({_NAMES})\s*(?:\[[^\]]*\])?\s*\(?\s*((?:[<>=!~^*\d][^;#@]*)?)\s*(?:[;#].*)?$", re.IGNORECASE
)
_LOCKED = re.compile(
    rf"^\[\[package\]\]\s*^name\s*=\s*\"({_NAMES})\"\s*^version\s*=\s*\"([^\"]+)\"", re.IGNORECASE | re.MULTILINE
)
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)")
_CLAUSE = re.compile(r"(?<![\w.*])(===|==|~=|!=|<=|>=|<|>|\^|~|=)?\s*v?(\d[\w!+-]*(?:\.[\w!+-]+)*(?:\.\*)?|\*)")
_MAIN_FILES = frozenset(("requirements.txt", "constraints.txt", "base.txt", "prod.txt", "production.txt", "main.txt"))
_CONFLICT = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)


def _read_folder(folder: Path, root: Path) -> _Manifest:
    locked: dict[str, Bounds] = {}
    mains: dict[str, Bounds] = {}
    others: dict[str, Bounds] = {}
    broken: list[Failure] = []
    for file in _manifests(folder):
        try:
            mentions = list(_mentions(file, root))
        except (OSError, ValueError, SyntaxError, RecursionError) as error:
            path = file.relative_to(root).as_posix()
            broken.append(Failure(path, None, "read", f"versions cannot be read: {error}", reported=False))
            continue
        stated: dict[tuple[str, bool], Bounds] = {}
        for name, specifier, main in mentions:
            key = (_normal(name), main)
            bounds = _bounds(specifier)
            stated[key] = stated[key].span(bounds) if key in stated else bounds
        lock = file.name.endswith(".lock")
        for (package, main), bounds in stated.items():
            level = locked if lock else mains if main else others
            before = level.get(package)
            if before is not None:
                bounds = (before.meet(bounds) if main and not lock else None) or before.span(bounds)
            level[package] = bounds
    return _Manifest(locked, others | mains, tuple(broken))


def _manifests(folder: Path) -> list[Path]:
    try:
        names = set(os.listdir(folder))
    except OSError:
        return []
    fixed = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "Pipfile", "pyproject.toml", "setup.cfg", "setup.py")
    files = [folder / name for name in (*fixed, "constraints.txt") if name in names]
    files += [folder / name for name in sorted(names) if name.startswith("requirements") and name.endswith(".txt")]
    if "requirements" in names:
        files += sorted((folder / "requirements").glob("*.txt"))
    return [file for file in files if file.is_file()]


def _mentions(file: Path, root: Path) -> Iterator[_Mention]:
    name = file.name
    if file.suffix == ".txt":
        yield from _requirements(file, root, name in _MAIN_FILES, set())
        return
    data = file.read_bytes()
    if name == "Pipfile.lock":
        yield from _pipenv(json.loads(data), ("default", "develop"))
        return
    if not _NAMED.search(data):
        return
    if file.suffix == ".lock":
        text = data.decode("utf-8")
        if _CONFLICT.search(text):
            raise ValueError("it holds marks of an unfinished merge")
        yield from ((found[1], f"=={found[2]}", True) for found in _LOCKED.finditer(text))
    elif name == "pyproject.toml":
        yield from _pyproject(read_toml(data))
    elif name == "Pipfile":
        yield from _pipenv(read_toml(data), ("packages", "dev-packages"))
    elif name == "setup.cfg":
        yield from _setup_cfg(data.decode("utf-8"))
    else:
        yield from _setup_py(data)


def _requirements(file: Path, root: Path, main: bool, seen: set[Path]) -> Iterator[_Mention]:
    seen.add(file)
    text = file.read_bytes().decode("utf-8-sig")
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        include = _INCLUDE.match(line.strip())
        if include:
            other = Path(os.path.normpath(file.parent / include[1]))
            if root in other.parents and other not in seen and other.is_file():
                yield from _requirements(other, root, main, seen)
        else:
            yield from _requirement(line.partition(" --hash")[0], main)


def _requirement(line: object, main: bool) -> Iterator[_Mention]:
    found = _REQUIREMENT.match(line) if isinstance(line, str) else None
    if found:
        yield found[1], found[2].strip(" )"), main


def _pyproject(document: object) -> Iterator[_Mention]:
    for line in _list(_at(document, "project", "dependencies")):
        yield from _requirement(line, True)
    tool = _at(document, "tool")
    groups = [_at(document, "project", "optional-dependencies"), _at(document, "dependency-groups")]
    groups += [_at(tool, "pdm", "dev-dependencies"), {"dev": _at(tool, "uv", "dev-dependencies")}]
    for group in groups:
        for lines in _dict(group).values():
            for line in _list(lines):
                yield from _requirement(line, False)
    yield from _poetry(_at(tool, "poetry", "dependencies"), True)
    yield from _poetry(_at(tool, "poetry", "dev-dependencies"), False)
    for group in _dict(_at(tool, "poetry", "group")).values():
        yield from _poetry(_at(group, "dependencies"), False)


def _pipenv(document: object, sections: tuple[str, str]) -> Iterator[_Mention]:
    yield from _poetry(_at(document, sections[0]), True)
    yield from _poetry(_at(document, sections[1]), False)


def _poetry(table: object, main: bool) -> Iterator[_Mention]:
    """`name = "^1.0"`, `name = {version = "^1.0"}`, or an array of such tables."""
    for name, value in _dict(table).items():
        if _normal(name) in PACKAGES:
            for each in value if isinstance(value, list) else [value]:
                version = _at(each, "version") if isinstance(each, dict) else each
                yield name, version if isinstance(version, str) else "", main


def _setup_cfg(text: str) -> Iterator[_Mention]:
    from configparser import ConfigParser, Error

    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except Error as error:
        raise ValueError(str(error).partition("\n")[0]) from error
    for line in parser.get("options", "install_requires", fallback="").splitlines():
        yield from _requirement(line, True)
    if parser.has_section("options.extras_require"):
        for lines in dict(parser.items("options.extras_require")).values():
            for line in lines.splitlines():
                yield from _requirement(line, False)


def _setup_py(data: bytes) -> Iterator[_Mention]:
    """Only the string literals: the file is data here."""
    import ast
    import tokenize
    from io import BytesIO

    try:
        for token in tokenize.tokenize(BytesIO(data).readline):
            if token.type == tokenize.STRING and _NAMED.search(token.string.encode("utf-8", "replace")):
                value = ast.literal_eval(token.string)
                for line in value.splitlines() if isinstance(value, str) else ():
                    yield from _requirement(line, True)
    except tokenize.TokenError as error:
        raise ValueError(str(error)) from error


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = _dict(value).get(key)
    return value


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _version(text: str) -> Version:
    from packaging.version import Version

    return Version(Version(text).base_version)


def _bounds(specifier: str) -> Bounds:
    """`>=1.4,<2.1`, `^2.0`, `~2.0`, `==2.0.*`, `2.0.3`, and unions with `||`. What is not understood bounds nothing."""
    alternatives = [_clauses(each) for each in re.split(r"\|\|?", specifier)]
    if Bounds() in alternatives:
        return Bounds()
    total = alternatives[0]
    for each in alternatives[1:]:
        total = total.span(each)
    return total


def _clauses(text: str) -> Bounds:
    total = Bounds()
    for operator, version in _CLAUSE.findall(text):
        try:
            met = total.meet(_clause(operator, version))
        except ValueError:
            continue
        total = total if met is None else met
    return total


def _clause(operator: str, text: str) -> Bounds:
    if text == "*" or operator == "!=":
        return Bounds()
    stem = text.removesuffix(".*")
    version = _version(stem)
    release = version.release
    if operator == "~=":
        return Bounds(version, _after(release[:-1] or release))
    if operator == "^":
        first = next((index for index, part in enumerate(release) if part), len(release) - 1)
        return Bounds(version, _after(release[: first + 1]))
    if operator == "~":
        return Bounds(version, _after(release[:2]))
    if operator in (">=", ">"):
        return Bounds(version)
    if operator in ("<", "<="):
        return Bounds(None, version, operator == "<=")
    return Bounds(version, version, True) if stem == text else Bounds(version, _after(release))


def _after(release: tuple[int, ...]) -> Version:
    return _version(".".join(map(str, (*release[:-1], release[-1] + 1))))
