from flask import Blueprint, Response, abort, jsonify, request
from sqlalchemy import select

from bookshop.db import ScopedSession
from bookshop.models import Book, Order

views = Blueprint("admin", __name__, url_prefix="/admin")


@views.post("/books")
def add_book() -> tuple[Response, int]:
    book = Book(**request.get_json())
    ScopedSession.add(book)
    ScopedSession.flush()
    answer = jsonify(id=book.id)
    ScopedSession.commit()
    return answer, 201


@views.get("/books")
def list_books() -> Response:
    books = ScopedSession.scalars(select(Book).order_by(Book.id))
    return jsonify([{"id": book.id, "title": book.title, "price": book.price, "stock": book.stock} for book in books])


@views.put("/books/<int:book_id>/price")
def set_price(book_id: int) -> Response:
    book = ScopedSession.get(Book, book_id)
    if book is None:
        abort(404)
    book.price = request.get_json()["price"]
    if book.price < book.cost:
        abort(400, "we do not sell below cost")
    answer = jsonify(id=book.id, price=book.price)
    ScopedSession.commit()
    return answer


@views.get("/orders")
def list_orders() -> Response:
    orders = ScopedSession.scalars(select(Order).order_by(Order.id))
    return jsonify([{"id": order.id, "total": order.total, "status": order.status} for order in orders])


@views.post("/orders/<int:order_id>/pay")
def take_payment(order_id: int) -> Response:
    order = ScopedSession.get(Order, order_id)
    if order is None:
        abort(404)
    order.status = "paid"
    answer = jsonify(id=order.id, status=order.status)
    ScopedSession.commit()
    return answer
