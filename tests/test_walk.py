"""The walk of ours calls what LibCST's own would call, in the same order, for each visitor as if it were alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import libcst as cst
import pytest

from sa_session_lint.checks.check import Check
from sa_session_lint.visit_order import ORDER
from sa_session_lint.walk import handlers, walk
from tools import visit_order

ROOT = Path(__file__).parent.parent
TRIVIA = (cst.BaseParenthesizableWhitespace, cst.EmptyLine, cst.Newline, cst.Comment, cst.TrailingWhitespace)

SYNTAX = {
    "expressions": "x = (a, *b, [c, *d], {e, *f}, {**g, h: i}, not j, -k, ~l, +ll, m and n or o, p if q else r, await_, lambda s, /, t=1, *u, v, **w: (yield))\n",
    "operators": "a + b - c * d / e // f % g @ h ** i << j >> k & l | m ^ n\na < b <= c > d >= e == f != g in h not in i is j is not k\n",
    "numbers": "x = 1, 1.5, 2j, ..., None, True\n",
    "calls": "f(a, *b, c=d, **e)(g)[h].i[j:k:l, m, :, n:, ::o]\n",
    "strings": "x = 'a' \"b\" f'c{d!r:>{e}}{f=}'; rb'g'\ny = f'{a:{b}{c}}' 'd'\n",
    "comprehensions": "x = [a for b in c if d if e for f in g], {h for i in j}, {k: l for m in n}, (o for p in q)\n",
    "assignments": "a = b = c\nd: e = f\ng: h\ni += j; k -= l; m *= n; o @= p; q /= r; s %= t; u &= v; w |= x; y ^= z; a <<= b; c >>= d; e **= f; g //= h\n",
    "statements": "import a.b as c, d\nfrom . import (e, f as g,)\nfrom ..h import *\nassert i, j\ndel k, (l)\nraise m from n\npass\nglobal o, p\n",
    "flow": "if a: b\nelif c:\n  d\nelse:\n  e\nwhile f:\n  break\nelse:\n  continue\nfor g, h in i:\n  j\nelse:\n  k\n",
    "try": "try:\n  a\nexcept b as c:\n  d\nexcept (e, f):\n  g\nexcept:\n  h\nelse:\n  i\nfinally:\n  j\ntry:\n  k\nexcept* l as m:\n  n\n",
    "with": "with a as b, c: d\nwith (e as f, g,):\n  h\n",
    "functions": "@a\n@b.c(d)\ndef e(f, g: h = i, /, j=k, *l: m, n, o: p = q, **r: s) -> t:\n  nonlocal u\n  return v\n\ndef w(*, x): return\n",
    "classes": "@a\nclass b(c, *d, metaclass=e, **f):\n  '''docs'''\n  g: h\n  class i: pass\n",
    "async": "async def a(b):\n  async with c as d, e: f\n  async for g in h: i\n  return [j async for k in l if await m]\n",
    "generators": "def a():\n  b = yield\n  yield c, d\n  yield from e\n  f = (yield g)\n",
    "match": "match a, b:\n  case 1 | -2 | 'c' | None: d\n  case [e, *f, _] if g: h\n  case (i, *_): j\n  case {'k': l, **m}: n\n  case o(p, q=r) as s: t\n  case u.v: w\n  case x: y\n  case ((z)): z\n  case {}: a\n  case []: b\n",
    "type parameters": "def a[B, C: d, *E, **F](g: B) -> C: h\nclass i[J]: k\ntype l[M] = n[M]\ntype o = p\n",
    "type parameter defaults": "def a[B = c, *D = *e, **F = g](): pass\n",
    "walrus and brackets": "if (a := ((b))): ((c)).d; ((e))[((f))]; ((g))(h); (not i); (-j); (k + l); (m < n); ('o' 'p'); (lambda: q); (r if s else t)\n",
    "del and print": "del (a[0], b.c)\nprint(d, end='')\n",
    "comments": "# one\n\n\nx = [  # two\n  1,  # three\n\n  # four\n]  # five\nif x:  # six\n  # seven\n  y\n# eight\n",
    "semicolons": "a; b; c;\nif d: e; f\n",
    "empty": "",
    "only a comment": "# nothing\n",
    "star": "a, *b = c\nfor d in *e, f: g\nh[*i]\ndef j(*k: *l): return *m, n\n",
    "decorators": "@(a := b)\n@c[d].e\ndef f(): pass\n",
    "trailing commas": "f(a,)\n(b,)\n[c,]\n{d,}\n{e: f,}\ndef g(h,): pass\n",
}  # fmt: skip


class Whole(cst.CSTVisitor):
    """What LibCST visits and leaves, without whitespace and comments."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if not isinstance(node, TRIVIA):
            self.seen.append(("visit", id(node)))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if not isinstance(original_node, TRIVIA):
            self.seen.append(("leave", id(original_node)))


def recording(*kinds: str) -> type[cst.CSTVisitor]:
    """A visitor that overrides the two methods of each of these kinds."""

    def start(self: Any) -> None:
        cst.CSTVisitor.__init__(self)
        self.seen = []

    methods: dict[str, object] = {"__init__": start}
    for kind in kinds:
        methods[f"visit_{kind}"] = lambda self, node: self.seen.append(("visit", id(node)))
        methods[f"leave_{kind}"] = lambda self, node: self.seen.append(("leave", id(node)))
    return type("Recording", (cst.CSTVisitor,), methods)


EVERY = recording(*ORDER)


def same_as_libcst(text: str) -> None:
    tree = cst.parse_module(text)
    wanted, found = Whole(), EVERY()
    tree.visit(wanted)
    walk(tree, [found])
    assert found.seen == wanted.seen  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", SYNTAX)
def test_nodes_are_visited_and_left_in_the_order_of_libcst(what: str) -> None:
    same_as_libcst(SYNTAX[what])


def test_the_sample_holds_every_kind_of_node() -> None:
    kinds: set[str] = set()

    class Kinds(cst.CSTVisitor):
        def on_visit(self, node: cst.CSTNode) -> bool:
            kinds.add(type(node).__name__)
            return True

    for text in SYNTAX.values():
        cst.parse_module(text).visit(Kinds())
    newest = {kind for kind in ORDER if kind.startswith(("Templated", "Lazy", "StarredDict"))}  # of Python 3.14 and later
    assert set(ORDER) - kinds - newest == set()


@pytest.mark.parametrize("folder", ["sa_session_lint", "tests", "tools"])
def test_our_own_files_are_walked_as_by_libcst(folder: str) -> None:
    for file in sorted((ROOT / folder).rglob("*.py")):
        same_as_libcst(file.read_text(encoding="utf-8"))


def test_the_table_is_that_of_the_installed_libcst() -> None:
    """Classes that an older LibCST lacks are no difference; those that both know must agree."""
    assert all(ORDER.get(kind) == fields for kind, fields in visit_order.order().items())


def test_a_visitor_hears_only_of_what_it_overrides() -> None:
    tree = cst.parse_module("f(a.b, c.d)\n")
    one = recording("Attribute")()
    walk(tree, [one])
    assert [what for what, _ in one.seen] == ["visit", "leave"] * 2  # type: ignore[attr-defined]


def test_all_visitors_share_one_walk_and_hear_of_a_node_one_after_another() -> None:
    heard: list[str] = []

    def visitor(name: str) -> cst.CSTVisitor:
        class One(cst.CSTVisitor):
            def visit_Name(self, node: cst.Name) -> None:
                heard.append(f"{name} {node.value}")

            def leave_Name(self, original_node: cst.Name) -> None:
                heard.append(f"{name} left {original_node.value}")

        return One()

    walk(cst.parse_module("a\nb\n"), [visitor("first"), visitor("second")])
    assert heard == [
        *("first a", "second a", "first left a", "second left a"),
        *("first b", "second b", "first left b", "second left b"),
    ]


class Names(cst.CSTVisitor):
    """The names that are heard of, not those in functions called `skipped`."""

    def __init__(self, skipped: str = "", breaks_at: str = "") -> None:
        super().__init__()
        self.skipped, self.breaks_at = skipped, breaks_at
        self.names: list[str] = []
        self.left: list[str] = []

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        return node.name.value != self.skipped

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self.left.append(original_node.name.value)

    def visit_Name(self, node: cst.Name) -> None:
        if node.value == self.breaks_at:
            raise KeyError(node.value)
        self.names.append(node.value)

    def leave_Name(self, original_node: cst.Name) -> None:
        self.left.append(original_node.value)


NESTED = "def f():\n    a\n    def g():\n        b\n    c\ndef h():\n    d\ne\n"


@pytest.mark.parametrize("skipped", ["f", "g", "h", "", "nothing"])
def test_returning_false_keeps_a_visitor_out_of_the_children_as_in_libcst(skipped: str) -> None:
    tree = cst.parse_module(NESTED)
    wanted, found = Names(skipped), Names(skipped)
    tree.visit(wanted)
    walk(tree, [found])
    assert (found.names, found.left) == (wanted.names, wanted.left)


def test_returning_false_keeps_out_no_other_visitor() -> None:
    tree = cst.parse_module(NESTED)
    together = [Names("f"), Names("g"), Names(), Names("h"), recording("Pass")()]
    walk(tree, together)
    for visitor in together[:4]:
        assert isinstance(visitor, Names)
        alone = Names(visitor.skipped)
        walk(tree, [alone])
        assert (visitor.names, visitor.left) == (alone.names, alone.left)


def test_where_all_stay_out_the_rest_of_the_tree_is_still_visited() -> None:
    one, two = Names("f"), Names("f")
    walk(cst.parse_module(NESTED), [one, two])
    assert one.names == two.names == ["h", "d", "e"]
    assert one.left == ["f", "h", "d", "h", "e"]


def test_a_visitor_that_raises_is_reported_and_called_no_more() -> None:
    good, bad, other = Names(), Names(breaks_at="b"), Names(skipped="g")
    told: list[tuple[cst.CSTVisitor, str]] = []
    walk(cst.parse_module(NESTED), [good, bad, other], lambda visitor, error: told.append((visitor, repr(error))))
    assert told == [(bad, "KeyError('b')")]
    assert bad.names == ["f", "a", "g"]
    assert bad.left == ["f", "a", "g"]
    assert good.names == ["f", "a", "g", "b", "c", "h", "d", "e"]
    assert good.left[-1] == "e" and "f" in good.left
    assert other.names == ["f", "a", "c", "h", "d", "e"]


def test_one_that_raises_on_leaving_is_reported_too() -> None:
    class Bad(cst.CSTVisitor):
        def leave_Name(self, original_node: cst.Name) -> None:
            raise ValueError(original_node.value)

    told: list[str] = []
    good = Names()
    walk(cst.parse_module(NESTED), [Bad(), good], lambda _, error: told.append(str(error)))
    assert told == ["f"]
    assert good.names[-1] == "e"


def test_when_all_have_raised_nothing_more_happens() -> None:
    told: list[str] = []
    walk(cst.parse_module(NESTED), [Names(breaks_at="f"), Names(breaks_at="g")], lambda _, error: told.append(str(error)))
    assert told == ["'f'", "'g'"]


def test_without_a_listener_the_exception_goes_up() -> None:
    with pytest.raises(KeyError):
        walk(cst.parse_module(NESTED), [Names(breaks_at="b")])


def test_an_end_of_the_program_is_not_swallowed() -> None:
    class Stopped(cst.CSTVisitor):
        def visit_Name(self, node: cst.Name) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walk(cst.parse_module("a\n"), [Stopped()], lambda *_: None)


def test_no_visitor_and_no_code_are_fine() -> None:
    walk(cst.parse_module(NESTED), [])
    walk(cst.parse_module(""), [Names()])


def test_a_deep_tree_does_not_run_into_the_recursion_limit() -> None:
    tree: cst.BaseExpression = cst.Name("x")
    for _ in range(5000):
        tree = cst.Attribute(tree, cst.Name("y"))
    found = Names()
    walk(cst.Module([cst.SimpleStatementLine([cst.Expr(tree)])]), [found])
    assert len(found.names) == 5001


@pytest.mark.parametrize(
    "method",
    ["visit_SimpleWhitespace", "leave_Comment", "visit_EmptyLine", "visit_Module_body", "visit_Call_args", "leave_If_test_attribute", "visit_name", "visit_Nam", "leave_TrailingWhitespace", "visit_Expression"],
)  # fmt: skip
def test_a_method_that_would_never_be_called_is_refused(method: str) -> None:
    kind = type("Wrong", (cst.CSTVisitor,), {method: lambda self, node: None})
    with pytest.raises(TypeError, match=rf"Wrong\.{method}: "):
        handlers(kind)
    with pytest.raises(TypeError, match=method):
        walk(cst.parse_module(""), [kind()])


def test_a_check_with_such_a_method_cannot_even_be_written() -> None:
    with pytest.raises(TypeError, match=r"Misspelt\.visit_Atribute"):

        class Misspelt(Check):
            def visit_Atribute(self, node: cst.Attribute) -> None: ...


def test_matchers_are_refused() -> None:
    import libcst.matchers as m

    class Matching(m.MatcherDecoratableVisitor):
        @m.call_if_inside(m.FunctionDef())
        def visit_Name(self, node: cst.Name) -> None: ...

    class Extra(m.MatcherDecoratableVisitor):
        @m.visit(m.Name())
        def anything(self, node: cst.Name) -> None: ...

    for kind in (Matching, Extra):
        with pytest.raises(TypeError, match="matchers"):
            handlers(kind)
