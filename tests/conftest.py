"""Fixtures are data: pytest must not collect them."""

collect_ignore = ["fixtures", "example"]
