"""Operators by which a session is held, or used by others, while it has a transaction open: waits, threads, tasks, processes, second sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import libcst as cst

from mutation.function import Body, Held
from mutation.reading import DIRECT, ENDINGS, QUIET, Made, Swaps, action, below, called, calls, code, mentions, runs, statement, statements, works
from sa_session_lint.model.value import Session
from sa_session_lint.project.local import is_local
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.pooling import is_roomy
from sa_session_lint.project.reach import runs_by_itself

UNPOOLED = ("NullPool", "StaticPool", "SingletonThreadPool", ":memory:", 'sqlite://"', "max_overflow=-1")
LOOKS = "def look(shared):\n    from sqlalchemy import text as sql\n    shared.execute(sql('select 1'))\n"
WAITS = (
    "import time as clock\nclock.sleep(30)",
    "from time import sleep as idle\nidle(30)",
    "import requests as web\nfor page in range(50):\n    web.get('https://example.org/rates', timeout=30)",
    "from urllib.request import urlopen as fetch\nfor page in range(50):\n    fetch('https://example.org/rates')",
    "import subprocess as shell\nshell.run(['make', 'report'], check=True)",
    "def idle():\n    import time as clock\n    clock.sleep(30)\nidle()",
)
WAITS_OF_COROUTINES = (
    "import asyncio as loop\nawait loop.sleep(30)",
    "import httpx as web\nasync with web.AsyncClient() as agent:\n    for page in range(50):\n        await agent.get('https://example.org/rates')",
    "async def idle():\n    import asyncio as loop\n    await loop.sleep(30)\nawait idle()",
)
THREADS = (
    f"{LOOKS}from threading import Thread as Worker\nWorker(target=look, args=(SESSION,)).start()",
    "from sqlalchemy import text as sql\nfrom threading import Thread as Worker\nWorker(target=lambda: SESSION.execute(sql('select 1'))).start()",
    f"{LOOKS}import threading as jobs\nworker = jobs.Thread(target=look, kwargs={{'shared': SESSION}}, daemon=True)\nworker.start()",
    "from concurrent.futures import ThreadPoolExecutor as Workers\nwith Workers(4) as workers:\n    list(workers.map(lambda key: SESSION.flush(), range(4)))",
)
PROCESSES = (
    f"{LOOKS}from multiprocessing import Process as Worker\nWorker(target=look, args=(SESSION,)).start()",
    f"{LOOKS}import multiprocessing as jobs\nworker = jobs.Process(target=look, kwargs={{'shared': SESSION}})\nworker.start()\nworker.join()",
    f"{LOOKS}from concurrent.futures import ProcessPoolExecutor as Workers\nwith Workers() as workers:\n    workers.submit(look, SESSION).result()",
)
NAMES = re.compile(r"\b(clock|idle|web|fetch|shell|loop|agent|page|look|shared|worker|workers|Worker|Workers|sql|jobs|other|tasks)\b")


def _then(f: Body, held: Held, text: str) -> Iterator[Swaps]:
    """What a function becomes when something more is done once its session has run SQL."""
    if not NAMES.search(code(f.function)):
        yield {held.line: [held.line, *statements(text.replace("SESSION", held.name))]}


def _is_alone(f: Body) -> bool:
    """Whether all that leads to a function does one thing at a time."""
    return runs_by_itself(f.index, f.outline, f.outline.scope_of[id(f.function)])


def wait_within(f: Body) -> Made:
    """A wait is no mistake for certain where a project works on SQLite files alone, nor where a process does one thing at a time."""
    for held in f.held if not is_local(f.index, None) and not _is_alone(f) else ():
        for text in WAITS_OF_COROUTINES if f.function.asynchronous else WAITS:
            for swaps in _then(f, held, text):
                yield "session-held-across-slow-call", swaps


def open_second(f: Body) -> Made:
    """A second session is no mistake for certain where a process does one thing at a time, or few."""
    if any(not is_aside(path) for word in UNPOOLED for path in f.index.files_with(word)) or _is_alone(f) or (is_roomy(f.index, f.outline.path) and not f.function.asynchronous):
        return
    for held in f.held:
        o = held.owned
        if o is not None and o.how in {"with", "begin", "finally"} and f.is_plain_maker(o.opening):
            block = f"{'async ' if o.wait else ''}with {code(o.opening)} as other:\n    {o.wait}other.execute(sql('select 1'))"
            for swaps in _then(f, held, f"from sqlalchemy import text as sql\n{block}"):
                yield "second-session-while-holding-first", swaps


def share_with_thread(f: Body) -> Made:
    for held in f.held:
        if held.session.kind == "sync" and (held.owned is not None or (held.after and runs(held.after[0], held.name))):
            for text in THREADS:
                for swaps in _then(f, held, text):
                    yield "session-shared-across-threads", swaps


def send_to_process(f: Body) -> Made:
    for held in f.held:
        if held.session.kind == "sync" and all(map(is_aside, f.index.files_with("NullPool"))):
            for text in PROCESSES:
                for swaps in _then(f, held, text):
                    yield "session-or-object-to-process", swaps


def _awaited(f: Body, node: cst.CSTNode) -> tuple[str, str, cst.Call] | None:
    """Name, session and call of a statement like `name = await session.execute(...)`, or one that awaits a function that surely runs SQL on a session."""
    match node:
        case cst.SimpleStatementLine(body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=cst.Await(expression=cst.Call() as call))]):
            session, method = called(call)
            value = f.value(call.func.value) if isinstance(call.func, cst.Attribute) else None
            if method in DIRECT - {"get"} and isinstance(value, Session) and value.kind == "async":
                return name, session, call
            given = f.run_on(call)
            return (name, given, call) if given is not None else None
    return None


def gather(f: Body) -> Made:
    """Two statements in succession that each await SQL on one session become one that awaits both at once."""
    for block in f.blocks:
        for first, second in pairwise(block):
            one, two = _awaited(f, first), _awaited(f, second)
            if one is None or two is None or one[1] != two[1] or not one[1].isidentifier() or mentions(two[2], one[0]) or one[0] == two[0]:
                continue
            (left, _, a), (right, _, b) = one, two
            if NAMES.search(code(f.function)):
                continue
            both = [f"import asyncio as loop\n{left}, {right} = await loop.gather({code(a)}, {code(b)})"]
            both.append(f"import asyncio as loop\nworker = loop.create_task({code(a)})\n{right} = await {code(b)}\n{left} = await worker")
            both.append(f"import asyncio as loop\nasync with loop.TaskGroup() as tasks:\n    worker = tasks.create_task({code(a)})\n    other = tasks.create_task({code(b)})\n"
                        f"{left}, {right} = worker.result(), other.result()")  # fmt: skip
            for text in both:
                yield "async-session-shared-by-tasks", {first: [], second: statements(text)}


def leave_to_task(f: Body) -> Made:
    """The last thing that a block awaits becomes a task that nobody waits for."""
    for o in f.owned:
        match o.body[-1]:
            case cst.SimpleStatementLine(body=[cst.Expr(value=cst.Await(expression=cst.Call() as call))]) as last if o.how != "finally" and not f.is_generator:
                ran = action(last) in {(o.name, "commit"), (o.name, "flush")} or (called(call)[0] == o.name and runs(last, o.name)) or f.run_on(call) == o.name
                if o.wait and ran and not NAMES.search(code(f.function)) and any(works(node, o.name) for node in o.body):
                    for start in (f"loop.create_task({code(call)})", f"worker = loop.ensure_future({code(call)})", f"loop.get_running_loop().create_task({code(call)})"):
                        yield "async-session-outlives-scope-in-task", {last: statements(f"import asyncio as loop\n{start}")}


def end_callers_work(f: Body) -> Made:
    """A helper commits what it has written or flushed, in the middle of a caller's work."""
    body = [node for node in f.function.body.body if isinstance(node, cst.BaseStatement)]
    for session in f.parameters if not f.has_savepoint and not f.is_generator else ():
        at = next((at for at, node in enumerate(body) if f.writes(node, session)), None)
        value = f.receiver(body[at], session) if at is not None else None
        if at is None or not isinstance(value, Session) or calls(body, session, ENDINGS) or not any(_in_the_middle(caller, call) for caller, call in f.callers()):
            continue
        commit = statement(f"{'await ' if value.kind == 'async' else ''}{session}.commit()")
        flush = next((node for node in body[at + 1 :] if action(node) == (session, "flush")), None)
        yield "callee-ends-callers-transaction", {body[at]: [body[at], commit]} if flush is None else {flush: [commit]}


def _in_the_middle(caller: Body, call: cst.Call) -> bool:
    """Whether a call surely gets the one session of a caller that has something to save then, and more later, which it commits as a whole."""
    given = [code(each.value) for each in call.args if isinstance(caller.value(each.value), Session)]
    if len(given) != 1 or not given[0].isidentifier():
        return False
    session = given[0]
    for block in caller.blocks:
        for at, node in enumerate(block):
            if call not in below(node) or not isinstance(node, cst.SimpleStatementLine):
                continue
            after = block[at + 1 :]
            if any(o.how == "begin" and o.name == session and o.body is block for o in caller.owned):
                return any(works(each, session) for each in after) and not calls(block, session, ENDINGS)
            start = max((i + 1 for i, before in enumerate(block[:at]) if calls([before], session, ENDINGS)), default=0)
            end = next((i for i, each in enumerate(after) if calls([each], session, ENDINGS)), None)
            if end is None or action(after[end]) != (session, "commit") or caller.has_savepoint:
                return False
            return any(caller.writes(each, session) for each in block[start:at]) and any(caller.writes(each, session) for each in after[:end])
    return False


def end_in_helper(f: Body) -> Made:
    """Between two writes that one commit saves, a helper is called that commits."""
    for block in f.blocks if not f.has_savepoint and not f.is_generator else ():
        for end, node in enumerate(block):
            session, method = action(node)
            value = f.receiver(node, session) if method == "commit" and session.isidentifier() else None
            start = max((i + 1 for i, before in enumerate(block[:end]) if calls([before], session, ENDINGS)), default=0)
            written = [before for before in block[start:end] if f.writes(before, session)] if isinstance(value, Session) else []
            if len(written) > 1 and isinstance(value, Session) and isinstance(written[0], cst.SimpleStatementLine) and not NAMES.search(code(f.function)):
                wait, start_of = ("await ", "async def") if value.kind == "async" else ("", "def")
                text = f"{start_of} look(shared):\n    from sqlalchemy import text as sql\n    {wait}shared.execute(sql('select 1'))\n    {wait}shared.commit()"
                yield "callee-ends-callers-transaction", {written[0]: [written[0], *statements(f"{text}\n{wait}look({session})")]}


def yield_rows(f: Body) -> Made:
    """A function that returns a list becomes a generator."""
    returns = [node for node in f.nodes if isinstance(node, cst.Return) and node.value is not None]
    if (len(returns) != 1 and f.function.asynchronous) or f.is_generator or f.function.decorators or NAMES.search(code(f.function)) or f.is_handed_on():
        return
    for o in f.owned:
        match o.body[-1]:
            case cst.SimpleStatementLine(body=[cst.Return(value=cst.BaseExpression() as value)]) as line if _is_list(value) and f.uses_only(o, QUIET):
                if any(runs(node, o.name) for node in o.body):
                    yield "generator-holds-session", {line: statements(f"for look in {code(value)}:\n    yield look")}
                    if not f.function.asynchronous:
                        yield "generator-holds-session", {line: statements(f"yield from {code(value)}")}


def _is_list(value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.ListComp) or (isinstance(value, cst.Call) and (called(value)[1] in {"all", "fetchall"} or code(value.func) == "list"))
