"""The settings of one project: what is chosen, where it is reported, how severe it is, and which names the project gives to sessions.

Read from `sa-session-lint.toml` or from `[tool.sa-session-lint]` of pyproject.toml at the project's root. A setting that is
misspelt would silently check something else, so nothing unknown is accepted: every fault becomes a `ConfigError` with its line.
Patterns are those of .gitignore files, relative to the root: one notation for `exclude`, `tests` and `per-file-ignores`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sa_session_lint.finding import Failure, Severity
from sa_session_lint.project.environment import PACKAGES
from sa_session_lint.project.files import OWN_FILE, OWN_TABLE, has_own_table, read_toml, spec_of, toml_fault

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

Profile = Literal["default", "strict"]
FailOn = Literal["error", "warning"]

TESTS = ("tests/", "test/", "conftest.py", "test_*.py", "*_test.py")
# Alembic runs these alone, once, and with a connection of its own; the last pattern knows a revision by the name Alembic gives it.
MIGRATIONS = (
    *("**/migrations/versions/", "**/alembic/versions/", "**/migrations/env.py", "**/alembic/env.py"),
    "**/versions/" + "[0-9a-f]" * 12 + "_*.py",
)
SCRIPTS = ("scripts/", "benchmarks/", "profiling/")
# What lives as long as a script does needs no scope, and what it does after an error and how often it asks the database matter little: rules with these tags are off in tests, migrations and scripts.
SCOPE_TAGS = frozenset(("lifetime", "leak", "missing-commit", "recovery", "queries"))
# Of these, what does no harm in a function that runs once, when the program starts.
ONCE_TAGS = frozenset(("leak", "connection"))


class Rule(Protocol):
    """What choosing needs to know of an entry."""

    @property
    def name(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def profile(self) -> Profile: ...
    @property
    def tags(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Maker:
    """A callable of the project that gives a session. None: not said, so nothing is concluded from it."""

    name: str
    kind: Literal["sync", "async"] | None = None
    expire_on_commit: bool | None = None
    closes: bool | None = None


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says; None: nothing."""

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] | None = None
    profile: Profile | None = None
    respect_gitignore: bool | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """All settings. `file` is where they were read, `select` is None where the profile chooses."""

    file: Path | None = None
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    severity: tuple[tuple[str, Severity], ...] = ()
    fail_on: FailOn = "warning"
    exclude: tuple[str, ...] = ()
    extend_exclude: tuple[str, ...] = ()
    respect_gitignore: bool = True
    src: tuple[str, ...] = ()
    tests: tuple[str, ...] = TESTS
    profile: Profile = "default"
    makers: tuple[Maker, ...] = ()
    slow_calls: tuple[str, ...] = ()
    scope_hooks: tuple[str, ...] = ()
    target_versions: tuple[tuple[str, str], ...] = ()

    def overridden(self, overrides: Overrides) -> Config:
        """These settings as the command line changes them. Its `--select` starts the choice anew; the others add to it."""
        config = self
        if overrides.select is not None:
            config = replace(config, select=overrides.select, ignore=(), extend_select=())
        return replace(
            config,
            ignore=config.ignore + (overrides.ignore or ()),
            extend_select=config.extend_select + (overrides.extend_select or ()),
            profile=overrides.profile or config.profile,
            respect_gitignore=(
                config.respect_gitignore if overrides.respect_gitignore is None else overrides.respect_gitignore
            ),
        )

    def selects(self, rule: Rule) -> bool:
        """Whether the rule is on at all. The more exact word wins (name or code, then the longer prefix, then ALL); of two equals, ignore."""
        by_profile = self.select is None and rule.profile in ("default", self.profile)
        chosen = max(_weight((self.select or ()) + self.extend_select, rule), 0 if by_profile else -1)
        return chosen > _weight(self.ignore, rule)

    def applies(self, rule: Rule, path: str) -> bool:
        """Whether a selected rule is on in this file."""
        if SCOPE_TAGS.intersection(rule.tags) and self.is_test(path):
            return False
        return not any(
            _weight(tokens, rule) >= 0 and _spec((pattern,)).match_file(path)
            for pattern, tokens in self.per_file_ignores
        )

    def severity_of(self, rule: Rule) -> Severity:
        """The severity under these settings: of the most exact word that names the rule, else the entry's."""
        named = [(_weight((token,), rule), severity) for token, severity in self.severity]
        return max((each for each in named if each[0] >= 0), key=lambda each: each[0], default=(0, rule.severity))[1]

    def is_test(self, path: str) -> bool:
        """Whether the file is a test, a migration or a script, by its path."""
        return _spec(self.tests + MIGRATIONS + SCRIPTS).match_file(path)

    def is_excluded(self, path: str) -> bool:
        """Whether the user does not want findings in this file (it may still be consulted)."""
        patterns = self.exclude + self.extend_exclude
        return bool(patterns) and _spec(patterns).match_file(path)


class ConfigError(Exception):
    """A setting that cannot be meant so; `key` is dotted, `file` is None for the command line."""

    def __init__(self, file: Path | None, line: int | None, key: str, message: str) -> None:
        super().__init__(message)
        self.file, self.line, self.key, self.message = file, line, key, message

    def __str__(self) -> str:
        where = "" if self.file is None else f"{self.file}:{self.line or 1}: "
        return where + self.message

    def failure(self, root: Path) -> Failure:
        """The same as a report carries it."""
        inside = self.file is not None and self.file.is_relative_to(root)
        path = "" if self.file is None else (self.file.relative_to(root) if inside else self.file).as_posix()
        return Failure(path, self.line, "config", self.message)


def load(root: Path, explicit: Path | None = None, isolated: bool = False) -> Config:
    """The settings of the project at `root`, or of the file `explicit`; the default ones if `isolated`."""
    if isolated:
        return Config()
    if explicit is not None:
        return _read(explicit)
    if (root / OWN_FILE).is_file():
        return _read(root / OWN_FILE)
    pyproject = root / "pyproject.toml"
    try:
        ours = has_own_table(pyproject.read_bytes())
    except OSError:
        ours = False
    return _read(pyproject) if ours else Config()


def check_rules(config: Config, rules: Iterable[Rule]) -> None:
    """ConfigError if the settings name a rule, a code or a prefix that is none of `rules`."""
    known = tuple(rules)
    lists = {"select": config.select or (), "ignore": config.ignore, "extend-select": config.extend_select}
    named: list[tuple[tuple[str, ...], str]] = [((key,), token) for key, tokens in lists.items() for token in tokens]
    named += [(("severity", token), token) for token, _ in config.severity]
    named += [(("per-file-ignores", pattern), token) for pattern, tokens in config.per_file_ignores for token in tokens]
    for keys, token in named:
        message = unknown_rule(token, known)
        if message is not None:
            raise ConfigError(
                config.file, _line_in(config.file, keys, token), ".".join(keys), f"`{keys[0]}`: {message}"
            )


def _line_in(file: Path | None, keys: tuple[str, ...], token: str) -> int | None:
    if file is None:
        return None
    text = file.read_text("utf-8", "replace")
    return _line_of(text, ("tool", OWN_TABLE, *keys), token) or _line_of(text, keys, token)


def unknown_rule(token: str, rules: Iterable[Rule]) -> str | None:
    """Why `token` chooses nothing: a sentence with a suggestion, or None if it is fine."""
    known = tuple(rules)
    if token == "ALL" or any(_weight((token,), rule) >= 0 for rule in known):
        return None
    return (
        f"there is no rule `{token}`{_suggestion(token, [word for rule in known for word in (rule.name, rule.code)])}"
    )


def _weight(tokens: Iterable[str], rule: Rule) -> int:
    """How exactly the most exact of `tokens` names the rule; -1: not at all."""
    return max((_exactness(token, rule) for token in tokens), default=-1)


def _exactness(token: str, rule: Rule) -> int:
    if token == rule.name or token.upper() == rule.code:
        return 9
    if token == "ALL":
        return 1
    return len(token) if re.fullmatch(r"SAS[0-9]{0,2}", token) and rule.code.startswith(token) else -1


@lru_cache(maxsize=256)
def _spec(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return spec_of(patterns)


def _suggestion(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, tuple(known), 1, 0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


class _Fault(Exception):
    def __init__(self, message: str, *keys: str, near: str = "") -> None:
        super().__init__(message)
        self.keys, self.near = keys, near


def _read(file: Path) -> Config:
    try:
        data = file.read_bytes()
        text = data.decode("utf-8", "replace")
        document = read_toml(data)
    except OSError as error:
        raise ConfigError(file, None, "", f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(file, toml_fault(data, error), "", f"is not valid TOML: {error}") from error
    tool = document.get("tool")
    prefix: tuple[str, ...] = ("tool", OWN_TABLE) if isinstance(tool, dict) or file.name == "pyproject.toml" else ()
    table = (tool.get(OWN_TABLE, {}) if isinstance(tool, dict) else {}) if prefix else document
    try:
        return replace(Config(file=file), **_values(table))
    except _Fault as fault:
        line = _line_of(text, (*prefix, *fault.keys), fault.near)
        raise ConfigError(file, line, ".".join(fault.keys), str(fault)) from fault


def _values(table: object) -> dict[str, Any]:
    values = {}
    for key, value in _table(table).items():
        parse = _KEYS.get(key)
        if parse is None:
            raise _Fault(f"unknown key `{key}`{_suggestion(key, _KEYS)}", key)
        try:
            values[key.replace("-", "_")] = parse(value)
        except _Fault as fault:
            raise _Fault(f"`{key}`: {fault}", key, *fault.keys, near=fault.near) from fault
    return values


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _Fault(f"must be a table, not {_kind(value)}")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Fault(f"must be true or false, not {_kind(value)}")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise _Fault(f"must be a string, not {_kind(value)}")
    return value


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _Fault(f"must be an array of strings, not {_kind(value)}")
    return tuple(value)


def _patterns(value: object) -> tuple[str, ...]:
    patterns = _strings(value)
    for pattern in patterns:
        try:
            _spec((pattern,))
        except ValueError as error:
            raise _Fault(f"`{pattern}` is no pattern of a .gitignore file", near=pattern) from error
    return patterns


def _dotted(value: object) -> tuple[str, ...]:
    names = _strings(value)
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise _Fault(f"`{name}` is no dotted name, such as `app.db.new_session`", near=name)
    return names


def _one_of(*words: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in words:
            shown = f"`{value}`" if isinstance(value, str) else _kind(value)
            near = _suggestion(value, words) if isinstance(value, str) else ""
            raise _Fault(f"must be one of {', '.join(f'`{word}`' for word in words)}, not {shown}{near}")
        return str(value)

    return parse


def _pairs(parse: Callable[[object], Any]) -> Callable[[object], tuple[tuple[str, Any], ...]]:
    def read(value: object) -> tuple[tuple[str, Any], ...]:
        found = []
        for key, each in _table(value).items():
            try:
                found.append((key, parse(each)))
            except _Fault as fault:
                raise _Fault(f"`{key}` {fault}", key, near=fault.near) from fault
        return tuple(found)

    return read


def _ignores(value: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    pairs = _pairs(_strings)(value)
    for pattern, _ in pairs:
        _patterns([pattern])
    return pairs


_MAKER: dict[str, Callable[[object], object]] = {
    "name": _string,
    "kind": _one_of("sync", "async"),
    "expire-on-commit": _boolean,
    "closes": _boolean,
}


def _makers(value: object) -> tuple[Maker, ...]:
    if not isinstance(value, list):
        raise _Fault(f"must be an array of dotted names or tables, not {_kind(value)}")
    return tuple(_maker(each) for each in value)


def _maker(value: object) -> Maker:
    table = {"name": value} if isinstance(value, str) else _table(value)
    options: dict[str, Any] = {}
    for key, each in table.items():
        if key not in _MAKER:
            raise _Fault(f"unknown key `{key}`{_suggestion(key, _MAKER)}", near=key)
        try:
            options[key.replace("-", "_")] = _MAKER[key](each)
        except _Fault as fault:
            raise _Fault(f"`{key}` {fault}", near=key) from fault
    if "name" not in options:
        raise _Fault('a maker needs a `name`, such as `{ name = "app.db.new_session" }`')
    _dotted([options["name"]])
    return Maker(**options)


def _versions(value: object) -> tuple[tuple[str, str], ...]:
    from packaging.version import InvalidVersion, Version

    pairs = _pairs(_string)(value)
    for package, version in pairs:
        if package not in PACKAGES:
            raise _Fault(f"unknown package `{package}`{_suggestion(package, PACKAGES)}", package)
        try:
            Version(version)
        except InvalidVersion as error:
            raise _Fault(f'`{package}` must be a version such as "2.0", not `{version}`', package) from error
    return pairs


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "a table"}
    if isinstance(value, list) and value:
        return f"an array that holds {_kind(next((each for each in value if not isinstance(each, str)), value[0]))}"
    return names.get(type(value), f"a {type(value).__name__}")


_KEYS: dict[str, Callable[[object], object]] = {
    "select": _strings,
    "ignore": _strings,
    "extend-select": _strings,
    "per-file-ignores": _ignores,
    "severity": _pairs(_one_of("error", "warning", "info")),
    "fail-on": _one_of("error", "warning"),
    "exclude": _patterns,
    "extend-exclude": _patterns,
    "respect-gitignore": _boolean,
    "src": _strings,
    "tests": _patterns,
    "profile": _one_of("default", "strict"),
    "makers": _makers,
    "slow-calls": _dotted,
    "scope-hooks": _dotted,
    "target-versions": _versions,
}

_HEADER = re.compile(r"^\s*\[\[?([^\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")


def _line_of(text: str, keys: tuple[str, ...], near: str = "") -> int | None:
    """The line that sets `keys`, or the first from there on that holds `near`; of what holds them if they stand in an inline table.

    A scan, for tomllib tells no positions; it only has to be right for a document that tomllib accepted.
    """
    lines = text.split("\n")
    table: tuple[str, ...] = ()
    best, depth = None, 0
    for number, line in enumerate(lines, 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = path = _parts(header[1])
        elif key:
            path = table + _parts(key[1])
        else:
            continue
        if len(path) > depth and path == keys[: len(path)]:
            best, depth = number, len(path)
    if best is None or not near:
        return best
    return next((number for number in range(best, len(lines) + 1) if near in lines[number - 1]), best)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(first or second or bare for first, second, bare in _PART.findall(dotted))
