"""Random programs that read attributes of objects, and give objects to sessions; those from the seed `WIDE` on have loops, blocks that are left by an error, and
a part of them runs under asyncio. The seeds before it stay what they were."""

from __future__ import annotations

import random
import re

HEADER = """from contextlib import aclosing, closing

from sqlalchemy import Column, ForeignKey, Integer, String, create_engine, delete, insert, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncAttrs, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, deferred, joinedload, make_transient, make_transient_to_detached, relationship, selectinload, sessionmaker


class Base(AsyncAttrs, DeclarativeBase):
    pass


engine = create_engine("sqlite://")
SessionLocal = sessionmaker(engine)
Kept = sessionmaker(engine, expire_on_commit=False)
AsyncLocal = async_sessionmaker(create_async_engine("sqlite+aiosqlite://"))
AsyncKept = async_sessionmaker(create_async_engine("sqlite+aiosqlite://"), expire_on_commit=False)
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


async def async_save(session, thing):
    session.add(thing)
    await session.commit()


async def async_renew(session, thing):
    await session.refresh(thing)


async def async_done(session):
    await session.commit()


async def async_undo(session):
    await session.rollback()


async def async_shut(session):
    await session.close()


async def async_load(key):
    async with AsyncLocal() as session:
        return await session.get(Thing, key)


async def async_load_saved(key):
    async with AsyncLocal() as session:
        thing = await session.get(Thing, key)
        thing.name = "saved"
        await session.commit()
    return thing


async def async_make(name):
    async with AsyncLocal() as session:
        thing = Thing(name=name)
        await async_save(session, thing)
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

WIDE = 200_000
"""From this seed on programs have what stands below, too."""
MORE_OPENINGS = (*OPENINGS, ("with closing(SessionLocal()) as {s}:", 1), ("with Kept.begin() as {s}:", 1))
MORE_LOADS = (
    *LOADS, ('{t} = Thing(id=7, name="seven")', 1), ("{t} = {s}.get(Thing, 1, populate_existing=True)", 1), ("{t} = {s}.get(Thing, 2)", 2), ("{t} = {s}.query(Thing).filter_by(id=2).one()", 1),
    ("{t} = {s}.merge({u})", 1), ("{t} = {s}.scalars(select(Thing).execution_options(populate_existing=True)).first()", 1), ('{t} = Thing(name="new")', 3),
)  # fmt: skip
MORE_OPERATIONS = (
    *OPERATIONS, ("{s}.delete({t})", 5), ("{s}.expunge({t})", 2), ("{s}.flush()", 3), ("{s}.reset()", 1), ("{s}.invalidate()", 1), ("make_transient({t})", 1), ("make_transient_to_detached({t})", 1), ("{s}.merge({t})", 2),
    ('{s}.execute(update(Thing).where(Thing.id == 1).values(name="sent"))', 1), ("{s}.execute(delete(Thing).where(Thing.id == 1))", 1), ("{s}.add({t})", 2),
    ("{t}.id = 5", 1), ('{t}.name += "!"', 1), ("{{}}[{t}.id] = 1", 1), ("assert {t}.name", 1), ('{t}.notes = "noted"', 1), ('{s}.add(Thing(name="other"))', 1), ("{s}.execute(insert(Thing).values(id=1))", 1), ('{s}.expire({t}, ["name"])', 1),
)  # fmt: skip
MORE_READS = (
    *READS, "print(inspect({t}).identity)", "print({t}.name, {t}.parts)", 'print("there" if {t}.name else "")', 'print({t}.name + "!")', "print({t}.id == 1)", "print(not {t}.notes)",
    "print(f\"{{{t}.name + '!'}}\")", 'print(getattr({t}, "name"))', "print((lambda: {t}.name)())", "print([each.name for each in [{t}]])", 'print({t}.name or "")', "print({t}.name and {t}.id)",
    "print({{1: {t}.id + 1}})", "print({t}.name.upper())",
)  # fmt: skip
TESTS = ("flag", "flag", "flag", "{t}.name", "{t}.id + 1 > 2", "not {t}.parts", '{t}.name == "one"', "{t} is not None", "{t}.id and flag")
LOOPS = (
    ("for {t} in {s}.query(Thing).all():", 3), ("for {t} in {s}.scalars(select(Thing)).all():", 3), ("for {t} in {s}.execute(select(Thing)).scalars().all():", 1),
    ("for _ in range(2):", 3), ("for {t} in {s}.scalars(select(Thing)):", 1), ("for {t} in {s}.query(Thing):", 1),
)  # fmt: skip
BLOCKS = (("with {s}.begin_nested():", 3), ("with {s}.begin():", 2), ("with {s}.no_autoflush:", 1), ("with {s}:", 1))

SHOWN = (
    227, 279, 350, 249, 478, 1199, 1320, 1435, 1529, 1993, 2006, 2684, 3233, 7613, 8594, 31039, 32130, 54518, 200151, 200169, 200255, 200287, 200337, 200345, 200568, 201104, 201683,
    201944, 202083, 204700, 210636, 210931, 213019, 213131, 220597, 222362, 299504,
)  # fmt: skip
"""The programs that have shown an error of the model, which was mended. A change of this module gives the seeds other programs."""

_AWAITED = re.compile(r"n\d+\.\w+\(|s\d+\.(?:begin_nested|commit|rollback|flush|close|refresh|delete|merge|get|scalars|execute|reset|invalidate)\(")
_HELPED = re.compile(r"\b(save|renew|done|undo|shut|load|load_saved|make)\(")
_QUERY = re.compile(r"(s\d+)\.query\((\w+)\)")


DRILLED = 300_000
"""From this seed on programs bring an object into a state and do something to it, for every cell of the tables of cells.py."""
STATES = (
    ('{t} = Thing(name="new")',), ('{t} = Thing(name="new")', "{s}.add({t})"), ("{t} = {s}.get(Thing, 1)",), ("{t} = {s}.get(Thing, 1)", '{t}.name = "written"'),
    ("{t} = {s}.get(Thing, 1)", "{s}.commit()"), ("{t} = {s}.get(Thing, 1)", "{s}.expire({t})"), ("{t} = {s}.get(Thing, 1)", "{s}.delete({t})"),
    ("{t} = {s}.get(Thing, 1)", "{s}.delete({t})", "{s}.flush()"), ("{t} = {s}.get(Thing, 2)", "{s}.delete({t})", "{s}.commit()"), ("{t} = load(1)",), ("{t} = load_saved(1)",),
)  # fmt: skip
DONE = (
    "{s}.add({t})", "{s}.delete({t})", "{s}.merge({t})", "{s}.refresh({t})", "{s}.expire({t})", "{s}.expunge({t})", "{s}.flush()", "{s}.commit()", "{s}.rollback()", "{s}.close()",
    "{s}.reset()", "{s}.invalidate()", "{s}.expire_all()", "{s}.expunge_all()", "print({t}.name)", "print({t}.parts)",
)  # fmt: skip
HAPPENED = ("pass", "{s}.commit()", "{s}.rollback()", "{s}.expire({t})", "{s}.refresh({t})")
GONE = ("pass", "{s}.close()", "{s}.reset()", "{s}.invalidate()", "{s}.expunge({t})", "{s}.expunge_all()")
ASKED = ("print({t}.id)", "print({t}.name)", "print({t}.notes)", "print({t}.parts)", '{t}.name = "set"')


def program(seed: int) -> str:
    """The text of one program."""
    return _Writing(random.Random(seed), seed >= WIDE).run(seed)


def awaiting(line: str) -> str:
    """What a line is under asyncio."""
    line = _QUERY.sub(r"\1.scalars(select(\2))", line.replace(".filter_by(id=2)", "").replace("joinedload", "selectinload").replace("SessionLocal", "AsyncLocal").replace("Kept", "AsyncKept"))
    line = re.sub(r"\(select\((\w+)\)\)\.options\((.*?\))\)", r"(select(\1).options(\2))", line).replace("closing(", "aclosing(")
    if line.startswith("with ") and ".no_autoflush" not in line:
        return f"async {line}"
    if (helped := _HELPED.search(line)) is not None:
        line = f"{line[: helped.start()]}await async_{line[helped.start() :]}"
    if (found := _AWAITED.search(line)) is None:
        return line
    depth, end = 1, found.end()
    while depth:
        depth += {"(": 1, ")": -1}.get(line[end], 0)
        end += 1
    called, rest = line[found.start() : end], line[end:]
    if rest.startswith(".one()"):
        rest = ".first()" + rest[6:]
    return line[: found.start()] + (f"(await {called})" if rest.startswith(".") else f"await {called}") + rest


class _Writing:
    def __init__(self, chance: random.Random, wide: bool) -> None:
        self.chance, self.wide = chance, wide
        self.is_async = wide and chance.random() < 0.35
        self.room = chance.randint(3, 9)
        self.sessions = self.things = 0
        self.loops = self.points = 0
        self.lines: list[str] = []

    def run(self, seed: int) -> str:
        self.lines.append(f"{'async ' if self.is_async else ''}def program_{seed}(flag):")
        if seed >= DRILLED:
            for _ in range(3):
                self.drilled()
            return "\n".join(self.lines) + "\n\n\n"
        things: list[str] = []
        self.opened(1, [], things)
        for _ in range(self.chance.randint(1, 4)):
            self.read(1, things)
        return "\n".join(self.lines) + "\n\n\n"

    def put(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + (awaiting(line) if self.is_async else line))

    def picked(self, choices: tuple[tuple[str, int], ...]) -> str:
        return self.chance.choices([line for line, _ in choices], [weight for _, weight in choices])[0]

    def drilled(self) -> None:
        """An object in a state, what is done to it, and what is read then. Whatever raises is over at once."""
        self.sessions += 2
        self.things += 1
        other, session, thing = f"s{self.sessions - 1}", f"s{self.sessions}", f"t{self.things}"
        maker = self.chance.choice(("SessionLocal", "Kept"))
        self.put(1, "try:")
        self.put(2, self.chance.choice((f"with {maker}() as {session}:", f"with closing({maker}()) as {session}:")))
        depth = 3
        match self.chance.choice(("state", "state", "other", "read", "read")):
            case "state":
                lines = [*self.chance.choice(STATES), self.chance.choice(DONE)]
            case "other":
                self.put(depth, f"with SessionLocal() as {other}:")
                self.put(depth + 1, f"{thing} = {other}.get(Thing, {self.chance.choice((1, 2))})")
                lines, depth = [self.chance.choice(DONE[:6])], depth + 1
            case _:
                lines = ["{t} = {s}.get(Thing, 1)", self.chance.choice(HAPPENED), self.chance.choice(GONE), self.chance.choice(ASKED)]
        if self.chance.random() < 0.2:
            lines.insert(self.chance.randint(1, len(lines)), self.picked(MORE_OPERATIONS))
        for line in lines:
            self.put(depth, line.format(s=session, t=thing))
        self.read(depth, [thing])
        if self.chance.random() < 0.3:
            self.put(depth, "raise ValueError")
        self.put(1, "except Exception:")
        self.put(2, "pass")
        self.put(1, "try:")
        self.read(2, [thing])
        self.put(1, "except Exception:")
        self.put(2, "pass")

    def opened(self, depth: int, sessions: list[str], things: list[str]) -> None:
        self.sessions += 1
        new = f"s{self.sessions}"
        if self.chance.random() < 0.3:
            self.put(depth, f"{new} = {self.chance.choice(('SessionLocal', 'Kept'))}()")
            self.load(depth, new, things)
            self.block(depth, [*sessions, new], things)
            self.put(depth, f"{new}.close()")
            return
        opening = self.picked(MORE_OPENINGS if self.wide else OPENINGS).format(s=new)
        if self.wide and self.chance.random() < 0.15:
            self.failing(depth, opening, new, [*sessions, new], things)
            return
        self.put(depth, opening)
        self.load(depth + 1, new, things)
        self.block(depth + 1, [*sessions, new], things)

    def failing(self, depth: int, opening: str, session: str, sessions: list[str], things: list[str]) -> None:
        """A block that is left by an error; what is read behind it was there before."""
        if not things:
            self.things += 1
            self.put(depth, f't{self.things} = Thing(name="before")')
            things.append(f"t{self.things}")
        self.put(depth, "try:")
        self.put(depth + 1, opening)
        self.operation(depth + 2, session, self.chance.choice(things))
        self.block(depth + 2, sessions, [*things])
        self.put(depth + 2, "raise ValueError")
        self.put(depth, "except ValueError:")
        self.put(depth + 1, "pass")

    def load(self, depth: int, session: str, things: list[str]) -> None:
        line = self.picked(MORE_LOADS if self.wide else LOADS)
        if "{u}" in line and not things:
            line = "{t} = {s}.get(Thing, 1)"
        self.things += 1
        other = self.chance.choice(things) if things else ""
        self.put(depth, line.format(s=session, t=f"t{self.things}", u=other))
        things.append(f"t{self.things}")

    def read(self, depth: int, things: list[str]) -> None:
        self.put(depth, self.chance.choice(self.reads).format(t=self.chance.choice(things)))

    @property
    def reads(self) -> tuple[str, ...]:
        return (*MORE_READS, "print(await {t}.awaitable_attrs.parts)") if self.is_async else MORE_READS if self.wide else READS

    def operation(self, depth: int, session: str, thing: str) -> None:
        self.put(depth, self.picked(MORE_OPERATIONS if self.wide else OPERATIONS).format(s=session, t=thing))

    def block(self, depth: int, sessions: list[str], things: list[str]) -> None:
        for _ in range(self.chance.randint(1, 5)):
            if self.room <= 0:
                return
            self.room -= 1
            session, thing = self.chance.choice(sessions), self.chance.choice(things)
            kinds, weights = ("operation", "load", "read", "if", "try", "open"), (50, 10, 16, 8, 6, 6)
            if self.wide:
                kinds, weights = (*kinds, "loop", "block", "savepoint"), (*weights, 7, 5, 2)  # type: ignore[assignment]  # longer ones
            match self.chance.choices(kinds, weights)[0]:
                case "operation":
                    self.operation(depth, session, thing)
                case "load":
                    self.load(depth, session, things)
                case "read":
                    self.read(depth, things)
                case "if":
                    self.put(depth, f"if {self.chance.choice(TESTS).format(t=thing) if self.wide else 'flag'}:")
                    self.operation(depth + 1, session, thing)
                case "try":
                    self.put(depth, "try:")
                    self.operation(depth + 1, session, thing)
                    self.put(depth, "except Exception:")
                    self.put(depth + 1, f"{session}.rollback()")
                case "open" if depth < 4:
                    self.opened(depth, sessions, things)
                case "loop" if depth < 4 and not self.loops:
                    self.looped(depth, session, sessions, things)
                case "savepoint":
                    self.points += 1
                    self.put(depth, f"n{self.points} = {session}.begin_nested()")
                    self.operation(depth, session, thing)
                    self.operation(depth, session, thing)
                    self.put(depth, f"n{self.points}.{self.chance.choice(('rollback', 'commit'))}()")
                case "block" if depth < 4:
                    opening = self.picked(BLOCKS).format(s=session)
                    if self.chance.random() < 0.3:
                        self.failing(depth, opening, session, sessions, things)
                        continue
                    self.put(depth, opening)
                    self.operation(depth + 1, session, thing)
                    self.block(depth + 1, sessions, [*things])

    def looped(self, depth: int, session: str, sessions: list[str], things: list[str]) -> None:
        """A loop, but none within another; what it goes through is not asked for behind it."""
        self.loops += 1
        line = self.picked(LOOPS)
        self.things += 1
        name = f"t{self.things}"
        inner = [name] if "{t}" in line else [*things]
        self.put(depth, line.format(s=session, t=name))
        if self.chance.random() < 0.7:
            self.read(depth + 1, inner)
        self.block(depth + 1, sessions, [*inner, *things] if self.chance.random() < 0.3 else inner)
        self.operation(depth + 1, session, self.chance.choice(inner))
        if self.chance.random() < 0.2:
            self.put(depth + 1, "if flag:")
            self.put(depth + 2, "break")
        self.loops -= 1
