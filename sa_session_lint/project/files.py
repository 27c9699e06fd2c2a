"""Where a project begins, and which Python files it holds.

The root is a function of the file alone, never of the current folder or of the other paths on the command line: so the answer for
a file is the same whether a pre-commit hook passes it or the whole tree is checked. The listing says what *may* be consulted; what
the user excludes is still consulted, it is merely not reported, and so plays no role here.

    shop/                       root_of("shop/api/routes.py") == "shop", for its pyproject.toml holds [tool.sa-session-lint]
      pyproject.toml
      api/routes.py             list_python("shop") == ("api/routes.py",)
      api/.gitignore            "drafts/"
      api/drafts/old.py
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

OWN_FILE = "sa-session-lint.toml"
OWN_TABLE = "sa-session-lint"

# Never the project's own code, whatever the ignore files say.
FOREIGN = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", "site-packages", ".tox", ".nox", ".eggs", "dist",
     ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints"}
)  # fmt: skip
_ENVIRONMENT_MARKS = frozenset(("pyvenv.cfg", "conda-meta"))
_OWN_HEADER = re.compile(rb"^[ \t]*\[\s*tool\s*\.\s*[\"']?sa-session-lint[\"']?\s*[.\]]", re.MULTILINE)


def read_toml(data: bytes) -> dict[str, object]:
    """The document in `data`; ValueError when it is no TOML in UTF-8 (`tomllib` is imported here, for most runs need none)."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n"))


def toml_fault(data: bytes, error: ValueError) -> int:
    """The line (1-based) at which `read_toml` gave up."""
    if isinstance(error, UnicodeDecodeError):
        return data.count(b"\n", 0, error.start) + 1
    found = re.search(r"at line (\d+)", str(error))
    return int(found[1]) if found else data.rstrip().count(b"\n") + 1  # else it says "at end of document"


def has_own_table(pyproject: bytes) -> bool:
    """Whether this pyproject.toml configures us. One that is broken does if it has a header of ours: its reader must be told."""
    if OWN_TABLE.encode() not in pyproject:
        return False
    try:
        tool = read_toml(pyproject).get("tool")
    except ValueError:
        return _OWN_HEADER.search(pyproject) is not None
    return isinstance(tool, dict) and OWN_TABLE in tool


def root_of(file: Path) -> Path:
    """The folder that bounds what may be consulted for `file` (a file, a folder, or a path that does not exist yet).

    The nearest ancestor with our configuration, else the nearest with `.git`, else the folder of the outermost pyproject.toml,
    else the folder itself.
    """
    path = Path(os.path.abspath(file))
    return _root_from(path if path.is_dir() else path.parent)


def _root_from(start: Path) -> Path:
    ancestors = (start, *start.parents)
    outermost = None
    for folder in ancestors:
        if (folder / OWN_FILE).is_file():
            return folder
        pyproject = folder / "pyproject.toml"
        if pyproject.is_file():
            outermost = folder
            try:
                if has_own_table(pyproject.read_bytes()):
                    return folder
            except OSError:
                continue
    repository = next((folder for folder in ancestors if (folder / ".git").exists()), None)
    return repository or outermost or start


def is_marked(folder: Path) -> bool:
    """Whether something in a folder makes it a root, so that it is not one merely for want of a better."""
    return any((folder / name).exists() for name in (OWN_FILE, "pyproject.toml", ".git"))


def by_root(files: Iterable[Path]) -> dict[Path, list[Path]]:
    """`files`, made absolute, under their roots; each folder is looked up once."""
    known: dict[Path, Path] = {}
    grouped: dict[Path, list[Path]] = {}
    for file in files:
        path = Path(os.path.abspath(file))
        root = known.get(path.parent)
        if root is None:
            root = known[path.parent] = _root_from(path.parent)
        grouped.setdefault(root, []).append(path)
    return grouped


def list_python(
    root: Path,
    under: str = "",
    *,
    respect_gitignore: bool = True,
    onerror: Callable[[OSError], None] | None = None,
) -> tuple[str, ...]:
    """The Python files of `root` (only those below its folder `under`), sorted, relative to `root`, with `/`.

    Symlinked folders are not entered, so there are no loops; what is no regular file (a pipe, a socket) is left out.
    `onerror` hears of folders that cannot be read.
    """
    under = under.strip("/")
    start = f"{under}/" if under not in ("", ".") else ""
    rules = _rules_above(root, start) if respect_gitignore else ()
    found = _scan(str(root / start), start, rules, respect_gitignore, onerror or (lambda error: None))
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class _Rules:
    """One ignore file; a path of the project is made relative to its folder: `above` is put before it, or `strip` characters go."""

    spec: GitIgnoreSpec
    strip: int = 0
    above: str = ""

    def verdict(self, path: str) -> bool | None:
        return self.spec.check_file(self.above + path[self.strip :]).include


def _ignored(path: str, rules: tuple[_Rules, ...]) -> bool:
    """The deepest ignore file that says something decides; `path` ends in `/` for a folder."""
    for each in reversed(rules):
        verdict = each.verdict(path)
        if verdict is not None:
            return verdict
    return False


def _scan(
    start: str, prefix: str, rules: tuple[_Rules, ...], respect: bool, onerror: Callable[[OSError], None]
) -> Iterator[str]:
    waiting = [(start, prefix, rules)]
    while waiting:
        folder, prefix, rules = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as error:
            onerror(error)
            continue
        names = {entry.name for entry in entries}
        if folder != start and not names.isdisjoint(_ENVIRONMENT_MARKS):
            continue
        if folder != start and os.path.basename(folder) == "build" and "__init__.py" not in names:
            continue
        if respect and ".gitignore" in names:
            own = _read_rules(os.path.join(folder, ".gitignore"))
            rules = (*rules, _Rules(own, strip=len(prefix))) if own else rules
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                if name not in FOREIGN and not (rules and _ignored(f"{prefix}{name}/", rules)):
                    waiting.append((entry.path, f"{prefix}{name}/", rules))
            elif name.endswith((".py", ".pyi")) and _regular(entry) and not (rules and _ignored(prefix + name, rules)):
                yield prefix + name


def _regular(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _read_rules(path: str) -> GitIgnoreSpec | None:
    """The patterns of one ignore file; None when there is none (git, too, passes over a pattern that it cannot read)."""
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = [line for line in file.read().splitlines() if line.strip() and not line.startswith("#")]
    except OSError:
        return None
    if not lines:
        return None
    try:
        return spec_of(lines)
    except ValueError:
        return spec_of(line for line in lines if _valid(line))


def spec_of(lines: Iterable[str]) -> GitIgnoreSpec:
    """What the lines of an ignore file match. Raises ValueError where one is no pattern; what Python warns of in the expression made of one (a `[` within
    brackets, say) is no news to who lints."""
    from warnings import catch_warnings, simplefilter

    from pathspec import GitIgnoreSpec

    with catch_warnings():
        simplefilter("ignore", FutureWarning)
        return GitIgnoreSpec.from_lines(lines)


def _valid(line: str) -> bool:
    try:
        spec_of([line])
    except ValueError:
        return False
    return True


def _rules_above(root: Path, start: str) -> tuple[_Rules, ...]:
    """The ignore files from the repository's top down to the parent of the folder where the listing starts.

    A folder that was asked for by name is listed even if they ignore it: then they play no role.
    """
    root = Path(os.path.abspath(root))
    folder = root / start
    top = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), root)
    between = [each for each in reversed(folder.parents) if each == top or top in each.parents]
    sources = [(top, _git_folder(top / ".git") / "info" / "exclude")]
    sources += ((each, each / ".gitignore") for each in between)
    read = ((home, _read_rules(str(source))) for home, source in sources)
    outer = tuple(_relative(spec, home, root) for home, spec in read if spec)
    return () if folder != top and _ignored(start, outer) else outer


def _relative(spec: GitIgnoreSpec, folder: Path, root: Path) -> _Rules:
    if folder in (root, *root.parents):
        above = root.relative_to(folder).as_posix()
        return _Rules(spec, above="" if above == "." else f"{above}/")
    return _Rules(spec, strip=len(folder.relative_to(root).as_posix()) + 1)


def _git_folder(git: Path) -> Path:
    """Where `info/exclude` lies: for a worktree or a submodule `.git` is a file that names another folder."""
    try:
        target = git.read_text("utf-8").removeprefix("gitdir:").strip() if git.is_file() else ""
        folder = git.parent / target if target else git
        common = folder / "commondir"
        return folder / common.read_text("utf-8").strip() if common.is_file() else folder
    except (OSError, ValueError):
        return git
