"""A flow graph as text, for tests and for a curious reader.

    0 call `g()` -> 1 !raised
    1 yield `yield x` -> returned !raised ~abandoned
"""

from __future__ import annotations

import libcst as cst

from sa_session_lint.flow.graph import ABANDONED, RAISED, RETURNED, Graph, Step

_ENDS = {RETURNED: "returned", RAISED: "raised", ABANDONED: "abandoned"}


def dump(graph: Graph) -> str:
    """One line for each step that can be reached: number, kind, source, `-> next`, `!error`, `?misuse`, `~base`."""
    order = [at for at in graph.order() if at not in _ENDS]
    names = {**_ENDS, **{at: str(number) for number, at in enumerate(order)}}
    lines = []
    for at in order:
        step = graph.steps[at]
        parts = [names[at], step.kind]
        if step.raising:
            parts.append("raising")
        if step.kind == "pick":
            parts.append(str(step.option))
        if step.node is not None:
            parts.append(f"`{_source(step)}`")
        if step.next:
            parts.append("-> " + " ".join(names[to] for to in step.next))
        parts += [f"{sign}{names[to]}" for sign, to in (("!", step.error), ("?", step.misuse), ("~", step.base)) if to is not None]
        lines.append(" ".join(parts))
    return "\n".join(lines) + "\n"


def _source(step: Step) -> str:
    node = step.node
    assert node is not None
    if isinstance(node, (cst.FunctionDef, cst.ClassDef, cst.MatchCase, cst.Try, cst.TryStar, cst.For, cst.ExceptHandler, cst.ExceptStarHandler)):
        text = _head(cst.Module([]).code_for_node(node))
    else:
        text = cst.Module([]).code_for_node(node)
    return " ".join(text.split()).rstrip(",")


def _head(text: str) -> str:
    """The first line of a compound statement that is no comment."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "").rstrip(":")
