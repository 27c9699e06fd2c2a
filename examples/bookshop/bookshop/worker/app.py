import os

from celery import Celery

celery = Celery("bookshop", broker=os.environ.get("BOOKSHOP_BROKER_URL", "memory://"), include=["bookshop.worker.tasks"])
celery.conf.beat_schedule = {
    "cancel-unpaid": {"task": "bookshop.worker.tasks.cancel_unpaid", "schedule": 86_400},
    "sales": {"task": "bookshop.worker.tasks.sales", "schedule": 3_600},
}
