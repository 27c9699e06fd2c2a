"""The operators of the mutation test (tools/mutate.py): each finds correct code in a function and says how it becomes a sure bug.

    with Session() as s:            unwrap_with ->   s = Session()
        return s.scalars(q).all()                    return s.scalars(q).all()        session-never-closed

An operator yields the rule that must report, and which statements take whose place. Whatever is unsure yields nothing: a session that is handed on, one of a
class of the project (it may commit as it closes) or bound to a connection, an SQL statement that a run may pass by, a handler that may leave.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import libcst as cst

from sa_session_lint.model.value import Class, External, Function, Maker, Manager, Method, Registry, Session, Value
from sa_session_lint.model.vocabulary import COROUTINES, OF_COROUTINES
from sa_session_lint.project.index import Index
from sa_session_lint.project.outline import Outline
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


# -- reading syntax -------------------------------------------------------------------------------------------------------


def code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def statement(text: str, like: cst.CSTNode | None = None) -> cst.BaseStatement:
    """A new statement, with the comments that stand before another."""
    lines = getattr(like, "leading_lines", ())
    return cst.parse_statement(text).with_changes(leading_lines=lines)


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


# -- a function -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Owned:
    """A session that a function opens and closes. It lives in `body`, a part of `whole`; `bound` are the places of its name that are no uses."""

    name: str
    session: Session
    how: Literal["with", "begin", "helper", "finally"]
    whole: cst.With | cst.Try
    body: Sequence[cst.BaseStatement]
    opening: cst.Call
    bound: frozenset[cst.CSTNode]
    close: cst.BaseStatement | None = None

    @property
    def wait(self) -> str:
        return "await " if self.session.kind == "async" else ""


class Body:
    """A function, and what the operators ask of it."""

    def __init__(self, index: Index, outline: Outline, function: cst.FunctionDef) -> None:
        self.index, self.outline, self.function = index, outline, function
        self.nodes = list(below(function))
        self.blocks = [node.body for node in self.nodes if isinstance(node, cst.IndentedBlock)]
        self.is_generator = any(isinstance(node, cst.Yield) for node in self.nodes)

    @cached_property
    def has_savepoint(self) -> bool:
        return re.search(r"begin|savepoint|autocommit", code(self.function)) is not None

    @cached_property
    def parents(self) -> dict[cst.CSTNode, cst.CSTNode]:
        return {child: node for node in below(self.function, ()) for child in children(node)}

    @cached_property
    def names(self) -> list[cst.Name]:
        """Every name that is not an attribute's or a keyword's, those of inner functions, too."""
        of = self.parents
        return [n for n in of if isinstance(n, cst.Name) and getattr(of[n], "attr", None) is not n and getattr(of[n], "keyword", None) is not n]

    @cached_property
    def owned(self) -> list[Owned]:
        found = [self._of_with(node) if isinstance(node, cst.With) else self._of_try(block, at) for block in self.blocks for at, node in enumerate(block)]
        return [owned for owned in found if owned is not None]

    def value(self, node: cst.CSTNode, outline: Outline | None = None) -> Value | None:
        """What an expression stands for."""
        outline = outline or self.outline
        found = outline.values.get(id(node))
        return None if found is None else self.index.value(*found, outline.path)

    def is_session(self, statement: cst.CSTNode) -> bool:
        """Whether a statement calls a method of what surely is a session."""
        call = next((node for node in below(statement) if isinstance(node, cst.Call)), None)
        return call is not None and isinstance(call.func, cst.Attribute) and isinstance(self.value(call.func.value), (Session, Registry))

    def _of_with(self, node: cst.With) -> Owned | None:
        match node:
            case cst.With(items=[cst.WithItem(item=cst.Call() as opening, asname=cst.AsName(name=cst.Name(value=name)))], body=cst.IndentedBlock(body=body)):
                session, how = self._opened(opening)
                if session is not None:
                    bound = frozenset(one.name for one in self.nodes if isinstance(one, cst.AsName))
                    return Owned(name, session, how, node, body, opening, bound)
        return None

    def _of_try(self, block: Sequence[cst.BaseStatement], at: int) -> Owned | None:
        match block[at]:
            case cst.Try(body=cst.IndentedBlock(body=body), finalbody=cst.Finally(body=cst.IndentedBlock(body=final))) as whole:
                close = next((node for node in final if action(node)[1] == "close"), None)
                before = next((node for node in reversed(block[:at]) if close is not None and mentions(node, action(close)[0])), None)
                match before:
                    case cst.SimpleStatementLine(body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name) as bound)], value=cst.Call() as opening)]):
                        session, how = self._opened(opening)
                        if session is not None and how == "with" and close is not None and action(close)[0] == name:
                            return Owned(name, session, "finally", whole, body, opening, frozenset({bound, *below(close)}), close)
        return None

    def _opened(self, call: cst.Call) -> tuple[Session | None, Literal["with", "begin", "helper"]]:
        """The session that a with-block over this call closes."""
        value, function = self.value(call), self.value(call.func)
        inner = value.value if isinstance(value, Manager) else value
        if not isinstance(inner, Session) or inner.how not in {"new", "with"} or not _begins(inner):
            return None, "with"
        if isinstance(value, Session):
            return (value if value.how == "new" and self._is_plain(self.outline, call) else None), "with"
        if isinstance(function, Method) and isinstance(function.receiver, Maker) and function.name == "begin":
            return inner, "begin"
        helper = self.index.outline(function.path) if isinstance(function, Function) else None
        text = code(helper.nodes[helper.scopes[function.qualname].at]) if helper is not None and isinstance(function, Function) else ""
        return (inner if CLOSES.search(text) else None), "helper"

    def _is_plain(self, outline: Outline, call: cst.CSTNode, depth: int = 0) -> bool:
        """Whether what a call opens is of SQLAlchemy's own class, with a connection of its own."""
        function = self.value(call.func, outline) if isinstance(call, cst.Call) else None
        if isinstance(function, Function) and depth < 3:
            session = self.value(call, outline)
            made = self.index.outline(session.place.path) if isinstance(session, Session) and session.place is not None else None
            return made is not None and self._is_plain(made, made.nodes[session.place.at], depth + 1)  # type: ignore[union-attr]
        given = [a for a in call.args if a.keyword is None or "bind" in a.keyword.value] if isinstance(call, cst.Call) else []
        if any("engine" not in code(a.value).lower() for a in given):
            return False
        if isinstance(function, Maker) and function.place is not None and "class_" in function.options.given:
            made = self.index.outline(function.place.path)
            keywords = getattr(made.nodes[function.place.at], "args", ()) if made is not None else ()
            return any(a.keyword is not None and a.keyword.value == "class_" and code(a.value) in {"Session", "AsyncSession"} for a in keywords)
        return isinstance(function, (Maker, External))

    def uses_only(self, owned: Owned, methods: frozenset[str]) -> bool:
        """Whether these methods are all that the function does with the session: it is not handed on, returned, stored or captured."""
        inner = {node for outer in self.parents if isinstance(outer, NESTED) for node in below(outer, ())}
        for name in self.names:
            if name.value == owned.name and name not in owned.bound:
                attribute = self.parents[name]
                if name in inner or not isinstance(attribute, cst.Attribute) or attribute.attr.value not in methods:
                    return False
                if getattr(self.parents[attribute], "func", None) is not attribute:
                    return False
        return not self.is_generator and not self._hands_on_result(owned.name)

    def _hands_on_result(self, session: str) -> bool:
        """Whether a query or a result, which hold their session, is returned or handed on before it is read."""

        def unread(node: cst.CSTNode) -> bool:
            start = called(root(node, session))[1]
            return start in {"query", "execute", "exec", "scalars"} and called(getattr(node, "expression", node))[1] not in CONSUMED

        kept = {code(node.targets[0].target) for node in self.nodes if isinstance(node, cst.Assign) and unread(node.value)}
        handed = [node.value for node in self.nodes if isinstance(node, (cst.Return, cst.Arg)) and node.value is not None]
        return any(unread(value) or code(value) in kept or isinstance(value, cst.GeneratorExp) for value in handed)

    def is_entity(self, call: cst.Call) -> bool:
        """Whether a call's first argument is a mapped class, or a `select()` of one: what is read then are objects, row by row."""
        argument = call.args[0].value if len(call.args) == 1 else None
        while isinstance(argument, cst.Call) and isinstance(argument.func, cst.Attribute):
            argument = argument.func.value
        if isinstance(argument, cst.Call) and code(argument.func).endswith("select") and called(call)[1] != "query":
            argument = argument.args[0].value if len(argument.args) == 1 else None
        return argument is not None and isinstance(self.value(argument), Class)

    def origin(self, read: cst.BaseExpression) -> cst.BaseExpression:
        """What a name was given, if it is given but one thing."""
        if not isinstance(read, cst.Name):
            return read
        values = [node.value for node in self.nodes if isinstance(node, cst.Assign) and any(mentions(target, read.value) for target in node.targets)]
        given = any(isinstance(node, cst.Param) and node.name.value == read.value for node in below(self.function, ()))
        return values[0] if len(values) == 1 and not given else read

    def is_new(self, made: cst.BaseExpression) -> bool:
        """Whether an expression is surely an object of a mapped class that this function makes."""
        made = self.origin(made)
        return isinstance(made, cst.Call) and isinstance(self.value(made.func), Class)

    def writes(self, node: cst.CSTNode, session: str) -> list[cst.BaseExpression]:
        """What a statement surely writes: the objects that it adds or deletes, the `insert()`, `update()` or `delete()` that it executes."""
        found: list[cst.BaseExpression] = []
        for call in sure(node):
            receiver, method = called(call)
            argument = call.args[0].value if isinstance(call, cst.Call) and receiver == session and len(call.args) == 1 else None
            new = argument is not None and method == "add" and self.is_new(argument)
            if argument is not None and (method == "delete" or new or (method in {"execute", "exec"} and self._is_dml(argument))):
                found.append(argument)
        return found

    def _is_dml(self, executed: cst.BaseExpression) -> bool:
        executed = self.origin(executed)
        while isinstance(executed, cst.Call) and isinstance(executed.func, cst.Attribute) and isinstance(executed.func.value, cst.Call):
            executed = executed.func.value
        value = self.value(executed.func) if isinstance(executed, cst.Call) else None
        return isinstance(value, External) and re.fullmatch(r"sqlalchemy\..*\.?(insert|update|delete)", value.dotted) is not None

    def hands_on(self, names: set[str], session: str) -> bool:
        """Whether one of these objects is given to a call that is no work on the session, nor a calm one: whoever gets it may ask for its session."""
        others = [node for node in self.nodes if isinstance(node, cst.Call) and called(node)[0] != session and CALM.fullmatch(code(node.func)) is None]
        return any(isinstance(arg.value, cst.Name) and arg.value.value in names for call in others for arg in call.args)

    def catches(self, handler: cst.ExceptHandler) -> bool:
        """Whether a handler gets the errors of a flush."""
        kinds = [e.value for e in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
        values = [self.value(kind) if kind is not None else External("builtins.Exception") for kind in kinds]
        return any(isinstance(value, External) and LIBRARY_ERROR.fullmatch(value.dotted) for value in values)


def _begins(session: Session | Maker | Registry) -> bool:
    """Whether such a session begins a transaction by itself, and keeps it until it is ended."""
    return "autobegin" not in session.options.given and not ("autocommit" in session.options.given and session.options.autocommit)


def mentions(node: cst.CSTNode, name: str) -> bool:
    return any(isinstance(one, cst.Name) and one.value == name for one in below(node))


# -- the operators --------------------------------------------------------------------------------------------------------


def _never_closed(owned: Owned) -> str:
    return "async-session-never-closed" if owned.wait else "session-never-closed"


def _holds(owned: Owned) -> bool:
    """Whether a statement may raise while the session holds a connection: SQL after SQL, with no commit between."""
    first, *later = [at for at, node in enumerate(owned.body) if runs(node, owned.name)] or [0]
    return any(not calls(owned.body[first : at + 1], owned.name, ENDINGS) for at in later)


def _leaks(f: Body, owned: Owned) -> bool:
    """Whether the session holds a connection as some way out of the function is taken, if nobody closes it."""
    if f.uses_only(owned, QUIET):
        return any(runs(node, owned.name) for node in owned.body)
    return _holds(owned) and f.uses_only(owned, QUIET | {"commit"})


def _opened(owned: Owned) -> cst.BaseStatement:
    return statement(f"{owned.name} = {code(owned.opening)}", owned.whole)


def unwrap_with(f: Body) -> Made:
    for o in f.owned:
        if o.how == "with" and _leaks(f, o):
            yield _never_closed(o), {o.whole: [_opened(o), *o.body]}


def drop_close(f: Body) -> Made:
    for o in f.owned:
        if o.close is not None and _leaks(f, o):
            yield _never_closed(o), {o.close: [statement("pass")]}


def close_straight(f: Body) -> Made:
    for o in f.owned:
        final = o.whole.finalbody if isinstance(o.whole, cst.Try) and not o.whole.handlers and not o.whole.orelse else None
        alone = o.how == "with" or (final is not None and len(final.body.body) == 1)
        if not alone or not _holds(o) or not f.uses_only(o, QUIET | {"commit"}):
            continue
        opening, close = [_opened(o)] if o.how == "with" else [], o.close or statement(f"{o.wait}{o.name}.close()")
        match o.body[-1]:
            case cst.SimpleStatementLine(body=[cst.Return(value=cst.BaseExpression() as value)]) as last if not mentions(f.function, "result"):
                end = [statement(f"result = {code(value)}", last), close, statement("return result")]
                yield "close-not-in-finally", {o.whole: [*opening, *o.body[:-1], *end]}
            case last if not any(isinstance(node, LEAVING) for node in below(last)):
                yield "close-not-in-finally", {o.whole: [*opening, *o.body, close]}


def drop_rollback(f: Body) -> Made:
    for block in f.blocks:
        for at, node in enumerate(block):
            handler = next((h for h in node.handlers if f.catches(h)), None) if isinstance(node, cst.Try) else None
            rollback = next((s for s in handler.body.body if action(s)[1] == "rollback"), None) if handler is not None else None
            session = action(rollback)[0] if rollback is not None else ""
            if not isinstance(node, cst.Try) or handler is None or rollback is None or not session or not f.is_session(rollback) or f.has_savepoint:
                continue
            rest = list(handler.body.body)
            before, after = rest[: rest.index(rollback)], rest[rest.index(rollback) + 1 :]
            inner = [called(part) for part in below(node.body, (*NESTED, cst.Try, cst.TryStar))]
            if not {(session, "commit"), (session, "flush")} & set(inner) or not calm(before, session):
                continue
            if first_work(after, session):
                yield "session-used-in-except-before-rollback", {rollback: []}
            elif calm(after, session) and (node.finalbody is None or not mentions(node.finalbody, session.partition(".")[0])):
                if first_work(block[at + 1 :], session) or _again(f, block, at, session):
                    yield "swallowed-error-without-rollback", {rollback: [] if before or after else [statement("pass")]}


def _again(f: Body, block: Sequence[cst.BaseStatement], at: int, session: str) -> bool:
    """Whether a `try` statement surely runs again in the next turn of a finite loop, with the same session."""
    around = f.parents.get(f.parents.get(block[at], f.function))
    if not isinstance(around, cst.For) or ENDLESS.search(code(around.iter)) or not calm([around.target, *block[at + 1 :]], session):
        return False
    bound = any(isinstance(node, (cst.AssignTarget, cst.AsName)) and mentions(node, session) for node in below(around))
    return not bound and not any(isinstance(node, LEAVING) for before in block[:at] for node in below(before))


def drop_await(f: Body) -> Made:
    for node in f.nodes:
        match node:
            case cst.Await(expression=cst.Call(func=cst.Attribute(value=receiver, attr=cst.Name(value=method))) as call) if method in COROUTINES:
                value, parent = f.value(receiver), f.parents[node]
                blocks = isinstance(value, Session) and value.how == "with" and method in {"close", "aclose"}
                if isinstance(value, (Session, Registry)) and value.kind == "async" and not blocks and isinstance(parent, (cst.Expr, cst.Attribute, cst.Assign)):
                    line = _line_of(f, node)
                    if line is not None and (not isinstance(parent, cst.Assign) or _is_read(f, parent)):
                        yield "missing-await-on-async-session", {line: [_changed(line, node, call)]}


def _is_read(f: Body, bound: cst.Assign) -> bool:
    """Whether the name that is bound is next used as only a value can be: a part of it is read, it is looked through, compared or tested, on the same branch."""
    target = bound.targets[0].target
    same = [name for name in f.names if isinstance(target, cst.Name) and name.value == target.value]
    after = same[next((at for at, name in enumerate(same) if name is target), len(same)) + 1 :]
    block, here = f.parents.get(_line_of(f, bound) or bound), after[0] if after else None
    while here is not None and here is not block:
        here = f.parents.get(here)
    if here is None:
        return False  # behind the block other branches may have awaited theirs
    match f.parents[after[0]]:
        case cst.Attribute(attr=cst.Name(value=method)):
            return method not in OF_COROUTINES
        case cst.Subscript(value=read) | cst.For(iter=read) | cst.UnaryOperation(expression=read) | cst.Comparison(left=read) | cst.If(test=read):
            return read is after[0]
    return False


def _line_of(f: Body, node: cst.CSTNode) -> cst.SimpleStatementLine | None:
    while not isinstance(node, (cst.BaseStatement, cst.FunctionDef)):
        node = f.parents[node]
    return node if isinstance(node, cst.SimpleStatementLine) else None


def _changed(line: cst.SimpleStatementLine, old: cst.CSTNode, new: cst.CSTNode) -> cst.CSTNode:
    changed = line.deep_replace(old, new)
    assert isinstance(changed, cst.SimpleStatementLine)
    return changed


def return_session(f: Body) -> Made:
    for o in f.owned:
        match o.body[-1]:
            case cst.SimpleStatementLine(body=[cst.Return(value=cst.BaseExpression() as value)]) as line if o.how != "finally" and not f.is_generator:
                if code(value) != o.name:
                    yield "session-escapes-with-block", {line: [statement(f"return {o.name}", line)]}


def return_unread(f: Body) -> Made:
    for o in f.owned:
        for node in (inner for part in o.body for inner in below(part)) if o.how != "finally" and not o.wait and not f.is_generator else ():
            match node:
                case cst.Return(value=cst.Call(func=cst.Attribute(value=cst.Call() as unread, attr=cst.Name(value="all")), args=[]) as whole):
                    start, line = root(unread, o.name), _line_of(f, node)
                    if start is not None and line is not None and called(start)[1] in {"query", "scalars", "execute", "exec"} and f.is_entity(start):
                        yield "unconsumed-result-escapes-session", {line: [_changed(line, whole, unread)]}


def drop_commit(f: Body) -> Made:
    if f.index.files_with("AUTOCOMMIT"):
        return
    for o in f.owned:
        commits = [node for node in f.nodes if called(node) == (o.name, "commit")]
        commit = next((node for node in o.body if action(node) == (o.name, "commit")), None)
        if o.session.options.autocommit:
            continue
        if "autoflush" in o.session.options.given and calls(o.body, o.name, frozenset({"refresh"})):
            continue  # what was not flushed cannot be refreshed
        if o.how not in {"with", "finally"} or len(commits) != 1 or commit is None or not f.uses_only(o, QUIET | {"commit", "rollback"}):
            continue
        written = [each for part in o.body[: o.body.index(commit)] for each in f.writes(part, o.name)]
        if written and not f.hands_on({each.value for each in written if isinstance(each, cst.Name)}, o.name):
            yield "write-without-commit", {commit: []}


def move_behind(f: Body) -> Made:
    for o in f.owned:
        last = o.body[-1]
        if isinstance(o.whole, cst.With) and len(o.body) > 1 and isinstance(last, cst.SimpleStatementLine) and not f.is_generator:
            if runs(last, o.name) or (action(last)[0] == o.name and action(last)[1] in WRITES):
                yield "session-use-after-close", {o.whole: [o.whole.with_changes(body=o.whole.body.with_changes(body=o.body[:-1])), last]}


def commit_in_begin(f: Body) -> Made:
    for node in f.nodes:
        match node:
            case cst.With(items=[*_, cst.WithItem(item=cst.Call(func=cst.Attribute(value=receiver, attr=cst.Name(value="begin"))), asname=name)], body=cst.IndentedBlock(body=body)):
                value = f.value(receiver)
                session = code(name.name) if isinstance(value, Maker) and name is not None else code(receiver) if isinstance(value, (Session, Registry)) else ""
                later = [s for s in body[1:] if session and runs(s, session)]
                if later and isinstance(value, (Maker, Session, Registry)) and _begins(value) and not calls(body, session, ENDINGS):
                    yield "commit-inside-begin-block", {later[-1]: [statement(f"{'await ' if value.kind == 'async' else ''}{session}.commit()"), later[-1]]}


def begin_late(f: Body) -> Made:
    for o in (owned for owned in f.owned if not owned.session.options.autocommit):
        for node, then in zip(o.body, o.body[1:], strict=False):
            if o.how in {"with", "finally"} and runs(node, o.name) and f.uses_only(o, QUIET | {"commit", "rollback"}) and not calls([node], o.name, ENDINGS):
                block = statement(f"{'async ' if o.wait else ''}with {o.name}.begin():\n    pass")
                within = mentions(then, o.name) and action(then)[1] not in ENDINGS
                new = [block.with_changes(body=cst.IndentedBlock([then]))] if within else [statement(f"{o.wait}{o.name}.begin()"), then]
                yield "begin-after-autobegin", {then: new}


def _leaves_half(f: Body, body: Sequence[cst.BaseStatement], session: str) -> bool:
    """Whether statements write and then do what may fail, so that a commit that follows in any case saves half of the work."""
    first = next((at for at, node in enumerate(body) if f.writes(node, session)), None)
    names = {each.value for node in body for each in f.writes(node, session) if isinstance(each, cst.Name)}
    return first is not None and not f.hands_on(names, session) and any(runs(node, session) or action(node) == (session, "flush") for node in body[first + 1 :])


def commit_at_last(f: Body) -> Made:
    for o in f.owned:
        at, commit = next(((at, node) for at, node in enumerate(o.body) if action(node) == (o.name, "commit")), (0, None))
        before, after = o.body[:at], o.body[at + 1 :]
        if commit is None or calls([*before, *after], o.name, ENDINGS) or any(mentions(node, o.name) for node in after) or not f.uses_only(o, QUIET | {"commit"}):
            continue
        if o.how in {"with", "finally"} and _leaves_half(f, before, o.name):
            if isinstance(o.whole, cst.With):
                final = cst.Finally(cst.IndentedBlock([commit, statement(f"{o.wait}{o.name}.close()")]))
                yield "commit-in-finally", {o.whole: [_opened(o), cst.Try(cst.IndentedBlock([*before, *after]), finalbody=final)]}
            elif o.close is not None and not o.whole.handlers:
                yield "commit-in-finally", {commit: [], o.close: [commit, o.close]}
    body = f.function.body.body if not f.has_savepoint and not f.is_generator else ()
    for at, commit in enumerate(body):
        session, method = action(commit)
        first = next((start for start, node in enumerate(body[:at]) if isinstance(node, cst.BaseStatement) and f.writes(node, session)), None) if method == "commit" else None
        if first is None or not f.is_session(commit) or not _leaves_half(f, body[first:at], session) or sum(called(node) == (session, "commit") for node in f.nodes) > 1:
            continue
        if all(_stays(node, session) for node in body[first:at]):
            work = cst.IndentedBlock([node for node in body[first:at] if isinstance(node, cst.BaseStatement)])
            yield "commit-in-finally", {**{node: [] for node in body[first:at]}, commit: [cst.Try(work, finalbody=cst.Finally(cst.IndentedBlock([commit])))]}


def _stays(node: cst.CSTNode, session: str) -> bool:
    """Whether a statement leaves no block, binds no session anew, ends no transaction and hands no session on."""
    inner = list(below(node, ()))
    if any(isinstance(one, (*LEAVING, *NESTED, cst.Try)) or (isinstance(one, (cst.AssignTarget, cst.AsName)) and code(one).startswith(session)) for one in inner):
        return False
    handed = any(isinstance(one, cst.Arg) and mentions(one, session.partition(".")[0]) for one in inner)
    return not handed and not calls([node], session, ENDINGS)


OPERATORS: dict[str, Callable[[Body], Made]] = {
    operator.__name__.replace("_", "-"): operator
    for operator in (
        unwrap_with, drop_close, close_straight, drop_rollback, drop_await, return_session, return_unread, drop_commit, move_behind, commit_in_begin,
        begin_late, commit_at_last,
    )
}  # fmt: skip
