from fastapi import APIRouter, BackgroundTasks, HTTPException
from sqlalchemy import select

from bookshop.api.schemas import NewOrder, ShownOrder
from bookshop.api.sessions import Db
from bookshop.models import Order
from bookshop.services import audit
from bookshop.services.orders import CannotSell, confirm, place

router = APIRouter(prefix="/orders")


@router.post("", status_code=201)
def order_book(new: NewOrder, db: Db, tasks: BackgroundTasks) -> ShownOrder:
    try:
        order = place(db, new.customer_id, new.book_id, new.copies)
    except CannotSell:
        raise HTTPException(409, "we cannot sell this") from None
    db.flush()
    shown = ShownOrder.model_validate(order)
    db.commit()
    tasks.add_task(confirm, shown.id)
    tasks.add_task(audit.record, f"order {shown.id}", "placed")
    return shown


@router.get("", response_model=list[ShownOrder])
def list_orders(db: Db) -> list[Order]:
    return list(db.scalars(select(Order).order_by(Order.id)))


@router.get("/{order_id}", response_model=ShownOrder)
def show_order(order_id: int, db: Db) -> Order:
    order = db.get(Order, order_id)
    if order is None:
        raise HTTPException(404)
    return order
