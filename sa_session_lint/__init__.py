"""sa-session-lint: finds SQLAlchemy session lifecycle mistakes before production does."""

__version__ = "0.1.0"
