"""Where a generator is suspended, and which blocks run when an exception comes in there.

    def get_db():
        db = SessionLocal()
        try:
            yield db        the suspension; `finally` runs on every way out, `except` only for what it catches
        finally:
            db.close()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Call
from sa_session_lint.model.value import External
from sa_session_lint.project.index import Index
from sa_session_lint.project.outline import Scope
from sa_session_lint.project.usage import dependents
from sa_session_lint.walk import children


@dataclass(frozen=True, slots=True)
class Suspension:
    """A `yield` with the statements around it, outermost first, each with what follows it in its block."""

    node: cst.Yield
    around: tuple[tuple[cst.CSTNode, tuple[cst.CSTNode, ...]], ...]

    def with_items(self) -> Iterator[cst.WithItem]:
        """The context managers that an exception passes through."""
        for statement, _ in self.around:
            if isinstance(statement, cst.With):
                yield from statement.items

    def tries(self) -> Iterator[cst.Try | cst.TryStar]:
        """The try statements in whose body it is suspended, innermost first."""
        chain = [statement for statement, _ in self.around]
        for position in range(len(chain) - 1, -1, -1):
            statement = chain[position]
            inside = chain[position + 1] if position + 1 < len(chain) else self.node
            if isinstance(statement, (cst.Try, cst.TryStar)) and _holds(statement.body, inside):
                yield statement

    def calls_in(self, block: cst.CSTNode) -> bool:
        """Whether a block calls anything that may end a session: `close()`, `rollback()`, or somebody who is not known to do nothing."""
        for call in _calls(block):
            name = call.func.attr.value if isinstance(call.func, cst.Attribute) else call.func.value if isinstance(call.func, cst.Name) else ""
            if name not in _HARMLESS:
                return True
        return False

    def later_call(self, name: str, methods: set[str]) -> cst.Call | None:
        """A call of one of the methods on `name` in what follows the `yield`."""
        for _, following in self.around:
            for statement in following:
                for call in _calls(statement):
                    function = call.func
                    if isinstance(function, cst.Attribute) and function.attr.value in methods:
                        if isinstance(function.value, cst.Name) and function.value.value == name:
                            return call
        return None


_HARMLESS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "print_exc", "format_exc", "str", "repr"})


def is_scoped_generator(index: Index, path: str, scope: Scope) -> bool:
    """Whether whoever runs this generator throws into it what the code under it raised: `@contextmanager`, `Depends`.

    pytest does not: it resumes a fixture whose test has failed (measured).
    """
    found = index.outline(path)
    if found is None:
        return False
    for decorator in scope.decorators:
        head = decorator.function if isinstance(decorator, Call) else decorator
        value = index.value(head, scope.parent or found.module, path)
        if isinstance(value, External) and value.dotted in v.CONTEXT_MANAGER | v.ASYNC_CONTEXT_MANAGER:
            return True
    return bool(dependents(index, path, scope.qualname))


def suspensions(function: cst.FunctionDef) -> Iterator[Suspension]:
    """Every `yield` of a function, without those of functions inside it."""
    yield from _search(_statements(function.body), ())


def falls_through(body: Sequence[cst.CSTNode]) -> bool:
    """Whether a block surely has a way out that raises nothing: its end, or a `return`."""
    return bool(_ways_out(body))


def settles(function: cst.FunctionDef) -> bool:
    """Whether a function surely ends its transaction: by a commit that is reached whatever the data, under a `try` whose handlers
    roll back or close, or by a `finally`."""
    return _settles(_statements(function.body), False)


def _settles(body: Sequence[cst.CSTNode], guarded: bool) -> bool:
    if guarded and body and _is_commit(body[-1]):
        return True
    for statement in body:
        if isinstance(statement, (cst.Try, cst.TryStar)):
            if statement.finalbody is not None and _calls_any(statement.finalbody, _ENDINGS):
                return True
            handled = bool(statement.handlers) and all(_calls_any(h, _ENDINGS - {"commit"}) for h in statement.handlers)
            if _settles(_statements(statement.body), handled):
                return True
        elif isinstance(statement, cst.With) and _settles(_statements(statement.body), guarded):
            return True
    return False


_ENDINGS = {"commit", "rollback", "close", "remove"}


def _is_commit(statement: cst.CSTNode) -> bool:
    return isinstance(statement, cst.SimpleStatementLine) and _calls_any(statement, {"commit"})


def _calls_any(node: cst.CSTNode, names: set[str]) -> bool:
    return any(isinstance(call.func, cst.Attribute) and call.func.attr.value in names for call in _calls(node))


def _ways_out(body: Sequence[cst.CSTNode]) -> frozenset[str]:
    """How control may surely leave a block: "next", "return". A call that is not known to come back may never do so."""
    left: frozenset[str] = frozenset()
    for statement in body:
        ways = _ways_of(statement)
        left |= ways - {"next"}
        if "next" not in ways:
            return left
    return left | {"next"}


def _ways_of(statement: cst.CSTNode) -> frozenset[str]:
    match statement:
        case cst.SimpleStatementLine():
            return _ways_of_line(statement)
        case cst.If():
            otherwise: frozenset[str] = frozenset({"next"})
            if isinstance(statement.orelse, cst.If):
                otherwise = _ways_of(statement.orelse)
            elif statement.orelse is not None:
                otherwise = _ways_out(_statements(statement.orelse.body))
            return _ways_out(_statements(statement.body)) | otherwise
        case cst.Try() | cst.TryStar():
            ways = _ways_out(_statements(statement.body))
            for handler in statement.handlers:
                ways |= _ways_out(_statements(handler.body))
            if statement.finalbody is None:
                return ways
            last = _ways_out(_statements(statement.finalbody.body))
            return (last - {"next"}) | (ways if "next" in last else frozenset())
        case cst.With():
            return _ways_out(_statements(statement.body))
    return frozenset({"next"})


def _ways_of_line(line: cst.SimpleStatementLine) -> frozenset[str]:
    for small in line.body:
        if isinstance(small, (cst.Raise, cst.Break, cst.Continue)):
            return frozenset()
        if not all(_comes_back(call) for call in _calls(small)):
            return frozenset()
        if isinstance(small, cst.Return):
            return frozenset({"return"})
    return frozenset({"next"})


def _comes_back(call: cst.Call) -> bool:
    name = call.func.attr.value if isinstance(call.func, cst.Attribute) else call.func.value if isinstance(call.func, cst.Name) else ""
    return name in _HARMLESS or name in v.ENDING_CALLS or name in v.SESSION_CALLS or name in {"type", "len", "isinstance", "format"}


def _statements(suite: cst.CSTNode) -> Sequence[cst.CSTNode]:
    if isinstance(suite, cst.SimpleStatementSuite):
        return [cst.SimpleStatementLine(suite.body)]
    return suite.body if isinstance(suite, cst.IndentedBlock) else ()


def _search(
    statements: Sequence[cst.CSTNode], around: tuple[tuple[cst.CSTNode, tuple[cst.CSTNode, ...]], ...]
) -> Iterator[Suspension]:
    for position, statement in enumerate(statements):
        here = (*around, (statement, tuple(statements[position + 1 :])))
        if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            continue
        if isinstance(statement, cst.SimpleStatementLine):
            for found in _yields(statement):
                yield Suspension(found, here)
            continue
        for block in _blocks(statement):
            yield from _search(_statements(block), here)


def _blocks(statement: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for child in children(statement):
        if isinstance(child, cst.BaseSuite):
            yield child
        elif isinstance(child, (cst.Else, cst.Finally, cst.If, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase)):
            yield from _blocks(child)


def _yields(node: cst.CSTNode) -> Iterator[cst.Yield]:
    for child in children(node):
        if isinstance(child, cst.Lambda):
            continue
        if isinstance(child, cst.Yield):
            yield child
        yield from _yields(child)


def _calls(node: cst.CSTNode) -> Iterator[cst.Call]:
    if isinstance(node, cst.Call):
        yield node
    for child in children(node):
        if not isinstance(child, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            yield from _calls(child)


def _holds(block: cst.CSTNode, inside: cst.CSTNode) -> bool:
    return any(child is inside or _holds(child, inside) for child in children(block))
