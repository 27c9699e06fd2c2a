"""What would crash or stall the parser is refused; what is let through is parsed and checked, at the limits, too."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sa_session_lint.guard import DEEPEST, LONGEST, refusal
from tests.linting import found_in, lint, write

ELSE_IF = "    if y:\n        z\n"

# One value is nested in, or put in a row behind, `number` others. The last column: how many are let through.
DEEP: dict[str, tuple[Callable[[int], str], int]] = {
    "round brackets": (lambda n: f"x = {'(' * n}1{')' * n}\n", DEEPEST),
    "square brackets": (lambda n: f"x = {'[' * n}1{']' * n}\n", DEEPEST),
    "tables": (lambda n: f"x = {'{1: ' * n}1{'}' * n}\n", DEEPEST),
    "calls in calls": (lambda n: f"x = {'f(' * n}1{')' * n}\n", DEEPEST),
    "subscripts in subscripts": (lambda n: f"x = {'a[' * n}1{']' * n}\n", DEEPEST),
    "over lines": (lambda n: "x = " + "[  # (((\n" * n + "1" + "]\n" * n, DEEPEST),
    "in a formatted string": (lambda n: f"x = f'{{{'(' * (n - 1)}1{')' * (n - 1)}}}'\n", DEEPEST),
    "formatted strings in one another": (lambda n: "x = " + "f'{" * n + "1" + "}'" * n + "\n", DEEPEST),
    "walrus": (lambda n: f"x = {'(a := ' * n}1{')' * n}\n", DEEPEST),
}
LONG: dict[str, tuple[Callable[[int], str], int]] = {
    "method calls": (lambda n: f"x = q{'.f()' * n}\n", LONGEST),
    "method calls over lines": (lambda n: "x = (\n    q\n" + "    .f()\n" * n + ")\n", LONGEST),
    "method calls behind backslashes": (lambda n: "x = q" + " \\\n    .f()" * n + "\n", LONGEST),
    "calls of calls": (lambda n: f"x = q{'()' * n}\n", LONGEST),
    "subscripts": (lambda n: f"x = q{'[0]' * n}\n", LONGEST),
    "attributes": (lambda n: f"x = q{'.a' * n}\n", LONGEST),
    "sums": (lambda n: f"x = 1{' + 1' * n}\n", LONGEST),
    "sums over lines": (lambda n: "x = (1\n" + "    + 1  # one more\n" * n + ")\n", LONGEST),
    "sums behind backslashes": (lambda n: "x = 1" + " \\\n    + 1" * n + "\n", LONGEST),
    "or": (lambda n: f"x = 1{' or 1' * n}\n", LONGEST),
    "comparisons": (lambda n: f"x = 1{' < 1' * n}\n", LONGEST),
    "not": (lambda n: f"x = {'not ' * n}1\n", LONGEST),
    "minus": (lambda n: f"x = {'-' * n}1\n", LONGEST),
    "lambdas": (lambda n: f"x = {'lambda: ' * n}1\n", LONGEST),
    "conditions": (lambda n: f"x = 1{' if 1 else 1' * n}\n", LONGEST),
    "alternatives of types": (lambda n: f"x: a{' | a' * n} = 1\n", LONGEST),
    "strings": (lambda n: "x = 'a'" + " 'b'" * n + "\n", LONGEST),
    "strings over lines": (lambda n: "x = (\n    'a'\n" + "    'b'\n" * n + ")\n", LONGEST),
    "formatted strings": (lambda n: "x = 'a'" + " f'{b}'" * n + "\n", LONGEST),
    "elif": (lambda n: "if x:\n    y\n" + "elif x:\n    y\n" * n, LONGEST),
    "elif with conditions in the bodies": (lambda n: f"if x:\n{ELSE_IF}" + f"elif x:\n{ELSE_IF}" * n, LONGEST),
    "elif in a function": (lambda n: "def f():\n\tif x:\n\t\ty\n" + "\telif x:\n\t\ty\n" * n, LONGEST),
}
ALL = {**DEEP, **LONG}


@pytest.mark.parametrize("what", ALL)
def test_what_is_deeper_or_longer_than_the_limit_is_refused(what: str) -> None:
    make, limit = ALL[what]
    for number in (limit + 50, 3000):
        refused = refusal(make(number))
        assert refused is not None
        line, why = refused
        assert 1 <= line <= make(number).count("\n") + 1
        assert str(limit) in why


@pytest.mark.parametrize("what", ALL)
def test_what_is_shorter_than_the_limit_is_let_through(what: str) -> None:
    make, limit = ALL[what]
    assert refusal(make(limit - 10)) is None


def test_the_line_that_is_named_is_where_the_limit_is_passed() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = end.join(["# one", "x = 1", "y = " + "(" * 300 + ")" * 300, ""])
        assert refusal(text) == (3, "brackets nested more than 200 deep")
        assert refusal(end.join(["x = (1", *["    + 1"] * 600, ")", ""])) == (502, "a chain of more than 500 operators, calls or strings")




def is_named_on_python_312(failures: str) -> bool:
    """Python 3.12 counts calls through C apart, to a limit that cannot be raised: there the check is a named failure."""
    return sys.version_info[:2] == (3, 12) and "session-method-not-called: RecursionError" in failures


CHILD = """
import sys, time
from pathlib import Path
from sa_session_lint import run
root = Path(sys.argv[1])
for path in sorted(root.glob("*.py")):
    started = time.process_time()
    select = run.config.Overrides(select=("SAS209",))
    report = run.check(run.Request(paths=(path,), project_root=root, isolated=True, overrides=select))
    print(path.stem, len(report.reported), [f.message for f in report.failures], f"{time.process_time() - started:.1f}", sep="|")
"""


def test_what_is_let_through_is_parsed_and_checked_without_a_crash_and_in_sane_time(tmp_path: Path) -> None:
    """In a process of its own: what goes wrong here is no exception, but the end of the process."""
    names = {}
    for number, (what, (make, limit)) in enumerate(ALL.items()):
        names[f"m{number}"] = what
        text = "from sqlalchemy.orm import Session\ns = Session()\ns.commit\n" + make(limit - 10)
        (tmp_path / f"m{number}.py").write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", CHILD, tmp_path], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line.split("|") for line in done.stdout.splitlines()]
    assert len(rows) == len(ALL)
    for name, found, failures, seconds in rows:
        assert (found, failures) == ("1", "[]") or is_named_on_python_312(failures), names[name]
        assert float(seconds) < 10, names[name]


def test_many_limits_at_once_do_not_add_up_to_a_crash(tmp_path: Path) -> None:
    inner = "1" + " + 1" * 240
    for _ in range(190):
        inner = f"[{inner}]"
    nested = "".join(" " * depth + "if x:\n" for depth in range(90)) + " " * 90 + f"x = {inner}\n"
    text = "from sqlalchemy.orm import Session\ns = Session()\ns.commit\n" + nested + "if x:\n    y\n" + "elif x:\n    y\n" * 490
    (tmp_path / "m.py").write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", CHILD, tmp_path], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("m|1|[]|") or is_named_on_python_312(done.stdout)


def elif_in_else(number: int) -> str:
    """An `if` with 20 `elif` in the `else` of another, `number` of them in one another."""
    block = "{0}if x:\n{0} y\n" + "{0}elif x:\n{0} y\n" * 20 + "{0}else:\n"
    return "".join(block.format(" " * depth) for depth in range(number)) + " " * number + "y\n"


@pytest.mark.parametrize(
    ("make", "fine", "refused"),
    [
        pytest.param(lambda n: f"x = {'(1 + 1 + 1 + 1 + ' * n}1{')' * n}\n", 100, 190, id="operators in brackets"),
        pytest.param(lambda n: f"x = {'q.f().f().f().f().f(' * n}1{')' * n}\n", 100, 190, id="calls in calls"),
        pytest.param(elif_in_else, 20, 60, id="elif in else"),
    ],
)
def test_chains_in_chains_add_up(make: Callable[[int], str], fine: int, refused: int) -> None:
    assert refusal(make(fine)) is None
    assert refusal(make(refused)) is not None


# -- what is ordinary -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("X = [\n" + "".join(f"    ({n}, -{n}, 'a' + 'b', f(x).y.z, [{n}]),\n" for n in range(3000)) + "]\n", id="list of tuples"),
        pytest.param("X = {\n" + "".join(f"    'k{n}': {{'a': -{n}, 'b': not x, 'c': a or b}},\n" for n in range(3000)) + "}\n", id="table of tables"),
        pytest.param("".join(f"X{n} = -1 + {n}\n" for n in range(10_000)), id="10,000 assignments"),
        pytest.param("".join(f"def f{n}(a, b=-1):\n    return a.b.c(d)[1] if a and b else {{}}\n\n\n" for n in range(2500)), id="10,000 lines of functions"),
        pytest.param("".join(f"if x{n}:\n    y\nelif z:\n    w\n" for n in range(2500)), id="many ifs"),
        pytest.param("def f():\n" + "".join(f"    if x{n}:\n        y\n    elif z:\n        w\n" for n in range(2500)), id="many ifs in a function"),
        pytest.param("import os; " * 1000 + "\n", id="many statements on a line"),
        pytest.param(f"x = {'[' * 60}1{']' * 60}\n" * 20, id="60 deep"),
        pytest.param("f(" + ", ".join(f"a{n}=x.y(z) + -1" for n in range(1000)) + ")\n", id="1,000 arguments"),
        pytest.param("x = '''" + "((((+-[{ elif if f'{ " * 1000 + "'''\n", id="brackets in a string"),
        pytest.param("# " + "((((+-[{ elif if " * 1000 + "\n", id="brackets in a comment"),
        pytest.param("x = '" + "(" * 1000 + "'\ny = \"" + "[" * 1000 + "\"\nz = f'" + "{{(" * 1000 + "'\n", id="brackets in strings on a line"),
        pytest.param("x = r'\\d' + '('\n" * 600, id="a backslash before a quotation mark"),
        pytest.param("f'{a(b)}'\n" * 1000, id="many formatted strings"),
        pytest.param("x = f'" + "{a.b} " * 400 + "'\n", id="a formatted string with 400 holes"),
        pytest.param("x = [\n" + "    f'{a} {b}', 'c',\n" * 1000 + "]\n", id="a list of formatted strings"),
        pytest.param("x = (\n" + "    'line of a long text\\n'\n" * 300 + ")\n", id="a text of 300 lines"),
        pytest.param("@d\n" * 100 + "def f(): pass\n", id="decorators"),
        pytest.param("a = b = " * 300 + "1\n", id="assignments in a row"),
        pytest.param("", id="nothing"),
    ],
)  # fmt: skip
def test_ordinary_code_is_let_through(text: str) -> None:
    assert refusal(text) is None


def test_a_file_of_10000_lines_is_checked(tmp_path: Path) -> None:
    body = "".join(f"def f{n}(a, b=-1):\n    return a.b.c(d)[1] if a and b else {{}}\n\n\n" for n in range(2500))
    root = write({"big.py": f"from sqlalchemy.orm import Session\ns = Session()\n{body}s.commit\n"}, tmp_path)
    assert found_in(lint(root)) == {("big.py", 10_003, "session-method-not-called")}


def test_the_scan_takes_time_in_proportion() -> None:
    def seconds(text: str) -> float:
        started = time.process_time()
        refusal(text)
        return time.process_time() - started

    for piece in ("x = 'abc' + f(a.b, [1])  # why\n", "'", '"', "f'{", "\\", "a.b.c ", '"""', "x" * 50, "# (\n", "f'{{"):
        small, large = piece * (40_000 // len(piece)), piece * (400_000 // len(piece))
        assert seconds(large) < 40 * seconds(small) + 0.3, piece


def test_a_refused_file_is_named_with_its_line_and_hides_no_other(tmp_path: Path) -> None:
    good = "from sqlalchemy.orm import Session\ns = Session()\ns.commit\n"
    root = write({"bad.py": f"\n\nx = {'(' * 5000}{')' * 5000}\n", "good.py": good}, tmp_path)
    report = lint(root)
    assert [(f.path, f.line, f.stage, f.reported) for f in report.failures] == [("bad.py", 3, "read", True)]
    assert [(r.finding.path, r.finding.span.line) for r in report.reported] == [("good.py", 3)]
