"""The project's mutation test: correct code of real projects is broken on purpose, and the linter must say so.

    python tools/mutate.py TREE... [--only OPERATOR|RULE] [--limit N] [--seed 1] [--show] [--list]

Each TREE is a project and is only read. Where a function is free of findings and holds a correct pattern (`with Maker() as s:`, a rollback in a handler,
a close in a `finally`), an operator of tools/mutation makes a mutant of it: one file changed within one function, surely a bug, with the rule that must
be reported there. Each function gives one mutant per operator; --limit keeps N per operator and tree, drawn by --seed. Tests, migrations, notebooks
and what only a script runs, or nobody any more, are left out, since leaks are no findings there.

Printed: a line per mutant (tree, path, function, operator, rule, and `caught`, `missed` or the other rules reported there), then a table per rule. With
--list nothing is linted, and every function counts as free of findings; with --show the diffs of what was missed, or listed, are printed, too.
"""

from __future__ import annotations

import argparse
import collections
import difflib
import functools
import random
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import libcst as cst
from mutation import OPERATORS
from mutation.function import Body
from mutation.reading import Swaps, children

from sa_session_lint import catalogue, config
from sa_session_lint.project.environment import Pins
from sa_session_lint.project.files import list_python
from sa_session_lint.project.index import Index
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.reach import is_left_over, serves_commands
from sa_session_lint.project.running import runs_as_script
from sa_session_lint.run import _check_file as check_file
from sa_session_lint.source import Source, deep

WORK = re.compile(rb"\.(execute|exec|query|commit|scalars?|add|get|flush)\(")


@dataclass(frozen=True)
class Mutant:
    """A changed file; the rule must be reported on its lines `first` to `last`, the function's. `outcome` is known once it was linted."""

    tree: str
    path: str
    function: str
    operator: str
    rule: str
    text: str
    first: int
    last: int
    outcome: str = ""
    diff: str = ""

    def __str__(self) -> str:
        return "\t".join((self.tree, self.path, self.function, self.operator, self.rule, self.outcome or "made"))


class Swap(cst.CSTTransformer):
    """Puts statements in the place of others; only what lies on the way to them is visited."""

    def __init__(self, module: cst.Module, new: Swaps) -> None:
        super().__init__()
        self.new = new
        self.ways: set[cst.CSTNode] = set()
        self.leads(module)

    def leads(self, node: cst.CSTNode) -> bool:
        """Whether a statement that is to go is one within `node`."""
        for child in children(node):
            if child in self.new or (not isinstance(child, (cst.BaseExpression, cst.BaseSmallStatement)) and self.leads(child)):
                self.ways.add(node)
        return node in self.ways

    def on_visit(self, node: cst.CSTNode) -> bool:
        return node in self.ways

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode | cst.FlattenSentinel[cst.CSTNode]:  # type: ignore[override]
        return cst.FlattenSentinel(self.new[original_node]) if original_node in self.new else updated_node


class Changed(Index):
    """A project in which one file has another text; what was read of the other files is taken from the index of the whole."""

    def __init__(self, whole: Index, path: str, text: str) -> None:
        super().__init__(whole.root, (), whole.settings)
        self.modules = whole.modules
        self.whole, self.path = whole, path
        source = whole.source(path)
        self.put(path, text.encode(source.encoding if source is not None else "utf-8"))

    def data(self, path: str) -> bytes | None:
        return super().data(path) if path == self.path else self.whole.data(path)

    def source(self, path: str) -> Source | None:
        return super().source(path) if path == self.path else self.whole.source(path)

    def outline(self, path: str) -> Outline | None:
        return super().outline(path) if path == self.path else self.whole.outline(path)

    def pins(self, path: str) -> Pins:
        return self.whole.pins(path)


def mutants(index: Index, path: str, operators: frozenset[str]) -> Iterator[tuple[str, str, functools.partial[Mutant]]]:
    """Operator and function of every mutant of a file, and how to make it."""
    source, outline = index.source(path), index.outline(path)
    if source is None or outline is None or "# In[" in source.text:
        return
    for scope in outline.scopes.values():
        node = outline.nodes[scope.at]
        if isinstance(node, cst.FunctionDef):
            body = Body(index, outline, node)
            found = [(name, rule, swaps) for name in sorted(operators) for rule, swaps in OPERATORS[name](body)]
            for name, rule, swaps in found if found and not is_idle(index, outline, scope) else ():
                yield name, scope.qualname, functools.partial(made, index, path, scope.qualname, name, rule, swaps)


def is_idle(index: Index, outline: Outline, scope: Scope) -> bool:
    """Whether a function is not judged: what only a script or a command runs, or nobody any more."""
    return runs_as_script(index, outline.path, scope) or serves_commands(index, outline, scope) or is_left_over(index, outline, scope)


def made(index: Index, path: str, function: str, operator: str, rule: str, swaps: Swaps) -> Mutant:
    source, outline = index.source(path), index.outline(path)
    assert source is not None and outline is not None  # noqa: PT018
    changed = source.module.visit(Swap(source.module, swaps))
    assert isinstance(changed, cst.Module)
    span = source.span_of(outline.nodes[outline.scopes[function].at])
    text = changed.code
    cst.parse_module(text)  # a mutant must parse
    longer = text.count("\n") - source.text.count("\n")
    return Mutant(index.root.name, path, function, operator, rule, text, span.line, span.end_line + longer)


def drawn(index: Index, settings: config.Config, options: argparse.Namespace) -> list[Mutant]:
    """The mutants of a tree: one per function and operator, and no more than wanted."""
    chance = random.Random(f"{options.seed} {index.root.name}")
    found: dict[str, dict[tuple[str, str], list[functools.partial[Mutant]]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    operators = frozenset(OPERATORS) & set(options.only or OPERATORS) or frozenset(OPERATORS)
    for path in sorted(index.modules.files):
        data = None if settings.is_test(path) or not path.endswith(".py") else index.data(path)
        for operator, function, make in mutants(index, path, operators) if data is not None and WORK.search(data) else ():
            if not options.only or {operator, make.args[4]} & set(options.only):
                found[operator][path, function].append(make)
    chosen: list[Mutant] = []
    for places in found.values():
        for place in chance.sample(sorted(places), min(options.limit or len(places), len(places))):
            chosen.append(chance.choice(places[place])())
    return sorted(chosen, key=lambda mutant: (mutant.path, mutant.first, mutant.operator))


class Judge:
    """Lints mutants of a tree."""

    def __init__(self, index: Index, settings: config.Config) -> None:
        self.index, self.settings, self.entries = index, settings, catalogue.load()
        self.rules = [entry for entry in self.entries.entries.values() if settings.selects(entry)]
        self.clean = functools.lru_cache(maxsize=None)(lambda path: self.reported(index, path))

    def reported(self, index: Index, path: str) -> list[tuple[int, str]]:
        """Line and rule of what is found in a file."""
        return [(r.finding.span.line, r.entry.name) for r in check_file(index, path, self.rules, self.entries, self.settings, [])]

    def judged(self, mutant: Mutant) -> Mutant | None:
        """The mutant with its outcome; None where the function was not free of findings before."""
        source = self.index.source(mutant.path)
        longer = mutant.text.count("\n") - source.text.count("\n") if source is not None else 0
        if any(mutant.first <= line <= mutant.last - longer for line, _ in self.clean(mutant.path)):
            return None
        rules = {rule for line, rule in self.reported(Changed(self.index, mutant.path, mutant.text), mutant.path) if mutant.first <= line <= mutant.last}
        return replace(mutant, outcome="caught" if mutant.rule in rules else ", ".join(sorted(rules)) or "missed")


def work(tree: Path, options: argparse.Namespace) -> list[Mutant]:
    """The mutants of a tree, linted where that is wanted; what need not be shown travels without its text."""
    settings = config.load(tree, None, True)
    index = Index(tree.resolve(), list_python(tree.resolve(), respect_gitignore=False))
    with deep():
        found = drawn(index, settings, options)
        if not options.list:
            judge = Judge(index, settings)
            found = [judged for mutant in found if (judged := judge.judged(mutant)) is not None]
    return [replace(mutant, text="", diff=diff(index, mutant) if options.show and mutant.outcome != "caught" else "") for mutant in found]


def diff(index: Index, mutant: Mutant) -> str:
    source = index.source(mutant.path)
    before = source.text.splitlines() if source is not None else []
    return "\n".join(difflib.unified_diff(before, mutant.text.splitlines(), f"{mutant.tree}/{mutant.path}", f"{mutant.operator}: {mutant.rule}", "", "", 5, ""))


def table(found: list[Mutant], by: str) -> list[str]:
    """Mutants, those caught and percent, per rule or operator and over all."""
    counts: dict[str, list[int]] = {}
    for mutant in found:
        for key in (getattr(mutant, by), "over all"):
            here = counts.setdefault(key, [0, 0])
            here[0] += 1
            here[1] += mutant.outcome == "caught"
    rows = sorted(counts.items(), key=lambda row: (row[0] == "over all", row[0]))
    return [f"{key:45s} {total:6d} {caught:6d} {100 * caught / total:5.0f} %" for key, (total, caught) in rows]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--only", action="append", metavar="OPERATOR|RULE", help=f"operators: {', '.join(OPERATORS)}")
    parser.add_argument("--limit", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    found: list[Mutant] = []
    with ProcessPoolExecutor() as pool:
        for mutants_of_tree in pool.map(work, options.trees, [options] * len(options.trees)):
            for mutant in mutants_of_tree:
                print(mutant, *([mutant.diff] if mutant.diff else []), sep="\n", flush=True)
            found += mutants_of_tree
    print("", *table(found, "operator" if options.list else "rule"), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
