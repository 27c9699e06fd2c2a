"""What a project's configuration adds to the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sa_session_lint.model.vocabulary import Kind


@dataclass(frozen=True, slots=True)
class ConfiguredMaker:
    """A callable that gives a session, named in the configuration; `expire` is its `expire_on_commit`, None: not known.

    With `closes`, somebody else closes the session; without, whoever calls it must.
    """

    name: str
    kind: Kind = "sync"
    expire: bool | None = None
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """`makers` by dotted name; `scope_hooks` are functions that end a registry's scope; `src` are folders that hold packages."""

    makers: Mapping[str, ConfiguredMaker] = field(default_factory=dict)
    scope_hooks: frozenset[str] = frozenset()
    slow_calls: frozenset[str] = frozenset()
    src: tuple[str, ...] = ()
