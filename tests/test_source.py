"""What can be read is read as Python reads it; what cannot is named with stage, line and reason."""

from __future__ import annotations

import codecs
import os
import textwrap
from pathlib import Path

import libcst as cst
import pytest

from sa_session_lint.finding import Failure, Span
from sa_session_lint.source import Source, Unreadable


def source(data: bytes | str) -> Source:
    return Source.from_bytes(data.encode() if isinstance(data, str) else data, "shop/db.py")


def failure(data: bytes | str) -> Failure:
    with pytest.raises(Unreadable) as caught:
        source(data).module  # noqa: B018
    assert caught.value.failure.path == "shop/db.py"
    return caught.value.failure


def nodes(tree: cst.CSTNode, kind: type[cst.CSTNode]) -> list[cst.CSTNode]:
    found, stack = [], [tree]
    while stack:
        node = stack.pop()
        found += [node] if isinstance(node, kind) else []
        stack += reversed(node.children)
    return found


def spans(text: str, kind: type[cst.CSTNode]) -> list[tuple[int, int, int, int]]:
    read = source(text)
    return [(s.line, s.column, s.end_line, s.end_column) for s in map(read.span_of, nodes(read.module, kind))]


# -- decoding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param("x = 'é'\n".encode(), "x = 'é'\n", id="UTF-8 without a word"),
        pytest.param(codecs.BOM_UTF8 + "x = 'é'\n".encode(), "x = 'é'\n", id="byte order mark"),
        pytest.param(codecs.BOM_UTF8 + "# coding: utf-8\nx = 'é'\n".encode(), "# coding: utf-8\nx = 'é'\n", id="mark and cookie"),
        pytest.param("# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"), "# -*- coding: latin-1 -*-\nx = 'é'\n", id="cookie"),
        pytest.param("#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx = '€'\n".encode("cp1252"), "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx = '€'\n", id="cookie on line 2"),
        pytest.param("# coding=cp932\nx = '日本'\n".encode("cp932"), "# coding=cp932\nx = '日本'\n", id="two bytes a character"),
        pytest.param("x = 1\n\n# coding: latin-1\ny = 'é'\n".encode(), "x = 1\n\n# coding: latin-1\ny = 'é'\n", id="a cookie on line 3 is a comment"),
        pytest.param("x = 'coding: latin-1'\ny = 'é'\n".encode(), "x = 'coding: latin-1'\ny = 'é'\n", id="a cookie in a string is none"),
        pytest.param("# -*- coding: latin-1-unix -*-\nx = 'é'\n".encode("latin-1"), "# -*- coding: latin-1-unix -*-\nx = 'é'\n", id="Emacs"),
        pytest.param("# coding: utf-8\n# coding: latin-1\nx = 'é'\n".encode(), "# coding: utf-8\n# coding: latin-1\nx = 'é'\n", id="the first cookie"),
        pytest.param("x = 1\n# coding: latin-1\ny = 'é'\n".encode(), "x = 1\n# coding: latin-1\ny = 'é'\n", id="a cookie below code"),
        pytest.param(b"", "", id="empty"),
        pytest.param(codecs.BOM_UTF8, "", id="only a mark"),
        pytest.param(b"x = 1", "x = 1", id="no line end at the end"),
    ],
)  # fmt: skip
def test_a_file_is_decoded_by_mark_and_cookie(data: bytes, text: str) -> None:
    read = source(data)
    assert read.text == text
    assert read.module.code == text


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        pytest.param("x = 1\n".encode("utf-16"), 1, "UTF-16", id="UTF-16 with mark"),
        pytest.param(codecs.BOM_UTF16_BE + "x = 1\n".encode("utf-16-be"), 1, "UTF-16", id="big-endian"),
        pytest.param("x = 1\n".encode("utf-16-le"), 1, "null byte", id="UTF-16 without mark"),
        pytest.param(b"x = 1\ny = '\0'\n", 2, "null byte", id="null byte"),
        pytest.param(b"x = 1\ry = 2\rz = '\0'\r", 3, "null byte", id="null byte, old Mac line ends"),
        pytest.param(b"# coding: klingon\nx = 1\n", 1, "klingon", id="unknown cookie"),
        pytest.param(b"# a script\n# coding: klingon\n", 2, "klingon", id="unknown cookie on line 2"),
        pytest.param(codecs.BOM_UTF8 + b"# coding: latin-1\n", 1, "utf-8", id="mark against cookie"),
        pytest.param(b"# coding: rot13\nk = 1\n", 1, "rot13", id="a codec that is no encoding"),
        pytest.param(b"x = 1\ny = 2\nz = '\xe9'\n", 3, "0xe9", id="undecodable byte"),
        pytest.param(b"x = 1\r\ny = '\xff'\r\n", 2, "0xff", id="undecodable byte, CRLF"),
        pytest.param(b"x = 1\ry = '\xff'\r", 2, "0xff", id="undecodable byte, CR"),
        pytest.param(b"x = '\xff'\n", 1, "0xff", id="undecodable byte on line 1"),
        pytest.param(codecs.BOM_UTF8 + b"x = 1\ny = '\xfe'\n", 2, "0xfe", id="undecodable byte after a mark"),
        pytest.param(b"# coding: ascii\nx = 1\ny = '\xc3\xa9'\n", 3, "0xc3", id="not what the cookie says"),
        pytest.param(b"# coding: cp932\nx = 1\ny = '\x81'\n", 3, "0x81", id="two-byte encoding, half a character"),
    ],
)
def test_what_cannot_be_decoded_is_named_with_its_line(data: bytes, line: int, words: str) -> None:
    found = failure(data)
    assert (found.stage, found.line) == ("read", line)
    assert words in found.message


# -- parsing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("x = 1\ndef f(:\n    pass\n", 2, id="plain"),
        pytest.param("x = 1\r\ndef f(:\r\n    pass\r\n", 2, id="CRLF"),
        pytest.param("print 'hello'\n", 1, id="print statement of Python 2"),
        pytest.param("def f():\n    raise ValueError, 1\n", 2, id="raise of Python 2"),
        pytest.param("x = 1\nexec 'y = 2'\n", 2, id="exec of Python 2"),
        pytest.param("x = 'open\n", 1, id="unclosed string"),
        pytest.param("if x:\n    a\n   b\n", 3, id="dedent to nowhere"),
        pytest.param("<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> theirs\n", 1, id="unfinished merge"),
        pytest.param("{% for x in y %}\nx = {{ x }}\n{% endfor %}\n", 1, id="a template"),
    ],
)
def test_what_is_no_python_3_is_a_parse_failure_with_its_line(text: str, line: int) -> None:
    found = failure(text)
    assert (found.stage, found.line) == ("parse", line)
    assert "\n" not in found.message and found.message


def test_a_file_that_ends_too_early_fails_at_a_line_of_it() -> None:
    found = failure("x = (1,\n\n2\n")
    assert found.stage == "parse"
    assert found.line is not None and 1 <= found.line <= 4


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("def first[T](x: list[T]) -> T: return x[0]\nclass Box[T: int, *Ts, **P]: pass\ntype Pair[T] = tuple[T, T]\n", id="PEP 695"),
        pytest.param("x = f\"{d[\"key\"]} {f'{1:{2}}'}\"\ny = f'''{\n    a  # why\n}'''\n", id="PEP 701"),
        pytest.param("match p:\n    case {'a': [1, *rest], **kw} if rest: pass\n    case Point(x=0) | None: pass\n", id="match"),
        pytest.param("try:\n    f()\nexcept* ValueError:\n    pass\n", id="except*"),
        pytest.param("with (open(a) as b, open(c) as d):\n    pass\n", id="with in brackets"),
        pytest.param("def f(a, /, b, *, c): return (n := a)\n", id="positional only and walrus"),
        pytest.param("async def f():\n    return [x async for x in y if await x]\n", id="async comprehension"),
        pytest.param("x: int = 0b1_0\nprint(*a, **b, sep='')\n", id="print as a call"),
        pytest.param("match = 1\ncase = match\ntype = case\nprint(type)\n", id="soft keywords as names"),
        pytest.param("def f[T = int](x: T): pass\n", id="PEP 696"),
    ],
)  # fmt: skip
def test_newer_syntax_is_read(text: str) -> None:
    assert source(text).module.code == text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_lines_are_counted_with_every_kind_of_line_end(end: str) -> None:
    read = source(end.join(["import a  # one", "", "s = '''", "# no'''", "f(", "    s.commit,  # two", ")", ""]))
    [call] = nodes(read.module, cst.Call)
    assert read.span_of(call) == Span(5, 1, 7, 2)
    assert read.statement_of(read.span_of(nodes(read.module, cst.Attribute)[0])) == (5, 7)
    assert [(c.line, c.column, c.text) for c in read.comments] == [(1, 11, "# one"), (6, 16, "# two")]


def test_mixed_line_ends_are_counted_as_python_counts_them() -> None:
    read = source("a = 1\r\nb = 2\rc = 3\nd.e  # here\r\n")
    assert read.span_of(nodes(read.module, cst.Attribute)[0]).line == 4
    assert [c.line for c in read.comments] == [4]


def test_a_form_feed_ends_no_line() -> None:
    read = source("a = 1\n\f\nclass C:\n    pass\n\f\ndef f():\n    s.commit  # here\n")
    assert read.span_of(nodes(read.module, cst.Attribute)[0]) == Span(7, 5, 7, 13)
    assert [(c.line, c.column) for c in read.comments] == [(7, 15)]


@pytest.mark.parametrize("space", ["\x0b", "\x1c", "\x85", "\u2028", "\u2029"])
def test_what_ends_a_line_elsewhere_but_not_in_python_counts_as_none(space: str) -> None:
    read = source(f"a = 'x{space}y'  # one{space}still\ns.commit  # two\n")
    assert read.span_of(nodes(read.module, cst.Attribute)[0]).line == 2
    assert [(c.line, c.column) for c in read.comments] == [(1, 12), (2, 11)]


# -- comments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "x = '# noqa: SAS209'\n",
        'x = "# sa-session-lint: ignore[session-method-not-called]"\n',
        "x = '''\n# noqa: SAS209\n'''\n",
        '"""Docs.\n\n    s.commit  # noqa: SAS209\n"""\n',
        "x = 'it\\'s # no'\n",
        "x = '\\\\' '# no'\n",
        "x = '\\\n# no'\n",
        "x = '\\\r\n# no'\r\n",
        "x = b'# no' rb'''#\n# no'''\n",
        "x = '''a''b # no''' '#'\n",
        "x = ''''# no'''\n",
        'x = "" "# no"\n',
        "x = f'{y} # no'\n",
        "x = f'{y:#x} {y!r:#>10}'\n",
        "x = f'''{y}\n# no'''\n",
    ],
)
def test_what_looks_like_a_comment_in_a_string_is_none(text: str) -> None:
    assert cst.parse_module(text).code == text
    assert source(text).comments == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# top\nx = 1\n", [(1, 1, "# top", True)]),
        ("x = 1  # one\n    \n\t# alone \ny\n", [(1, 8, "# one", False), (3, 2, "# alone", True)]),
        ("x = '#'  # real # twice\n", [(1, 10, "# real # twice", False)]),
        ("x = 'it''s'  # real\n", [(1, 14, "# real", False)]),
        ("f(  # open\n    # alone\n)  # close\n", [(1, 5, "# open", False), (2, 5, "# alone", True), (3, 4, "# close", False)]),
        ("x = 1  # don't\ny = 2  # isn't\n", [(1, 8, "# don't", False), (2, 8, "# isn't", False)]),
        ('x = 1  # say """\ny = 2  # no\n', [(1, 8, '# say """', False), (2, 8, "# no", False)]),
        ("x = ''''''  # empty\n", [(1, 13, "# empty", False)]),
        ("x = ''  # empty\n", [(1, 9, "# empty", False)]),
        ("名 = '日本'  # wide\n", [(1, 11, "# wide", False)]),
        ("x = '😀'  # astral\n", [(1, 10, "# astral", False)]),
        ("x = 1 #", [(1, 7, "#", False)]),
        ("x = '''a\nb'''  # after\n", [(2, 7, "# after", False)]),
        ("x = f'''{\n    a  # inside, PEP 701\n}'''\n", [(2, 8, "# inside, PEP 701", False)]),
        ("x = r'\\' + '# real'\n", [(1, 13, "# real'", False)]),
    ],
)
def test_comments_are_found_with_their_place(text: str, wanted: list[tuple[int, int, str, bool]]) -> None:
    assert cst.parse_module(text).code == text
    assert [(c.line, c.column, c.text, c.alone) for c in source(text).comments] == wanted


@pytest.mark.parametrize(
    "text",
    [
        "x = f'\\N{NUMBER SIGN}' '#'  # real\n",
        "x = rf'\\{y}' f'{{#' f'{a:{'#'}}' # real\n",
        "x = f'{y['#']}' if\"#\" else f'{y!r:#}'  # real\n",
        "x = f'{(lambda: 1)() :#x}' + f'{d[1:2]}{y=}#'  # real\n",
    ],
)
def test_a_comment_behind_a_formatted_string_is_found(text: str) -> None:
    assert cst.parse_module(text).code == text
    assert [(c.column, c.text) for c in source(text).comments] == [(text.index("# real") + 1, "# real")]


def test_nested_quotes_of_an_f_string_do_not_hide_the_comments_after_it() -> None:
    read = source("x = f\"{d[\"it's\"]}\"  # one\ny = f'{'#'}'  # two\nz = 1  # three\n")
    read.module  # noqa: B018  # it parses
    assert [(c.line, c.text) for c in read.comments] == [(1, "# one"), (2, "# two"), (3, "# three")]


def test_the_comments_are_those_that_the_parser_finds() -> None:
    for file in sorted(Path(__file__).parent.parent.glob("sa_session_lint/**/*.py")):
        read = Source.read(file, file.name)
        found = [(c.value.rstrip(), read.span_of(c).line, read.span_of(c).column) for c in nodes(read.module, cst.Comment)]
        assert [(c.text, c.line, c.column) for c in read.comments] == sorted(found, key=lambda each: each[1:]), file


# -- places -----------------------------------------------------------------------------------------------------------


def test_columns_count_code_points() -> None:
    assert spans('名前 = "cafe\u0301 ☕😀"; s.commit\n', cst.Attribute) == [(1, 18, 1, 26)]
    assert spans("\tif x:\n".replace("\tif", "if") + "\ts.commit\n", cst.Attribute) == [(2, 2, 2, 10)]


def test_a_byte_order_mark_takes_no_column() -> None:
    read = source(codecs.BOM_UTF8 + b"s.commit\n")
    assert read.span_of(nodes(read.module, cst.Attribute)[0]) == Span(1, 1, 1, 9)


@pytest.mark.parametrize(
    ("what", "text", "wanted"),
    [
        ("one line", "x = 1\n@@s.commit\n", (2, 2)),
        ("several lines", "f(\n    @@s.commit,\n    2,\n)\n", (1, 4)),
        ("one of two on a line", "x = 1; @@s.commit\n", (1, 1)),
        ("a triple-quoted string in it", "f(@@s.commit, '''\n\n''')\n", (1, 3)),
        ("a backslash in it", "x = @@s.commit \\\n    + 1\n", (1, 2)),
        ("in a body", "if x:\n    y = 1\n    @@s.commit\n", (3, 3)),
        ("header of an if", "if (\n    x\n    and @@s.commit\n):\n    y = 1\n", (1, 4)),
        ("header of an elif", "if x:\n    y\nelif @@s.commit:\n    z\nelse:\n    w\n", (3, 3)),
        ("body of an else", "if x:\n    y\nelse:\n    @@s.commit\n", (4, 4)),
        ("header of a with", "with (\n    open(x) as a,\n    @@s.begin() as b,\n):\n    y\n", (1, 4)),
        ("header of a for", "for x in @@s.all(\n    1\n):\n    y\nelse:\n    z\n", (1, 3)),
        ("header of a while", "while @@s.dirty:\n    y\n", (1, 1)),
        ("body on the line of its header", "if x: @@s.commit\n", (1, 1)),
        ("header of a try's handler", "try:\n    x\nexcept @@s.Error as e:\n    y\n", (3, 3)),
        ("body of a finally", "try:\n    x\nfinally:\n    @@s.close\n", (4, 4)),
        ("default argument", "def f(\n    a,\n    b=@@s.new(),\n):\n    y\n", (1, 4)),
        ("decorator", "@d(@@s.x)\n@e\ndef f():\n    y\n", (1, 3)),
        ("return annotation", "def f(a) -> @@s.T:\n    y\n", (1, 1)),
        ("base class", "class C(\n    @@s.Base,\n):\n    y = 1\n", (1, 3)),
        ("a nested function's body", "def f():\n    def g():\n        @@s.commit\n    return g\n", (3, 3)),
        ("after a nested function", "def f():\n    def g():\n        pass\n    @@s.commit\n", (4, 4)),
        ("a lambda", "f = lambda: (\n    @@s.commit,\n)\n", (1, 3)),
        ("match subject", "match @@s.x:\n    case 1:\n        y\n", (1, 1)),
        ("case guard", "match x:\n    case 1 if @@s.x:\n        y\n", (2, 2)),
        ("case body", "match x:\n    case 1:\n        @@s.x\n", (3, 3)),
        ("an async with", "async def f():\n    async with @@s.begin(\n    ) as x:\n        y\n", (2, 3)),
        ("comments between header and body", "if @@s.x:\n    # one\n\n    # two\n    y\n", (1, 1)),
    ],
    ids=lambda value: value if isinstance(value, str) and "@@" not in value else "",
)
def test_the_statement_of_a_place_is_the_innermost(what: str, text: str, wanted: tuple[int, int]) -> None:
    read = source(text.replace("@@", ""))
    before = text[: text.index("@@")]
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    attributes = [read.span_of(node) for node in nodes(read.module, cst.Attribute)]
    [span] = [each for each in attributes if (each.line, each.column) == (line, column)]
    assert read.statement_of(span) == wanted


def test_the_statement_of_a_compound_one_is_its_header() -> None:
    text = textwrap.dedent("""\
        @one
        @two
        def f(
            a,
        ):
            x = 1
            return x


        if (a and
                b):
            x = 2
        """)
    read = source(text)
    [function], [condition] = nodes(read.module, cst.FunctionDef), nodes(read.module, cst.If)
    assert read.statement_of(read.span_of(function))[0] in {1, 3}
    assert read.statement_of(read.span_of(condition)) == (10, 11)


def test_a_statement_is_found_in_a_long_file() -> None:
    body = "".join(f"    x{number} = {number}\n" for number in range(5000))
    read = source(f"def f(\n    a,\n):\n{body}    g(\n        s.commit\n    )\n")
    [attribute] = nodes(read.module, cst.Attribute)
    assert read.statement_of(read.span_of(attribute)) == (5004, 5006)


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"x = 1\r\n")
    read = Source.read(tmp_path / "a.py", "a.py")
    assert (read.path, read.data, read.text) == ("a.py", b"x = 1\r\n", "x = 1\r\n")


@pytest.mark.parametrize("what", ["missing", "folder", "pipe", "loop"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "loop":
        path.symlink_to(path)
    with pytest.raises(Unreadable) as caught:
        Source.read(path, "a.py")
    assert (caught.value.failure.stage, caught.value.failure.line) == ("read", None)


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    source(f"open({str(mark)!r}, 'w').close()\n").module  # noqa: B018
    assert not mark.exists()
