"""Who did what: kept even when the work itself fails later."""

from bookshop.db import SessionLocal
from bookshop.models import AuditEntry

session = SessionLocal()


def record(reference: str, action: str) -> None:
    session.add(AuditEntry(reference=reference, action=action))
    session.commit()
