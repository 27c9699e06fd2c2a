"""Which modules the applications of a project load, and which routers are part of one.

Each question reads only the files whose bytes hold the names in question.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Expression, Imported, Name
from sa_session_lint.model.value import External, Made
from sa_session_lint.project.importing import spelled_imports
from sa_session_lint.project.modules import is_aside, is_test, stem
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import called_name, names_module

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_MAKERS = frozenset(dotted.rpartition(".")[2] for dotted in v.APPLICATIONS)
_MAKING = re.compile(rb"(?<!\w)(?:" + "|".join(sorted(_MAKERS)).encode() + rb")\(")
_DYNAMIC = ("import_module", "__import__", "iter_modules", "walk_packages", "find_modules", "import_string", "spec_from_file_location", "autodiscover_tasks", "load_extension")
"""What loads modules that no import names."""
_STARTING = re.compile(r"pyproject\.toml|setup\.cfg|Procfile[\w.]*|Makefile|Dockerfile[\w.]*|[\w.-]*\.(?:sh|ini|conf|service|ya?ml)")
_DECLARING = re.compile(r"pyproject\.toml|setup\.(?:cfg|py)|requirements[\w.-]*\.txt|Pipfile|environment\.ya?ml|(?:docker-)?compose[\w.-]*\.ya?ml|alembic\.ini")
ENTRIES = frozenset({"main", "run", "cli", "handler", "lambda_handler", "create_app", "make_app", "application"})
"""Functions that something outside of the project may name."""
_FOLDERS = ("", "bin", "scripts", "docker", "deploy")
_LARGE = 200_000
_MOST = 300
_TAKING = re.compile(
    rb"getmembers|import_string|load_extension|find_modules|__subclasses__|__dict__|entry_points|(?<!\w)(?:dir|vars)\(|getattr\(\s*[\w.]+\s*,(?!\s*[bru]?[\"'])"
)
"""How what a module has is taken from it without its name."""
_ASKING = re.compile(rb"getattr\(\s*[\w.]+\s*,\s*[bru]?[\"']")
_COMPUTED = re.compile(rb"(?:" + "|".join(_DYNAMIC).encode() + rb")\((?!\s*[bru]?[\"'][\w.]*[\"'])")


def applications(index: Index) -> frozenset[str]:
    """The files that make an application: `FastAPI()`, `Flask(__name__)`."""

    def search() -> frozenset[str]:
        files = [path for word in _MAKERS for path in index.files_with(word) if not is_aside(path) and _MAKING.search(index.data(path) or b"")]
        return frozenset(path for path in files if (found := index.outline(path)) is not None and any(_makes(index, found, scope) for scope in (found.module, *found.scopes.values())))

    return index.once(("applications",), search)


def _makes(index: Index, found: Outline, scope: Scope) -> bool:
    values = (index.value(call.function, scope, found.path) for call in scope.calls if called_name(call.function) in _MAKERS)
    return any(isinstance(made, External) and made.dotted in v.APPLICATIONS for made in values)


def is_unloaded(index: Index, path: str) -> bool:
    """Whether no application loads a module: neither it nor any module that imports it makes an application, runs as a script, is named by a string or
    in what starts the project, or may be loaded by a computed name."""

    def search() -> bool:
        seen: set[str] = set()
        queue = [path]
        while queue:
            file = queue.pop()
            if file in seen:
                continue
            seen.add(file)
            found = index.outline(file)
            if found is None or len(seen) > _MOST or found.main_blocks or not ENTRIES.isdisjoint(found.scopes) or file in applications(index) or may_be_loaded(index, file) or _is_spelled(index, file):
                return False
            queue.extend(importers(index, file))
        return True

    return bool(applications(index) - {path}) and index.once(("unloaded", path), search)


def importers(index: Index, path: str) -> tuple[str, ...]:
    """The files, tests left out, that import a module or something in its package."""

    def search() -> tuple[str, ...]:
        found = {file for file in index.files_with(stem(path)) if file != path and not is_test(file) and _imports(index, file, path)}
        if path.endswith("/__init__.py"):
            folder = path.removesuffix("__init__.py")
            found |= {inner for inner in index.modules.files if inner.startswith(folder) and inner != path and not is_test(inner)}
        return tuple(sorted(found))

    return index.once(("importers", path), search)


def _imports(index: Index, file: str, path: str) -> bool:
    """Whether a file imports a module, or something of its name that is not found elsewhere; in a file that cannot be read any mention may do so."""
    if not any(_may_import(index, what, file, path) for what in spelled_imports(index, file)):
        return False
    found = index.outline(file)
    return found is None or any(_may_import(index, what, file, path) for what in (*found.imports, *found.stars))


def _may_import(index: Index, what: Imported, file: str, path: str) -> bool:
    module, name = index.modules.find(what.module, what.level, file), stem(path)
    if module is None:
        return name in {what.name, what.module.rpartition(".")[2]}
    return module == path or (what.name == name and names_module(index, what, file, path))


def _is_spelled(index: Index, path: str) -> bool:
    """Whether some string, or a file that says how the project is started, names a module: `include("app.urls")`, `celery -A app.worker`."""
    name = stem(path).encode()
    quoted = re.compile(rb"[\"'][\w./]*(?<!\w)" + re.escape(name) + rb"(?:[.:][\w.]*)?[\"']")
    return any(quoted.search(index.data(file) or b"") for file in index.files_with(stem(path))) or is_started(index, stem(path))


def is_started(index: Index, name: str) -> bool:
    """Whether a file that says how the project is installed, built or started names something: pyproject.toml, Procfile, Dockerfile."""
    return bool(re.search(r"(?<![\w-])" + re.escape(name) + r"(?![\w-])", index.once(("starting",), lambda: _starting(index))))


def declared(index: Index) -> str:
    """The text of the files that say what the project and its parts depend on; "" where there is none."""
    folders = sorted({index.root, *(each for each in index.root.iterdir() if each.is_dir() and not each.name.startswith("."))})
    found = (path for folder in folders for path in sorted(folder.iterdir()) if _DECLARING.fullmatch(path.name) and path.is_file() and path.stat().st_size < _LARGE)
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in found)


def _starting(index: Index) -> str:
    folders = [folder for name in _FOLDERS if (folder := index.root / name).is_dir()]
    found = sorted(path for folder in folders for path in folder.iterdir() if _STARTING.fullmatch(path.name) or (folder != index.root and not path.suffix))
    files = [path for path in found if path.is_file() and path.stat().st_size < _LARGE]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


def may_be_loaded(index: Index, path: str, name: str | None = None) -> bool:
    """Whether some file may import a module by a computed name, and take what goes by `name` out of it."""
    return any(_may_load(index, file, path) and (name is None or _may_take(index, file, name)) for file in _loaders(index))


def _may_take(index: Index, loader: str, name: str) -> bool:
    """Whether a file that imports modules by computed names may take a function or class of a name from them: it asks for it, for names that it computes, or for all;
    or it asks for none, and hands the modules on."""
    data = index.data(loader) or b""
    return _TAKING.search(data) is not None or _ASKING.search(data) is None or re.search(rb"(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)", data) is not None


def _loaders(index: Index) -> list[str]:
    """The files that import modules by computed names."""
    return index.once(
        ("loaders",),
        lambda: [file for word in _DYNAMIC for file in index.files_with(word) if not is_aside(file) and _COMPUTED.search(index.data(file) or b"")],
    )


def _may_load(index: Index, loader: str, path: str) -> bool:
    """Whether a file that imports modules by computed names may so import another: one beside or below it, or in a folder that it names."""
    folder, around = loader.rpartition("/")[0], path.rpartition("/")[0]
    beside = around == folder or bool(folder and path.startswith(f"{folder}/"))
    named = re.compile(rb"[\"'][^\"'\n]*(?<!\w)" + re.escape(around.rpartition("/")[2].encode()) + rb"(?!\w)")
    return beside or (bool(around) and named.search(index.data(loader) or b"") is not None)


def router_of(index: Index, outline: Outline, decorator: Expression) -> str | None:
    """The name of the router that the module makes, and to which a decorator adds a route: `@router.get("/")`."""
    head = decorator.function if isinstance(decorator, Call) else decorator
    router = head.value if isinstance(head, Attribute) else None
    value = index.value(router, outline.module, outline.path) if isinstance(router, Name) else None
    is_router = isinstance(value, Made) and value.dotted.rpartition(".")[2] in {"APIRouter", "Blueprint"} and value.place.path == outline.path
    return router.name if is_router and isinstance(router, Name) else None


def is_included(index: Index, outline: Outline, router: str) -> bool:
    """Whether anything may make a router part of an application: it is named where it is made, or in a file that imports the module."""

    def search() -> bool:
        if not applications(index) - {outline.path} or may_be_loaded(index, outline.path):
            return True
        if any(Name(router) in (*call.arguments, *(value for _, value in call.keywords)) for scope in (outline.module, *outline.scopes.values()) for call in scope.calls):
            return True
        if is_unloaded(index, outline.path):
            return False
        for file in index.files_with(stem(outline.path)):
            found = index.outline(file) if file != outline.path and not is_test(file) else None
            if found is not None and (found.stars or router in (index.data(file) or b"").decode("utf-8", "replace")) and _imports_it(index, found, outline.path, router):
                return True
        return False

    return index.once(("included", outline.path, router), search)


def _imports_it(index: Index, found: Outline, path: str, router: str) -> bool:
    """Whether a file imports a router by its name, everything of its module, or the module, whose router it names."""
    for what in found.imports:
        if index.modules.find(what.module, what.level, found.path) == path and (what.name in {router, None} or found.stars):
            return True
        if names_module(index, what, found.path, path):
            return bool(re.search(r"\.\s*" + re.escape(router) + r"\b", (index.data(found.path) or b"").decode("utf-8", "replace")))
    return any(index.modules.find(star.module, star.level, found.path) == path for star in found.stars)
