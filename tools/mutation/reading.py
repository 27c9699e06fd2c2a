"""Reading the syntax of a function: what a statement surely does to the session of a name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import libcst as cst

from sa_session_lint.visit_order import ORDER

DIRECT = frozenset({"execute", "exec", "scalar", "scalars", "get", "get_one"})
TERMINAL = frozenset({"all", "first", "one", "one_or_none", "scalar", "count", "delete", "update", "get"})
CONSUMED = TERMINAL | {"scalar_one", "scalar_one_or_none", "fetchall", "fetchone"}
WRITES = frozenset({"add", "add_all", "delete", "merge"})
QUIET = DIRECT | WRITES | {"query", "flush", "refresh", "expunge", "expire"}
ENDINGS = frozenset({"commit", "rollback", "close", "remove", "invalidate", "reset"})
NESTED = (cst.FunctionDef, cst.ClassDef, cst.Lambda)
UNSURE = (*NESTED, cst.GeneratorExp, cst.ListComp, cst.SetComp, cst.DictComp, cst.Try, cst.TryStar, cst.Assert)
LEAVING = (cst.Return, cst.Raise, cst.Break, cst.Continue, cst.Yield)
LIBRARY_ERROR = re.compile(r"builtins\.(Base)?Exception|sqlalchemy(\.orm)?\.exc\.(SQLAlchemyError|DBAPIError|DatabaseError|IntegrityError|OperationalError|StatementError)")
CALM = re.compile(r"((\w+\.)*_?(log|logger|logging)\.\w+|print|str|repr|len|type|flash|traceback\.\w+|click\.\w+|(\w+\.)*(append|format))", re.IGNORECASE)
LEAVES = re.compile(r"abort|exit|fail|raise|error|die|stop|save|delete|update|create|session|db|commit|rollback", re.IGNORECASE)
ENDLESS = re.compile(r"consum|queue|listen|poll|subscri|stream|messages|iter\(", re.IGNORECASE)
CLOSES = re.compile(r"finally:\s*(await )?\w+\.close\(\)|with [^\n]* as (\w+):\s*(try:\s*)?yield \2\b")

Swaps = Mapping[cst.CSTNode, Sequence[cst.CSTNode]]
Made = Iterator[tuple[str, Swaps]]
"""A rule, and for each statement that goes the statements that come."""


def code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def statement(text: str, like: cst.CSTNode | None = None) -> cst.BaseStatement:
    """A new statement, with the comments that stand before another."""
    lines = getattr(like, "leading_lines", ())
    return cst.parse_statement(text).with_changes(leading_lines=lines)


def statements(text: str) -> list[cst.CSTNode]:
    """New statements."""
    return list(cst.parse_module(text).body)


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for field in ORDER[type(node).__name__]:
        child = getattr(node, field)
        for one in child if isinstance(child, (tuple, list)) else (child,):
            if isinstance(one, cst.CSTNode):
                yield one


def below(node: cst.CSTNode, without: tuple[type[cst.CSTNode], ...] = NESTED) -> Iterator[cst.CSTNode]:
    """A node and what is in it, in order; inner nodes of the types `without` are left out with all that is in them."""
    stack = [node]
    while stack:
        yield (here := stack.pop())
        stack += [child for child in reversed(list(children(here))) if not isinstance(child, without)]


def sure(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """What is evaluated whenever a statement runs to its end."""
    yield node
    match node:
        case cst.If(test=only) | cst.While(test=only) | cst.IfExp(test=only) | cst.For(iter=only) | cst.BooleanOperation(left=only) | cst.Match(subject=only):
            yield from sure(only)
        case _ if not isinstance(node, UNSURE):
            for child in children(node):
                yield from sure(child)


def dotted(node: cst.CSTNode) -> str:
    """A name or a chain of attributes as it is written; empty for anything else."""
    if isinstance(node, cst.Attribute):
        return f"{before}.{node.attr.value}" if (before := dotted(node.value)) else ""
    return node.value if isinstance(node, cst.Name) else ""


def called(node: cst.CSTNode | None) -> tuple[str, str]:
    """Receiver (empty where it is no plain one) and method of a call."""
    return (dotted(node.func.value), node.func.attr.value) if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) else ("", "")


def action(node: cst.CSTNode) -> tuple[str, str]:
    """Receiver and method of a statement like `s.commit()` or `await s.commit()`."""
    match node:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.Call() as call) | cst.Expr(value=cst.Await(expression=cst.Call() as call))]):
            return called(call)
    return "", ""


def root(node: cst.CSTNode, session: str) -> cst.Call | None:
    """The call of the session's method that a chain of calls starts with."""
    while isinstance(node, (cst.Call, cst.Attribute, cst.Await)):
        if isinstance(node, cst.Call) and called(node)[0] == session:
            return node
        node = node.func if isinstance(node, cst.Call) else node.value if isinstance(node, cst.Attribute) else node.expression
    return None


def calls(nodes: Sequence[cst.CSTNode], session: str, methods: frozenset[str]) -> bool:
    return any(method in methods and receiver == session for node in nodes for receiver, method in map(called, below(node)))


def runs(node: cst.CSTNode, session: str) -> bool:
    """Whether a statement surely runs SQL on a session."""
    if isinstance(node, cst.For) and called(root(node.iter, session))[1] == "query":
        return True
    for call in sure(node):
        receiver, method = called(call)
        if method in DIRECT and receiver == session:
            return True
        if method in TERMINAL and receiver != session and called(root(call, session))[1] == "query":
            return True
    return False


def works(node: cst.CSTNode, session: str) -> bool:
    """Whether a statement surely fails while the session waits for its rollback."""
    return runs(node, session) or action(node) in {(session, "commit"), (session, "flush")}


def calm(nodes: Sequence[cst.CSTNode], session: str) -> bool:
    """Whether statements surely go on to the next, and leave the session and its transaction as they are."""
    inner = [one for node in nodes for one in below(node)]
    bound = {code(one.target) for one in inner if isinstance(one, cst.AssignTarget)} | {code(one.name) for one in inner if isinstance(one, cst.AsName)}
    quiet = all(called(one)[0] == session or _is_calm(one, session) for one in inner if isinstance(one, cst.Call))
    return quiet and session not in bound and not calls(nodes, session, ENDINGS) and not any(isinstance(one, LEAVING) for one in inner)


def _is_calm(call: cst.Call, session: str) -> bool:
    """Whether a call surely comes back and does nothing to the session. A session with a plain name is out of reach of what does not get it."""
    name = code(call.func)
    return CALM.fullmatch(name) is not None or (session.isidentifier() and not mentions(call, session) and LEAVES.search(name) is None)


def first_work(nodes: Sequence[cst.CSTNode], session: str) -> bool:
    """Whether the first thing of note in statements is work on the session."""
    at = next((at for at, node in enumerate(nodes) if works(node, session)), None)
    return at is not None and calm(nodes[:at], session)


def mentions(node: cst.CSTNode, name: str) -> bool:
    return any(isinstance(one, cst.Name) and one.value == name for one in below(node))
