from fastapi import APIRouter, HTTPException
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from bookshop.api.schemas import NewCustomer, ShownCustomer, ShownOrder
from bookshop.api.sessions import Db, Reader
from bookshop.models import Customer, Order

router = APIRouter(prefix="/customers")


@router.post("", status_code=201, response_model=ShownCustomer)
def sign_up(new: NewCustomer, db: Db) -> Customer:
    customer = Customer(email=new.email)
    db.add(customer)
    try:
        db.commit()
    except IntegrityError:
        db.rollback()
        raise HTTPException(409, "this address is known already") from None
    return customer


@router.get("/{customer_id}/orders", response_model=list[ShownOrder])
def orders_of(customer_id: int, db: Reader) -> list[Order]:
    return list(db.scalars(select(Order).where(Order.customer_id == customer_id).order_by(Order.id)))
