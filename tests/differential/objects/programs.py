"""Random programs that read attributes of objects: of a read that is reported every run that comes to it must show what the rule says.

The linter sees `print(t1.name)`; what runs in its place, on the same line, is `probe(line, lambda: t1.name)`, which notes whether the read raised for want of
a session, sent SQL, gave None or nothing at all. `s1.refresh(t1)` and its like are noted in the same way. Reads that raise for want of a session and are not
reported are counted: the model may be silent, but not wrong.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlalchemy.pool import StaticPool

from tests.linting import found_in, lint, write

HEADER = """from sqlalchemy import Column, ForeignKey, Integer, String, create_engine, select
from sqlalchemy.orm import declarative_base, deferred, joinedload, relationship, selectinload, sessionmaker

Base = declarative_base()
engine = create_engine("sqlite://")
SessionLocal = sessionmaker(engine)
Kept = sessionmaker(engine, expire_on_commit=False)
outside = [print].pop()  # code that nobody can read: a run puts its own here


class Thing(Base):
    __tablename__ = "thing"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    notes = deferred(Column(String))
    parts = relationship("Part", back_populates="thing")
    marks = relationship("Mark", lazy="selectin")

    @property
    def title(self):
        return f"{self.name}!"

    def size(self, least):
        return max(least, len(self.parts))

    def __repr__(self):
        return f"<Thing {self.name}>"


class Part(Base):
    __tablename__ = "part"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    thing_id = Column(ForeignKey("thing.id"))
    thing = relationship("Thing", back_populates="parts")


class Mark(Base):
    __tablename__ = "mark"
    id = Column(Integer, primary_key=True)
    thing_id = Column(ForeignKey("thing.id"))


def save(session, thing):
    session.add(thing)
    session.commit()


def renew(session, thing):
    session.refresh(thing)


def done(session):
    session.commit()


def undo(session):
    session.rollback()


def shut(session):
    session.close()


def shown(thing):
    return [thing.id, thing.name]


def load(key):
    with SessionLocal() as session:
        return session.get(Thing, key)


def load_saved(key):
    with SessionLocal() as session:
        thing = session.get(Thing, key)
        thing.name = "saved"
        session.commit()
    return thing


def make(name):
    with SessionLocal() as session:
        thing = Thing(name=name)
        save(session, thing)
        return thing


"""
"""What the programs have in common: the database holds two things with parts and marks."""

OPENINGS = (("with SessionLocal() as {s}:", 6), ("with Kept() as {s}:", 3), ("with SessionLocal.begin() as {s}:", 2), ("with SessionLocal() as {s}, {s}.begin():", 1))
LOADS = (
    ("{t} = {s}.get(Thing, 1)", 5), ("{t} = {s}.query(Thing).first()", 2), ("{t} = {s}.scalars(select(Thing)).first()", 2), ("{t} = {s}.execute(select(Thing)).first()[0]", 1),
    ("{t} = {s}.execute(select(Thing)).scalars().first()", 2), ("{t} = {s}.scalars(select(Thing).options(selectinload(Thing.parts))).first()", 2),
    ("{t} = {s}.query(Thing).options(joinedload(Thing.parts)).filter_by(id=2).one()", 1), ("{t} = {s}.get(Thing, 2, options=[selectinload(Thing.parts)])", 1),
    ('{t} = Thing(name="new")', 2), ('{t} = {s}.merge(Thing(id=1, name="merged"))', 1), ("{t} = load(1)", 2), ("{t} = load_saved(1)", 2), ('{t} = make("made")', 2),
    ("{t} = {s}.query(Thing).all()[0]", 2), ("{t} = {u}", 2),
)  # fmt: skip
OPERATIONS = (
    ("{s}.commit()", 8), ("{s}.rollback()", 4), ("{s}.flush()", 2), ("{s}.close()", 3), ("{s}.add({t})", 4), ("{s}.refresh({t})", 3), ('{s}.refresh({t}, ["parts"])', 1),
    ("{s}.expire({t})", 2), ("{s}.expire_all()", 1), ("{s}.expunge({t})", 1), ("{s}.expunge_all()", 1), ("{s}.delete({t})", 1), ("{t} = {s}.merge({t})", 1),
    ('{t}.name = "written"', 4), ("{s}.query(Thing).all()", 2), ("{s}.query(Part).all()", 1), ("save({s}, {t})", 3), ("renew({s}, {t})", 2), ("done({s})", 3), ("undo({s})", 1),
    ("shut({s})", 1), ("outside({t})", 1), ("outside({s})", 1), ("{t}.parts = []", 1), ("{t}.parts.append(Part())", 1),
)  # fmt: skip
READS = (
    *("print({t}.name)",) * 4, *("print({t}.id)",) * 2, *("print({t}.parts)",) * 2, *("print({t}.notes)",) * 2, *("print({t}.marks)",) * 2, "print({t}.title)", "print({t}.size(1))",
    "print(shown({t}))", 'print(f"a {{{t}}}")', "print(vars({t}))",
)
_READ = re.compile(r"print\((?=.*\bt\d+\b)(.*)\)$")
_GIVEN = re.compile(r"(s\d+\.(?:add|delete|refresh|expire|expunge)\(t\d+\))$")
SHOWS = {
    "expired-read-after-close": "detached", "read-after-rollback": "detached", "lazy-load-after-close": "detached", "reload-after-commit": "sql", "commit-inside-iteration": "sql",
    "generated-value-before-flush": "none", "expired-object-dumped-through-dict": "empty", "object-of-other-session": "invalid", "operation-needs-persistent-instance": "invalid",
}  # fmt: skip
"""What every run shows at a line at which a rule reports."""


def program(seed: int) -> str:
    """The text of one program."""
    return _Writing(random.Random(seed)).run(seed)


class _Writing:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.room = chance.randint(3, 9)
        self.sessions = self.things = 0
        self.lines: list[str] = []

    def run(self, seed: int) -> str:
        self.lines.append(f"def program_{seed}(flag):")
        things: list[str] = []
        self.opened(1, [], things)
        for _ in range(self.chance.randint(1, 4)):
            self.read(1, things)
        return "\n".join(self.lines) + "\n\n\n"

    def put(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def picked(self, choices: tuple[tuple[str, int], ...]) -> str:
        return self.chance.choices([line for line, _ in choices], [weight for _, weight in choices])[0]

    def opened(self, depth: int, sessions: list[str], things: list[str]) -> None:
        self.sessions += 1
        new = f"s{self.sessions}"
        if self.chance.random() < 0.3:
            self.put(depth, f"{new} = {self.chance.choice(('SessionLocal', 'Kept'))}()")
            self.load(depth, new, things)
            self.block(depth, [*sessions, new], things)
            self.put(depth, f"{new}.close()")
            return
        self.put(depth, self.picked(OPENINGS).format(s=new))
        self.load(depth + 1, new, things)
        self.block(depth + 1, [*sessions, new], things)

    def load(self, depth: int, session: str, things: list[str]) -> None:
        line = self.picked(LOADS)
        if "{u}" in line and not things:
            line = "{t} = {s}.get(Thing, 1)"
        self.things += 1
        other = self.chance.choice(things) if things else ""
        self.put(depth, line.format(s=session, t=f"t{self.things}", u=other))
        things.append(f"t{self.things}")

    def read(self, depth: int, things: list[str]) -> None:
        self.put(depth, self.chance.choice(READS).format(t=self.chance.choice(things)))

    def block(self, depth: int, sessions: list[str], things: list[str]) -> None:
        for _ in range(self.chance.randint(1, 5)):
            if self.room <= 0:
                return
            self.room -= 1
            session, thing = self.chance.choice(sessions), self.chance.choice(things)
            match self.chance.choices(("operation", "load", "read", "if", "try", "open"), (50, 10, 16, 8, 6, 6))[0]:
                case "operation":
                    self.put(depth, self.picked(OPERATIONS).format(s=session, t=thing))
                case "load":
                    self.load(depth, session, things)
                case "read":
                    self.read(depth, things)
                case "if":
                    self.put(depth, "if flag:")
                    self.put(depth + 1, self.picked(OPERATIONS).format(s=session, t=thing))
                case "try":
                    self.put(depth, "try:")
                    self.put(depth + 1, self.picked(OPERATIONS).format(s=session, t=thing))
                    self.put(depth, "except Exception:")
                    self.put(depth + 1, f"{session}.rollback()")
                case "open" if depth < 4:
                    self.opened(depth, sessions, things)


@dataclass(slots=True)
class Compared:
    """What came of programs: reads that ran; lines that raised for want of a session, with how many of them were reported; and each report that a run belies."""

    reads: int = 0
    raised: int = 0
    found: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Compared) -> None:
        self.reads, self.raised, self.found = self.reads + other.reads, self.raised + other.raised, self.found + other.found
        self.rules += other.rules
        self.wrong += other.wrong


def compare(seeds: Iterable[int], folder: Path) -> Compared:
    """Run programs with the flag up and down, lint them, and put both side by side."""
    programs = {seed: program(seed) for seed in seeds}
    body = HEADER + "".join(programs.values())
    reported = {line: rule for _, line, rule in found_in(lint(write({"programs.py": body}, folder), select=tuple(SHOWS)))}
    owner: dict[int, int] = {}
    line = HEADER.count("\n") + 1
    for seed, each in programs.items():
        owner.update(dict.fromkeys(range(line, line + each.count("\n")), seed))
        line += each.count("\n")
    noted = _run(body, list(programs))
    raised = {line for line, runs in noted.items() if any("detached" in run for run in runs)}
    found = Compared(sum(map(len, noted.values())), len(raised), len(raised & reported.keys()), Counter(reported.values()))
    for at in sorted(noted.keys() & reported.keys()):
        if any(SHOWS[reported[at]] not in run for run in noted[at]):
            found.wrong.append(f"line {at} ({reported[at]}: {body.splitlines()[at - 1].strip()}) showed {noted[at]}, seed {owner[at]}:\n{programs[owner[at]]}")
    return found


def _run(body: str, seeds: list[int]) -> dict[int, list[set[str]]]:
    """What each line that is watched has shown whenever it was come to."""
    noted: dict[int, list[set[str]]] = defaultdict(list)
    sent: list[str] = []

    def probe(line: int, read: Callable[[], object]) -> None:
        before = len(sent)
        noted[line].append(shown := set())
        try:
            value = read()
        except DetachedInstanceError:
            shown.add("detached")
            raise
        except InvalidRequestError:
            shown |= {"invalid", "sql"}  # the row is gone: it was asked for
            raise
        if value is None or (isinstance(value, list) and None in value):
            shown.add("none")
        if len(sent) > before:
            shown.add("sql")
        if isinstance(value, dict) and value.keys() <= {"_sa_instance_state"}:
            shown.add("empty")

    numbered = enumerate(body.splitlines(), 1)
    lines = [_GIVEN.sub(rf"probe({number}, lambda: \1)", _READ.sub(rf"probe({number}, lambda: \1)", line)) for number, line in numbered]
    space: dict[str, Any] = {"probe": probe}
    exec(compile("\n".join(lines), "programs.py", "exec"), space)
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    event.listen(engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
    space["SessionLocal"].configure(bind=engine)
    space["Kept"].configure(bind=engine)
    turn = [0]
    space["outside"] = lambda value: _outside(turn[0] % 4, value)
    space["Base"].metadata.create_all(engine)
    for seed in seeds:
        for flag in (True, False):
            with engine.begin() as connection:
                for table in ("mark", "part", "thing"):
                    connection.execute(text(f"DELETE FROM {table}"))
                connection.execute(text("INSERT INTO thing (id, name, notes) VALUES (1, 'one', 'n'), (2, 'two', 'n')"))
                connection.execute(text("INSERT INTO part (id, name, thing_id) VALUES (1, 'p', 1)"))
                connection.execute(text("INSERT INTO mark (id, thing_id) VALUES (1, 1)"))
            turn[0] = seed + flag
            with suppress(Exception):  # programs may end in any error; what is compared was noted before
                space[f"program_{seed}"](flag)
    engine.dispose()
    return noted


def _outside(choice: int, value: Any) -> None:
    """Code that nobody can read: it does this or that to a session, or reads an object."""
    if hasattr(value, "commit"):
        (value.commit, value.expunge_all, value.rollback, value.close)[choice]()
    elif choice == 1:
        _ = value.parts
    elif choice == 2:
        _ = value.name, value.notes
