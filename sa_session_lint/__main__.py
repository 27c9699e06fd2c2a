"""`python -m sa_session_lint` is `sa-session-lint`."""

from sa_session_lint.cli import command

command()
