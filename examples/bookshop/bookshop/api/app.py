from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from bookshop.api import books, customers, orders, reviews
from bookshop.db import async_engine, create_tables


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    create_tables()
    yield
    await async_engine.dispose()


app = FastAPI(title="Bookshop", lifespan=lifespan)
for part in (books, customers, orders, reviews):
    app.include_router(part.router)
