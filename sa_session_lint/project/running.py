"""Whether code of the project runs at all, and how often: as a command, once when the program starts, or never, since nothing names it any more.

Each reads only the files whose bytes hold the names in question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Expression, Name
from sa_session_lint.model.value import UNKNOWN, Class, Constant, External, Function, Made
from sa_session_lint.project.modules import is_aside, is_test, stem
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import called_name, callers, is_imported, names_module, same_function

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_PLAIN = frozenset({"staticmethod", "classmethod"})
_ENTRIES = frozenset({"main", "run", "cli", "handler", "lambda_handler", "create_app", "make_app", "application"})
"""Functions that something outside of the project may name."""
_MAKERS = frozenset(dotted.rpartition(".")[2] for dotted in v.APPLICATIONS)
_MAKING = re.compile(rb"(?<!\w)(?:" + "|".join(sorted(_MAKERS)).encode() + rb")\(")
_TEXT = re.compile(r'#[^\n]*|^[ \t]*(?:from[^\n]*)?import(?:\s*\([^)]*\)|[^\n]*)|"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|^__all__\b[^\[(]*[\[(][^\])]*', re.MULTILINE)
"""A comment, a docstring, `__all__`, or an import: what is imported need not be used, unless that gives it another name."""
_DYNAMIC = ("import_module", "__import__", "iter_modules", "walk_packages", "find_modules", "import_string", "spec_from_file_location", "autodiscover_tasks", "load_extension")
"""What loads modules that no import names."""
_COMPUTED = re.compile(rb"(?:" + "|".join(_DYNAMIC).encode() + rb")\(\s*(?![bru]?[\"'][\w.]*[\"'])")


def runs_as_script(index: Index, path: str, scope: Scope, depth: int = 3) -> bool:
    """Whether a function is a command of a command line, after which the process ends, or only called, as far as that can be traced, by commands and by
    what stands under `if __name__ == "__main__"`. One that goes on for ever is a worker."""
    outline = index.outline(path)
    if outline is None or (scope.kind == "function" and _goes_on(outline, scope)):
        return False
    if scope.under_main or is_command(index, path, scope):
        return True
    if scope.kind != "function" or scope.owner is not None or not depth or not all(_runs_each_time(index, d, scope, path) for d in scope.decorators):
        return False
    found = [each for each in callers(index, path, scope) if not is_aside(each[0].path)]
    return bool(found) and all(
        not _is_repeated(at, caller, call, endless=True) if call.at in caller.in_main else runs_as_script(index, at.path, caller, depth - 1)
        for at, caller, call in found
    )


def _goes_on(outline: Outline, scope: Scope) -> bool:
    """Whether a function has an endless loop that calls something."""
    return any(_is_repeated(outline, scope, call, endless=True) for call in scope.calls)


def _is_repeated(outline: Outline, scope: Scope, call: Call, endless: bool = False) -> bool:
    """Whether a call stands in a loop, or in an endless one."""
    loops = (node for at in scope.within.get(call.at, ()) if isinstance(node := outline.nodes[at], (cst.For, cst.While)))
    return any(not endless or (isinstance(loop, cst.While) and isinstance(loop.test, (cst.Name, cst.Integer)) and loop.test.value in {"True", "1"}) for loop in loops)


def _runs_each_time(index: Index, decorator: Expression, scope: Scope, path: str) -> bool:
    """Whether a decorator leaves a function one that is called: it may be called again when it fails."""
    value = index.value(decorator.function if isinstance(decorator, Call) else decorator, scope.parent or scope, path)
    return isinstance(value, External) and value.dotted in v.TRANSPARENT | v.RETRYING


def is_command(index: Index, path: str, scope: Scope) -> bool:
    """Whether click, typer or argparse runs a function when a command is given: `@cli.command()`, `parser.set_defaults(func=f)`."""
    found = index.outline(path)
    if not scope.decorators and scope.kind == "function":
        chosen = (index.value(value, at, o.path) for o, at, call in index.calls_with("set_defaults", scope.name) for _, value in call.keywords if value == Name(scope.name))
        return any(same_function(value, path, scope.qualname) for value in chosen)
    names = (called_name(each.function if isinstance(each, Call) else each) for each in scope.decorators)
    return found is not None and "command" in names and any(each.module.partition(".")[0] in {"click", "typer"} for each in found.imports)


def runs_at_start(index: Index, path: str, scope: Scope, depth: int = 3) -> bool:
    """Whether a function runs once in the life of a process, when the application starts: under `@app.on_event("startup")`, as `FastAPI(lifespan=...)`, or
    because only such functions and the statements of modules call it, none of them in a loop. One that goes on for ever is a worker.
    https://fastapi.tiangolo.com/advanced/events/"""
    found = index.outline(path)
    if found is None or scope.kind != "function" or scope.parent is None or scope.parent.kind != "module":
        return False
    if _goes_on(found, scope):
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
    return sum(1 for file, _ in _mentions(index, scope.name) if not is_aside(file)) - 1


def is_dead(index: Index, scope: Scope) -> bool:
    """Whether nothing in the project but its definition names a plain function: nobody calls it, no framework finds it."""
    if scope.kind != "function" or scope.decorators or scope.owner is not None or scope.parent is None or scope.parent.kind != "module":
        return False
    return len(_mentions(index, scope.name)) < 2


def is_left_over(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether nothing names a function or method, or the class that it belongs to, but what is itself left over: nobody has called it for long. In a module
    that nobody uses, or in a class that inherits from a library's, it is for others to call, but in an application there are no others. Nor does a function
    run that is defined anew further down, or the handler of a router that is not part of the application."""
    while scope.parent is not None and scope.parent.kind == "function":
        scope = scope.parent
    owner = scope.owner
    outer = scope if owner is None else owner
    if outer.parent is not outline.module or (scope.name.startswith("__") and owner is None):
        return False
    if any(called_name(each) not in _PLAIN for each in scope.decorators):
        routers = [_router_of(index, outline, each) for each in scope.decorators]
        return owner is None and all(each is not None and not _is_included(index, outline, each) for each in routers)
    if _is_defined_anew(scope):
        return True
    if owner is not None and owner.decorators:
        return False
    is_own = owner is None or all(isinstance(index.value(base, outline.module, outline.path), Class) for base in owner.bases)
    beside = [s.name for s in outline.scopes.values() if s.parent is outline.module and s is not outer]
    others = [path for path in index.files_with(stem(outline.path)) if path != outline.path]
    alone = bool(_applications(index) - {outline.path}) and not _may_be_loaded(index, outline.path)  # no imports but those that can be seen
    if is_own and _is_unnamed(index, outline, outer):
        return any(_named_in(index, name, others) for name in beside) or _is_unloaded(index, outline) or (alone and outer.name not in _ENTRIES)
    if owner is None or scope.name.startswith("__") or not (is_own or "__tablename__" in owner.bindings):
        return False
    methods = [s.name for s in outline.scopes.values() if s.parent is owner and s is not scope and not s.name.startswith("__")]
    return _is_uncalled(index, outline, owner, scope) and (alone or any(_named_in(index, name, others) for name in methods))


def _is_defined_anew(scope: Scope) -> bool:
    """Whether another definition of the same name takes a function's place before anybody can call it."""
    last = scope.parent.bindings[scope.name][-1] if scope.parent is not None and scope.parent.bindings.get(scope.name) else None
    return not scope.decorators and last is not None and last.how == "def" and last.sure and last.at != scope.at and scope.kind == "function"


def _router_of(index: Index, outline: Outline, decorator: Expression) -> str | None:
    """The name of the router that the module makes, and to which a decorator adds a route: `@router.get("/")`."""
    head = decorator.function if isinstance(decorator, Call) else decorator
    router = head.value if isinstance(head, Attribute) else None
    value = index.value(router, outline.module, outline.path) if isinstance(router, Name) else None
    is_router = isinstance(value, Made) and value.dotted.rpartition(".")[2] in {"APIRouter", "Blueprint"} and value.place.path == outline.path
    return router.name if is_router and isinstance(router, Name) else None


def _is_included(index: Index, outline: Outline, router: str) -> bool:
    """Whether anything may make a router part of an application: it is named where it is made, or in a file that imports the module."""

    def search() -> bool:
        if not _applications(index) - {outline.path} or _may_be_loaded(index, outline.path):
            return True
        if any(Name(router) in (*call.arguments, *(value for _, value in call.keywords)) for scope in (outline.module, *outline.scopes.values()) for call in scope.calls):
            return True
        if _is_unloaded(index, outline):
            return False
        for file in index.files_with(stem(outline.path)):
            found = index.outline(file) if file != outline.path and not is_test(file) else None
            if found is not None and (found.stars or router in (index.data(file) or b"").decode("utf-8", "replace")) and _imports_it(index, found, outline.path, router):
                return True
        return False

    return index.once(("included", outline.path, router), search)


def _imports_it(index: Index, found: Outline, path: str, router: str) -> bool:
    """Whether a file imports a router by its name, everything of its module, or the module, whose router it names."""
    for what in found.imports:
        if index.modules.find(what.module, what.level, found.path) == path and (what.name in {router, None} or found.stars):
            return True
        if names_module(index, what, found.path, path):
            return bool(re.search(r"\.\s*" + re.escape(router) + r"\b", (index.data(found.path) or b"").decode("utf-8", "replace")))
    return any(index.modules.find(star.module, star.level, found.path) == path for star in found.stars)


def _is_unloaded(index: Index, outline: Outline) -> bool:
    """Whether no import and no string of an application names a module, and nothing in it runs as a script."""

    def search() -> bool:
        path = outline.path
        if outline.main_blocks or not _applications(index) - {path} or path in _applications(index) or is_imported(index, path):
            return False
        if _may_be_loaded(index, path):
            return False
        name = re.compile(rb"[\"'][\w./]*(?<!\w)" + re.escape(stem(path).encode()) + rb"(?:[.:][\w.]*)?[\"']")
        return not any(name.search(index.data(file) or b"") for file in index.files_with(stem(path)))

    return index.once(("unloaded", outline.path), search)


def _may_be_loaded(index: Index, path: str) -> bool:
    """Whether some file may import a module by a computed name."""
    return any(_may_load(index, file, path) for file in _loaders(index))


def _loaders(index: Index) -> list[str]:
    """The files that import modules by computed names."""
    return index.once(
        ("loaders",),
        lambda: [file for word in _DYNAMIC for file in index.files_with(word) if not is_aside(file) and _COMPUTED.search(index.data(file) or b"")],
    )


def _may_load(index: Index, loader: str, path: str) -> bool:
    """Whether a file that imports modules by computed names may so import another: one beside or below it, or in a folder that it names."""
    folder, around = loader.rpartition("/")[0], path.rpartition("/")[0]
    beside = around == folder or bool(folder and path.startswith(f"{folder}/"))
    named = re.compile(rb"[\"'][^\"'\n]*(?<!\w)" + re.escape(around.rpartition("/")[2].encode()) + rb"(?!\w)")
    return beside or (bool(around) and named.search(index.data(loader) or b"") is not None)


def _applications(index: Index) -> frozenset[str]:
    """The files that make an application: `FastAPI()`, `Flask(__name__)`."""

    def search() -> frozenset[str]:
        files = [path for word in _MAKERS for path in index.files_with(word) if not is_aside(path) and _MAKING.search(index.data(path) or b"")]
        return frozenset(path for path in files if (found := index.outline(path)) is not None and any(_makes(index, found, scope) for scope in (found.module, *found.scopes.values())))

    return index.once(("applications",), search)


def _makes(index: Index, found: Outline, scope: Scope) -> bool:
    values = (index.value(call.function, scope, found.path) for call in scope.calls if called_name(call.function) in _MAKERS)
    return any(isinstance(made, External) and made.dotted in v.APPLICATIONS for made in values)


def _is_unnamed(index: Index, outline: Outline, scope: Scope, depth: int = 2) -> bool:
    """Whether only its own definition names a function or class of a module, or functions and classes beside it that are themselves unnamed."""
    mentions = _mentions(index, scope.name)
    if len(mentions) < 2:
        return True
    if not depth or len(mentions) > 4 or any(file != outline.path for file, _ in mentions):
        return False
    around = [s for s in outline.scopes.values() if s.parent is outline.module and s is not scope and not s.decorators]
    spans = {s.qualname: _span(index, outline, s) for s in (scope, *around)}
    within = [next((q for q, (first, last) in spans.items() if first <= line <= last), None) for _, line in mentions]
    return None not in within and all(_is_unnamed(index, outline, outline.scopes[q], depth - 1) for q in set(within) - {scope.qualname} if q is not None)


def _is_uncalled(index: Index, outline: Outline, owner: Scope, scope: Scope) -> bool:
    """Whether nothing names a method but its definition, definitions of the same name in other classes, and calls of those."""
    mentions = _mentions(index, scope.name)
    if len(mentions) < 2:
        return True
    inherited = [index.value(base, outline.module, outline.path) for base in owner.bases]
    if len(mentions) > 8 or any(index.member(base.path, base.qualname, scope.name) is not UNKNOWN for base in inherited if isinstance(base, Class)):
        return False
    if _applications(index):  # only tests call it
        mentions = [(path, line) for path, line in mentions if not is_test(path)]
    explained = 0
    for found, place in index.scopes_with(scope.name):
        explained += place.name == scope.name and place.kind == "function"
        for call in place.calls:
            value = index.value(call.function, place, found.path) if isinstance(call.function, Attribute) and call.function.name == scope.name else None
            explained += isinstance(value, Function) and not same_function(value, outline.path, scope.qualname)
    return explained >= len(mentions)


def _span(index: Index, outline: Outline, scope: Scope) -> tuple[int, int]:
    source = index.source(outline.path)
    span = source.span_of(outline.nodes[scope.at]) if source is not None else None
    return (span.line, span.end_line) if span is not None else (0, 0)


def _mentions(index: Index, name: str) -> list[tuple[str, int]]:
    """The files and lines of the project's code that have a name; comments, docstrings and imports do not count."""
    return index.once(("mentions", name), lambda: [(path, line) for path in index.files_with(name) for line in _lines_with(index, name, path)])


def _named_in(index: Index, name: str, paths: list[str]) -> bool:
    return any(next(_lines_with(index, name, path), 0) for path in paths if path in index.files_with(name))


def _lines_with(index: Index, name: str, path: str) -> Iterator[int]:
    word = re.compile(r"(?<!\w)" + re.escape(name) + r"(?!\w)")
    text = (index.data(path) or b"").decode("utf-8", "replace")
    code = _TEXT.sub(lambda found: found[0] if "import" in found[0] and " as " in found[0] and found[0][0] not in "#\"'" else "\n" * found[0].count("\n"), text)
    for found in word.finditer(code):
        yield code.count("\n", 0, found.start()) + 1
