"""Operators by which an object is read, or given to a session, when it is too early or too late for that: what the function has loaded or made is read by a
statement more, or a commit comes before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import libcst as cst

from mutation.function import Body
from mutation.reading import ENDINGS, LEAVING, Made, action, below, called, calls, code, mentions, root, statement
from sa_session_lint.model.value import Class, Registry, Session
from sa_session_lint.project import expiry
from sa_session_lint.project.mapping import attribute, computed, is_generated

ONE = frozenset({"get", "get_one", "first", "one", "one_or_none", "scalar_one", "scalar_one_or_none"})
MANY = frozenset({"all", "fetchall"})
SHAPING = frozenset({"options", "execution_options", "with_entities", "add_columns", "populate_existing", "merge", "expunge", "expunge_all", "make_transient"})


class Got(NamedTuple):
    """A statement after which a name holds an object, or many, that a session has loaded; `after` is the rest of the block."""

    name: str
    model: Class
    session: str
    line: cst.BaseStatement
    after: Sequence[cst.BaseStatement]
    many: bool = False


def got(f: Body, block: Sequence[cst.BaseStatement], session: str) -> Iterator[Got]:
    """What the statements of a block load by a session, each by a query of one class that asks for nothing beside it."""
    for at, node in enumerate(block):
        match node:
            case cst.SimpleStatementLine(body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=value)]):
                call = value.expression if isinstance(value, cst.Await) else value
                start, last = root(call, session), called(call)[1]
                if start is None or last not in ONE | MANY or SHAPING & {called(each)[1] for each in below(call)} or not entity(f, start):
                    continue
                model = entity(f, start)
                if model is not None and is_bound_once(f, name):
                    yield Got(name, model, session, node, block[at + 1 :], last in MANY)


def entity(f: Body, start: cst.Call) -> Class | None:
    """The class whose objects `session.get(User, 1)`, `session.query(User)` or `session.scalars(select(User))` gives."""
    argument = f.origin(start.args[0].value) if start.args else None
    while isinstance(argument, cst.Call) and isinstance(argument.func, cst.Attribute) and isinstance(argument.func.value, cst.Call):
        argument = argument.func.value
    if isinstance(argument, cst.Call):
        if not code(argument.func).endswith("select") or len(argument.args) != 1 or called(start)[1] not in {"scalars", "execute", "exec"}:
            return None
        argument = argument.args[0].value
    elif called(start)[1] not in {"get", "get_one", "query"} or (called(start)[1] == "query" and len(start.args) != 1):
        return None
    found = f.value(argument) if argument is not None else None
    return found if isinstance(found, Class) else None


def is_bound_once(f: Body, name: str) -> bool:
    bound = [one for one in f.nodes if isinstance(one, cst.AssignTarget) and code(one.target) == name]
    others = [one for one in f.nodes if isinstance(one, (cst.For, cst.NamedExpr, cst.AugAssign, cst.AsName)) and mentions(getattr(one, "target", one), name)]
    return len(bound) == 1 and not others and name not in f.parameters


def members(f: Body, model: Class, *kinds: str) -> list[str]:
    """The attributes of a mapped class, and of those that it inherits from, of these kinds."""
    found = f.index.outline(model.path)
    names: list[str] = []
    stack = [model]
    while stack and len(names) < 40:
        here = stack.pop()
        found = f.index.outline(here.path)
        scope = found.scopes.get(here.qualname) if found is not None else None
        if found is None or scope is None:
            continue
        names += [name for name in scope.bindings if attribute(f.index, model, name) in kinds]
        bases = (f.index.value(base, scope.parent or found.module, here.path) for base in scope.bases)
        stack += [base for base in bases if isinstance(base, Class) and base != here]
    return sorted(dict.fromkeys(names))


def is_left_alone(nodes: Sequence[cst.CSTNode], name: str) -> bool:
    """Whether statements only read attributes of an object, or set them: it is given to nobody."""
    inner = [one for node in nodes for one in below(node, ())]
    plain = {one.value for one in inner if isinstance(one, cst.Attribute)}
    return not any(isinstance(one, cst.Name) and one.value == name and one not in plain for one in inner) and not any(
        isinstance(one, cst.Call) and called(one)[0] == name for one in inner
    )


def goes_on(nodes: Sequence[cst.CSTNode]) -> bool:
    """Whether control surely comes behind statements."""
    return not any(isinstance(one, LEAVING) for node in nodes for one in below(node))


def expires(session: Session) -> bool:
    return session.options.expire is True


def is_told(f: Body, session: Session | Registry) -> bool:
    """Whether a commit of a session that is given expires its objects, by what the whole project tells."""
    return expiry.expires(f.index, session.options, session.kind) is True


def first_column(f: Body, model: Class) -> str | None:
    return next((name for name in members(f, model, "column") if computed(f.index, model, name) is None), None)


class Left(NamedTuple):
    """A block at whose end a session of the function is closed, and control surely comes to its end. `saves`: it commits there by itself."""

    session: str
    wait: str
    expires: bool
    saves: bool
    whole: cst.With | cst.Try
    body: Sequence[cst.BaseStatement]

    def behind(self, *statements: cst.BaseStatement, last: Sequence[cst.BaseStatement] = ()) -> Mapping[cst.CSTNode, Sequence[cst.CSTNode]]:
        """The block with `last` at its end, and statements behind it; what it gave back is given back behind these."""
        end = self.body[-1]
        match end:
            case cst.SimpleStatementLine(body=[cst.Return(value=cst.BaseExpression() as value)]):
                kept = [*self.body[:-1], statement(f"given_back = {code(value)}")]
                after = [*statements, statement("return given_back")]
            case cst.SimpleStatementLine(body=[cst.Return()]):
                kept, after = [*self.body[:-1], statement("pass")], [*statements, statement("return")]
            case _:
                kept, after = [*self.body], [*statements]
        return {self.whole: [self.whole.with_changes(body=self.whole.body.with_changes(body=[*kept, *last])), *after]}


def left(f: Body) -> Iterator[Left]:
    for o in () if f.is_generator else f.owned:
        if isinstance(o.whole, cst.Try) and any(goes_on(handler.body.body) for handler in o.whole.handlers):
            continue  # behind that it is not known how far it came
        saves = o.how == "begin" or (o.how == "helper" and f.saves(o.opening))
        unsure = o.how == "helper" and not saves and f.mentions_commit(o.opening)
        if comes_to_end(o.body) and not unsure:
            yield Left(o.name, o.wait, expires(o.session), saves, o.whole, o.body)


def comes_to_end(body: Sequence[cst.BaseStatement]) -> bool:
    """Whether control comes to the end of a block, unless it is left earlier: its last statement leaves by nothing but a `return` of its own."""
    match body[-1]:
        case cst.SimpleStatementLine(body=[cst.Return()]):
            return True
        case cst.SimpleStatementLine():
            return goes_on(body[-1:])
        case cst.If(body=inner):
            return goes_on([inner])
        case last:
            return goes_on([last])


def kept(f: Body, o: Left) -> Iterator[Got]:
    """The objects that a block loads, or makes and adds, and gives to nobody."""
    made = [Got(name, model, o.session, node, o.body[o.body.index(node) + 1 :]) for name, model, node, _ in new(f, o.body, o.session) if is_bound_once(f, name)]
    for g in (*got(f, o.body, o.session), *made):
        rest = [node for node in g.after if not is_guard(node, g.name)]
        if rest and isinstance(rest[-1], cst.SimpleStatementLine) and code(rest[-1]).strip() == f"return {g.name}":
            rest = rest[:-1]
        if not g.many and is_left_alone(rest, g.name) and not calls(g.after, o.session, ENDINGS - {"commit"} | {"expunge", "expunge_all"}):
            yield g


def is_guard(node: cst.BaseStatement, name: str) -> bool:
    """Whether a statement only asks whether there is an object at all, and leaves."""
    return isinstance(node, cst.If) and code(node.test) in {f"not {name}", f"{name} is None"} and node.orelse is None and not any(mentions(one, name) for one in node.body.body)


def read_relation_behind(f: Body) -> Made:
    """After the block of a session a relationship is read that it has not loaded."""
    for o in left(f):
        for g in kept(f, o) if not o.saves and not calls(o.body, o.session, frozenset({"commit"})) else ():
            unread = [name for name in members(f, g.model, "lazy", "lazy one") if f".{name}" not in code(f.function)]
            if unread and is_loaded(g):
                yield "lazy-load-after-close", o.behind(statement(f"print({g.name}.{unread[0]})"))


def read_deferred_behind(f: Body) -> Made:
    """After the block of a session a deferred column is read."""
    for o in left(f):
        for g in kept(f, o) if not o.saves and not calls(o.body, o.session, frozenset({"commit"})) else ():
            unread = [name for name in members(f, g.model, "deferred") if f".{name}" not in code(f.function)]
            if unread and is_loaded(g):
                yield "lazy-load-after-close", o.behind(statement(f"print({g.name}.{unread[0]})"))


def is_loaded(g: Got) -> bool:
    """Whether an object comes from a query, and was not made."""
    return "add" not in action(g.line)


def read_expired_behind(f: Body) -> Made:
    """The session commits, at the end of its block, and after that a column is read."""
    for o in left(f):
        for g in kept(f, o) if o.expires else ():
            column = first_column(f, g.model)
            if column is not None and not calls(g.after, o.session, frozenset({"refresh"})):
                last = [] if o.saves else [statement(f"{o.wait}{o.session}.commit()")]
                yield "expired-read-after-close", o.behind(statement(f"print({g.name}.{column})"), last=last)


def drop_refresh_behind(f: Body) -> Made:
    """The `refresh()` between a commit and the end of the block goes, and after that a column is read."""
    for o in left(f):
        for before, node in pairwise(o.body) if o.expires else ():
            if action(before) == (o.session, "commit") and action(node) == (o.session, "refresh"):
                rest = Left(o.session, o.wait, True, o.saves, o.whole, [one for one in o.body if one is not node])
                for g in kept(f, rest):
                    column = first_column(f, g.model)
                    if column is not None and f"({g.name})" in code(node):
                        yield "expired-read-after-close", rest.behind(statement(f"print({g.name}.{column})"))


class Open(NamedTuple):
    """A session by its name, and a block in which it is open; `expires`: a commit is known to expire its objects."""

    name: str
    is_async: bool
    expires: bool
    body: Sequence[cst.BaseStatement]

    @property
    def wait(self) -> str:
        return "await " if self.is_async else ""


def sessions(f: Body) -> Iterator[Open]:
    """The sessions of a function, its own, those that it is given, and the registries that it asks, each with every block in which it is open."""
    if f.is_generator:
        return
    for o in f.owned:
        if o.how in {"with", "finally"}:
            for block in blocks(o.body):
                yield Open(o.name, o.session.kind == "async", expires(o.session), block)
    body = [node for node in f.function.body.body if isinstance(node, cst.BaseStatement)]
    for name in sorted({called(node)[0] for node in f.nodes} - {o.name for o in f.owned}):
        session = next((value for node in body if isinstance(value := f.receiver(node, name), (Session, Registry))), None) if name else None
        if isinstance(session, Registry) or (session is not None and session.how in {"given", "depends"} and name in f.parameters):
            for block in blocks(body):
                yield Open(name, session.kind == "async", is_told(f, session), block)


def blocks(body: Sequence[cst.BaseStatement]) -> Iterator[Sequence[cst.BaseStatement]]:
    """A block, and those within it."""
    yield body
    for node in body:
        for inner in below(node):
            if isinstance(inner, cst.IndentedBlock):
                yield inner.body


def read_relation_async(f: Body) -> Made:
    """Under asyncio a relationship is read that the query has not loaded."""
    for o in sessions(f):
        for g in got(f, o.body, o.name) if o.is_async else ():
            unread = [each for each in members(f, g.model, "lazy") if f".{each}" not in code(f.function)]
            if unread and not g.many:
                yield "async-lazy-load", {g.line: [g.line, statement(f"print({g.name}.{unread[0]})")]}


def commit_before_read(f: Body) -> Made:
    """Under asyncio a commit comes between an object and the read of its column."""
    for o in sessions(f):
        for g in got(f, o.body, o.name) if o.is_async and o.expires else ():
            column = first_column(f, g.model)
            if column is not None and not g.many:
                yield "async-lazy-load", {g.line: [g.line, statement(f"await {o.name}.commit()"), statement(f"print({g.name}.{column})")]}


def drop_refresh(f: Body) -> Made:
    """Under asyncio the `refresh()` between a commit and a read goes."""
    for o in sessions(f):
        for before, node in pairwise(o.body) if o.is_async and o.expires else ():
            if action(before) == (o.name, "commit") and action(node) == (o.name, "refresh") and isinstance(node, cst.SimpleStatementLine):
                call = next(each for each in below(node) if isinstance(each, cst.Call))
                refreshed = call.args[0].value if len(call.args) == 1 else None
                got_here = [g for g in got(f, o.body, o.name) if refreshed is not None and g.name == code(refreshed)]
                column = first_column(f, got_here[0].model) if got_here else None
                if column is not None:
                    yield "async-lazy-load", {node: [statement(f"print({got_here[0].name}.{column})")]}


def new(f: Body, body: Sequence[cst.BaseStatement], session: str) -> Iterator[tuple[str, Class, cst.BaseStatement, cst.Call]]:
    """Each `session.add(x)` of an object that the statement just before has made."""
    for before, node in pairwise(body):
        match before, node:
            case (
                cst.SimpleStatementLine(body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=cst.Call() as made)]),
                cst.SimpleStatementLine(body=[cst.Expr(value=cst.Call(args=[cst.Arg(value=cst.Name(value=added))]))]),
            ) if action(node) == (session, "add") and name == added and isinstance(model := f.value(made.func), Class):
                yield name, model, node, made


def read_key_early(f: Body) -> Made:
    """The key of a new object is read before anything is flushed."""
    for o in sessions(f):
        for added, model, node, made in new(f, o.body, o.name):
            keys = [key for key in members(f, model, "column") if is_generated(f.index, model, key)]
            given = {arg.keyword.value if arg.keyword is not None else "" for arg in made.args} | {"*" for arg in made.args if arg.star}
            if len(keys) == 1 and not given & {keys[0], "", "*"}:
                yield "generated-value-before-flush", {node: [node, statement(f"print({added}.{keys[0]})")]}


def refresh_early(f: Body) -> Made:
    """A new object is refreshed before it is flushed."""
    for o in sessions(f):
        for added, _, node, _ in new(f, o.body, o.name):
            yield "operation-needs-persistent-instance", {node: [node, statement(f"{o.wait}{o.name}.refresh({added})")]}


def commit_in_loop(f: Body) -> Made:
    """A loop over objects commits at the end of each turn, and reads a column at its beginning."""
    for o in sessions(f):
        if not o.expires or o.is_async:
            continue
        models = {g.name: g.model for g in got(f, o.body, o.name) if g.many}
        for node in o.body:
            match node:
                case cst.For(target=cst.Name(value=each), iter=cst.Name(value=many), body=cst.IndentedBlock(body=inner)) if many in models and goes_on(inner):
                    column = first_column(f, models[many])
                    if column is not None and not calls(inner, o.name, ENDINGS) and is_left_alone(inner, each):
                        block = node.body.with_changes(body=[statement(f"print({each}.{column})"), *inner, statement(f"{o.name}.commit()")])
                        yield "commit-inside-iteration", {node: [node.with_changes(body=block)]}


def give_to_other(f: Body) -> Made:
    """A second session is given an object of the first."""
    for o in f.owned:
        if o.how != "with" or o.wait:
            continue
        for g in got(f, o.body, o.name):
            if not g.many:
                other = f"with {code(o.opening)} as second:\n    second.refresh({g.name})\n"
                yield "object-of-other-session", {g.line: [g.line, *cst.parse_module(other).body]}


def give_to_thread(f: Body) -> Made:
    """A thread that nobody waits for is given an object, whose relationship it reads."""
    for o in sessions(f):
        for g in got(f, o.body, o.name) if not o.is_async else ():
            unread = [each for each in members(f, g.model, "lazy", "lazy one") if f".{each}" not in code(f.function)]
            waits = any(called(one)[1] in {"join", "result", "shutdown", "exception"} for one in f.nodes)
            if unread and not g.many and not waits:
                start = f"def tell(found):\n    print(found.{unread[0]})\nfrom threading import Thread as Worker\nWorker(target=tell, args=({g.name},)).start()\n"
                yield "orm-object-shared-across-threads", {g.line: [g.line, *cst.parse_module(start).body]}
