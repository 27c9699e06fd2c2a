"""One traversal per file for all checks, in LibCST's own visit order.

LibCST's `module.visit` rebuilds what it walks and calls every visitor hook of every node; a pass that does nothing costs as much as
the parse. This walk reads children from a table, skips whitespace and comments, and calls only the methods that a visitor overrides.
It keeps its own stack: deep trees do not run into the recursion limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import libcst as cst

from sa_session_lint.visit_order import ORDER

Hook = Callable[[Any], Any]
V = TypeVar("V", bound=cst.CSTVisitor)

# What the decorators of libcst.matchers write on a method.
_MATCHERS = frozenset({"_call_if_inside_matcher", "_call_if_not_inside_matcher", "_visit_matcher", "_leave_matcher"})
_MARKS = frozenset(
    {"lpar", "rpar", "comma", "semicolon", "equal", "dot", "operator", "asynchronous", "colon", "lbracket", "rbracket", "lbrace", "rbrace", "first_colon",
     "second_colon", "lang", "rang"}
)  # fmt: skip
_WITHOUT_PUNCTUATION = {kind: tuple(field for field in fields if field not in _MARKS) for kind, fields in ORDER.items()}
_PUNCTUATION = {kind for kind, fields in ORDER.items() if not fields and kind not in {"Name", "Integer", "Float", "Imaginary", "SimpleString", "Ellipsis"}} | {
    "LeftParen", "RightParen", "Dot", "Comma", "Semicolon", "AssignEqual", "Asynchronous"
}  # fmt: skip
"""Nodes that only a mark leads to: where no visitor asks for them, the walk does not either."""
_HANDLERS: dict[type, tuple[dict[str, str], dict[str, str]]] = {}


def handlers(cls: type) -> tuple[dict[str, str], dict[str, str]]:
    """Node class name -> method that visits it, and that leaves it, as far as `cls` overrides them.

    Raises TypeError for a method that this walk would never call: attribute visitors, whitespace, comments, misspelt nodes,
    and the decorators of `libcst.matchers`.
    """
    if cls not in _HANDLERS:
        found: tuple[dict[str, str], dict[str, str]] = ({}, {})
        for name in dir(cls):
            if _MATCHERS & getattr(getattr(cls, name, None), "__dict__", {}).keys():
                raise TypeError(f"{cls.__name__}.{name}: matchers are not supported here")
            prefix, _, node = name.partition("_")
            if prefix not in {"visit", "leave"} or not node:
                continue
            method = getattr(cls, name)
            if method is getattr(cst.CSTVisitor, name, None):
                continue
            if node not in ORDER:
                raise TypeError(f"{cls.__name__}.{name}: the walk never calls this; nodes are visited by class name, whitespace never")
            found[prefix == "leave"][node] = name
        _HANDLERS[cls] = found
    return _HANDLERS[cls]


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The nodes in a node, in order, without whitespace and comments; `node.children` visits and rebuilds everything for it."""
    for field in ORDER.get(type(node).__name__, ()):
        child = getattr(node, field)
        if child.__class__ is tuple or child.__class__ is list:
            for one in child:
                if isinstance(one, cst.CSTNode):
                    yield one
        elif isinstance(child, cst.CSTNode):
            yield child


def walk(module: cst.Module, visitors: Sequence[V], on_error: Callable[[V, Exception], None] | None = None) -> None:
    """Drive all `visitors` over `module`. Returning False from a visit keeps that visitor, and no other, out of the children;
    its leave is still called. A visitor that raises is reported to `on_error` (without one, the exception goes up) and called no more.
    """
    visits: dict[str, list[tuple[int, Hook]]] = defaultdict(list)
    leaves: dict[str, list[tuple[int, Hook]]] = defaultdict(list)
    for number, visitor in enumerate(visitors):
        visit, leave = handlers(type(visitor))
        for kind, name in visit.items():
            visits[kind].append((number, getattr(visitor, name)))
        for kind, name in leave.items():
            leaves[kind].append((number, getattr(visitor, name)))
    hooked = visits.keys() | leaves.keys()
    order = ORDER if hooked & _PUNCTUATION else _WITHOUT_PUNCTUATION
    wanted = {kind for kind, fields in order.items() if fields or kind in hooked}
    dead: set[int] = set()
    pruned_at: dict[int, cst.CSTNode] = {}  # visitor -> the node whose children it does not want

    def call(hooks: list[tuple[int, Hook]], node: cst.CSTNode, entering: bool) -> None:
        for number, hook in hooks:
            if number in dead or (number in pruned_at and (entering or pruned_at[number] is not node)):
                continue
            try:
                answer = hook(node)
            except Exception as error:
                if on_error is None:
                    raise
                dead.add(number)
                on_error(visitors[number], error)
                continue
            if entering and answer is False:
                pruned_at[number] = node

    stack: list[tuple[cst.CSTNode, bool]] = [(module, True)]
    push, pop = stack.append, stack.pop
    while stack:
        node, entering = pop()
        kind = type(node).__name__
        if not entering:
            if kind in leaves:
                call(leaves[kind], node, False)
            if pruned_at:
                for number in [n for n, at in pruned_at.items() if at is node]:
                    del pruned_at[number]
            continue
        if kind in visits:
            call(visits[kind], node, True)
            if len(pruned_at) + len(dead) >= len(visitors) and visitors and len(pruned_at.keys() | dead) == len(visitors):
                if kind in leaves:
                    call(leaves[kind], node, False)
                for number in [n for n, at in pruned_at.items() if at is node]:
                    del pruned_at[number]
                continue
        if kind in leaves or pruned_at:
            push((node, False))
        for field in reversed(order[kind]):
            child = getattr(node, field)
            if child.__class__ is tuple or child.__class__ is list:
                for one in reversed(child):
                    if one.__class__.__name__ in wanted:
                        push((one, True))
            elif child.__class__.__name__ in wanted:
                push((child, True))


def path_between(outer: cst.CSTNode, inner: cst.CSTNode) -> list[cst.CSTNode]:
    """The nodes from one down to another within it, without the last; empty where it is not within."""
    for child in children(outer):
        if child is inner:
            return [outer]
        below = path_between(child, inner)
        if below:
            return [outer, *below]
    return []


def reads_any(node: cst.CSTNode, names: set[str]) -> bool:
    """Whether code mentions one of these names."""
    return (isinstance(node, cst.Name) and node.value in names) or any(reads_any(child, names) for child in children(node))
