"""`show-sessions FILE`: what is known of the sessions of one file, so that silence can be understood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sa_session_lint import config, run
from sa_session_lint.model.expression import Attribute, Name, text
from sa_session_lint.model.value import UNKNOWN, Engine, Maker, Place, Registry, Session, SessionClass, Value
from sa_session_lint.model.vocabulary import ENDING_CALLS, SESSION_CALLS
from sa_session_lint.project.index import Index
from sa_session_lint.project.outline import Outline, Scope

_TELLING = (SESSION_CALLS | ENDING_CALLS) - {"get", "close", "remove", "delete", "merge", "connection", "exec", "stream", "reset"}
_HOW = {
    "new": "opened here", "with": "opened by a with-block, which closes it", "given": "handed in, owned by whoever did so",
    "depends": "a dependency's, ended by the framework", "shared": "shared: outlives the function", "registry": "a registry's own",
}  # fmt: skip


def show_sessions(file: Path, project_root: Path | None) -> str:
    """A plain text in four parts: makers known, sessions seen, calls unknown, functions given up."""
    index, path = run.open_project(file, project_root, config.Overrides())
    found = index.outline(path)
    if found is None:
        failure = index.failures.get(path)
        return f"{path}: {failure.stage}: {failure.message}\n" if failure is not None else f"{path}: cannot be read\n"
    scopes = [found.module, *found.scopes.values()]
    parts = [
        ("makers known", list(_makers(index, found, scopes))),
        ("sessions seen", list(_sessions(index, found, scopes))),
        ("calls unknown", list(_unknown(index, found, scopes))),
        ("functions given up", ["(sessions are not yet followed through functions)"]),
    ]
    pins = index.pins(path)
    lines = [f"{path}, project root {index.root}", "versions: " + ", ".join(_pin(name, pins.of(name)) for name in ("sqlalchemy", "fastapi", "flask"))]
    for title, rows in parts:
        lines += ["", f"{title}:", *(f"  {row}" for row in rows or ["none"])]
    return "\n".join(lines) + "\n"


def _pin(name: str, bounds: object) -> str:
    lower, upper = getattr(bounds, "lower", None), getattr(bounds, "upper", None)
    if lower is None and upper is None:
        return f"{name} not pinned (the newest is assumed)"
    return f"{name} {lower}" if lower == upper else f"{name} {lower or ''}..{upper or ''}"


def _names(scopes: list[Scope]) -> Iterator[tuple[Scope, str, int]]:
    for scope in scopes:
        for name, bindings in scope.bindings.items():
            yield scope, name, bindings[0].at
        for parameter in scope.parameters:
            yield scope, parameter.name, parameter.at


def _makers(index: Index, found: Outline, scopes: list[Scope]) -> Iterator[str]:
    for scope, name, at in _names(scopes):
        value = index.value(Name(name), scope, found.path)
        if isinstance(value, (Maker, Registry, SessionClass, Engine)):
            yield f"{_where(index, found.path, at)}  {_within(scope)}{name}: {_words(index, value)}"


def _words(index: Index, value: Value) -> str:
    kind = "async" if getattr(value, "kind", None) == "async" else "sync"
    if isinstance(value, Engine):
        return f"{kind} engine, made at {_place(index, value.place)}"
    if isinstance(value, SessionClass):
        return f"{kind} session class"
    if not isinstance(value, (Maker, Registry)):
        return kind
    what = "registry (scoped_session), scope " + value.scope if isinstance(value, Registry) else "sessionmaker"
    return f"{kind} {what}, expire_on_commit {_expire(value.options.expire)}, made at {_place(index, value.place)}"


def _expire(expire: bool | None) -> str:
    return "not known" if expire is None else str(expire)


def _sessions(index: Index, found: Outline, scopes: list[Scope]) -> Iterator[str]:
    for scope, name, at in _names(scopes):
        value = index.value(Name(name), scope, found.path)
        if isinstance(value, Session):
            kind = value.kind or "sync or async"
            yield f"{_where(index, found.path, at)}  {_within(scope)}{name}: {kind} session, {_HOW[value.how]}, expire_on_commit {_expire(value.options.expire)}"
    for scope in scopes:
        for store in scope.stores:
            value = index.value(store.value, scope, found.path)
            if isinstance(value, Session):
                yield f"{_where(index, found.path, store.at)}  {text(store.target)}: {value.kind or 'sync or async'} session, kept on an object"


def _unknown(index: Index, found: Outline, scopes: list[Scope]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for scope in scopes:
        for call in scope.calls:
            function = call.function
            if not isinstance(function, Attribute) or function.name not in _TELLING or not isinstance(function.value, (Name, Attribute)):
                continue
            key = (scope.qualname, text(function.value))
            if key not in seen and index.value(function.value, scope, found.path) is UNKNOWN:
                seen.add(key)
                yield f"{_where(index, found.path, call.at)}  {_within(scope)}{text(function)}(...): `{key[1]}` could not be traced to a session"


def _within(scope: Scope) -> str:
    return f"{scope.qualname}: " if scope.qualname else ""


def _place(index: Index, place: Place | None) -> str:
    return "an unknown place" if place is None else _where(index, place.path, place.at)


def _where(index: Index, path: str, at: int) -> str:
    source, found = index.source(path), index.outline(path)
    return path if source is None or found is None else f"{path}:{source.span_of(found.nodes[at]).line}"
