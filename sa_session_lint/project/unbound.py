"""Names that nothing binds, or not yet: to read one raises NameError, so what comes after it never runs."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model.expression import Attribute, Call, Expression, Name
from sa_session_lint.project.importable import makes_names
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.walk import path_between, reads_any

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


def reads_unreached(found: Outline, scope: Scope, failed: cst.CSTNode, handler: cst.CSTNode, use: cst.CSTNode) -> bool:
    """Whether a handler reads, before it comes to a use or there, a name that nothing in the function binds but the statement that has failed, or one after it."""
    around = path_between(found.nodes[scope.at], handler)
    if not around or not isinstance(around[-1], cst.Try) or any(isinstance(each, (cst.For, cst.While)) for each in around):
        return False
    passed = {parameter.name for parameter in scope.parameters} | scope.outer
    single = {name: found.nodes[bindings[0].at] for name, bindings in scope.bindings.items() if len(bindings) == 1 and name not in passed}
    names = {name for name, bound in single.items() if _is_unreached(around[-1].body, failed, bound)}
    return bool(names) and any(reads_any(part, names) for part in _comes_before(handler, use))


def _is_unreached(body: cst.BaseSuite, failed: cst.CSTNode, bound: cst.CSTNode) -> bool:
    """Whether a statement of a `try` block has not bound its name when another one has failed."""
    first, then = (next((n for n, each in enumerate(body.body) if each is node or path_between(each, node)), None) for node in (failed, bound))
    if first is None or then is None:
        return False
    return first < then or (first == then and isinstance(body.body[then], cst.SimpleStatementLine) and bool(path_between(bound, failed)))


def _comes_before(handler: cst.CSTNode, use: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """What a handler surely evaluates up to a use in it: plain statements and tests."""
    way = [*path_between(handler, use), use]
    for outer, inner in pairwise(way):
        if isinstance(outer, cst.If):
            yield outer.test
        elif isinstance(outer, cst.BaseSuite):
            yield from (each for each in outer.body[: outer.body.index(inner)] if isinstance(each, cst.SimpleStatementLine))
    yield use
