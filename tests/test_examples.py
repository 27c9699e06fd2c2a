"""The example application: a bookshop with its mistakes (`examples/bookshop`) and the same without them (`examples/bookshop_repaired`).

Both are linted; the repaired one is worked with as its users would; and each mistake is driven in both, to see that it is one.
"""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from sa_session_lint import config, run
from tests.proving import raised

EXAMPLES = Path(__file__).parents[1] / "examples"
WRONG, REPAIRED = "bookshop", "bookshop_repaired"
HTTPX = "ignore:Using .httpx. with .starlette.testclient. is deprecated"

MISTAKES = [
    ("bookshop/admin/app.py", "flask-scoped-session-without-teardown"),
    ("bookshop/api/customers.py", "depends-on-session-factory"),
    ("bookshop/api/customers.py", "session-method-on-factory"),
    ("bookshop/api/orders.py", "background-task-uses-request-session"),
    ("bookshop/api/reviews.py", "missing-await-on-async-session"),
    ("bookshop/api/sessions.py", "fastapi-dependency-returns-session"),
    ("bookshop/db.py", "async-expire-on-commit"),
    ("bookshop/db.py", "yield-dependency-swallows-exception"),
    ("bookshop/db.py", "yield-dependency-without-finally"),
    ("bookshop/services/audit.py", "module-level-session"),
    ("bookshop/services/catalogue.py", "session-on-long-lived-object"),
    ("bookshop/services/orders.py", "session-in-default-argument"),
    ("bookshop/worker/tasks.py", "engine-created-per-call"),
    ("bookshop/worker/tasks.py", "session-method-not-called"),
    ("bookshop/worker/tasks.py", "task-uses-global-session"),
    ("bookshop/worker/tasks.py", "yield-dependency-called-directly"),
]


# -- linted -----------------------------------------------------------------------------------------------------------


def lint(twin: str, select: tuple[str, ...] | None = None) -> run.Report:
    report = run.check(run.Request(paths=(EXAMPLES / twin,), overrides=config.Overrides(select=select)))
    assert not report.failures, report.failures
    return report


def test_the_linter_finds_the_mistakes() -> None:
    assert sorted((r.finding.path, r.entry.name) for r in lint(WRONG).reported) == MISTAKES


def test_trails_lead_into_other_files() -> None:
    abroad = {r.entry.name for r in lint(WRONG).reported if any(note.path != r.finding.path for note in r.finding.trail)}
    assert abroad >= {"flask-scoped-session-without-teardown", "session-method-on-factory", "task-uses-global-session"}


def test_the_repaired_twin_is_silent() -> None:
    assert [(r.finding.path, r.finding.span.line, r.entry.name) for r in lint(REPAIRED, ("ALL",)).reported] == []


def test_readme_lists_the_mistakes() -> None:
    rows = [line.split("|")[1:3] for line in (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert sorted((f"bookshop/{file.strip(' `')}", rule.strip().partition("]")[0].strip("[`")) for file, rule in rows) == MISTAKES


# -- run --------------------------------------------------------------------------------------------------------------


@dataclass
class Shop:
    """A twin with a database of its own, in which one customer has ordered one of two books; one of these has a review."""

    api: Any
    admin: Any
    made: int = 0
    """How many database connections were made."""

    def connected(self, *_: object) -> None:
        self.made += 1

    def module(self, name: str) -> Any:
        return importlib.import_module(f"bookshop.{name}")

    def rows(self, model: str, column: str) -> list[object]:
        """What the database file holds, whatever sessions believe."""
        models, db = self.module("models"), self.module("db")
        with db.engine.connect() as connection:
            table = getattr(models, model).__table__
            return list(connection.scalars(table.select().with_only_columns(table.c[column]).order_by(table.c.id)))

    def out(self) -> int:
        """How many connections are out of their pools."""
        db = self.module("db")
        return db.engine.pool.checkedout() + db.async_engine.pool.checkedout()


@contextmanager
def opened(twin: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    from fastapi.testclient import TestClient

    monkeypatch.setenv("BOOKSHOP_DATABASE_URL", f"sqlite:///{folder / 'bookshop.db'}")
    monkeypatch.syspath_prepend(EXAMPLES / twin)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    gc.disable()  # else chance decides when what was dropped is cleaned up
    try:
        api = importlib.import_module("bookshop.api.app").app
        admin = importlib.import_module("bookshop.admin.app").create_app()
        with TestClient(api, raise_server_exceptions=False) as client:
            shop = Shop(client, admin.test_client())
            models, db = shop.module("models"), shop.module("db")
            with db.SessionLocal.begin() as session:
                session.add(models.Book(isbn="1", title="Emma", price=1000, cost=700, stock=5))
                session.add(models.Book(isbn="2", title="Ulysses", price=2000, cost=1500, stock=1))
                session.add(models.Customer(email="ada@example.org"))
                session.flush()
                session.add(models.Order(customer_id=1, book_id=1, copies=1, total=1000))
                session.add(models.Review(book_id=1, stars=5, words="a classic"))
            event.listen(Pool, "connect", shop.connected)
            try:
                yield shop
            finally:
                event.remove(Pool, "connect", shop.connected)
        db.engine.dispose()
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "bookshop"]:
            del sys.modules[name]
        gc.enable()
        gc.collect()


@pytest.mark.filterwarnings(HTTPX)
def test_the_repaired_twin_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(REPAIRED, tmp_path, monkeypatch) as shop:
        customer = shop.api.post("/customers", json={"email": "bob@example.org"}).json()
        assert shop.api.post("/customers", json={"email": "bob@example.org"}).status_code == 409
        book = shop.api.post("/books", json={"isbn": "3", "title": "Dracula", "price": 1500, "cost": 900, "stock": 2}).json()
        assert shop.api.get(f"/books/{book['id']}").json() == {"id": 3, "title": "Dracula", "price": 1500, "stock": 2}
        assert [found["title"] for found in shop.api.get("/books", params={"words": "a"}).json()] == ["Dracula", "Emma"]

        order = shop.api.post("/orders", json={"customer_id": customer["id"], "book_id": book["id"], "copies": 2})
        assert (order.status_code, order.json()) == (201, {"id": 2, "book_id": 3, "total": 3000, "status": "new"})
        assert shop.api.post("/orders", json={"customer_id": customer["id"], "book_id": book["id"]}).status_code == 409
        assert len(shop.api.get("/orders").json()) == 2
        assert [mine["id"] for mine in shop.api.get(f"/customers/{customer['id']}/orders").json()] == [2]
        assert shop.rows("AuditEntry", "action") == ["placed"]

        assert shop.api.post("/books/3/reviews", json={"stars": 4, "words": "gripping"}).json()["words"] == "gripping"
        assert len(shop.api.get("/books/3/reviews").json()) == 1

        assert shop.admin.post("/admin/books", json={"isbn": "4", "title": "Faust", "price": 900, "cost": 500}).status_code == 201
        assert shop.admin.put("/admin/books/4/price", json={"price": 800}).json == {"id": 4, "price": 800}
        assert [one["title"] for one in shop.admin.get("/admin/books").json] == ["Emma", "Ulysses", "Dracula", "Faust"]
        assert shop.admin.post("/admin/orders/2/pay").json == {"id": 2, "status": "paid"}
        assert [one["status"] for one in shop.admin.get("/admin/orders").json] == ["new", "paid"]

        tasks = shop.module("worker.tasks")
        assert tasks.restock.apply(args=(3, 7)).get() == 7
        assert tasks.change_prices.apply(args=({"3": 1600},)).successful()
        assert tasks.cancel_unpaid.apply().get() == 1
        assert tasks.ship.apply(args=(2, "JD-1")).successful()
        assert tasks.sales.apply().get() == {"Emma": 1000, "Dracula": 3000}

        assert shop.rows("Order", "status") == ["cancelled", "paid"]
        assert shop.rows("Book", "price") == [1000, 2000, 1600, 800]
        assert shop.out() == 0


# -- each mistake, in both twins --------------------------------------------------------------------------------------


def price_of_a_refused_change(shop: Shop) -> object:
    """The back office is refused a price below cost; then somebody else's request saves something."""
    assert shop.admin.put("/admin/books/1/price", json={"price": 1}).status_code == 400
    assert shop.admin.post("/admin/orders/1/pay").status_code == 200
    return shop.rows("Book", "price")[0]


def out_after_listing_orders(shop: Shop) -> object:
    assert shop.api.get("/customers/1/orders").status_code == 200
    return shop.out()


def error_for_a_known_address(shop: Shop) -> object:
    """Without `get_db`, which would make a 500 of anything."""
    new = shop.module("api.schemas").NewCustomer(email="ada@example.org")
    with shop.module("db").SessionLocal() as db:
        return raised(shop.module("api.customers").sign_up, new, db)


def held_while_mail_is_sent(shop: Shop) -> object:
    """How many connections of the request are still out when the confirmation goes to the customer."""
    sending: list[int] = []
    watch = logging.Handler()
    watch.emit = lambda _: sending.append(shop.out())  # type: ignore[method-assign]
    log = shop.module("services.orders").log
    log.setLevel(logging.INFO)
    log.addHandler(watch)
    try:
        assert shop.api.post("/orders", json={"customer_id": 1, "book_id": 1}).status_code == 201
    finally:
        log.removeHandler(watch)
    return sending[0] - shop.out()


def reviews_after_a_deletion(shop: Shop) -> object:
    assert shop.api.delete("/books/1/reviews/1").status_code == 204
    return len(shop.rows("Review", "id"))


def out_after_showing_a_book(shop: Shop) -> object:
    assert shop.api.get("/books/1").status_code == 200
    return shop.out()


def status_for_a_new_review(shop: Shop) -> object:
    return shop.api.post("/books/1/reviews", json={"stars": 3, "words": "long"}).status_code


def status_for_an_unknown_order(shop: Shop) -> object:
    return shop.api.get("/orders/99").status_code


def out_after_a_failed_block(shop: Shop) -> object:
    with pytest.raises(Exception, match="No row was found"):
        shop.module("worker.tasks").change_prices.run({"1": 1100, "unknown": 1})
    return shop.out()


def next_record_after_a_failed_one(shop: Shop) -> object:
    record = shop.module("services.audit").record
    assert [raised(record, "order 1", "placed"), raised(record, "order 1", "placed")] == ["nothing raised", "IntegrityError"]
    return raised(record, "order 2", "placed")


def out_after_a_search(shop: Shop) -> object:
    assert len(shop.api.get("/books").json()) == 2
    return shop.out()


def out_after_an_order(shop: Shop) -> object:
    assert shop.api.post("/orders", json={"customer_id": 1, "book_id": 1}).status_code == 201
    return shop.out()


def connections_made_by_three_reports(shop: Shop) -> object:
    before = shop.made
    for _ in range(3):
        assert shop.module("worker.tasks").sales.run() == {"Emma": 1000}
    return shop.made - before


def status_of_an_unpaid_order(shop: Shop) -> object:
    assert shop.module("worker.tasks").cancel_unpaid.run() == 1
    return shop.rows("Order", "status")[0]


def next_shipment_after_a_failed_one(shop: Shop) -> object:
    ship = shop.module("worker.tasks").ship.run
    assert [raised(ship, 1, "JD-1"), raised(ship, 1, "JD-2")] == ["nothing raised", "IntegrityError"]
    return raised(ship, 2, "JD-3")


def out_after_restocking(shop: Shop) -> object:
    assert shop.module("worker.tasks").restock.run(1, 3) == 8
    return shop.out()


@dataclass(frozen=True)
class Lesson:
    rule: str
    drive: Callable[[Shop], object]
    wrong: object
    repaired: object


LESSONS = [
    Lesson("flask-scoped-session-without-teardown", price_of_a_refused_change, wrong=1, repaired=1000),
    Lesson("depends-on-session-factory", out_after_listing_orders, wrong=1, repaired=0),
    Lesson("session-method-on-factory", error_for_a_known_address, wrong="AttributeError", repaired="HTTPException"),
    Lesson("background-task-uses-request-session", held_while_mail_is_sent, wrong=1, repaired=0),
    Lesson("missing-await-on-async-session", reviews_after_a_deletion, wrong=1, repaired=0),
    Lesson("fastapi-dependency-returns-session", out_after_showing_a_book, wrong=1, repaired=0),
    Lesson("async-expire-on-commit", status_for_a_new_review, wrong=500, repaired=201),
    Lesson("yield-dependency-swallows-exception", status_for_an_unknown_order, wrong=500, repaired=404),
    Lesson("yield-dependency-without-finally", out_after_a_failed_block, wrong=1, repaired=0),
    Lesson("module-level-session", next_record_after_a_failed_one, wrong="PendingRollbackError", repaired="nothing raised"),
    Lesson("session-on-long-lived-object", out_after_a_search, wrong=1, repaired=0),
    Lesson("session-in-default-argument", out_after_an_order, wrong=1, repaired=0),
    Lesson("engine-created-per-call", connections_made_by_three_reports, wrong=3, repaired=0),
    Lesson("session-method-not-called", status_of_an_unpaid_order, wrong="new", repaired="cancelled"),
    Lesson("task-uses-global-session", next_shipment_after_a_failed_one, wrong="PendingRollbackError", repaired="nothing raised"),
    Lesson("yield-dependency-called-directly", out_after_restocking, wrong=1, repaired=0),
]


def test_each_mistake_has_a_lesson() -> None:
    assert sorted(lesson.rule for lesson in LESSONS) == sorted(rule for _, rule in MISTAKES)


@pytest.mark.filterwarnings("ignore")  # what it leaves behind: connections, a coroutine
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.rule)
def test_the_mistake_does_harm(lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(WRONG, tmp_path, monkeypatch) as shop:
        assert lesson.drive(shop) == lesson.wrong


@pytest.mark.filterwarnings(HTTPX)
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.rule)
def test_the_repair_helps(lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(REPAIRED, tmp_path, monkeypatch) as shop:
        assert lesson.drive(shop) == lesson.repaired
        assert shop.out() == 0
