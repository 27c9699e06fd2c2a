from fastapi import APIRouter, HTTPException

from bookshop.api.schemas import NewBook, ShownBook
from bookshop.api.sessions import Db, Reader
from bookshop.models import Book
from bookshop.services.catalogue import catalogue

router = APIRouter(prefix="/books")


@router.post("", status_code=201, response_model=ShownBook)
def add_book(new: NewBook, db: Db) -> Book:
    book = Book(**new.model_dump())
    db.add(book)
    db.commit()
    return book


@router.get("", response_model=list[ShownBook])
def search(words: str = "") -> list[Book]:
    return catalogue.search(words)


@router.get("/{book_id}", response_model=ShownBook)
def show_book(book_id: int, db: Reader) -> Book:
    book = db.get(Book, book_id)
    if book is None:
        raise HTTPException(404)
    return book
