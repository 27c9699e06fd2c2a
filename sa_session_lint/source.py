"""One file as bytes, text and LibCST tree. Nothing of it is ever run; what cannot be read becomes a Failure with its reason."""

from __future__ import annotations

import ast
import codecs
import gc
import re
import stat
import sys
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from sa_session_lint.finding import Failure, Span, Stage
from sa_session_lint.guard import refusal
from sa_session_lint.scan import Lines, scan
from sa_session_lint.walk import children


class Unreadable(Exception):
    """A file that cannot be read or parsed; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@contextmanager
def deep() -> Iterator[None]:
    """Let functions that call themselves go as deep as any tree that the guard lets through: below 3,000 calls, measured at its limits."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 12_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def uncollected() -> Iterator[None]:
    """Switch the cycle collector off: it halves the time of a parse, and going again and again over trees that stay costs a fifth of the rest."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its `#`; `alone` when nothing stands before it on its line. 1-based."""

    line: int
    column: int
    text: str
    alone: bool


class Source:
    """A file of the project. `path` is relative to the project root; `text` is without byte order mark."""

    def __init__(self, path: str, data: bytes, text: str, encoding: str) -> None:
        self.path = path
        self.data = data
        self.text = text
        self.encoding = encoding

    @classmethod
    def read(cls, file: Path, path: str) -> Source:
        """Read a file from disk. Raises Unreadable for what is no regular file or may not be read."""
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                raise Unreadable(Failure(path, None, "read", "not a regular file"))
            return cls.from_bytes(file.read_bytes(), path)
        except OSError as error:
            raise Unreadable(Failure(path, None, "read", error.strerror or str(error))) from error

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Source:
        """Decode by byte order mark and coding cookie (PEP 263), UTF-8 without either. Raises Unreadable."""
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise Unreadable(Failure(path, 1, "read", "UTF-16 is no encoding for Python source"))
        if b"\0" in data:
            raise Unreadable(Failure(path, _line(data, data.index(b"\0")), "read", "holds a null byte"))
        encoding, body = "utf-8", data.removeprefix(codecs.BOM_UTF8)
        cookie = _COOKIE.match(body)
        line = _line(body, cookie.start(1)) if cookie is not None else 1
        try:
            if cookie is not None:
                encoding = _EMACS.sub("", cookie[1].decode("ascii"))
                if body is not data and codecs.lookup(encoding).name != "utf-8":
                    raise LookupError
            text = body.decode(encoding)
        except UnicodeDecodeError as error:
            message = f"not {error.encoding}: byte 0x{body[error.start]:02x}"
            raise Unreadable(Failure(path, _line(body, error.start), "read", message)) from error
        except (LookupError, ValueError) as error:  # also of a codec that is no encoding of text
            message = f"{encoding} is no encoding" + (" that goes with its byte order mark, utf-8" if body is not data else "")
            raise Unreadable(Failure(path, line, "read", message)) from error
        return cls(path, data, text, encoding)

    @cached_property
    def module(self) -> cst.Module:
        """The tree. Raises Unreadable: stage read for what would crash or stall the parser, stage parse for what it rejects."""
        refused = refusal(self.text)
        if refused is not None:
            line, why = refused
            raise Unreadable(Failure(self.path, line, "read", why))
        try:
            with deep(), uncollected():
                return cst.parse_module(self.text)
        except cst.ParserSyntaxError as error:
            raise Unreadable(Failure(self.path, *_fault(self.text, error))) from error
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # LibCST's Rust part panics with an exception that is no Exception
            raise Unreadable(Failure(self.path, None, "parse", f"{type(error).__name__}: {error}")) from error

    @cached_property
    def _positions(self) -> object:
        with deep():
            return MetadataWrapper(self.module, unsafe_skip_copy=True).resolve(PositionProvider)

    def span_of(self, node: cst.CSTNode) -> Span:
        """Where a node of this file's tree stands. The first call costs about two parses, so only files with findings pay."""
        where = self._positions[node]  # type: ignore[index]
        return Span(where.start.line, where.start.column + 1, where.end.line, where.end.column + 1)

    def holds(self, outer: cst.CSTNode, inner: cst.CSTNode) -> bool:
        """Whether one node of this file's tree is within another, or is that one. Positions, which cost much more, are not asked for."""
        first, last = self._numbers[id(outer)]
        return first <= self._numbers[id(inner)][0] <= last

    @cached_property
    def _numbers(self) -> dict[int, tuple[int, int]]:
        """By the `id` of a node: its own number in the order of the text, and that of the last one within it."""
        numbers: dict[int, tuple[int, int]] = {}
        count = 0
        stack: list[tuple[cst.CSTNode, int]] = [(self.module, 0)]
        while stack:
            node, first = stack.pop()
            if first:
                numbers[id(node)] = first, count
                continue
            count += 1
            stack.append((node, count))
            stack += [(child, 0) for child in reversed(list(children(node)))]
        return numbers

    def statement_of(self, span: Span) -> tuple[int, int]:
        """First and last line of the innermost simple statement, or of the header of the compound statement, that holds `span`."""
        at = bisect_right(self._statements, (span.line, 10**9)) - 1
        best = (span.line, span.end_line)
        while at >= 0:
            first, last = self._statements[at]
            if first <= span.line <= last:
                return first, max(last, min(span.end_line, last))
            at -= 1
            if best[0] - first > 2000:
                break
        return best

    @cached_property
    def _statements(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        stack: list[cst.CSTNode] = [self.module]
        while stack:
            node = stack.pop()
            body = getattr(node, "body", None)
            if isinstance(node, cst.SimpleStatementLine):
                span = self.span_of(node)
                found.append((span.line, span.end_line))
                continue
            if isinstance(node, (cst.BaseCompoundStatement, cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase)):
                first = self.span_of(node).line
                if isinstance(node, (cst.FunctionDef, cst.ClassDef)) and node.decorators:
                    first = min(first, self.span_of(node.decorators[0]).line)
                if isinstance(body, cst.BaseSuite):
                    inner = body.body[0] if body.body else None
                    before = self.span_of(inner).line - 1 if inner is not None and isinstance(body, cst.IndentedBlock) else self.span_of(node).line
                    found.append((first, max(self._header_end(node, first), first) if before >= first else first))
            for child in node.children:
                if isinstance(child, (cst.BaseStatement, cst.BaseSuite, cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase)):
                    stack.append(child)
        return sorted(found)

    def _header_end(self, node: cst.CSTNode, first: int) -> int:
        """The last line of what stands before a compound statement's body."""
        last = first
        for child in node.children:
            if not isinstance(child, (cst.BaseSuite, cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase, cst.If)):
                try:
                    last = max(last, self.span_of(child).end_line)
                except KeyError:
                    continue
        return last

    @cached_property
    def comments(self) -> tuple[Comment, ...]:
        """Every comment, found by a scan that knows strings; no parse is needed."""
        if "#" not in self.text:
            return ()
        lines = Lines(self.text)
        return tuple(
            Comment(*lines.place(start), self.text[start:end].rstrip(), lines.is_first(start))
            for kind, start, end in scan(self.text, strings_only=True)
            if kind == "comment"
        )


# PEP 263: in line 1, or in line 2 if line 1 holds nothing but a comment.
_COOKIE = re.compile(rb"(?:[ \t\f]*(?:\#[^\r\n]*)?(?:\r\n?|\n))??[ \t\f]*\#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")
_EMACS = re.compile(r"-(?:unix|dos|mac)$")  # Emacs adds its kind of line ends


def _line(data: bytes, at: int) -> int:
    """The line (1-based) of an offset."""
    return len(re.findall(rb"\r\n?|\n", data[:at])) + 1


def _fault(text: str, error: cst.ParserSyntaxError) -> tuple[int, Stage, str]:
    """Line, stage and message of a syntax error. Python's own parser knows the line (LibCST names the next token's, or line 1) and says
    it better; where an older one accepts what LibCST rejects, LibCST's words must do."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<source>", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as better:
        if better.lineno:
            return better.lineno, "parse", better.msg
    except (ValueError, MemoryError, RecursionError):
        pass
    found = re.search(r"error at (\d+):", error.message)
    return int(found[1]) if found else error.raw_line, "parse", error.message
