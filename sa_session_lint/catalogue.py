"""The catalogue: every entry of `rules/`, and how rules are selected by name, code or prefix.

An entry is a file `<name>.md`: a TOML head between `+++` lines, then seven fixed headings. It is read here and not by a
markdown library, which would cost more than the rest of a warm run. An entry that cannot be read becomes a `Failure`
that names file, line and key; it hides no other. Of `Reported` and `Accepted` only the Python blocks are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sa_session_lint.finding import Failure, Severity

HEADINGS = ("Problem", "Why", "Solution", "Gotchas", "Reported", "Accepted", "Limits")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_TEXTS = {
    "code": r"SAS[0-9]{3}",
    "title": r"\S.*",
    "severity": r"error|warning|info",
    "profile": r"default|strict",
    "fix": r"safe|unsafe|none",
    "since": r"[0-9]+(\.[0-9]+)+",
    "message": r"\S.*",
}
_LISTS = {"error_messages": r"\S.*", "tags": _NAME.pattern, "docs": r"https://\S+"}


@dataclass(frozen=True, slots=True)
class Example:
    """One Python block of an entry; `line` is where its code starts in the entry's file (1-based)."""

    line: int
    code: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule in words. `message` holds `{placeholders}` that a finding's values fill."""

    name: str
    code: str
    title: str
    severity: Severity
    profile: Literal["default", "strict"]
    fix: Literal["safe", "unsafe", "none"]
    since: str
    message: str
    error_messages: tuple[str, ...]
    tags: tuple[str, ...]
    docs: tuple[str, ...]
    problem: str
    why: str
    solution: str
    gotchas: tuple[str, ...]
    reported: tuple[Example, ...]
    accepted: tuple[Example, ...]
    limits: str

    def sentence(self, values: Mapping[str, str]) -> str:
        """The message filled with `values`. A placeholder without a value stays visible: it must not cost a finding."""
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), self.message)


class UnknownRule(LookupError):
    """A word that is no rule's name, code or prefix of codes; `suggestion` is what may have been meant."""

    def __init__(self, token: str, suggestion: str | None) -> None:
        super().__init__(token)
        self.token, self.suggestion = token, suggestion

    def __str__(self) -> str:
        hint = f"; did you mean `{self.suggestion}`?" if self.suggestion else ""
        return f"there is no rule `{self.token}`{hint}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All entries by name, in the order of their codes, and what could not be read."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    broken: tuple[Failure, ...] = ()

    def find(self, name_or_code: str) -> Entry:
        """The entry of that name, or of that code in either case. Raises UnknownRule."""
        for entry in self.entries.values():
            if name_or_code == entry.name or name_or_code.upper() == entry.code:
                return entry
        raise self._unknown(name_or_code)

    def select(self, tokens: Iterable[str]) -> set[str]:
        """Names of the rules that `tokens` mean: names, codes, prefixes (SAS, SAS2, SAS20), ALL. Raises UnknownRule."""
        return {name for token in tokens for name in self._meant(token)}

    def _meant(self, token: str) -> Iterable[str]:
        if token.upper() == "ALL":
            return self.entries
        if re.fullmatch(r"SAS[0-9]{0,2}", token.upper()):
            meant = [entry.name for entry in self.entries.values() if entry.code.startswith(token.upper())]
            if meant:
                return meant
        return (self.find(token).name,)

    def _unknown(self, token: str) -> UnknownRule:
        from difflib import get_close_matches

        words = {entry.name: entry.name for entry in self.entries.values()}
        words |= {entry.code.lower(): entry.code for entry in self.entries.values()}
        close = get_close_matches(token.lower().replace("_", "-"), words, 1, 0.6)
        return UnknownRule(token, words[close[0]] if close else None)


def load(folder: Path | None = None) -> Catalogue:
    """The entries of `folder`; without one, of `rules`: inside the package when installed, beside it in a checkout."""
    if folder is None:
        inside = Path(__file__).parent / "rules"
        folder = inside if inside.is_dir() else inside.parents[1] / "rules"
    files = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    if not files:
        return Catalogue(broken=(Failure(folder.name, None, "config", "no entry of any rule was found"),))
    entries: list[Entry] = []
    broken: list[Failure] = []
    codes: dict[str, str] = {}
    for path in files:
        shown = f"{folder.name}/{path.name}"
        try:
            entry, code_line = _read(path)
            if entry.code in codes:
                raise _Fault(code_line, f"`code`: {entry.code} is already the code of {codes[entry.code]}")
        except _Fault as fault:
            broken.append(Failure(shown, fault.line, "config", fault.message))
        else:
            codes[entry.code] = path.name
            entries.append(entry)
    return Catalogue({entry.name: entry for entry in sorted(entries, key=lambda entry: entry.code)}, tuple(broken))


class _Fault(Exception):
    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line, self.message = line, message


def _read(path: Path) -> tuple[Entry, int]:
    """The entry of one file, with the line of its code."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _Fault(None, f"cannot be read: {error}") from error
    if not _NAME.fullmatch(path.stem):
        raise _Fault(None, f"`{path.stem}` is no rule name: small letters and hyphens, as in `module-level-session`")
    if lines[:1] != ["+++"] or "+++" not in lines[1:]:
        raise _Fault(1, "must begin with a TOML head between two lines `+++`")
    end = lines.index("+++", 1)
    head = _head(lines[1:end])
    sections = _sections(lines, end + 1)
    reported, accepted = (tuple(_examples(*sections[heading])) for heading in ("Reported", "Accepted"))
    if len(reported) != len(accepted) or not reported:
        start = sections["Accepted"][0]
        counts = f"{len(reported)} Python blocks, `## Accepted` {len(accepted)}"
        raise _Fault(start, f"`## Reported` has {counts}: each needs its pair")
    values: dict[str, Any] = head
    for heading in ("Problem", "Why", "Solution", "Limits"):
        values[heading.lower()] = text = "\n".join(sections[heading][1]).strip()
        if not text and heading != "Limits":
            raise _Fault(sections[heading][0], f"`## {heading}` is empty")
    gotchas = tuple(_bullets(sections["Gotchas"][1]))
    entry = Entry(path.stem, **values, gotchas=gotchas, reported=reported, accepted=accepted)
    return entry, _line_of(lines, "code") or 1


def _head(lines: list[str]) -> dict[str, Any]:
    """The values of the head: no key missing, none unknown, each value in its form. Line 1 of the file is the `+++`."""
    from sa_session_lint.project.files import read_toml, toml_fault

    data = "\n".join(lines).encode()
    try:
        head = read_toml(data)
    except ValueError as error:
        raise _Fault(toml_fault(data, error) + 1, f"the head is no TOML: {error}") from error
    known = (*_TEXTS, *_LISTS)
    for key in head.keys() - set(known):
        raise _Fault(_line_of(["", *lines], key), f"`{key}` is no key of an entry; these are: {', '.join(known)}")
    values: dict[str, Any] = {}
    for key in known:
        if key not in head:
            raise _Fault(1, f"`{key}` is missing")
        value, form, many = head[key], _TEXTS.get(key) or _LISTS[key], key in _LISTS
        listed = value if isinstance(value, list) else [value]
        if isinstance(value, list) != many or not all(
            isinstance(one, str) and re.fullmatch(form, one) for one in listed
        ):
            wanted = f"{'a list of texts' if many else 'a text'} like `{form}`"
            raise _Fault(_line_of(["", *lines], key), f"`{key}` must be {wanted}, not {value!r}")
        values[key] = tuple(listed) if many else value
    return values


def _line_of(lines: list[str], key: str) -> int | None:
    pattern = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=|\s*\[+\s*{re.escape(key)}\b")
    return next((number for number, line in enumerate(lines, 1) if pattern.match(line)), None)


def _sections(lines: list[str], start: int) -> dict[str, tuple[int, list[str]]]:
    """Heading -> its line (1-based) and the lines below it. A `## ` inside a Python block is a comment, no heading."""
    found: dict[str, tuple[int, list[str]]] = {}
    fenced = False
    for number, line in enumerate(lines[start:], start + 1):
        fenced ^= line.lstrip().startswith("```")
        if line.startswith("## ") and not fenced:
            heading, place = line[3:].strip(), len(found)
            if heading not in HEADINGS or heading in found:
                what = "stands twice" if heading in found else "is no heading of an entry"
                raise _Fault(number, f"`## {heading}` {what}; these are: {', '.join(HEADINGS)}")
            if heading != HEADINGS[place]:
                raise _Fault(number, f"`## {HEADINGS[place]}` is missing before `## {heading}`")
            found[heading] = (number, [])
        elif found:
            next(reversed(found.values()))[1].append(line)
        elif line.strip():
            raise _Fault(number, "only headings may follow the head")
    if len(found) < len(HEADINGS):
        raise _Fault(len(lines), f"`## {HEADINGS[len(found)]}` is missing")
    return found


def _examples(heading: int, lines: list[str]) -> Iterator[Example]:
    begun: int | None = None
    for number, line in enumerate(lines, heading + 1):
        if begun is None and line.strip() == "```python":
            begun = number + 1
        elif begun is not None and line.strip() == "```":
            yield Example(begun, "\n".join(lines[begun - heading - 1 : number - heading - 1]) + "\n")
            begun = None
    if begun is not None:
        raise _Fault(begun - 1, "this Python block has no end")


def _bullets(lines: list[str]) -> Iterator[str]:
    """The bullets of a list, each in one line of text."""
    gathered: list[str] = []
    for line in [*lines, "- "]:
        if line.startswith("- "):
            if gathered:
                yield " ".join(part for part in gathered if part)
            gathered = [line[2:].strip()]
        elif gathered:
            gathered.append(line.strip())
