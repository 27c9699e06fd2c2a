"""Whether a commit expires the objects of a session: https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.Session.params.expire_on_commit"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sa_session_lint.model.expression import Attribute, Name
from sa_session_lint.model.value import Made, Maker, Options, Session, Value
from sa_session_lint.model.vocabulary import ROLES, Kind
from sa_session_lint.project.modules import is_aside

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

OPTION = "expire_on_commit"
_MAKERS = frozenset(dotted.rpartition(".")[2] for dotted, (role, _) in ROLES.items() if role in {"maker", "session class", "flask-sqlalchemy"})


def expires(index: Index, options: Options, kind: Kind | None) -> bool | None:
    """Whether a commit expires the objects of a session with these options, in a file of the project; None where that is not known."""
    if options.expire is None:
        return _expire_anywhere(index, kind)
    return None if options.expire and is_configured(index) else options.expire


def _expire_anywhere(index: Index, kind: Kind | None) -> bool | None:
    """The same of a session that somebody gives: it is like all those that the project makes, if that never sets the option."""

    def search() -> bool | None:
        if kind is None or any(not is_aside(path) for path in index.files_with(OPTION)):
            return None
        return True if any(made == (kind, True) for made in _made(index)) else None

    return index.once(("expires", kind), search)


def _made(index: Index) -> Iterator[tuple[Kind | None, bool | None]]:
    """The kind and the option of all that the project makes sessions with."""
    for word in sorted(_MAKERS):
        for found, scope, call in index.calls_with(word):
            if not is_aside(found.path) and isinstance(call.function, (Name, Attribute)) and call.function.name == word:
                value: Value = index.value(call, scope, found.path)
                if isinstance(value, (Maker, Session)):
                    yield value.kind, value.options.expire
                elif isinstance(value, Made) and value.dotted in ROLES and ROLES[value.dotted][0] == "flask-sqlalchemy":
                    yield "sync", True


def is_configured(index: Index) -> bool:
    """Whether `configure(expire_on_commit=...)` may set the option of some maker later."""
    return index.once(
        ("configures expiry",),
        lambda: any(isinstance(call.function, Attribute) and call.function.name == "configure" for _, _, call in index.calls_with("configure", OPTION)),
    )
