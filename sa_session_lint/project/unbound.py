"""Names that nothing binds: to read one raises NameError, so what comes after it never runs."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sa_session_lint.model.expression import Attribute, Call, Expression, Name
from sa_session_lint.project.importable import makes_names
from sa_session_lint.project.outline import Outline

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_EVERYWHERE = frozenset(dir(builtins)) | {
    "BaseExceptionGroup", "EncodingWarning", "ExceptionGroup", "PythonFinalizationError", "WindowsError", "apply", "basestring", "buffer", "cmp", "coerce", "execfile",
    "file", "intern", "long", "raw_input", "reduce", "reload", "unichr", "unicode", "xrange", "_", "gettext", "ngettext", "get_ipython", "get_config", "display",
    "reveal_type", "reveal_locals", "spark", "dbutils",
}  # fmt: skip
"""What is there without being bound: builtins of every Python, and what shells, gettext and configuration loaders put there.
https://docs.python.org/3/library/functions.html"""


def reads_unbound(index: Index, call: Call, found: Outline) -> bool:
    """Whether to evaluate a call raises NameError before it is made: for its function, or for an argument of a plain function."""
    return any(is_unbound(index, name, found) for name in _read(call))


def is_unbound(index: Index, name: str, found: Outline) -> bool:
    """Whether no scope of the file binds a name and nothing else may: no star import, no names made at run time."""
    if name in index.once(("bound", found.path), lambda: _bound(found)) or name in _EVERYWHERE or (name.startswith("__") and name.endswith("__")):
        return False
    if found.stars or makes_names(index.data(found.path) or b""):
        return False
    return not index.files_with("builtins", name) and not index.files_with("__builtin__", name)


def _bound(found: Outline) -> frozenset[str]:
    return frozenset(name for scope in (found.module, *found.scopes.values()) for name in (*scope.bindings, *(parameter.name for parameter in scope.parameters)))


def _read(call: Call) -> Iterator[str]:
    root: Expression = call.function
    while isinstance(root, Attribute):
        root = root.value
    if isinstance(root, Name):
        yield root.name
    if isinstance(call.function, Name):
        yield from (argument.name for argument in (*call.arguments, *(value for _, value in call.keywords)) if isinstance(argument, Name))
