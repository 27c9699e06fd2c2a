"""The sessions that routes may ask for."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from bookshop.db import SessionLocal, get_async_db, get_db


def get_reader() -> Iterator[Session]:
    """For routes that change nothing."""
    with SessionLocal(autoflush=False) as session:
        yield session


Db = Annotated[Session, Depends(get_db)]
Reader = Annotated[Session, Depends(get_reader)]
AsyncDb = Annotated[AsyncSession, Depends(get_async_db)]
