"""What holds for all tests."""

collect_ignore = ["fixtures", "example"]  # data: pytest must not collect them
