"""Whether a module can be imported at all: code below an import of a name that its own package does not have never runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sa_session_lint.model.expression import Imported
from sa_session_lint.project.importing import spelled_imports

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_BINDING = rb"(?m)^(?:(?:async[ \t]+)?def[ \t]+|class[ \t]+|)%s[ \t]*[=:(]"
_DYNAMIC = (b"globals()", b"__getattr__", b"sys.modules", b"exec(", b"setattr(")


def is_importable(index: Index, path: str, depth: int = 3) -> bool:
    """Whether no import from its own package that a module makes in any case, or that one of the modules makes which it so imports, fails for want of
    a name. A module that is not there may be made by the build, and imports from elsewhere may be of anything that is installed."""
    return index.once(("importable", path, depth), lambda: _is_importable(index, path, depth))


def _is_importable(index: Index, path: str, depth: int) -> bool:
    if not depth or not path.endswith(".py"):
        return True
    failing = {imported for imported in spelled_imports(index, path) if _fails(index, imported, path, depth)}
    found = index.outline(path) if failing else None
    return found is None or not any(binding.sure and binding.value in failing for each in found.module.bindings.values() for binding in each)


def _fails(index: Index, imported: Imported, path: str, depth: int) -> bool:
    other = index.modules.find(imported.module, imported.level, path) if imported.name is not None else None
    if other is None or not (imported.level or _is_own(imported.module, other, path)):
        return False
    return not (_has(index, other, imported, path) and is_importable(index, other, depth - 1))


def makes_names(data: bytes) -> bool:
    """Whether a module may make names as it runs, which no statement of it binds."""
    return any(word in data for word in _DYNAMIC)


def _is_own(module: str, other: str, importer: str) -> bool:
    """Whether the file that an absolute import means lies in the package that the importing file lies in, too."""
    top = module.partition(".")[0]
    folder = other.removesuffix("/__init__.py").removesuffix(".py").removesuffix(module.replace(".", "/"))
    return module != top and importer.startswith(f"{folder}{top}/")


def _has(index: Index, path: str, imported: Imported, importer: str) -> bool:
    """Whether a module has a name, or a module of that name in it; one that makes its names as it runs may have any."""
    inner = f"{imported.module}.{imported.name}" if imported.module else str(imported.name)
    data = index.data(path) or b""
    if makes_names(data) or index.modules.find(inner, imported.level, importer) is not None or re.search(_BINDING % re.escape(str(imported.name).encode()), data):
        return True
    found = index.outline(path)
    return found is None or bool(found.stars) or imported.name in found.module.bindings
