"""Where the database is, and how sessions are opened."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from bookshop.models import Base

URL = make_url(os.environ.get("BOOKSHOP_DATABASE_URL", "sqlite:///bookshop.db"))

engine = create_engine(URL)
SessionLocal = sessionmaker(engine)
ScopedSession = scoped_session(SessionLocal)

async_engine = create_async_engine(URL.set(drivername="sqlite+aiosqlite"))
AsyncSessionLocal = async_sessionmaker(async_engine, expire_on_commit=False)


def create_tables() -> None:
    Base.metadata.create_all(engine)


def get_db() -> Iterator[Session]:
    """One session per request."""
    db = SessionLocal()
    try:
        yield db
    except Exception:
        db.rollback()
        raise
    finally:
        db.close()


async def get_async_db() -> AsyncIterator[AsyncSession]:
    async with AsyncSessionLocal() as db:
        yield db


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """A block that is saved as a whole or not at all."""
    with SessionLocal.begin() as session:
        yield session
