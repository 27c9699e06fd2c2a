"""Running an entry's examples on real SQLAlchemy.

`tests/fixtures/<rule>/proof.py` holds one `Proof` for each pair of examples of `rules/<rule>.md`, in their order:

    PROOFS = (Proof(drive, reported="1 connection out", accepted="0 connections out"),)

`drive` gets a `World`: the example imported as a module, in a folder that holds `models.py` and a seeded SQLite file `shop.db`. It works
with the example as a program would and says what came of it. The reported example must show the failure, the accepted one must not.
"""

from __future__ import annotations

import gc
import importlib.util
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from tests.linting import MARK, write

EXAMPLE = Path(__file__).parent / "example"
VERSION = tuple(int(part) for part in sqlalchemy.__version__.split(".")[:2])


@dataclass
class World:
    """What a proof sees. `statements` are the SQL statements sent so far."""

    example: ModuleType
    statements: list[str] = field(default_factory=list)
    held: set[int] = field(default_factory=set)

    @property
    def out(self) -> int:
        """How many connections that were taken since the example began are out of their pools."""
        return len(self.held)

    def rows(self, table: str = "user_account") -> list[str]:
        """The names of the users, or the titles of the posts, that the database file holds."""
        column = "name" if table == "user_account" else "title"
        connection = sqlite3.connect("shop.db")
        try:
            return [row[0] for row in connection.execute(f"select {column} from {table} order by id")]
        finally:
            connection.close()

    def connections(self) -> str:
        """How many connections are out of their pools now."""
        return "1 connection out" if self.out == 1 else f"{self.out} connections out"


@dataclass(frozen=True)
class Proof:
    """What `drive` finds with the reported and with the accepted example; `since` is the first SQLAlchemy that can run them."""

    drive: Callable[[World], object]
    reported: object
    accepted: object
    since: tuple[int, int] = (1, 4)


def raised(call: Callable[..., object], *arguments: Any, **keywords: Any) -> str:
    """The name of the exception that a call raises, or "nothing raised"."""
    try:
        call(*arguments, **keywords)
    except Exception as error:
        return type(error).__name__
    return "nothing raised"


async def raised_async(awaitable: Awaitable[object]) -> str:
    """The name of the exception that an awaitable raises, or "nothing raised"."""
    try:
        await awaitable
    except Exception as error:
        return type(error).__name__
    return "nothing raised"


def unmarked(code: str) -> str:
    """An example without its marks: `# error`, `# also: rule`."""
    lines = (line.removesuffix("# error") for line in code.splitlines())
    return "\n".join(MARK.sub("", line).rstrip() for line in lines) + "\n"


def prove(proof: Proof, code: str, folder: Path) -> object:
    """What `proof` finds with an example, in an empty `folder` that is the current one."""
    write({"models.py": (EXAMPLE / "models.py").read_text(), "example.py": unmarked(code)}, folder)
    with _modules(folder), _watched() as world:
        models = _load(folder, "models")
        engine = sqlalchemy.create_engine("sqlite:///shop.db")
        models.Base.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(models.User.__table__.insert(), [{"name": "ada"}, {"name": "bob"}])
            connection.execute(models.Post.__table__.insert(), [{"title": "first", "author_id": 1}])
        engine.dispose()
        world.statements.clear()
        gc.collect()
        gc.disable()  # else chance decides when what was dropped is cleaned up
        try:
            world.example = _load(folder, "example")
            return proof.drive(world)
        finally:
            gc.enable()


def _load(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _modules(folder: Path) -> Iterator[None]:
    """`example` and `models` are importable, and forgotten afterwards."""
    try:
        yield
    finally:
        for name in ("example", "models"):
            sys.modules.pop(name, None)
        gc.collect()  # what the example dropped complains now, and not when the tests end


@contextmanager
def _watched() -> Iterator[World]:
    """Every pool and engine of the process reports to one World."""
    world = World(ModuleType("example"))

    def checked_out(_: object, record: object, *__: object) -> None:
        world.held.add(id(record))

    def checked_in(_: object, record: object) -> None:
        world.held.discard(id(record))

    def executed(connection: object, cursor: object, statement: str, *_: object) -> None:
        world.statements.append(statement)

    event.listen(Pool, "checkout", checked_out)
    event.listen(Pool, "checkin", checked_in)
    event.listen(Engine, "before_cursor_execute", executed)
    try:
        yield world
    finally:
        event.remove(Pool, "checkout", checked_out)
        event.remove(Pool, "checkin", checked_in)
        event.remove(Engine, "before_cursor_execute", executed)
