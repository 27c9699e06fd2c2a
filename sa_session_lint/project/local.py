"""Whether sessions work on a SQLite file, for whose connections nobody waits and of which who only reads holds up nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Call, Choice, Const, Expression, Item, Name, Text, dotted
from sa_session_lint.model.value import UNKNOWN, External, Place
from sa_session_lint.project.loading import declared
from sa_session_lint.project.mentions import mentions as every_mention
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_SQLITE = re.compile(rb"sqlite(?:\+\w+)?:///")
_SERVERS = ("postgresql", "postgres", "PostgreSQL", "psycopg2", "psycopg", "asyncpg", "pg8000", "mysql", "MySQL", "pymysql", "aiomysql", "mariadb", "mssql", "pyodbc", "oracle", "cockroachdb")
_SERVER = re.compile(r"(?i)postgres|psycopg|asyncpg|pg8000|mysql|mariadb|mssql|pyodbc|oracle|cockroach")
_ASIDE = re.compile(r"""(?<![^\s:])(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3})|(?<![\w"'])#[^\n]*""")
_SENTENCE = re.compile(r"""(["'])(?=(?:[^"'\n]*?\s){2})(?![^"'\n]*(?:://|=))[^"'\n]*\1""")
_TEXT = re.compile(r"""(\w+)\s*=\s*f?["']""")


def is_local(index: Index, pool: Place | None) -> bool:
    """Whether a project works on SQLite files alone: a URL says so, and neither its code nor what it depends on speaks of another database; or the sessions that
    draw on a pool do. Who only reads one holds up nobody: https://www.sqlite.org/lockingv3.html, and the pool of a program that serves one user does not run out."""

    def search() -> bool:
        files = [path for path in index.files_with("sqlite") if not is_aside(path)]
        servers = {path for word in _SERVERS for path in index.files_with(word) if not is_aside(path)}
        if not any(_SQLITE.search(index.data(path) or b"") for path in files) or any(_speaks_of_server(index, path) for path in servers):
            return False
        text = declared(index)
        return bool(text) and not _SERVER.search(text)

    return index.once(("local",), search) or (pool is not None and index.once(("local", pool), lambda: _is_set_to_file(index, pool)))


def _is_set_to_file(index: Index, pool: Place) -> bool:
    """Whether Flask-SQLAlchemy is set to a SQLite file wherever that is set, and the project depends on no driver of another database.
    https://flask-sqlalchemy.readthedocs.io/en/stable/config/#flask_sqlalchemy.config.SQLALCHEMY_DATABASE_URI"""
    there = index.call_at(pool)
    made = index.value(there[2].function, there[1], pool.path) if there is not None else UNKNOWN
    if not isinstance(made, External) or v.ROLES.get(made.dotted, ("",))[0] != "flask-sqlalchemy":
        return False
    text = declared(index)
    urls = [(url, inside) for outline, inside in index.scopes_with(v.URL_SETTING) if not is_aside(outline.path) for url in _settings(inside)]
    return bool(text) and not _SERVER.search(text) and bool(urls) and all(_is_file(url, inside) for url, inside in urls)


def _settings(scope: Scope) -> Iterator[Expression]:
    """What the URL of the database is set to: by a class or module of settings, in `app.config`, by keyword."""
    if scope.kind != "function":
        yield from (binding.value for binding in scope.bindings.get(v.URL_SETTING, ()) if binding.how == "=")
    yield from (store.value for store in scope.stores if isinstance(store.target, Item) and store.target.key == Const(v.URL_SETTING))
    yield from (url for call in scope.calls if (url := call.keyword(v.URL_SETTING)) is not None)


def _is_file(url: Expression, scope: Scope, depth: int = 3) -> bool:
    """Whether a URL is that of a SQLite file, unless somebody sets up another one outside of the project."""
    match url:
        case Const(str() as text) | Text(start=text) if text:
            return text.startswith("sqlite")
        case Call(function, (_, otherwise)) if dotted(function) in {"os.getenv", "os.environ.get", "getenv", "environ.get"}:
            return _is_file(otherwise, scope, depth)
        case Choice(options):
            return any(_is_file(option, scope, depth) for option in options)
        case Name(name) if depth:
            values = next((around.bindings[name] for around in scope.enclosing() if name in around.bindings), ())
            return any(_is_file(binding.value, scope, depth - 1) for binding in values)
    return False


def _speaks_of_server(index: Index, path: str) -> bool:
    """Whether the code of a file, its comments and docstrings aside, names a database server, and not only in a text that nobody uses or a sentence for people to read."""
    lines = _SENTENCE.sub("", _ASIDE.sub("", (index.data(path) or b"").decode("utf-8", "replace"))).splitlines()
    named = [_TEXT.match(line) for line in lines if _SERVER.search(line)]
    return any(name is None or len(every_mention(index, name[1])) > 1 for name in named)
