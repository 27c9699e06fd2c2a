"""What a name stands for, wherever it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa_session_lint.model.expression import Name
from sa_session_lint.model.settings import ConfiguredMaker, Settings
from sa_session_lint.model.value import UNKNOWN, Engine, Maker, Registry, Session, Value
from sa_session_lint.project.files import list_python
from sa_session_lint.project.index import Index
from tests.linting import write

DB = """
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
engine = create_engine("sqlite://")
SessionLocal = sessionmaker(engine, expire_on_commit=False)
"""


def value(root: Path, files: dict[str, str], name: str = "x", path: str = "main.py", scope: str = "", settings: Settings | None = None) -> Value:
    """What `name` is in a scope of a file of this project."""
    index = Index(write(files, root), list_python(root), settings)
    found = index.outline(path)
    assert found is not None, index.failures
    return index.value(Name(name), found.scopes[scope] if scope else found.module, path)


def is_session(found: Value, kind: str | None = "sync", how: str | None = None) -> bool:
    return isinstance(found, Session) and found.kind == kind and how in (None, found.how)


@pytest.mark.parametrize(
    ("how", "files"),
    [
        ("from", {"main.py": "from db import SessionLocal\nx = SessionLocal()"}),
        ("alias", {"main.py": "import db as d\nx = d.SessionLocal()"}),
        ("as", {"main.py": "from db import SessionLocal as S\nx = S()"}),
        ("star", {"main.py": "from db import *\nx = SessionLocal()"}),
        ("re-export", {"facade.py": "from db import SessionLocal", "main.py": "from facade import SessionLocal\nx = SessionLocal()"}),
        ("__all__", {"facade.py": "from db import *\n__all__ = ['SessionLocal']", "main.py": "from facade import *\nx = SessionLocal()"}),
        ("package", {"app/__init__.py": "from .base import make", "app/base.py": "from db import SessionLocal as make", "main.py": "import app\nx = app.make()"}),
        ("submodule", {"app/__init__.py": "", "app/base.py": DB, "main.py": "import app.base\nx = app.base.SessionLocal()"}),
        ("namespace", {"ns/base.py": DB, "main.py": "from ns import base\nx = base.SessionLocal()"}),
        ("relative", {"p/__init__.py": "", "p/base.py": DB, "p/q.py": "from . import base\nmake = base.SessionLocal", "main.py": "from p.q import make\nx = make()"}),
        ("type checking", {"main.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from db import SessionLocal\nelse:\n    from db import SessionLocal\nx = SessionLocal()"}),
        ("try", {"main.py": "try:\n    from db import SessionLocal\nexcept ImportError:\n    SessionLocal = None\nx = SessionLocal()"}),
        ("late import", {"main.py": "def f():\n    from db import SessionLocal\n    return SessionLocal()\nx = f()"}),
        ("src layout", {"src/app/db.py": DB, "src/app/__init__.py": "", "main.py": "from app.db import SessionLocal\nx = SessionLocal()"}),
        ("monorepo", {"server/app/__init__.py": "", "server/app/db.py": DB, "main.py": "from app.db import SessionLocal\nx = SessionLocal()"}),
        ("function", {"main.py": "from db import SessionLocal\ndef make():\n    s = SessionLocal()\n    return s\nx = make()"}),
        ("tuple", {"main.py": "from db import SessionLocal, engine\ndef make():\n    return engine, SessionLocal()\ne, x = make()"}),
        ("dict", {"main.py": "from db import SessionLocal\ndef make():\n    return {'db': SessionLocal()}\nx = make()['db']"}),
        ("method", {"main.py": "from db import SessionLocal\nclass Db:\n    def open(self):\n        return SessionLocal()\nx = Db().open()"}),
        ("property", {"main.py": "from db import SessionLocal\nclass Db:\n    @property\n    def s(self):\n        return SessionLocal()\nx = Db().s"}),
        ("attribute", {"main.py": "from db import SessionLocal\nclass Db:\n    def __init__(self):\n        self.s = SessionLocal()\nx = Db().s"}),
        ("inherited", {"main.py": "from db import SessionLocal\nclass A:\n    def __init__(self):\n        self.s = SessionLocal()\nclass B(A):\n    pass\nx = B().s"}),
        ("callable attribute", {"main.py": "from db import SessionLocal\nclass Db:\n    def __init__(self):\n        self.make = SessionLocal\n    def open(self):\n        return self.make()\nx = Db().open()"}),
        ("yielded", {"main.py": "from db import SessionLocal\ndef get():\n    yield SessionLocal()\nx = next(get())"}),
        ("context manager", {"main.py": "from contextlib import contextmanager\nfrom db import SessionLocal\n@contextmanager\ndef scope():\n    yield SessionLocal()\nwith scope() as x:\n    pass"}),
        ("class manager", {"main.py": "from db import SessionLocal\nclass Scope:\n    def __enter__(self):\n        return SessionLocal()\n    def __exit__(self, *a): ...\nwith Scope() as x:\n    pass"}),
        ("closing", {"main.py": "import contextlib\nfrom db import SessionLocal\nwith contextlib.closing(SessionLocal()) as x:\n    pass"}),
        ("exit stack", {"main.py": "from contextlib import ExitStack\nfrom db import SessionLocal\nwith ExitStack() as stack:\n    x = stack.enter_context(SessionLocal())"}),
        ("begin", {"main.py": "from db import SessionLocal\nwith SessionLocal.begin() as x:\n    pass"}),
        ("global", {"late.py": "from sqlalchemy.orm import sessionmaker\nmake = None\ndef init(e):\n    global make\n    make = sessionmaker(e)", "main.py": "import late\nx = late.make()"}),
        ("assigned elsewhere", {"state.py": "make = None", "boot.py": "import state\nfrom db import SessionLocal\ndef init():\n    state.make = SessionLocal", "main.py": "import state\nx = state.make()"}),
        ("partial", {"main.py": "from functools import partial\nfrom sqlalchemy.orm import Session\nfrom db import engine\nmake = partial(Session, engine)\nx = make()"}),
        ("subclass", {"main.py": "from sqlalchemy.orm import Session\nclass Mine(Session):\n    pass\nx = Mine()"}),
        ("generic", {"main.py": "from sqlalchemy.orm import Session, sessionmaker\nmake = sessionmaker[Session]()\nx = make()"}),
        ("sqlmodel", {"main.py": "from sqlmodel import Session, create_engine\nx = Session(create_engine('sqlite://'))"}),
        ("conditional", {"main.py": "from db import SessionLocal\ndef f(s=None):\n    return SessionLocal() if s is None else SessionLocal()\nx = f()"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_session_is_traced_to_its_maker(how: str, files: dict[str, str], tmp_path: Path) -> None:
    assert is_session(value(tmp_path, {"db.py": DB, **files}))


@pytest.mark.parametrize(
    ("how", "source"),
    [
        ("a mere name", "from somewhere import SessionLocal\nx = SessionLocal()"),
        ("requests", "import requests\nx = requests.Session()"),
        ("aiohttp", "from aiohttp import ClientSession as Session\nx = Session()"),
        ("boto3", "import boto3\nx = boto3.Session()"),
        ("flask session", "from flask import session\nx = session"),
        ("unknown decorator", "from db import SessionLocal\nfrom elsewhere import wrap\n@wrap\ndef f():\n    return SessionLocal()\nx = f()"),
        ("contradiction", "import requests\nfrom db import SessionLocal\nx = SessionLocal()\nx = requests.Session()"),
        ("own class", "class Session:\n    pass\nx = Session()"),
        ("shadowed", "from db import SessionLocal\ndef f(SessionLocal):\n    return SessionLocal()\nx = f(int)"),
    ],
)
def test_names_alone_prove_nothing(how: str, source: str, tmp_path: Path) -> None:
    assert not isinstance(value(tmp_path, {"db.py": DB, "main.py": source}), (Session, Maker, Registry))


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("Session", "sync"), ("'Session'", "sync"), ("Optional[Session]", "sync"), ("Session | None", "sync"), ("orm.Session", "sync"),
        ("AsyncSession", "async"), ("Annotated[Session, 'the session']", "sync"), ("Dep", "sync"), ("AsyncDep", "async"),
    ],
)  # fmt: skip
def test_an_annotated_parameter_is_a_session(annotation: str, kind: str, tmp_path: Path) -> None:
    source = f"""
from typing import Annotated, Optional
from fastapi import Depends
from sqlalchemy import orm
from sqlalchemy.orm import Session
from sqlalchemy.ext.asyncio import AsyncSession
from deps import Dep
def get(): ...
AsyncDep = Annotated[AsyncSession, Depends(get)]
def f(x: {annotation}): ...
"""
    deps = "from typing import Annotated\nfrom fastapi import Depends\nfrom sqlalchemy.orm import Session\ndef get(): ...\nDep = Annotated[Session, Depends(get)]"
    assert is_session(value(tmp_path, {"deps.py": deps, "main.py": source}, scope="f"), kind)


def test_a_parameter_without_annotation_is_unknown(tmp_path: Path) -> None:
    assert value(tmp_path, {"main.py": "def f(session): ..."}, "session", scope="f") is UNKNOWN


def test_depends_gives_what_the_dependency_yields(tmp_path: Path) -> None:
    files = {
        "db.py": DB + "def get_db():\n    with SessionLocal() as s:\n        yield s\n",
        "main.py": "from fastapi import Depends\nfrom db import get_db\ndef route(x=Depends(get_db)): ...",
    }
    assert is_session(value(tmp_path, files, scope="route"), how="depends")


@pytest.mark.parametrize(
    ("source", "kind", "expire"),
    [
        ("x = async_sessionmaker(e)", "async", True),
        ("x = async_sessionmaker(e, expire_on_commit=False)", "async", False),
        ("x = sessionmaker(e, class_=AsyncSession)", "async", True),
        ("x = sessionmaker(e, class_=Mine)", "sync", None),
        ("NO = False\nx = sessionmaker(e, expire_on_commit=NO)", "sync", False),
        ("x = sessionmaker(e, **options)", "sync", None),
    ],
)
def test_a_maker_knows_kind_and_expiry(source: str, kind: str, expire: bool | None, tmp_path: Path) -> None:
    head = """
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
class Mine(Session):
    def __init__(self, **options): ...
e = engine_of_another_module()
"""
    found = value(tmp_path, {"main.py": head + source})
    assert isinstance(found, Maker)
    assert (found.kind, found.options.expire) == (kind, expire)


@pytest.mark.parametrize(
    ("source", "scope"),
    [
        ("x = scoped_session(sessionmaker())", "thread"),
        ("x = scoped_session(sessionmaker(), scopefunc=f)", "custom"),
        ("x = SQLAlchemy().session", "framework"),
    ],
)
def test_a_registry_knows_its_scope(source: str, scope: str, tmp_path: Path) -> None:
    head = "from sqlalchemy.orm import scoped_session, sessionmaker\nfrom flask_sqlalchemy import SQLAlchemy\ndef f(): ...\n"
    found = value(tmp_path, {"main.py": head + source})
    assert isinstance(found, Registry)
    assert found.scope == scope


def test_a_query_property_leads_to_its_registry(tmp_path: Path) -> None:
    files = {
        "db.py": DB + "from sqlalchemy.orm import scoped_session, declarative_base\nRegistry = scoped_session(SessionLocal)\nBase = declarative_base()\nBase.query = Registry.query_property()\n",
        "main.py": "from db import Base\nclass User(Base): ...\nx = User.query",
    }
    found = value(tmp_path, files)
    assert getattr(found, "receiver", None) == value(tmp_path, files, "Registry", "db.py")


def test_a_configured_maker_counts(tmp_path: Path) -> None:
    files = {"main.py": "from vendor.db import open_session\nx = open_session()"}
    settings = Settings({"vendor.db.open_session": ConfiguredMaker("vendor.db.open_session", "async", False)})
    assert value(tmp_path, files) is not None and not isinstance(value(tmp_path, files), Session)
    assert is_session(value(tmp_path, files, settings=settings), "async")


def test_names_that_go_in_circles_come_to_an_end(tmp_path: Path) -> None:
    files = {
        "a.py": "from b import x\ny = x\ndef f():\n    return g()\ndef g():\n    return f()\n",
        "b.py": "from a import y\nx = y\n",
        "main.py": "from a import x, f\nz = f()",
    }
    assert not isinstance(value(tmp_path, files), Session)
    assert not isinstance(value(tmp_path, files, "z"), Session)


def test_a_session_behind_a_recursive_name_is_still_found(tmp_path: Path) -> None:
    source = "from db import SessionLocal\ndef f(n):\n    if n:\n        return f(n - 1)\n    return SessionLocal()\nx = f(3)"
    assert is_session(value(tmp_path, {"db.py": DB, "main.py": source}))


def test_the_engine_is_known(tmp_path: Path) -> None:
    assert isinstance(value(tmp_path, {"db.py": DB, "main.py": "from db import engine as x"}), Engine)


def test_what_was_asked_is_recorded(tmp_path: Path) -> None:
    write({"db.py": DB, "main.py": "from db import SessionLocal\nx = SessionLocal()"}, tmp_path)
    index = Index(tmp_path, list_python(tmp_path))
    found = index.outline("main.py")
    assert found is not None
    index.value(Name("x"), found.module, "main.py")
    assert {query.path for query in index.asked} == {"main.py", "db.py"}
    assert index.consulted == {"main.py", "db.py"}


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("from sqlalchemy.orm import Session, sessionmaker\nSession = sessionmaker()\nseen = Session", "Maker"),
        ("from sqlalchemy.orm import scoped_session, sessionmaker\nmade = sessionmaker()\nmade = scoped_session(made)\nseen = made", "Registry"),
        ("from sqlalchemy.orm import sessionmaker\nmade = sessionmaker()\nseen = made\nmade = None", "Maker"),
        ("from sqlalchemy.orm import sessionmaker\nmade = sessionmaker()\nif made:\n    made = print\nseen = made", "Unknown"),
        ("from sqlalchemy.orm import Session, scoped_session\nmade = scoped_session(print)\nmade: Session\nseen = made", "Registry"),
        ("from sqlalchemy.orm import Session\nmade: Session\nseen = made", "Session"),
        ("from sqlalchemy.orm import sessionmaker\nmade = print\nmade = sessionmaker()\nseen = lambda: made\nmade = made()", "Gives"),
    ],
)
def test_a_module_binds_a_name_anew(code: str, wanted: str, tmp_path: Path) -> None:
    assert type(value(tmp_path, {"main.py": code}, "seen")).__name__ == wanted


@pytest.mark.parametrize(("closes", "how"), [(True, "with"), (False, "new")])
def test_a_configured_maker_is_known_by_the_name_of_the_project_that_hands_it_on(closes: bool, how: str, tmp_path: Path) -> None:
    files = {"app/__init__.py": "", "app/db.py": "from vendor.db import open_session as new_session", "main.py": "from app.db import new_session\nx = new_session()"}
    settings = Settings({"app.db.new_session": ConfiguredMaker("app.db.new_session", "async", False, closes)})
    assert is_session(value(tmp_path, files, settings=settings), "async", how)


@pytest.mark.parametrize("annotation", ["AsyncSession", "Session", "object"])
def test_a_dependency_that_the_annotation_contradicts_is_unknown(annotation: str, tmp_path: Path) -> None:
    code = f"""
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session
make = async_sessionmaker()
async def get_db():
    async with make() as db:
        yield db
def route(db: {annotation} = Depends(get_db)): ...
"""
    found = value(tmp_path, {"main.py": code}, "db", scope="route")
    assert found is UNKNOWN if annotation == "Session" else is_session(found, "async", "depends")
