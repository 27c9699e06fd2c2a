"""Flow graphs as text: one for each construct of the language that changes where control goes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import libcst as cst
import pytest

from sa_session_lint.flow.build import build
from sa_session_lint.flow.text import dump

FOLDER = Path(__file__).parent / "flow"


def risky(_: cst.CSTNode) -> Literal["any"]:
    return "any"


def graphs(text: str) -> str:
    """The graph of every function of a file, under its name."""
    functions = [node for node in cst.parse_module(text).body if isinstance(node, cst.FunctionDef)]
    return "\n".join(f"{node.name.value}\n{dump(build(node.body, risky))}" for node in functions)


def test_the_graph_of_every_construct() -> None:
    assert graphs((FOLDER / "constructs.py").read_text()) == (FOLDER / "constructs.txt").read_text()


def test_a_calm_call_has_no_way_out_by_an_exception() -> None:
    function = cst.parse_module("def f():\n    g()\n").body[0]
    assert isinstance(function, cst.FunctionDef)
    assert "!raised" in dump(build(function.body, risky))
    assert "raised" not in dump(build(function.body, lambda _: "none"))


def test_a_call_that_raises_when_it_is_misused_has_a_way_out_for_that() -> None:
    function = cst.parse_module("def f():\n    g()\n").body[0]
    assert isinstance(function, cst.FunctionDef)
    assert "?raised" in dump(build(function.body, lambda _: "misuse"))


@pytest.mark.parametrize(("risk", "handled"), [("raises", True), ("exits", False)])
def test_nothing_comes_after_a_call_that_never_comes_back(risk: Literal["raises", "exits"], handled: bool) -> None:
    function = cst.parse_module("def f():\n    try:\n        leave()\n        after = 1\n    except Exception:\n        handled = 1\n").body[0]
    assert isinstance(function, cst.FunctionDef)
    text = dump(build(function.body, lambda _: risk))
    assert "after" not in text
    assert ("handled" in text) is handled


@pytest.mark.parametrize(("depth", "coarse"), [(1, False), (3, False), (12, True)])
def test_clean_up_within_clean_up_is_bounded(depth: int, coarse: bool) -> None:
    text = "def f():\n" + nested(depth, "    ")
    function = cst.parse_module(text).body[0]
    assert isinstance(function, cst.FunctionDef)
    graph = build(function.body, risky)
    assert graph.coarse == coarse
    assert len(graph.steps) < 3000


def nested(depth: int, indent: str) -> str:
    """`finally` within `finally`, each of which may return, raise or go on."""
    if not depth:
        return f"{indent}f()\n"
    inner = nested(depth - 1, f"{indent}    ")
    return f"{indent}try:\n{indent}    if a():\n{indent}        return\n{indent}    b()\n{indent}finally:\n{inner}"
