"""Whether code of the project runs as a command, or once when the program starts.

Each reads only the files whose bytes hold the names in question.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Expression, Name
from sa_session_lint.model.value import Constant, External, Function
from sa_session_lint.project.mentions import mentions
from sa_session_lint.project.modules import is_aside, is_test
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.renewing import everything
from sa_session_lint.project.usage import called_name, callers, is_imported, same_function

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


_OF_ARGUMENTS = frozenset({"argparse", "optparse", "getopt"})
_PLAIN = frozenset({"property", "setter", "staticmethod", "classmethod", "abstractmethod", "dataclass", "contextmanager", "override", "cached_property", "lru_cache", "cache"})
_BATCH = re.compile(rb"(?m)^if __name__ ==|^[ \t]*(?:from|import)[ \t]+(?:" + "|".join(v.ENDING_PROGRAMS).encode() + rb")\b")
_SERVES = re.compile(rb"(?m)^[ \t]*(?:from|import)[ \t]+(?:" + "|".join(map(re.escape, v.LASTING)).encode() + rb")\b")
_ENDLESS = re.compile(rb"\bwhile[ \t]*\(?(?:True|1)\)?[ \t]*:")
_LASTING = re.compile(r"(?i)forever|polling|mainloop|consum|serve|listen|schedul|loop|watch|daemon|thread|worker|sleep|socket|grpc|run_app|subscribe|uvicorn|application|fastapi|flask|celery")
"""Calls of programs that do not end, or that others call."""


def is_batch(index: Index) -> bool:
    """Whether a project is made of commands, scripts and pipelines alone, each of which ends: nothing in it serves, waits for work, or starts threads. A connection
    that one of them does not give back goes with its process."""

    def search() -> bool:
        texts = [index.data(path) or b"" for path in index.modules.files if not is_aside(path)]
        return any(_BATCH.search(text) for text in texts) and not any(_SERVES.search(text) or _polls(text) for text in texts)

    return index.once(("batch",), search)


def _polls(text: bytes) -> bool:
    """Whether an endless loop comes before a call of `sleep`."""
    loop = _ENDLESS.search(text)
    return loop is not None and b"sleep(" in text[loop.end() :]


def runs_as_script(index: Index, path: str, scope: Scope, depth: int = 3) -> bool:
    """Whether a function is a command of a command line, after which the process ends, or only called, as far as that can be traced, by commands, by
    what lies among scripts or stands under `if __name__ == "__main__"`. One that goes on for ever is a worker."""
    outline = index.outline(path)
    if outline is None or (scope.kind == "function" and goes_on(outline, scope)):
        return False
    if scope.under_main or is_command(index, path, scope) or is_tool(index, outline):
        return True
    if scope.kind != "function" or scope.owner is not None or not depth or not all(_runs_each_time(index, d, scope, path) for d in scope.decorators):
        return False
    called = callers(index, path, scope)
    found = [each for each in called if not is_aside(each[0].path)]
    if not found:
        return any(not is_test(at.path) for at, _, _ in called) and not _others(index, path, scope)
    return all(
        not _is_repeated(at, caller, call, endless=True) if call.at in caller.in_main else runs_as_script(index, at.path, caller, depth - 1)
        for at, caller, call in found
    )


def is_script(index: Index, outline: Outline) -> bool:
    """Whether the statements of a module run but once, for no other module: nobody imports it, no framework finds anything in it, and they have an end."""
    found = [scope for scope in outline.scopes.values() if scope.kind == "function"]
    return not (is_imported(index, outline.path) or any(scope.decorators for scope in found) or goes_on(outline, outline.module))


def is_tool(index: Index, outline: Outline) -> bool:
    """Whether a file is a program of the command line that ends when its work is done: it reads arguments and has a part under
    `if __name__ == "__main__"`, nobody imports it, no framework finds anything in it, and nothing in it goes on or waits for ever."""

    def ask() -> bool:
        scopes = (outline.module, *outline.scopes.values())
        decorators = {called_name(each.function if isinstance(each, Call) else each) for scope in scopes for each in scope.decorators}
        return (
            bool(outline.main_blocks)
            and any(each.module in _OF_ARGUMENTS for each in outline.imports)
            and decorators <= _PLAIN
            and not any(starts_what_lasts(scope) for scope in scopes)
            and not any(goes_on(outline, scope) for scope in scopes)
            and not is_imported(index, outline.path)
        )

    return index.once(("tool", outline.path), ask)


def starts_what_lasts(scope: Scope) -> bool:
    """Whether something calls what does not end, or what others call: `app.run_polling()`, `consumer.start_consuming()`."""
    return any(_LASTING.search(called_name(call.function) or "") for call in scope.calls)


def goes_on(outline: Outline, scope: Scope) -> bool:
    """Whether a function has an endless loop that calls something."""
    return any(_is_repeated(outline, scope, call, endless=True) for call in scope.calls)


def _is_repeated(outline: Outline, scope: Scope, call: Call, endless: bool = False) -> bool:
    """Whether a call stands in a loop, or in an endless one."""
    loops = outline.loops(scope, call.at)
    return any(not endless or (isinstance(loop, cst.While) and isinstance(loop.test, (cst.Name, cst.Integer)) and loop.test.value in {"True", "1"}) for loop in loops)


def _runs_each_time(index: Index, decorator: Expression, scope: Scope, path: str) -> bool:
    """Whether a decorator leaves a function one that is called: it may be called again when it fails."""
    value = index.value(decorator.function if isinstance(decorator, Call) else decorator, scope.parent or scope, path)
    return isinstance(value, External) and value.dotted in v.TRANSPARENT | v.RETRYING


def is_command(index: Index, path: str, scope: Scope) -> bool:
    """Whether click, typer or argparse runs a function when a command is given: `@cli.command()`, `@click.option("--all")`, `parser.set_defaults(func=f)`; or it reads
    the arguments of the program itself."""
    found = index.outline(path)
    if not scope.decorators and scope.kind == "function":
        if found is not None and scope.parent is found.module and _reads_arguments(index, found, scope):
            return True
        chosen = (index.value(value, at, o.path) for o, at, call in index.calls_with("set_defaults", scope.name) for _, value in call.keywords if value == Name(scope.name))
        return any(same_function(value, path, scope.qualname) for value in chosen)
    names = {called_name(each.function if isinstance(each, Call) else each) for each in scope.decorators}
    return found is not None and not names.isdisjoint({"command", "option"}) and any(each.module.partition(".")[0] in {"click", "typer"} for each in found.imports)


def _reads_arguments(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether a function reads `sys.argv`, or has it parsed, and starts nothing that goes on."""
    if b"argv" not in (index.data(outline.path) or b"") and b"parse_args" not in (index.data(outline.path) or b""):
        return False
    node = outline.nodes[scope.at]
    reads = any(called_name(call.function) == "parse_args" for call in scope.calls) or any(
        isinstance(part, cst.Attribute) and part.attr.value == "argv" and isinstance(part.value, cst.Name) and part.value.value == "sys" for part in everything(node)
    )
    return reads and not starts_what_lasts(scope)


def runs_at_start(index: Index, path: str, scope: Scope, depth: int = 3) -> bool:
    """Whether a function runs once in the life of a process, when the application starts: under `@app.on_event("startup")`, as `FastAPI(lifespan=...)`, or
    because only such functions and the statements of modules call it, none of them in a loop. One that goes on for ever is a worker.
    https://fastapi.tiangolo.com/advanced/events/"""
    found = index.outline(path)
    outer = scope.owner or scope
    if found is None or scope.kind != "function" or outer.parent is not found.module:
        return False
    if goes_on(found, scope):
        return False
    if any(_is_start(index, decorator, scope, path) for decorator in scope.decorators) or _is_lifespan(index, path, scope):
        return True
    if not depth or not all(_runs_each_time(index, d, scope, path) for d in scope.decorators):
        return False
    calls = [each for each in callers(index, path, scope) if not is_aside(each[0].path)]
    return bool(calls) and all(
        not _is_repeated(outline, caller, call)
        and (caller.kind == "module" or runs_at_start(index, outline.path, caller, depth - 1))
        for outline, caller, call in calls
    ) and len(calls) >= _others(index, path, scope)


def _is_start(index: Index, decorator: Expression, scope: Scope, path: str) -> bool:
    """`@app.on_event("startup")`, Quart's `@app.before_serving`, Celery's `@worker_process_init.connect`."""
    head = decorator.function if isinstance(decorator, Call) else decorator
    if not isinstance(head, Attribute):
        return False
    if head.name == "on_event" and isinstance(decorator, Call):
        return any(index.value(argument, scope.parent or scope, path) == Constant("startup") for argument in decorator.arguments)
    return head.name == "before_serving" or (head.name == "connect" and called_name(head.value) in v.CELERY_STARTS)


def _is_lifespan(index: Index, path: str, scope: Scope) -> bool:
    """`FastAPI(lifespan=f)`, `Starlette(on_startup=[f])`, `app.add_event_handler("startup", f)`."""
    me = Function(path, scope.qualname)
    for word in ("lifespan", "on_startup", "add_event_handler"):
        for outline, place, call in index.calls_with(word, scope.name):
            given = [call.keyword(word)] if called_name(call.function) != word else list(call.arguments[1:])
            if any(index.value(part, place, outline.path) == me for value in given if value is not None for part in getattr(value, "items", (value,))):
                return True
    return False


def _others(index: Index, path: str, scope: Scope) -> int:
    """How often the code of the project, its tests aside, names a function beside its definition."""
    return sum(1 for one in mentions(index, scope.name) if not is_aside(one.path))
