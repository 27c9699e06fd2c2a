"""The project as a set of answers: facts of other files are pulled by name, and what was asked is recorded.

The answer about a file never depends on which files were passed to the linter, only on what lies below the project root.
"absent" is an answer as well: a module that was not found is recorded like one that was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from sa_session_lint.finding import Failure
from sa_session_lint.model.expression import Call, Expression
from sa_session_lint.model.settings import Settings
from sa_session_lint.model.value import NOTHING, Place, Value
from sa_session_lint.project.environment import Environment, Pins
from sa_session_lint.project.evaluate import Member, Result, called, entered, evaluate
from sa_session_lint.project.lowering import outline
from sa_session_lint.project.modules import Modules
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.source import Source, Unreadable

T = TypeVar("T")


class Query(Protocol):
    """A question with a hashable answer; queries are equal when they ask the same."""

    @property
    def path(self) -> str: ...

    def answer(self, index: Index) -> Value: ...


class Index:
    """One project: `files` are what may be consulted; what is handed in by `put` stands in for the file on disk.

    `targets` are versions that the configuration states, whatever the manifests pin.
    """

    def __init__(
        self, root: Path, files: tuple[str, ...], settings: Settings | None = None, targets: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.root = root
        self.settings = settings or Settings()
        self.modules = Modules(files, self.settings.src)
        self.failures: dict[str, Failure] = {}
        self.asked: set[Query] = set()
        self.consulted: set[str] = set()
        self._bytes: dict[str, bytes | None] = {}
        self._sources: dict[str, Source | None] = {}
        self._outlines: dict[str, Outline | None] = {}
        self._answers: dict[Query, Value] = {}
        self._provisional: dict[Query, Value] = {}
        self._open: set[Query] = set()
        self._cut: set[Query] = set()
        self._words: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._environment = Environment(root)
        self._targets = targets
        self._facts: dict[object, object] = {}
        self._values: dict[tuple[int, int], tuple[Expression, Value]] = {}

    # -- files --------------------------------------------------------------------------------------------------------

    def put(self, path: str, data: bytes) -> None:
        """Let `data` be the content of `path`, as an editor has it."""
        self._bytes[path] = data

    def data(self, path: str) -> bytes | None:
        """The bytes of a file, or None where it cannot be read."""
        if path not in self._bytes:
            try:
                file = self.root / path
                self._bytes[path] = file.read_bytes() if file.is_file() else None
            except OSError as error:
                self.failures[path] = Failure(path, None, "read", error.strerror or str(error))
                self._bytes[path] = None
        return self._bytes[path]

    def source(self, path: str) -> Source | None:
        """The parsed file, or None with a Failure in `failures`."""
        if path not in self._sources:
            self._sources[path] = None
            data = self.data(path)
            if data is not None:
                try:
                    source = Source.from_bytes(data, path)
                    source.module  # noqa: B018  # parses
                    self._sources[path] = source
                except Unreadable as unreadable:
                    self.failures[path] = unreadable.failure
        return self._sources[path]

    def outline(self, path: str) -> Outline | None:
        """The outline of a file of the project; None for a folder and for what cannot be read."""
        if path not in self._outlines:
            self._outlines[path] = None
            if not path.endswith("/"):
                source = self.source(path)
                if source is not None:
                    try:
                        self._outlines[path] = outline(path, source.module)
                    except Exception as error:  # a mistake of ours costs this file, not the run
                        self.failures[path] = Failure(path, None, "check", f"outline: {type(error).__name__}: {error}")
        found = self._outlines[path]
        if found is not None:
            self.consulted.add(path)
        return found

    def call_at(self, place: Place) -> tuple[Outline, Scope, Call] | None:
        """The call at a place, with the scope that it stands in; None where there is none."""
        found = self.outline(place.path)
        lowered = found.values.get(id(found.nodes[place.at])) if found is not None else None
        return (found, lowered[1], lowered[0]) if found is not None and lowered is not None and isinstance(lowered[0], Call) else None

    # -- answers ------------------------------------------------------------------------------------------------------

    def ask(self, query: Query) -> Value:
        """The answer to a query. A query that depends on itself gets NOTHING there, which a join ignores: the least fixed point
        of one round. What was found on such a premise is kept no longer than the premise."""
        self.asked.add(query)
        known = self._answers.get(query) or self._provisional.get(query)
        if known is not None:
            return known
        if query in self._open:
            self._cut.add(query)
            return NOTHING
        self._open.add(query)
        answer = query.answer(self)
        self._open.discard(query)
        self._cut.discard(query)
        if self._cut:
            self._provisional[query] = answer
        else:
            self._answers[query] = answer
            self._provisional.clear()
        return answer

    def known(self, expression: Expression, scope: Scope) -> Value | None:
        """What `remember` was told of this very expression: long chains are asked for link by link."""
        found = self._values.get((id(expression), id(scope)))
        return None if found is None else found[1]

    def remember(self, expression: Expression, scope: Scope, value: Value) -> Value:
        """Keep a value, unless it stands on the premise of an open query. The expression is kept, too, so that its id stays its own."""
        if not self._open:
            self._values[id(expression), id(scope)] = expression, value
        return value

    def value(self, expression: Expression, scope: Scope, path: str) -> Value:
        """What an expression of `path`, met in `scope`, stands for."""
        return evaluate(self, expression, scope, path)

    def result(self, path: str, qualname: str) -> Value:
        """What calling a function of the project gives."""
        return self.ask(Result(path, qualname))

    def member(self, path: str, qualname: str, name: str) -> Value:
        """An attribute of a class of the project or of its instances."""
        return self.ask(Member(path, qualname, name))

    def called(self, function: Value, call: Call, scope: Scope, path: str) -> Value:
        """What calling `function` in this call gives."""
        return called(self, function, call, scope, path)

    def entered(self, value: Value) -> Value:
        """What a with-block over `value` binds."""
        return entered(self, value)

    def once(self, key: object, compute: Callable[[], T]) -> T:
        """A fact about the project, computed once under `key`."""
        if key not in self._facts:
            self._facts[key] = compute()
        return self._facts[key]  # type: ignore[return-value]

    # -- the project as a whole ---------------------------------------------------------------------------------------

    def files_with(self, *words: str) -> tuple[str, ...]:
        """The files whose bytes hold all these words, in order of their paths; no file is parsed for it."""
        if words not in self._words:
            wanted = [word.encode() for word in words]
            many = len(self._words) > _MANY and all(_WORD.fullmatch(word) for word in wanted)
            self._words[words] = self._looked_up(wanted) if many else tuple(path for path in self._paths if self._holds(path, wanted))
        return self._words[words]

    def _holds(self, path: str, wanted: list[bytes]) -> bool:
        data = self.data(path)
        return data is not None and all(word in data for word in wanted) and all(_stands_in(word, data) for word in wanted)

    def _looked_up(self, wanted: list[bytes]) -> tuple[str, ...]:
        found = sorted(set.intersection(*(set(self._numbers.get(word, ())) for word in wanted)))
        return tuple(self._paths[number] for number in found)

    @cached_property
    def _paths(self) -> list[str]:
        return sorted(self.modules.files)

    @cached_property
    def _numbers(self) -> dict[bytes, list[int]]:
        """Every word of the project, with the numbers of the files that have it: worth its while once many have been searched for."""
        found: dict[bytes, list[int]] = {}
        for number, path in enumerate(self._paths):
            for word in set(_WORD.findall(self.data(path) or b"")):
                found.setdefault(word, []).append(number)
        return found

    def scopes_with(self, *words: str) -> Iterator[tuple[Outline, Scope]]:
        """Every scope of every file that holds all these words."""
        for path in self.files_with(*words):
            found = self.outline(path)
            if found is not None:
                yield found, found.module
                for scope in found.scopes.values():
                    yield found, scope

    def calls_with(self, *words: str) -> Iterator[tuple[Outline, Scope, Call]]:
        """Every call in every file that holds all these words."""
        for found, scope in self.scopes_with(*words):
            for call in scope.calls:
                yield found, scope, call

    def pins(self, path: str) -> Pins:
        """The versions that the manifests nearest to `path` pin."""
        return self._environment.pins((self.root / path).parent).targeting(self._targets)


_MANY = 60
_WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") | frozenset(range(128, 256))


def _stands_in(word: bytes, data: bytes) -> bool:
    """Whether a word stands in a text by itself and not merely within a longer one."""
    at = data.find(word)
    while at >= 0:
        end = at + len(word)
        if (at == 0 or data[at - 1] not in _LETTERS) and (end == len(data) or data[end] not in _LETTERS):
            return True
        at = data.find(word, at + 1)
    return False
