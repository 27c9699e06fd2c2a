"""What would crash or stall the parser is refused before it is parsed.

LibCST's parser overflows the process's stack at about 1,170 nested brackets and takes quadratic time on long chains (2,000 chained
calls: 12 seconds). Real code stays below 60 of either. The scan knows strings and comments, and needs no tree.
"""

from __future__ import annotations

import re

DEEPEST = 200
LONGEST = 500
INDENTS = 100

_TOKENS = re.compile(
    r'(?P<string>"""(?:[^\\"]+|\\.|"(?!""))*(?:"""|\Z)|\'\'\'(?:[^\\\']+|\\.|\'(?!\'\'))*(?:\'\'\'|\Z)'
    r'|"(?:[^\\"\r\n]+|\\(?:\r\n|.))*"?|\'(?:[^\\\'\r\n]+|\\(?:\r\n|.))*\'?)'
    r"|(?P<comment>\#[^\r\n]*)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<end>[,;]|:(?!=))|(?P<line>[\r\n]+)"
    r"|(?P<chain>\)\s*\.|[-+*/%@&|^~<>]=?|[!=]=|\b(?:and|or|not|if|lambda|await|elif|in|is)\b)",
    re.DOTALL,
)


def refusal(text: str) -> tuple[int, str] | None:
    """Line (1-based) and reason why `text` must not be parsed, or None."""
    if len(text) < 2 * DEEPEST:
        return None
    depth, strings, elifs = 0, 0, 0
    chains = [0]
    for match in _TOKENS.finditer(text):
        kind = match.lastgroup
        if kind == "open":
            depth += 1
            chains.append(0)
            if depth > DEEPEST:
                return _line(text, match), f"brackets nested more than {DEEPEST} deep"
        elif kind == "close":
            if depth:
                depth -= 1
                chains.pop()
            if text.startswith(".", match.end()):
                chains[-1] += 1
        elif kind == "end":
            chains[-1] = strings = 0
            continue
        elif kind == "line":
            if not depth:
                chains[-1] = strings = 0
                elifs = _elifs(text, match.end(), elifs)
                if elifs > LONGEST:
                    return _line(text, match), f"more than {LONGEST} branches of one `if`"
            continue
        elif kind == "string":
            strings += 1
            if strings > LONGEST:
                return _line(text, match), f"more than {LONGEST} strings in a row"
            continue
        elif kind == "chain":
            chains[-1] += 1
        else:
            continue
        strings = 0
        if chains[-1] > LONGEST:
            return _line(text, match), f"a chain of more than {LONGEST} operators or calls"
    return None


_KEYWORD = re.compile(r"[ \t]*(elif\b|else\b|if\b|(?=\S))")


def _elifs(text: str, at: int, count: int) -> int:
    """The number of `elif` so far in one statement; lines of bodies do not matter, a new `if` starts anew."""
    found = _KEYWORD.match(text, at)
    word = found[1] if found is not None else ""
    return count + 1 if word == "elif" else 0 if word == "if" else count


def _line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start()) + 1
