"""What goes over the wire."""

from pydantic import BaseModel, ConfigDict


class NewBook(BaseModel):
    isbn: str
    title: str
    price: int
    cost: int
    stock: int = 0


class NewCustomer(BaseModel):
    email: str


class NewOrder(BaseModel):
    customer_id: int
    book_id: int
    copies: int = 1


class NewReview(BaseModel):
    stars: int
    words: str


class Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int


class ShownBook(Shown):
    title: str
    price: int
    stock: int


class ShownCustomer(Shown):
    email: str


class ShownOrder(Shown):
    book_id: int
    total: int
    status: str


class ShownReview(Shown):
    stars: int
    words: str
