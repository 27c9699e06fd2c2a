"""Selling books."""

import logging

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bookshop.db import SessionLocal
from bookshop.models import Book, Customer, Order

log = logging.getLogger(__name__)


class CannotSell(Exception):
    """No such customer or book, or too few copies of it."""


def discount(customer_id: int, session: Session = SessionLocal()) -> int:
    """Percent off for a customer who has ordered often."""
    orders = session.scalar(select(func.count(Order.id)).where(Order.customer_id == customer_id)) or 0
    return 10 if orders >= 3 else 0


def place(session: Session, customer_id: int, book_id: int, copies: int) -> Order:
    """A new order, not saved yet."""
    book = session.get(Book, book_id)
    if book is None or session.get(Customer, customer_id) is None or book.stock < copies:
        raise CannotSell
    total = book.price * copies * (100 - discount(customer_id)) // 100
    book.stock -= copies
    order = Order(customer_id=customer_id, book_id=book_id, copies=copies, total=total)
    session.add(order)
    return order


def confirm(session: Session, order_id: int) -> None:
    """Tell the customer that the order has arrived."""
    address_of = select(Customer.email).join(Order, Order.customer_id == Customer.id).where(Order.id == order_id)
    address = session.scalar(address_of)
    log.info("to %s: thank you for order %d", address, order_id)
