"""One shared set of findings for all formats: everything that a reporter may meet, in a small made-up project."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from sa_session_lint.catalogue import Entry, Example
from sa_session_lint.finding import Edit, Failure, Finding, Fix, Note, Severity, Span
from sa_session_lint.run import Report, Reported

ROOT = Path(PurePosixPath("/srv/my shop"))

DB = """\
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

engine = create_engine("sqlite:///shop.db")
SessionLocal = sessionmaker(engine)

session = SessionLocal()
"""

# Line 6 is indented by a tab; 9 to 12 are one call; 15 holds wide and combining characters; 17 is very long.
ROUTES = """\
from app.db import session


@app.get("/users")
def users():
\tif session.commit:
\t\treturn []

    session.execute(
        text("select 1"),
        {"a": 1},
    )


名前 = "cafe\u0301 ☕"; session.rollback  # 日本

LONG = ["%s"]; session.close  # the end
""" % ("x" * 200)

ODD = "session.commit  # 100%, a: b\x1b[31m\n"


def _entry(
    name: str, code: str, severity: Severity, title: str, message: str, solution: str, docs: tuple[str, ...] = ()
) -> Entry:
    return Entry(
        name=name,
        code=code,
        title=title,
        severity=severity,
        profile="default",
        fix="none",
        since="0.1",
        message=message,
        error_messages=("InvalidRequestError: This session is in 'prepared' state",) if docs else (),
        tags=("lifetime",),
        docs=docs,
        problem="It is opened when the module is imported, and every request after that works with the same object,\n"
        "the same identity map and the same transaction.",
        why="A Session is a conversation of *one* task with the database. Two requests that share it commit each\n"
        "other's half-done work, and after one failed flush `session.rollback()` is missing for everybody.",
        solution=solution,
        gotchas=("A `Session` is not thread-safe.", "Closing it in one request closes it for all."),
        reported=(Example(30, "session = Session()  # error\n"),),
        accepted=(Example(36, "Session = sessionmaker()\n"),),
        limits="",
    )


MODULE_LEVEL = _entry(
    "module-level-session",
    "SAS101",
    "error",
    "One session for the whole program",
    "`{name}` is opened on import and shared by all requests, so one request commits or rolls back the work of another",
    "Keep the maker at module level and open a session for each request:\n\n"
    "- in FastAPI a dependency that yields and closes,\n- elsewhere a `with` block around the unit of work:\n\n"
    "```python\nwith SessionLocal() as session:\n    session.commit()\n```\n",
    ("https://docs.sqlalchemy.org/en/20/orm/session_basics.html#session-faq-whentocreate",),
)
NOT_CALLED = _entry(
    "session-method-not-called",
    "SAS209",
    "warning",
    "A session method that is named but not called",
    "`{text}` is not called, so nothing happens",
    "Add the parentheses.",
)
ADVICE = _entry(
    "pool-without-pre-ping",
    "SAS805",
    "info",
    "No ping",
    "the pool hands out dead connections",
    "Add `pool_pre_ping=True`.",
)


def _reported(
    entry: Entry, path: str, span: Span, trail: tuple[Note, ...] = (), fix: Fix | None = None, **values: str
) -> Reported:
    finding = Finding(entry.name, path, span, (span.line, span.end_line), tuple(values.items()), trail, fix)
    return Reported(finding, entry, entry.severity, entry.sentence(values))


FULL = Report(
    root=ROOT,
    reported=(
        _reported(ADVICE, "app/db.py", Span(4, 10, 4, 44)),
        _reported(
            MODULE_LEVEL,
            "app/db.py",
            Span(7, 1, 7, 25),
            (
                Note("app/db.py", Span(5, 1, 5, 36), "made here"),
                Note("app/routes.py", Span(6, 5, 6, 12), "used in a request here"),
            ),
            name="session",
        ),
        _reported(
            NOT_CALLED,
            "app/routes.py",
            Span(6, 5, 6, 19),
            fix=Fix("Call it", (Edit("app/routes.py", Span(6, 19, 6, 19), "()"),), safe=False),
            text="session.commit",
        ),
        _reported(NOT_CALLED, "app/routes.py", Span(9, 5, 12, 6), text="session.execute"),
        _reported(NOT_CALLED, "app/routes.py", Span(15, 17, 15, 33), text="session.rollback"),
        _reported(NOT_CALLED, "app/routes.py", Span(17, 214, 17, 227), text="session.close"),
        _reported(NOT_CALLED, "app/täglich, 100%: a.py", Span(1, 1, 1, 15), text="session.commit"),
        _reported(
            NOT_CALLED,
            "gone.py",
            Span(3, 1, 3, 15),
            (Note("gone.py", Span(1, 1, 1, 2), "opened here"),),
            text="session.commit",
        ),
    ),
    failures=(
        Failure("app/broken.py", 3, "parse", "Syntax error: unexpected `)`"),
        Failure("lib/old.py", None, "read", "is not UTF-8", reported=False),
    ),
    files=14,
    consulted=5,
    coarse=1,
    seconds=0.3149,
    texts={"app/db.py": DB, "app/routes.py": ROUTES, "app/täglich, 100%: a.py": ODD},
)

CLEAN = Report(root=ROOT, files=14, consulted=5, seconds=0.2)
NOTHING = Report(root=ROOT)
CONSULTED_FAILURE = Report(
    root=ROOT, failures=(Failure("lib/old.py", 1, "parse", "Syntax error", reported=False),), files=1, consulted=1
)
