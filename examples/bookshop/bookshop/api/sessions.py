"""The sessions that routes may ask for."""

from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from bookshop.db import SessionLocal, get_async_db, get_db


def get_reader() -> Session:
    """For routes that change nothing."""
    return SessionLocal(autoflush=False)


Db = Annotated[Session, Depends(get_db)]
Reader = Annotated[Session, Depends(get_reader)]
AsyncDb = Annotated[AsyncSession, Depends(get_async_db)]
