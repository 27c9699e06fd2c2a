"""Both sides: of a read that is reported every run that comes to it must show what the rule says, and on every line that a run comes to its objects must be
as they are on one of the model's ways to it.

The model may be silent, but not wrong: of an object of which it says nothing, anything may be. Reads that raise for want of a session and are not reported
are counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sa_session_lint import catalogue, config
from sa_session_lint.model.protocol import ANY
from sa_session_lint.project.index import Index
from sa_session_lint.project.tracking import engine_of, followed
from sa_session_lint.run import _check_file as check_file
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.sketch import SketchStep
from sa_session_lint.typestate.state import Disjunct, Object, Ref
from sa_session_lint.typestate.way import Way
from tests.differential.objects.cells import Cell
from tests.differential.objects.programs import HEADER, program
from tests.differential.objects.reality import Reality, Really, Run

PATH = "programs.py"
SHOWS = {
    "expired-read-after-close": {"detached"}, "read-after-rollback": {"detached"}, "lazy-load-after-close": {"detached"}, "reload-after-commit": {"sql"},
    "commit-inside-iteration": {"sql"}, "generated-value-before-flush": {"none"}, "expired-object-dumped-through-dict": {"empty"}, "async-lazy-load": {"greenlet"},
    "object-of-other-session": {"attached", "not persistent"}, "operation-needs-persistent-instance": {"not persistent"},
}  # fmt: skip
"""What every run shows at a line at which a rule reports: one of these."""
COLUMNS = frozenset({"id", "name"})
UNLOADED = frozenset({"notes", "parts"})
"""The attributes of a thing that a query loads, and those that it does not load unless it is asked to."""


@dataclass(slots=True)
class Compared:
    """What came of programs: lines that showed what a rule is about, with those of them that were reported; the cells of the tables that were compared, and those
    of them of whose objects the model claimed something; runs of functions that were too large; and each report, or claim, that a run belies."""

    reads: int = 0
    raised: int = 0
    found: int = 0
    coarse: int = 0
    visits: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    cells: Counter[Cell] = field(default_factory=Counter)
    claimed: Counter[Cell] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Compared) -> None:
        self.reads, self.raised, self.found = self.reads + other.reads, self.raised + other.raised, self.found + other.found
        self.coarse, self.visits = self.coarse + other.coarse, self.visits + other.visits
        self.rules += other.rules
        self.cells += other.cells
        self.claimed += other.claimed
        self.wrong += other.wrong


@dataclass(slots=True)
class Batch:
    """Programs in one text, with their runs."""

    programs: dict[int, str]
    runs: list[Run]

    def judged(self) -> Compared:
        """What the linter, as it is now, says to that."""
        return _Judge(self).judged()


def batch(seeds: Iterable[int]) -> Batch:
    """Programs, run with the flag up and down."""
    programs = {seed: program(seed) for seed in seeds}
    body = HEADER + "".join(programs.values())
    return Batch(programs, Reality(body).runs(list(programs)))


def compare(seeds: Iterable[int]) -> Compared:
    return batch(seeds).judged()


class _Judge:
    def __init__(self, made: Batch) -> None:
        self.made = made
        body = HEADER + "".join(made.programs.values())
        self.lines = body.splitlines()
        self.index = Index(Path("/programs"), (PATH,))
        self.index.put(PATH, body.encode())
        outline = self.index.outline(PATH)
        assert outline is not None
        self.outline = outline
        self.known: dict[int, tuple[Followed, dict[int, list[Disjunct]]] | None] = {}
        self.found = Compared()

    def judged(self) -> Compared:
        self.reports()
        for run in self.made.runs:
            self.run(run)
        return self.found

    # -- reports ------------------------------------------------------------------------------------------------------

    def reports(self) -> None:
        """Compare what is reported with what was shown."""
        entries = catalogue.load()
        failures: list[object] = []
        reported = {r.finding.span.line: r.entry.name for r in check_file(self.index, PATH, [entries.entries[name] for name in SHOWS], entries, config.Config(profile="strict"), failures)}  # type: ignore[arg-type]  # none are expected
        assert not failures, failures
        shown: dict[int, list[tuple[Run, list[frozenset[str]]]]] = defaultdict(list)
        for run in self.made.runs:
            here: dict[int, list[frozenset[str]]] = defaultdict(list)
            for line, signs in run.shown:
                here[line].append(signs)
            for line, all_signs in here.items():
                shown[line].append((run, all_signs))
        raised = {line for line, runs in shown.items() if any({"detached", "greenlet"} & signs for _, each in runs for signs in each)}
        self.found.reads = sum(len(run.shown) for run in self.made.runs)
        self.found.raised, self.found.found, self.found.rules = len(raised), len(raised & reported.keys()), Counter(reported.values())
        for line in sorted(shown.keys() & reported.keys()):
            for run, each in shown[line]:
                # In a loop the first turn may go well: what is told of is what the next one comes to.
                later = each[1:] if len(each) > 1 or self.is_in_loop(line) else each
                if any(SHOWS[reported[line]].isdisjoint(signs) for signs in later if "no object" not in signs):
                    self.wrong(run, line, f"{reported[line]} is reported, shown was {[sorted(signs) for signs in each]}")
                    break

    def is_in_loop(self, line: int) -> bool:
        """Whether a line stands in a loop."""
        depth = _depth(self.lines[line - 1])
        for before in reversed(self.lines[: line - 1]):
            if before.strip() and _depth(before) < depth:
                if before.lstrip().startswith("for "):
                    return True
                depth = _depth(before)
                if not depth:
                    break
        return False

    def wrong(self, run: Run, line: int, reason: str) -> None:
        self.found.wrong.append(f"seed {run.seed}, flag {run.flag}, line {line} ({self.lines[line - 1].strip()}): {reason}\n{self.made.programs[run.seed]}")

    # -- claims -------------------------------------------------------------------------------------------------------

    def followed(self, seed: int) -> tuple[Followed, dict[int, list[Disjunct]]] | None:
        """A program as the engine has followed it, and the ways to each of its lines."""
        if seed not in self.known:
            found = followed(self.index, self.outline, self.outline.scopes[f"program_{seed}"])
            self.known[seed] = None if found is None else (found, self.ways(found))
        return self.known[seed]

    def ways(self, found: Followed) -> dict[int, list[Disjunct]]:
        """The ways to where each line begins; of a block's or a branch's head, which is come to more than once, none."""
        lines = {at: self.line(step) for at, step in found.sketch.steps.items()}
        into: dict[int, set[int]] = defaultdict(set)
        for at, step in found.sketch.steps.items():
            for to in (*step.next, *([step.error] if step.error is not None else [])):
                into[to].add(at)
        ways: dict[int, list[Disjunct]] = defaultdict(list)
        for at, line in lines.items():
            if not self.lines[line - 1].rstrip().endswith(":") and (at == found.sketch.start or any(lines[before] != line for before in into[at])):
                ways[line] += found.ways.get(at, ())
        return ways

    def line(self, step: SketchStep) -> int:
        source = self.index.source(PATH)
        assert source is not None
        return source.span_of(self.outline.nodes[step.at]).line

    def run(self, run: Run) -> None:
        """Compare the objects on every line that a run came to."""
        found = self.followed(run.seed)
        if found is None:
            return
        if found[0].coarse:
            self.found.coarse += 1
            return
        since: list[Cell] = []
        known = refused = False
        for visit in run.visits:
            if visit.handling and not found[1].get(visit.line):
                break  # that what is no call raises is not followed
            if visit.line in found[1]:
                ways = [way for way in found[1][visit.line] if way.conditions.mapping.get(("true", ("name", "flag")), run.flag) is run.flag]
                claims = [self.claims(found[0], way) for way in ways]
                fit = [each for each in claims if all(_fits(claim, visit.things.get(name)) for name, claim in each.items())]
                if not fit and refused:
                    break  # nor that a session refuses what is not known
                if not fit:
                    self.wrong(run, visit.line, f"really {visit.things}; in the model {claims}")
                    return
                self.found.visits += 1
                knows = any(claim for each in fit for claim in each.values())
                self.count(since, known or knows)
                since, known, refused = [], knows, False
            since += visit.cells
            refused = refused or visit.refused
        self.count(since, known)

    def count(self, cells: list[Cell], known: bool) -> None:
        self.found.cells.update(cells)
        if known:
            self.found.claimed.update(cells)

    def claims(self, found: Followed, disjunct: Disjunct) -> dict[str, dict[str, object]]:
        """What the model says of the objects of a way, as far as a rule relies on it."""
        transfer = engine_of(self.index).transfer(found.sketch)
        way = Way(disjunct)
        names = {value.loc: name for name, value in disjunct.env if isinstance(name, str) and isinstance(value, Ref)}
        said: dict[str, dict[str, object]] = {}
        for name, held in disjunct.env:
            if isinstance(held, Object) and isinstance(name, str) and name.startswith("t") and held.model is not None and held.model.qualname == "Thing":
                said[name] = dict(_claimed(held, way, names, lambda o, a: transfer.instances.is_unloaded(o, a, way)))
        return said


def _claimed(held: Object, way: Way, names: dict[object, str], unloaded: object) -> Iterator[tuple[str, object]]:
    if held.gone or held.mixed is not None:
        return
    if held.detached is not None:
        yield "session", None
    elif held.pending is not None:
        yield "states", {"pending", "transient"}
    elif held.made and held.loc is None and held.fetched is not None:
        yield "states", {"transient"}
    elif held.loc is not None and held.loaded and held.loc in names and held.loc in way.heap:
        state = way.state(held.loc)
        if state.owner in {"here", "with"} and state.txn is not ANY and state.closed is None:
            yield "session", names[held.loc]
    if held.fetched is None or held.loc is None:
        return
    if held.pending is not None and "id" not in held.fetched:
        yield "keyless", True
    if held.expired is not None:
        yield "not loaded", (COLUMNS | UNLOADED) - held.fetched
    elif held.loaded:
        yield "not loaded", frozenset(name for name in UNLOADED - held.fetched if unloaded(held, name))  # type: ignore[operator]  # a function


def _fits(claim: dict[str, object], real: Really | None) -> bool:
    """Whether an object is what the model says."""
    if real is None:
        return True
    for what, value in claim.items():
        match what:
            case "session" if real.session != value:
                return False
            case "states" if isinstance(value, set) and real.state not in value:
                return False
            case "keyless" if not real.keyless:
                return False
            case "not loaded" if isinstance(value, frozenset) and value & real.loaded:
                return False
    return True


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
