"""Who did what: kept even when the work itself fails later."""

from bookshop.db import SessionLocal
from bookshop.models import AuditEntry


def record(reference: str, action: str) -> None:
    with SessionLocal.begin() as session:
        session.add(AuditEntry(reference=reference, action=action))
