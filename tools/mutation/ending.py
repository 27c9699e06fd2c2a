"""Operators that take away from a function how it opens, closes, commits or rolls back its session."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import libcst as cst

from mutation.function import Body, Owned, begins
from mutation.reading import (
    ENDINGS,
    ENDLESS,
    LEAVING,
    NESTED,
    QUIET,
    WRITES,
    Made,
    action,
    below,
    called,
    calls,
    calm,
    code,
    first_work,
    mentions,
    root,
    runs,
    statement,
    statements,
    sure,
    works,
)
from sa_session_lint.model.value import Engine, Maker, Registry, Session
from sa_session_lint.model.vocabulary import COROUTINES, OF_COROUTINES


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
                then = _up_to_work(block[at + 1 :], session)
                if not f.reads_loaded([handler.body, *then]) and (first_work(then, session) or _again(f, block, at, session)):
                    yield "swallowed-error-without-rollback", {rollback: [] if before or after else [statement("pass")]}


def _again(f: Body, block: Sequence[cst.BaseStatement], at: int, session: str) -> bool:
    """Whether a `try` statement surely runs again in the next turn of a finite loop, with the same session."""
    around = f.parents.get(f.parents.get(block[at], f.function))
    if not isinstance(around, cst.For) or ENDLESS.search(code(around.iter)) or not calm([around.target, *block[at + 1 :]], session):
        return False
    bound = any(isinstance(node, (cst.AssignTarget, cst.AsName)) and mentions(node, session) for node in below(around))
    return not bound and not any(isinstance(node, LEAVING) for before in block[:at] for node in below(before))


def _up_to_work(block: Sequence[cst.BaseStatement], session: str) -> Sequence[cst.BaseStatement]:
    """The statements up to the first that works on a session, or all."""
    return block[: next((at for at, node in enumerate(block, 1) if works(node, session)), len(block))]


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
    block = f.parents.get(_line_of(f, bound) or bound)
    here: cst.CSTNode | None = after[0] if after else None
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
            value = node.value if isinstance(node, cst.Return) else None
            if isinstance(value, cst.Name):
                bound = next((one for one in f.nodes if isinstance(one, cst.Assign) and code(one.targets[0].target) == value.value), None)
                value = f.origin(value) if sum(name.value == value.value for name in f.names) == 2 and bound is not None else None
                node = bound if bound is not None else node
            match value:
                case cst.Call(func=cst.Attribute(value=cst.Call() as unread, attr=cst.Name(value="all")), args=[]) | cst.Call(
                    func=cst.Name(value="list"), args=[cst.Arg(value=cst.Call() as unread)]
                ) as whole:
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
                if later and isinstance(value, (Maker, Session, Registry)) and begins(value) and not calls(body, session, ENDINGS):
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
    lines = [node for node in body if isinstance(node, cst.BaseStatement)]
    for at, last in enumerate(lines):
        session, method = action(last)
        first = next((start for start, node in enumerate(lines[:at]) if f.writes(node, session)), None) if method == "commit" else None
        if first is None or not f.is_session(last) or not _leaves_half(f, lines[first:at], session) or sum(called(node) == (session, "commit") for node in f.nodes) > 1:
            continue
        if all(_stays(node, session) for node in lines[first:at]):
            work = cst.Try(cst.IndentedBlock(lines[first:at]), finalbody=cst.Finally(cst.IndentedBlock([last])))
            yield "commit-in-finally", {**{node: [] for node in lines[first:at]}, last: [work]}


def _stays(node: cst.CSTNode, session: str) -> bool:
    """Whether a statement leaves no block, binds no session anew, ends no transaction and hands no session on."""
    inner = list(below(node, ()))
    if any(isinstance(one, (*LEAVING, *NESTED, cst.Try)) or (isinstance(one, (cst.AssignTarget, cst.AsName)) and code(one).startswith(session)) for one in inner):
        return False
    handed = any(isinstance(one, cst.Arg) and mentions(one, session.partition(".")[0]) for one in inner)
    return not handed and not calls([node], session, ENDINGS)


def unwrap_connection(f: Body) -> Made:
    for node in f.nodes:
        match node:
            case cst.With(
                items=[cst.WithItem(item=cst.Call(func=cst.Attribute(value=receiver, attr=cst.Name(value="connect" | "begin"))), asname=cst.AsName(name=cst.Name(value=name) as bound))],
                body=cst.IndentedBlock(body=body),
            ) if isinstance(engine := f.value(receiver), Engine):  # fmt: skip
                used = any(called(call) in {(name, "execute"), (name, "scalar"), (name, "scalars")} for part in body for call in sure(part))
                others = frozenset(one.name for one in f.nodes if isinstance(one, cst.AsName))
                if used and bound in others and f.is_put_to(name, others, frozenset({"execute", "scalar", "scalars", "commit", "rollback"})):
                    opening = f"{name} = {'await ' if engine.kind == 'async' else ''}{code(receiver)}.connect()"
                    yield "connection-not-closed", {node: [statement(opening, node), *body]}


def begin_alone(f: Body) -> Made:
    for o in f.owned:
        if o.how == "begin" and any(called(call)[0] == o.name for node in o.body for call in sure(node)) and f.uses_only(o, QUIET | {"commit"}):
            yield "begin-without-with", {o.whole: [_opened(o), *o.body]}


def open_before_loop(f: Body) -> Made:
    """The block that each turn of an endless loop opens anew is put around the loop, which goes on after an error."""
    for o in f.owned:
        loop = f.parents.get(f.parents.get(o.whole, f.function))
        attempt = loop if isinstance(loop, cst.Try) and loop.finalbody is None and loop.orelse is None else None
        if attempt is None:
            attempt = next((node for node in o.body if isinstance(node, cst.Try) and node.finalbody is None and node.orelse is None), None)
        else:
            loop = f.parents.get(f.parents.get(attempt, f.function))
        if o.how != "with" or attempt is None or not isinstance(loop, cst.While) or code(loop.test) not in {"True", "1"} or loop.orelse is not None:
            continue
        within = o.body if o.whole in below(attempt) else attempt.body.body
        works = any(action(node) in {(o.name, "commit"), (o.name, "flush")} for node in within if isinstance(node, cst.BaseStatement))
        swallows = any(f.catches(handler) for handler in attempt.handlers) and all(
            not any(isinstance(node, LEAVING) or mentions(node, o.name) for node in below(handler)) for handler in attempt.handlers
        )
        tries = sum(isinstance(node, (cst.Try, cst.TryStar)) for node in below(loop))
        if works and swallows and tries == 1 and f.uses_only(o, QUIET | {"commit"}) and isinstance(o.whole, cst.With) and not calls([loop], o.name, ENDINGS - {"commit"}):
            inner = cst.ensure_type(loop.visit(_Unwrapped(o.whole)), cst.While)
            yield "session-outlives-worker-loop", {loop: [o.whole.with_changes(body=cst.IndentedBlock([inner]))]}


class _Unwrapped(cst.CSTTransformer):
    """Puts the statements of a with-block in its place."""

    def __init__(self, whole: cst.With) -> None:
        super().__init__()
        self.whole = whole

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.With | cst.FlattenSentinel[cst.BaseStatement]:
        if original_node is not self.whole:
            return updated_node
        return cst.FlattenSentinel([node for node in updated_node.body.body if isinstance(node, cst.BaseStatement)])


def work_forever(f: Body) -> Made:
    """What a block does once it does in an endless loop, which goes on after an error."""
    for o in f.owned:
        inner = [node for part in o.body for node in below(part)]
        saves = any(action(node) in {(o.name, "commit"), (o.name, "flush")} for node in o.body) and any(f.writes(node, o.name) for node in o.body)
        if o.how not in {"with", "helper"} or not saves or not isinstance(o.whole, cst.With) or not f.uses_only(o, QUIET | {"commit"}):
            continue
        if not any(isinstance(node, (*LEAVING, cst.Try, cst.TryStar)) for node in inner):
            loop = cst.ensure_type(statement("while True:\n    try:\n        pass\n    except Exception as failure:\n        print(failure)"), cst.While)
            attempt = cst.ensure_type(loop.body.body[0], cst.Try).with_changes(body=cst.IndentedBlock(o.body))
            yield "session-outlives-worker-loop", {o.whole: [o.whole.with_changes(body=cst.IndentedBlock([loop.with_changes(body=cst.IndentedBlock([attempt]))]))]}


def swallow_flush(f: Body) -> Made:
    """An error of a flush or commit is swallowed, and the session is used on."""
    for block in f.blocks if not f.has_savepoint and not f.is_generator else ():
        for at, node in enumerate(block):
            session, method = action(node)
            if method not in {"flush", "commit"} or not f.is_session(node) or f.gives_away(session) or not first_work(block[at + 1 :], session):
                continue
            start = max((i + 1 for i, before in enumerate(block[:at]) if calls([before], session, ENDINGS | {"flush"})), default=0)
            flushed = [each for before in block[start:at] for each in f.writes(before, session) if not f.is_dml(each)]
            if flushed and not f.reads_loaded(_up_to_work(block[at + 1 :], session)):
                attempt = cst.ensure_type(statement("try:\n    pass\nexcept Exception as failure:\n    print(failure)"), cst.Try)
                yield "swallowed-error-without-rollback", {node: [attempt.with_changes(body=cst.IndentedBlock([node]))]}


def use_in_handler(f: Body) -> Made:
    """The handler of a failed flush or commit runs SQL before it rolls back."""
    for node in f.nodes if not f.has_savepoint and not f.is_generator else ():
        handler = next((h for h in node.handlers if f.catches(h)), None) if isinstance(node, cst.Try) else None
        rollback = next((s for s in handler.body.body if action(s)[1] == "rollback"), None) if handler is not None else None
        if not isinstance(node, cst.Try) or handler is None or rollback is None or not f.is_session(rollback):
            continue
        session, body = action(rollback)[0], node.body.body
        end = next((at for at, part in enumerate(body) if action(part) in {(session, "commit"), (session, "flush")}), 0)
        if any(f.writes(part, session) for part in body[:end]) and calm(handler.body.body[: handler.body.body.index(rollback)], session):
            wait = "await " if any(isinstance(part, cst.Await) for part in below(rollback)) else ""
            use = f"from sqlalchemy import text as sql\n{wait}{session}.execute(sql('select 1'))"
            yield "session-used-in-except-before-rollback", {rollback: [*statements(use), rollback]}


def read_behind(f: Body) -> Made:
    """What was read within the block is read behind it."""
    for block in f.blocks:
        for node, then in pairwise(block):
            o = next((o for o in f.owned if o.whole is node and o.how in {"with", "begin", "helper"} and not o.wait), None)
            match o.body[-1] if o is not None else None:
                case cst.SimpleStatementLine(
                    body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=cst.Call(func=cst.Attribute(value=cst.Call() as unread, attr=cst.Name(value="all"))) as whole)]
                ) as line:  # fmt: skip
                    start = root(unread, o.name) if o is not None else None
                    if start is not None and called(start)[1] in {"query", "scalars", "execute", "exec"} and f.is_entity(start):
                        if isinstance(then, cst.For) and code(then.iter) == name:
                            yield "unconsumed-result-escapes-session", {line: [_changed(line, whole, unread)]}


def commit_behind(f: Body) -> Made:
    """The flush or commit of what was written, and what follows, moves out of the `try` that has a handler for the error that it may raise."""
    attempts = [node for node in f.nodes if isinstance(node, cst.Try) and any(f.refused(handler) for handler in node.handlers)]
    for node in attempts if len(attempts) == 1 else ():
        body = list(node.body.body)
        at = next((at for at, part in enumerate(body) if at and action(part)[1] in {"flush", "commit"} and f.is_session(part)), None)
        if at is None or node.orelse is not None or node.finalbody is not None or not f.refused(node.handlers[0]):
            continue
        session, before = action(body[at])[0], body[:at]
        if f.writes(before[-1], session) and not any(runs(part, session) for part in before) and calm(before, session):
            yield "integrity-error-caught-around-add", {node: [node.with_changes(body=node.body.with_changes(body=before)), *body[at:]]}


def keep_in_cache(f: Body) -> Made:
    """What a function loads and gives goes into a cache as well: with a session of its own, or with that of Flask-SQLAlchemy, which is removed after each request."""
    if f.function.decorators or f.function.asynchronous is not None or f.is_generator or re.search(r"expunge|transient|options|\wload\(|nested", code(f.function.body)):
        return
    cached = f.function.with_changes(decorators=[cst.Decorator(cst.parse_expression("functools.lru_cache"))])
    for node in (inner for inner in f.nodes if isinstance(inner, cst.Return) and inner.value is not None):
        given = f.origin(node.value) if node.value is not None else None
        if given is not None and (f.asks_framework(given) or any(f.gives_loadable(given, o.name) for o in f.owned if any(node in below(part) for part in o.body))):
            yield "orm-object-in-cache", {f.function: [*statements("import functools"), cached]}
            return
