"""Finding books."""

from sqlalchemy import select

from bookshop.db import SessionLocal
from bookshop.models import Book


class Catalogue:
    def __init__(self, page: int) -> None:
        self.page = page
        self.session = SessionLocal()

    def search(self, words: str) -> list[Book]:
        found = select(Book).where(Book.title.contains(words)).order_by(Book.title).limit(self.page)
        return list(self.session.scalars(found))


catalogue = Catalogue(page=20)
