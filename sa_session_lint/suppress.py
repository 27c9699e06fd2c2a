"""Comments that silence findings, and those among them that silence nothing.

    session.commit  # sa-session-lint: ignore[session-method-not-called] a property of ours
    session.commit  # noqa: E501, SAS209

A comment may stand on any line of the reported statement, on a station of its trail in the same file, or alone before the first
statement, where it holds for the whole file. It must name its rules: whoever silences everything also silences what was not there
on that day. A rule is judged unused only where it ran: otherwise a run with `--select` would ask to delete what another run needs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sa_session_lint.finding import Finding, Span

UNUSED = "unused-suppression"

_OURS = re.compile(r"#\s*sa-session-lint\s*:\s*(?P<what>[\w-]*)(?:\s*\[(?P<rules>[^\]]*)\])?", re.IGNORECASE)
_NOQA = re.compile(r"#\s*noqa\s*:\s*(?P<rules>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)", re.IGNORECASE)
_LITERAL = re.compile(r"[rRuU]{0,1}(\"\"\"|'''|\"|')")


class Comment(Protocol):
    """A comment with its `#`; `alone` when nothing else stands on its line."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def alone(self) -> bool: ...


class Commented(Protocol):
    """What is needed of a source."""

    @property
    def path(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def comments(self) -> Sequence[Comment]: ...


@dataclass(frozen=True, slots=True)
class Suppression:
    """One rule that one comment silences, in the words of that comment; `whole` when it does so in the whole file."""

    rule: str
    words: str
    span: Span
    whole: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """`unused` are findings of the rule `unused-suppression`."""

    kept: tuple[Finding, ...]
    silenced: tuple[Finding, ...]
    unused: tuple[Finding, ...]


def judge(source: Commented, findings: Sequence[Finding], codes: Mapping[str, str], ran: Collection[str]) -> Outcome:
    """Which of the `findings` of one file are kept.

    `codes` holds name and code of every rule there is, `ran` the names of those that were selected and on in this file.
    """
    suppressions, faults = _read(source, codes)
    if not suppressions and not faults:
        return Outcome(tuple(findings), (), ())
    used: set[Suppression] = set()
    kept: list[Finding] = []
    silenced: list[Finding] = []
    for finding in findings:
        hits = [each for each in suppressions if each.rule == finding.rule and _reaches(each, finding)]
        (silenced if hits else kept).append(finding)
        used.update(hits)
    faults += [
        _fault(source.path, each.span, each.words, f"`{each.rule}` reports nothing here")
        for each in dict.fromkeys(suppressions)
        if each.rule in ran and each.rule != UNUSED and each not in used
    ]
    wanted = [
        fault
        for fault in faults
        if UNUSED in ran and not any(each.rule == UNUSED and _reaches(each, fault) for each in suppressions)
    ]
    wanted.sort(key=lambda each: each.span)
    return Outcome(tuple(kept), tuple(silenced), tuple(wanted))


def _reaches(suppression: Suppression, finding: Finding) -> bool:
    line = suppression.span.line
    first, last = finding.statement
    stations = (note.span for note in finding.trail if note.path == finding.path)
    return suppression.whole or first <= line <= last or any(span.line <= line <= span.end_line for span in stations)


def _read(source: Commented, codes: Mapping[str, str]) -> tuple[list[Suppression], list[Finding]]:
    """All that the comments silence, and what is wrong with those that cannot be understood."""
    suppressions: list[Suppression] = []
    faults: list[Finding] = []
    names = {code: name for name, code in codes.items()}
    top: int | None = None
    for comment in source.comments:
        lowered = comment.text.lower()
        if "sa-session-lint" not in lowered and "noqa" not in lowered:
            continue
        span = Span(comment.line, comment.column, comment.line, comment.column + len(comment.text))
        if comment.alone and top is None:
            top = _first_statement(source.text)
        whole = comment.alone and top is not None and comment.line < top
        for word in _noqa_codes(comment.text):
            if word in names:  # others belong to other tools
                suppressions.append(Suppression(names[word], f"noqa: {word}", span, whole))
        for found in _OURS.finditer(comment.text):
            words = _words(found["rules"])
            if found["what"].lower() != "ignore" or not words:
                faults.append(
                    _fault(
                        source.path, span, found[0].lstrip("# "), "it must name its rules, as in `ignore[rule-name]`"
                    )
                )
            for word in words if found["what"].lower() == "ignore" else ():
                name = word if word in codes else names.get(word.upper())
                shown = f"sa-session-lint: ignore[{word}]"
                if name is None:
                    reason = f"there is no rule `{word}`{_suggestion(word, codes)}"
                    faults.append(_fault(source.path, span, shown, reason))
                else:
                    suppressions.append(Suppression(name, shown, span, whole))
    return suppressions, faults


def _noqa_codes(text: str) -> Iterator[str]:
    for found in _NOQA.finditer(text):
        yield from re.findall(r"\bSAS[0-9]{3}\b", found["rules"].upper())


def _words(listed: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (listed or "").split(",") if word.strip())


def _fault(path: str, span: Span, words: str, reason: str) -> Finding:
    return Finding(UNUSED, path, span, (span.line, span.line), values=(("comment", words), ("reason", reason)))


def _suggestion(word: str, codes: Mapping[str, str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, (*codes, *codes.values()), 1, 0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def _first_statement(text: str) -> int:
    """The line of the first statement that is no docstring; one past the end if there is none."""
    lines = re.split("\r\n?|\n", text)
    number, seen = 0, False
    while number < len(lines):
        line = lines[number].strip(" \t\f\ufeff")
        quote = None if seen else _LITERAL.match(line)
        if line and not line.startswith("#") and not quote:
            return number + 1
        if quote:
            seen = True
            start = number
            rest = line[quote.end() :]
            while quote[1] not in rest and len(quote[1]) == 3 and number + 1 < len(lines):
                number += 1
                rest = lines[number]
            if rest.partition(quote[1])[2].strip().partition("#")[0].strip():
                return start + 1
        number += 1
    return len(lines) + 1
