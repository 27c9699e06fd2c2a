"""Changes to a program that change nothing for a session: the findings must stay the same but for positions.

Renaming every identifier of the project is what kills guessing by names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.protocol import CONSUMING, METHODS, TERMINALS
from sa_session_lint.project.lowering import outline
from sa_session_lint.project.outline import Outline

Files = dict[str, str]

_CODE = re.compile(
    r'"""(?:[^\\"]+|\\.|"(?!""))*"""|\'\'\'(?:[^\\\']+|\\.|\'(?!\'\'))*\'\'\'|"(?:[^\\"\n]+|\\.)*"|\'(?:[^\\\'\n]+|\\.)*\''
    r"|#[^\n]*|(?P<name>[A-Za-z_]\w*)",
    re.DOTALL,
)
_METHODS = {
    "handle", "consume", "run", "get", "post", "put", "delete", "patch", "prepare", "query", "session", "state", "metadata", "name",
    "id", "email", "add_task", "app", "route", "connect", "task", "begin", "engine", "bind", "info", "main", "dispatch_request", "on_get",
    "on_post", "after_return", "dispatch", "process_view", "init_app", "app_context", "teardown_appcontext", "value", "items", "Task",
}  # fmt: skip


def _python(files: Files, change: Callable[[str, str], str]) -> Files:
    return {path: change(path, text) if path.endswith(".py") else text for path, text in files.items()}


def blank_lines(files: Files) -> Files:
    """Lines above every statement of the module."""

    def change(path: str, text: str) -> str:
        module = cst.parse_module(text)
        body = [s.with_changes(leading_lines=[cst.EmptyLine(), cst.EmptyLine(), *s.leading_lines]) for s in module.body]
        return module.with_changes(body=body).code

    return _python(files, change)


def wrapped(files: Files) -> Files:
    """Every function and class of a module under `if True:`."""

    def change(path: str, text: str) -> str:
        module = cst.parse_module(text)
        body: list[cst.BaseStatement] = []
        for statement in module.body:
            if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
                inner = statement.with_changes(leading_lines=[])
                body.append(cst.If(test=cst.Name("True"), body=cst.IndentedBlock([inner])))
            else:
                body.append(statement)
        return module.with_changes(body=body).code

    return _python(files, change)


def reordered(files: Files) -> Files:
    """Methods and neighbouring functions the other way round."""

    def change(path: str, text: str) -> str:
        module = cst.parse_module(text)
        return module.with_changes(body=_reversed_runs(module.body)).code

    return _python(files, change)


def _reversed_runs(body: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement]:
    done: list[cst.BaseStatement] = []
    run: list[cst.BaseStatement] = []
    for statement in body:
        if isinstance(statement, cst.FunctionDef) and not statement.decorators:
            run.append(statement)
            continue
        done += reversed(run)
        run = []
        done.append(statement)
    return [*done, *reversed(run)]


class _Aliased(cst.CSTTransformer):
    """`from sqlalchemy.orm import Session` becomes `import sqlalchemy.orm as lib0`, and `Session` becomes `lib0.Session`."""

    def __init__(self, names: dict[str, str]) -> None:
        super().__init__()
        self.names = names

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def visit_Attribute_attr(self, node: cst.Attribute) -> None:
        self.skip = node.attr

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_Param(self, original_node: cst.Param, updated_node: cst.Param) -> cst.Param:
        return updated_node.with_changes(name=original_node.name)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        dotted = self.names.get(updated_node.value)
        return updated_node if dotted is None else cst.parse_expression(dotted)


def aliased(files: Files) -> Files:
    """Names of SQLAlchemy through an alias of their module."""

    def change(path: str, text: str) -> str:
        module = cst.parse_module(text)
        found = outline(path, module)
        names: dict[str, str] = {}
        body: list[cst.BaseStatement] = []
        for statement in module.body:
            small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1 else None
            if isinstance(small, cst.ImportFrom) and small.module is not None and not small.relative and isinstance(small.names, Sequence):
                source = module.code_for_node(small.module)
                plain = [a for a in small.names if isinstance(a.name, cst.Name)]
                if source.startswith(("sqlalchemy", "sqlmodel")) and all(len(found.module.bindings[_bound(a)]) == 1 for a in plain):
                    alias = f"lib{len(names)}"
                    names |= {_bound(a): f"{alias}.{a.name.value}" for a in plain}
                    body.append(cst.parse_statement(f"import {source} as {alias}"))
                    continue
            body.append(statement)
        return module.with_changes(body=body).visit(_Aliased(names)).code

    return _python(files, change)


def _bound(alias: cst.ImportAlias) -> str:
    name = alias.asname.name if alias.asname is not None else alias.name
    assert isinstance(name, cst.Name)
    return name.value


_FORMATTED = re.compile(r"\b[fF][rR]?(\"[^\"\n]*\"|'[^'\n]*')")


def renamed(files: Files) -> Files:
    """Every identifier that the project defines, under a name that says nothing."""
    outlines = {path: outline(path, cst.parse_module(text)) for path, text in files.items() if path.endswith(".py")}
    kept = {part for path in files for part in re.split(r"[/.]", path)} | _METHODS | v.SESSION_CALLS | set(METHODS) | TERMINALS | CONSUMING | v.ENDING_CALLS | v.ROUTE_METHODS
    kept |= {method for _, method in v.ENQUEUING} | {v.URL_SETTING}
    own: set[str] = set()
    for found in outlines.values():
        own |= _defined(found)
        kept |= _foreign(found)
    kept |= {name for text in files.values() for string in _FORMATTED.findall(text) for name in re.findall(r"\{(\w+)", string)}  # its text is not code to `_CODE`
    new = {name: f"v{number}" for number, name in enumerate(sorted(own - kept))}

    def swap(match: re.Match[str]) -> str:
        return new.get(match[0], match[0]) if match["name"] else match[0]

    return _python(files, lambda path, text: _CODE.sub(swap, text))


def _defined(found: Outline) -> set[str]:
    names: set[str] = set()
    for scope in (found.module, *found.scopes.values()):
        names |= {n for n, bs in scope.bindings.items() if any(b.how != "import" for b in bs)}
        names |= {store.target.name for store in scope.stores if hasattr(store.target, "name")}
        names |= {parameter.name for parameter in scope.parameters}
    return {name for name in names if not name.startswith("__")}


def _foreign(found: Outline) -> set[str]:
    """Names that belong to somebody else: imported ones, and keywords of calls."""
    names: set[str] = set()
    for imported in found.imports:
        names |= {*imported.module.split("."), imported.name or ""}
    for scope in (found.module, *found.scopes.values()):
        names |= {n for n, bs in scope.bindings.items() if any(b.how == "import" for b in bs)}
        names |= {key for call in scope.calls for key, _ in call.keywords if key}
    own = {n for n, bs in found.module.bindings.items() if any(b.how != "import" for b in bs)}
    return names - own


CHANGES: dict[str, Callable[[Files], Files]] = {
    "blank lines": blank_lines, "wrapped in if True": wrapped, "reordered": reordered, "aliased imports": aliased, "renamed": renamed,
}  # fmt: skip
