"""Random programs of session operations: one function `program_<seed>(flag)` each, every operation on a line of its own."""

from __future__ import annotations

import random

HEADER = """from contextlib import contextmanager

from sqlalchemy import Column, Integer, String, create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import declarative_base, sessionmaker

Base = declarative_base()
engine = create_engine("sqlite://")
SessionLocal = sessionmaker(engine)
outside = [print].pop()  # code that nobody can read: a run puts its own here


class Thing(Base):
    __tablename__ = "thing"
    id = Column(Integer, primary_key=True)
    name = Column(String, nullable=False)


class Own(Exception):
    pass


def commits(session):
    session.commit()


def rolls_back(session):
    session.rollback()


def closes(session):
    session.close()


def writes(session):
    session.add(Thing(name="helper"))


def opens():
    session = SessionLocal()
    return session


@contextmanager
def saving():
    session = SessionLocal()
    try:
        yield session
        session.commit()
    except Exception:
        session.rollback()
        raise
    finally:
        session.close()


@contextmanager
def reading():
    session = SessionLocal()
    try:
        yield session
    finally:
        session.close()
"""
"""What the programs have in common. `outside(session)`, which some call, is defined nowhere: it stands for code that is not there to be read."""

OPERATIONS = (
    ('{s}.add(Thing(name="good"))', 6), ("{s}.add(Thing(id=1))", 3), ("{s}.add(Thing(name=None))", 4), ('{s}.add_all([Thing(name="a"), Thing(name="b")])', 1),
    ("{s}.execute(select(Thing)).all()", 3), ("{s}.query(Thing).all()", 2), ("{s}.scalars(select(Thing)).all()", 1), ('{s}.execute(text("SELECT 1"))', 1),
    ("{s}.get(Thing, 1)", 2), ("{s}.get(Thing, 99)", 2), ("{t} = {s}.get(Thing, 1)", 2), ("{s}.flush()", 5), ("{s}.commit()", 4), ("{s}.rollback()", 3),
    ("{s}.close()", 3), ('{s}.execute(insert(Thing).values(name="dml"))', 3), ("{s}.execute(insert(Thing).values(id=1))", 1), ("{s}.begin()", 3),
    ("{s}.begin_nested()", 2), ("{s}.in_transaction()", 1), ("{s}.prepare()", 1), ("commits({s})", 1), ("rolls_back({s})", 1), ("closes({s})", 1),
    ("writes({s})", 1), ("outside({s})", 2),
)  # fmt: skip
BULK = (
    ('{s}.bulk_save_objects([Thing(name="bulk")])', 2), ("{s}.bulk_save_objects([Thing(name=None)])", 2), ('{s}.bulk_insert_mappings(Thing, [{{"name": "bulk"}}])', 1),
)  # fmt: skip
"""Operations of the programs from the seed `BULKY` on: those before it stay what they were."""
BULKY = 100_000
OPENINGS = (("with SessionLocal() as {s}:", 4), ("with SessionLocal.begin() as {s}:", 3), ("with saving() as {s}:", 1), ("with reading() as {s}:", 1))
BLOCKS = (("with {s}:", 1), ("with {s}.begin():", 2), ("with {s}.begin_nested():", 2))


def program(seed: int) -> str:
    """The text of one program."""
    return _Writing(random.Random(seed)).run(seed)


class _Writing:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.room = chance.randint(3, 12)
        self.sessions = 0
        self.lines: list[str] = []
        self.operations = OPERATIONS

    def run(self, seed: int) -> str:
        self.operations = OPERATIONS + BULK if seed >= BULKY else OPERATIONS
        self.lines.append(f"def program_{seed}(flag):")
        self.block(1, [], first=True)
        return "\n".join(self.lines) + "\n"

    def put(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def name(self) -> str:
        self.sessions += 1
        return f"s{self.sessions}"

    def block(self, depth: int, names: list[str], *, first: bool = False, plain: bool = False) -> None:
        """Statements until room or luck ends; `names` are the sessions at hand."""
        if first:
            self.open(depth, names)
        for _ in range(12 if first else self.chance.randint(1, 3)):
            if self.room <= 0:
                break
            if self.statement(depth, names, plain):
                return
        if not first and len(self.lines[-1]) - len(self.lines[-1].lstrip()) < 4 * depth:
            self.put(depth, "pass")

    def open(self, depth: int, names: list[str]) -> None:
        new = self.name()
        if depth < 4 and self.chance.random() < 0.4:
            self.put(depth, self.picked(OPENINGS).format(s=new))
            self.block(depth + 1, [*names, new])
        else:
            self.put(depth, self.chance.choice(("{s} = SessionLocal()", "{s} = SessionLocal()", "{s} = opens()")).format(s=new))
        names.append(new)

    def picked(self, choices: tuple[tuple[str, int], ...]) -> str:
        return self.chance.choices([text for text, _ in choices], [weight for _, weight in choices])[0]

    def statement(self, depth: int, names: list[str], plain: bool) -> bool:
        """One statement; whether control surely does not go on behind it."""
        kind = "operation" if plain or depth > 3 else self.chance.choices(
            ("operation", "open", "if", "for", "try", "with", "return", "raise", "fail"), (60, 3, 6, 5, 14, 8, 2, 2, 4)
        )[0]  # fmt: skip
        session = self.chance.choice(names)
        match kind:
            case "operation":
                self.room -= 1
                self.put(depth, self.picked(self.operations).format(s=session, t=f"thing{self.room}"))
            case "open":
                self.open(depth, names)
            case "if":
                self.put(depth, "if flag:")
                self.block(depth + 1, [*names])
                if self.chance.random() < 0.4:
                    self.put(depth, "else:")
                    self.block(depth + 1, [*names])
            case "for":
                self.put(depth, f"for _ in range({self.chance.randint(0, 2)}):")
                self.block(depth + 1, [*names])
            case "with":
                self.put(depth, self.picked(BLOCKS).format(s=session))
                self.block(depth + 1, [*names])
            case "try":
                self.put(depth, "try:")
                self.block(depth + 1, [*names])
                ending = self.chance.choice(("except", "except", "finally", "both"))
                if ending != "finally":
                    self.put(depth, f"except {self.chance.choice(('IntegrityError', 'Exception'))}:")
                    self.block(depth + 1, [*names], plain=True)
                    if self.chance.random() < 0.3:
                        self.put(depth + 1, "raise")
                if ending != "except":
                    self.put(depth, "finally:")
                    self.block(depth + 1, [*names], plain=True)
            case "fail":
                self.room -= 1
                self.put(depth, f"{session}.add(Thing(name=None))")
                for text in ("try:", f"    {session}.flush()", "except Exception:", "    pass"):
                    self.put(depth, text)
            case "return" | "raise":
                self.put(depth, "return" if kind == "return" else "raise Own")
                return True
        return False
