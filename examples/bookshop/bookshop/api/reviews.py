from fastapi import APIRouter, HTTPException
from sqlalchemy import select

from bookshop.api.schemas import NewReview, ShownReview
from bookshop.api.sessions import AsyncDb
from bookshop.models import Book, Review

router = APIRouter(prefix="/books/{book_id}/reviews")


@router.post("", status_code=201, response_model=ShownReview)
async def write_review(book_id: int, new: NewReview, db: AsyncDb) -> Review:
    if await db.get(Book, book_id) is None:
        raise HTTPException(404)
    review = Review(book_id=book_id, stars=new.stars, words=new.words)
    db.add(review)
    await db.commit()
    return review


@router.get("", response_model=list[ShownReview])
async def read_reviews(book_id: int, db: AsyncDb) -> list[Review]:
    return list(await db.scalars(select(Review).where(Review.book_id == book_id).order_by(Review.id)))


@router.delete("/{review_id}", status_code=204)
async def delete_review(book_id: int, review_id: int, db: AsyncDb) -> None:
    review = await db.get(Review, review_id)
    if review is None or review.book_id != book_id:
        raise HTTPException(404)
    db.delete(review)
    await db.commit()
