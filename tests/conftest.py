"""What holds for all tests."""

from __future__ import annotations

import gc
import warnings

collect_ignore = ["fixtures", "example"]  # data: pytest must not collect them


def pytest_sessionfinish() -> None:
    """Proofs drop connections on purpose; those that lived until now are let go without a complaint from aiosqlite."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
