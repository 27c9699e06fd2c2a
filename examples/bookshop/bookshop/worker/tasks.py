from sqlalchemy import create_engine, func, select

from bookshop.db import URL, ScopedSession, SessionLocal, get_db, unit_of_work
from bookshop.models import Book, Order, Shipment
from bookshop.worker.app import celery


@celery.task
def restock(book_id: int, copies: int) -> int:
    """Put new copies on the shelf; how many are there now?"""
    session = next(get_db())
    book = session.get_one(Book, book_id)
    book.stock += copies
    session.commit()
    return book.stock


@celery.task
def change_prices(prices: dict[str, int]) -> None:
    """Take over a publisher's price list: all of it, or nothing."""
    with unit_of_work() as session:
        for isbn, price in prices.items():
            session.scalars(select(Book).where(Book.isbn == isbn)).one().price = price


@celery.task
def ship(order_id: int, tracking: str) -> None:
    ScopedSession.add(Shipment(order_id=order_id, tracking=tracking))
    ScopedSession.commit()


@celery.task
def cancel_unpaid() -> int:
    """Give up orders that nobody has paid for."""
    with SessionLocal() as session:
        orders = session.scalars(select(Order).where(Order.status == "new")).all()
        for order in orders:
            order.status = "cancelled"
        session.commit
    return len(orders)


@celery.task
def sales() -> dict[str, int]:
    """What each book has brought in."""
    engine = create_engine(URL)
    with engine.connect() as connection:
        sums = select(Book.title, func.sum(Order.total)).join(Order, Order.book_id == Book.id).group_by(Book.title)
        return {title: total for title, total in connection.execute(sums)}
