"""What runs beside the caller: threads, processes, tasks, and the sessions that they are given.

    worker = Thread(target=audit, args=(session,))      a Job: `audit` surely uses the session, once it runs
    worker.start()                                      the session is lent
    session.commit()                                    used by two at once: reported where the Job was made
    worker.join()                                       the session is back

A session is lent only to work that surely uses it outside of any lock; what else takes it along may do anything to it, to our silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Const, Expression, Lambda, Name, Row, Star, Table, dotted
from sa_session_lint.model.protocol import ANY, SUSPENDING, WORKING
from sa_session_lint.model.value import Class, Engine, External, Function, Made, Method, Place, Registry, Session, Value
from sa_session_lint.typestate.sketch import attributes_in, names_in
from sa_session_lint.typestate.state import (
    Abstract,
    Bound,
    Group,
    Job,
    Loc,
    Object,
    Pending,
    Record,
    Ref,
    Scope,
    is_followed,
    locs_in,
    objects_in,
    sessions_in,
)
from sa_session_lint.typestate.way import Outcome, Way

if TYPE_CHECKING:
    from sa_session_lint.typestate.transfer import Transfer


class Form(NamedTuple):
    """Where a call that starts something takes a function and its arguments: the rest of its own, or `packed` in a tuple and a dict."""

    function: int
    arguments: int
    packed: bool = False
    names: tuple[str, ...] = ("target", "func", "function")


_OBJECT = Form(1, 3, packed=True)
_DIRECT = Form(0, 1)
_PACKED = Form(0, 1, packed=True)
FORMS = {
    **dict.fromkeys(v.PROCESS_STARTERS | {"threading.Thread"}, _OBJECT), "threading.Timer": Form(1, 2, packed=True), "_thread.start_new_thread": _PACKED,
    "submit": _DIRECT, "apply": _PACKED, "apply_async": _PACKED, "run_in_executor": Form(1, 2), "start_soon": _DIRECT,
}  # fmt: skip


@dataclass(slots=True)
class Work:
    """A function to be called, with what it is given as far as that is known."""

    function: Expression | None
    positional: tuple[tuple[Expression | None, Abstract], ...] = ()
    keywords: tuple[tuple[str, Expression | None, Abstract], ...] = ()


class Concurrency:
    """The calls of one sketch that start something."""

    def __init__(self, transfer: Transfer) -> None:
        self.of = transfer

    # -- what is to be called -----------------------------------------------------------------------------------------

    def work(self, call: Call, arguments: tuple[Abstract, ...], form: Form) -> Work:
        """What a call of this form will have called."""
        positional = list(zip(call.arguments, arguments, strict=False))
        if any(isinstance(argument, Star) for argument, _ in positional):
            positional = positional[: next(at for at, (argument, _) in enumerate(positional) if isinstance(argument, Star))]
        named = {key: (value, held) for (key, value), held in zip(call.keywords, arguments[len(call.arguments) :], strict=True) if key is not None}
        function = next((named.pop(name)[0] for name in form.names if name in named), None)
        at = form.arguments
        if function is None:
            function = positional[form.function][0] if len(positional) > form.function else None
        elif not form.packed:
            at -= 1
        if not form.packed:
            return Work(function, tuple(positional[at:]), tuple((key, value, held) for key, (value, held) in named.items()))
        given = named.get("args", positional[at] if len(positional) > at else (None, None))
        keywords = next((named[name] for name in ("kwargs", "kwds") if name in named), positional[at + 1] if len(positional) > at + 1 else (None, None))
        return Work(function, _spread(*given), self.spelled(keywords[0], keywords[1]))

    def spelled(self, expression: Expression | None, value: Abstract) -> tuple[tuple[str, Expression | None, Abstract], ...]:
        """The keywords in a dict display."""
        if not isinstance(expression, Table) or not isinstance(value, Group):
            return ()
        return tuple((key.value, item, held) for (key, item), held in zip(expression.items, value.items, strict=False) if isinstance(key, Const) and isinstance(key.value, str))

    def used(self, work: Work, way: Way) -> tuple[Ref, ...]:
        """The sessions that work surely uses, each once."""
        if work.function is None:
            return ()
        found: list[Loc] = []
        held = self.of.evaluate(work.function, way)
        if isinstance(held, Bound):
            found += [ref.loc for ref in held.used]
        function = self.called(work.function, way)
        if isinstance(function, Function):
            found += self.own_used(work.function, function, way)
            names = self.of.facts.parameters(function)
            given = [*zip(names, work.positional, strict=False), *((key, (value, held)) for key, value, held in work.keywords)]
            for name, (expression, value) in given:
                if isinstance(value, Ref) and not self.is_registry(expression) and self.of.facts.uses(function, name, way.state(value.loc).kind == "async"):
                    found.append(value.loc)
                elif isinstance(value, Record):
                    found += self.fields_used(function, name, value, way)
        return tuple(Ref(loc) for loc in dict.fromkeys(found))

    def called(self, function: Expression, way: Way) -> Value:
        """The function that an expression stands for, also as a method of an object that is followed."""
        if isinstance(function, Attribute):
            owner = self.of.evaluate(function.value, way)
            if isinstance(owner, Record):
                method = self.of.facts.method(Class(owner.path, owner.qualname), function.name)
                return replace(method, receiver=Class(owner.path, owner.qualname)) if method is not None else self.of.value(function)
        return self.of.value(function)

    def fields_used(self, function: Function, name: str, record: Record, way: Way) -> list[Loc]:
        """The sessions in an object's fields that a function surely uses."""
        held = ((field, held) for field, held in record.fields if isinstance(held, Ref))
        return [ref.loc for field, ref in held if self.of.facts.uses(function, f"{name}.{field}", way.state(ref.loc).kind == "async")]

    def own_used(self, expression: Expression, function: Function, way: Way) -> Iterator[Loc]:
        """The sessions in the fields of this method's own object that another method of it, `self.load`, surely uses."""
        me, other = self.of.sketch.me, self.of.facts.receiver(function)
        if me is None or other is None or not isinstance(expression, Attribute) or expression.value != Name(me) or me in way.env:
            return
        owner = Class(self.of.path, self.of.sketch.function.qualname.rpartition(".")[0])
        for field in sorted(self.of.facts.fields(function)):
            held = Attribute(Name(me), field)
            session = self.of.value(held)
            if not isinstance(session, Session) or self.of.facts.method(owner, field) is not None:
                continue
            if self.of.facts.uses(function, f"{other}.{field}", session.kind == "async"):
                ref = self.of.evaluate(held, way)
                if isinstance(ref, Ref):
                    yield ref.loc

    def is_registry(self, expression: Expression | None) -> bool:
        """Whether an expression is a registry itself, which has another session for each thread."""
        return expression is not None and isinstance(self.of.value(expression), Registry)

    # -- callables that take sessions along ---------------------------------------------------------------------------

    def method(self, owner: Abstract, expression: Attribute, way: Way) -> Bound | None:
        """A method of a session, or of an object that holds one, that is not called yet."""
        if isinstance(owner, Ref):
            return Bound((owner,), (owner,) if expression.name in WORKING and not self.is_registry(expression.value) else ())
        if isinstance(owner, Record):
            method = self.of.facts.method(Class(owner.path, owner.qualname), expression.name)
            me = self.of.facts.receiver(method) if method is not None else None
            if method is not None and me is not None and locs_in(owner):
                return Bound((owner,), tuple(Ref(loc) for loc in self.fields_used(method, me, owner, way)))
        return None

    def closure(self, name: str, way: Way) -> Bound | None:
        """A function defined in this one."""
        held = [(each, value) for each in sorted(self.of.sketch.closures[name]) if locs_in(value := way.env.get(each))]
        if not held:
            return None
        function = self.of.value(Name(name))
        used = [value for each, value in held if isinstance(value, Ref) and isinstance(function, Function) and self.of.facts.uses(function, each, way.state(value.loc).kind == "async")]
        return Bound(tuple(value for _, value in held), tuple(value for value in used if isinstance(value, Ref)))

    def function(self, body: Expression, way: Way) -> Bound | None:
        """A lambda: it uses what the calls in its body use."""
        names: set[str] = set()
        calls: list[Call] = []
        names_in(body, names, calls)
        held = tuple(way.env[n] for n in sorted(names) if n in way.env and locs_in(way.env[n]))
        used: dict[Ref, None] = {}
        for call in calls:
            if isinstance(call.function, Attribute):
                bound = self.method(self.of.evaluate(call.function.value, way), call.function, way)
                used.update(dict.fromkeys(bound.used if bound is not None else ()))
            arguments = tuple(self.of.evaluate(a, way) for a in (*call.arguments, *(value for _, value in call.keywords)))
            used.update(dict.fromkeys(self.used(self.work(Call(call.function, (call.function, *call.arguments), call.keywords, call.at), (None, *arguments), _DIRECT), way)))
        return Bound(held or tuple(used), tuple(used)) if held or used else None

    def partial(self, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Bound | None:
        held = tuple(argument for argument in arguments if is_followed(argument))
        return Bound(held, self.used(self.work(call, arguments, _DIRECT), way)) if held else None

    def coroutine(self, call: Call, arguments: tuple[Abstract, ...], receiver: Abstract, way: Way) -> Pending:
        """What calling a coroutine function gives."""
        if call.at in self.of.awaited and not self.of.sketch.spawns:
            return Pending(call, arguments, receiver)  # it runs at once, by itself
        if isinstance(receiver, Ref):
            name = call.function.name if isinstance(call.function, Attribute) else ""
            used: tuple[Ref, ...] = (receiver,) if name in SUSPENDING and isinstance(call.function, Attribute) and not self.is_registry(call.function.value) else ()
        else:
            work = self.work(Call(call.function, (call.function, *call.arguments), call.keywords, call.at), (None, *arguments), _DIRECT)
            used = self.used(work, way)
        return Pending(call, arguments, receiver, self.overlapping(used, way))

    def overlapping(self, refs: tuple[Ref, ...], way: Way) -> tuple[Ref, ...]:
        """The sessions that tasks of one event loop may use at once: with any other, each call is over before another task has its turn."""
        return tuple(ref for ref in refs if way.state(ref.loc).kind == "async")

    # -- starting, and waiting ----------------------------------------------------------------------------------------

    def let(self, arguments: Iterable[Abstract], way: Way) -> None:
        """Work of which nothing is known but what it takes along may do to that whatever would make us silent."""
        for argument in arguments:
            for loc in sessions_in(argument):
                state = way.state(loc)
                way.update(
                    loc, txn=state.txn if state.blocks else ANY, unsaved=None, begun=None, fresh=False, poisoned=None,
                    owner="given" if state.owner == "here" else state.owner,
                )  # fmt: skip

    def start(self, job: Job, way: Way, turns: int = 1) -> Job:
        """Begin to run: the sessions of the job are lent. `turns` counts how often it runs at the same time."""
        for ref in job.inner:
            lent = way.state(ref.loc).lent
            if turns > 1 or (lent is not None and not (job.once and lent == job.at)):
                way.faults.append(("shared", ref.loc, job.at))
        self.let(job.inner, way)
        for ref in job.inner:
            way.update(ref.loc, lent=job.at, kept=False)
        return replace(job, started=True)

    def job(self, value: Abstract, at: Place) -> Job | None:
        """Work that has not begun."""
        if isinstance(value, Pending):
            return Job(value.used, at)
        return replace(value, at=at) if isinstance(value, Job) and not value.started else None

    def task(self, arguments: tuple[Abstract, ...], at: Place, way: Way) -> Outcome:
        """`create_task(coroutine)`."""
        first = arguments[0] if arguments else None
        job = self.job(first, at)
        if job is None:
            return (([(way, first)], []) if isinstance(first, Job) else self.of.calls.unknown(arguments, way))
        self.let(arguments, way)
        return [(way, self.start(job, way))], []

    def made(self, work: Work, arguments: tuple[Abstract, ...], at: Place, way: Way, started: bool) -> Outcome:
        """A thread, or what else runs a function beside the caller; `started` at once or later."""
        way.faults += [("object to thread", each.loc, each.at) for each in self.shared(work, way) if each.loc is not None]
        return self.launched(Job(self.used(work, way), at), arguments, way, started)

    def shared(self, work: Work, way: Way) -> Iterator[Object]:
        """The objects of sessions of which work, when it runs, reads what their session may have to load, or which it changes."""
        if isinstance(work.function, Lambda):
            for name, attribute in attributes_in(work.function.body):
                held = way.env.get(name)
                if isinstance(held, Object) and self.is_attached(held, way) and (held.expired is not None or self.loads(held, attribute)):
                    yield held
            calls: list[Call] = []
            names_in(work.function.body, set(), calls)
            for call in calls:
                arguments = tuple(self.of.evaluate(each, way) for each in (*call.arguments, *(value for _, value in call.keywords)))
                yield from self.shared(self.work(Call(call.function, (call.function, *call.arguments), call.keywords, call.at), (None, *arguments), _DIRECT), way)
            return
        function = self.called(work.function, way) if work.function is not None else None
        if not isinstance(function, Function):
            return
        named = [*zip(self.of.facts.parameters(function), (value for _, value in work.positional), strict=False), *((key, value) for key, _, value in work.keywords)]
        for name, value in named:
            for held in objects_in(value):
                if self.is_attached(held, way) and self.of.facts.shares(function, name, held.model, held.expired is not None):
                    yield held

    def is_attached(self, held: Object, way: Way) -> bool:
        """Whether an object is surely in a session that is not closed."""
        return held.loc in way.heap and held.detached is None and (held.loaded or held.expired is not None) and not held.gone

    def loads(self, held: Object, name: str) -> bool:
        """Whether an attribute of an object is a relationship or a deferred column that it has not loaded."""
        what = self.of.facts.attribute(held.model, name) if held.model is not None else None
        return what in {"lazy", "lazy one", "deferred"} and not (held.fetched is not None and name in held.fetched)

    def launched(self, job: Job, arguments: tuple[Abstract, ...], way: Way, started: bool) -> Outcome:
        self.let(arguments, way)
        return [(way, self.start(job, way) if started else job)], [way.copy()]

    def begun(self, job: Job, way: Way) -> Outcome:
        """`thread.start()`"""
        if not job.started:
            self.start(job, way)
        return [(way, None)], [way.copy()]

    def object(self, kind: str, me: Abstract, cls: Class, at: Place, way: Way) -> Abstract:
        """An object of the project that is a thread or a process."""
        if not isinstance(me, Record):
            return None
        if kind == "process":
            self.sent((me,), at, way)
            return me
        run = self.of.facts.method(cls, "run")
        name = self.of.facts.receiver(run) if run is not None else None
        if run is None or name is None:
            return me
        return Job(tuple(Ref(loc) for loc in self.fields_used(run, name, me, way)), at)

    def in_pool(self, kind: str, name: str, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Outcome:
        """A method of a pool of threads or processes, or of one thread."""
        at = self.of.place(call.at)
        if name in v.ENDING:
            self.waited(way)
            return [(way, None)], [way.copy()]
        if kind == "process":
            work = self.work(call, arguments, FORMS.get(name, _DIRECT))
            return self.process(work, arguments, at, way)
        if kind == "single":
            self.let(arguments, way)
            return [(way, Job((), at, started=True))], [way.copy()]
        if name in FORMS:
            outcome = self.made(self.work(call, arguments, FORMS[name]), arguments, at, way, True)
            if name == "apply":
                for each, job in outcome[0]:
                    self.returned(job, each)
            return outcome
        work = self.work(call, arguments, _DIRECT)
        elements = [(_element(value)) for _, value in work.positional]
        if name.startswith("starmap"):
            first = elements[0] if elements else None
            each_turn = Work(work.function, _spread(None, first))
        else:
            each_turn = Work(work.function, tuple((None, value) for value in elements))
        job = Job(self.used(each_turn, way), at)
        self.let(arguments, way)
        self.start(job, way, turns=2)
        self.returned(job, way)  # the results are read, or dropped: nothing more is to be told
        return [(way, None)], [way.copy()]

    def gathered(self, arguments: tuple[Abstract, ...], at: Place, way: Way) -> Outcome:
        """Coroutines run at once, and are waited for."""
        counts: dict[Loc, int] = {}

        def count(value: Abstract, turns: int) -> None:
            if isinstance(value, Group):
                for item in value.items:
                    count(item, 2 if value.open else turns)
            elif (job := self.job(value, at)) is not None:
                for ref in job.inner:
                    if ref.loc[0] != "older":  # which stands for several
                        counts[ref.loc] = counts.get(ref.loc, 0) + turns

        for argument in arguments:
            count(argument, 1)
        for loc, turns in counts.items():
            self.start(Job((Ref(loc),), at), way, turns)
        self.let(arguments, way)
        for argument in arguments:
            self.returned(argument, way)
        for loc in counts:
            way.update(loc, lent=None)
        return [(way, None)], [way.copy()]

    def awaited(self, job: Job, way: Way) -> Outcome:
        """Wait for work, which runs until then."""
        if not job.started:
            self.met(job.inner, way)
            self.let(job.inner, way)
            return [(way, None)], [way.copy()]
        self.returned(job, way)
        return [(way, None)], [way.copy()]

    def met(self, refs: tuple[Ref, ...], way: Way) -> None:
        """The caller itself uses sessions."""
        way.faults += [("shared", ref.loc, lent) for ref in refs if (lent := way.state(ref.loc).lent) is not None]

    def returned(self, value: Abstract, way: Way) -> None:
        """What ran beside the caller has ended."""
        for loc in locs_in(value):
            if way.state(loc).lent is not None:
                way.update(loc, lent=None, kept=False)

    def waited(self, way: Way) -> None:
        """Whatever was started may have ended by now."""
        for loc in list(way.heap):
            if way.state(loc).lent is not None:
                way.update(loc, lent=None, kept=False)

    def keep(self, arguments: tuple[Abstract, ...], way: Way) -> None:
        """Work is put where somebody else may wait for it."""
        for argument in arguments:
            if isinstance(argument, Group):
                self.keep(argument.items, way)
            for loc in locs_in(argument) if isinstance(argument, Job) else ():
                if way.state(loc).lent is not None:
                    way.update(loc, kept=True)

    # -- which of these a call is -------------------------------------------------------------------------------------

    def known_as(self, function: Value) -> Value:
        """A method of an event loop or of a context of processes under the name of the function that does the same."""
        match function:
            case Method(Made("multiprocessing.get_context"), name):
                return External(f"multiprocessing.{name}")
            case Method(Made(dotted), ("create_task" | "run_in_executor") as name) if dotted in v.EVENT_LOOPS:
                return External(f"asyncio.{name}")
        return function

    def pool(self, value: Value) -> str | None:
        """What kind of pool a value is."""
        if not isinstance(value, Made):
            return None
        if value.dotted in v.PROCESS_POOLS:
            return "process"
        return self.threads(self.of.facts.call(value.place)) if value.dotted in v.THREAD_POOLS else None

    def threads(self, call: Call | None) -> str:
        """The kind of a pool of threads: one that has a single thread does one thing after the other."""
        number = next((call.keyword(name) for name in ("max_workers", "processes") if call.keyword(name) is not None), None) if call is not None else None
        if number is None and call is not None and call.arguments:
            number = call.arguments[0]
        return "single" if number == Const(1) else "thread"

    def begin(self, dotted: str, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Outcome:
        """A call of the standard library, or of what stands in for it, that starts something or makes what does."""
        at = self.of.place(call.at)
        if dotted in v.THREAD_POOLS:
            return [(way, Scope(self.threads(call), None, at))], []
        if dotted in v.PROCESS_POOLS:
            return [(way, Scope("process", None, at))], []
        if dotted in v.TASK_GROUPS:
            return [(way, Scope("group", None, at))], []
        if dotted in v.PROCESS_STARTERS:
            return self.process(self.work(call, arguments, FORMS[dotted]), arguments, at, way)
        if dotted == "asyncio.run_in_executor":
            kind = arguments[0].kind if arguments and isinstance(arguments[0], Scope) else self.pool(self.of.value(call.arguments[0])) if call.arguments else None
            work = self.work(call, arguments, FORMS["run_in_executor"])
            if kind == "process":
                return self.process(work, arguments, at, way)
            return self.made(work, arguments, at, way, True)
        if dotted in v.THREAD_STARTERS:
            return self.made(self.work(call, arguments, FORMS.get(dotted, _DIRECT)), arguments, at, way, dotted == "_thread.start_new_thread")
        if dotted in v.TASK_STARTERS:
            return self.task(arguments, at, way)
        if dotted in v.WAITING:
            for argument in arguments:
                self.returned(argument, way)
            return [(way, None)], [way.copy()]
        return self.gathered(arguments, at, way)

    def in_group(self, name: str, call: Call, arguments: tuple[Abstract, ...], way: Way) -> Outcome:
        """A task of a task group."""
        at = self.of.place(call.at)
        if name == "create_task":
            return self.task(arguments, at, way)
        used = self.used(self.work(call, arguments, _DIRECT), way)
        return self.launched(Job(self.overlapping(used, way), at), arguments, way, True)

    # -- processes ----------------------------------------------------------------------------------------------------

    def process(self, work: Work, arguments: tuple[Abstract, ...], at: Place, way: Way) -> Outcome:
        """Something is sent to another process: a copy of it runs there."""
        self.sent(arguments, at, way)
        function = work.function
        if isinstance(function, Call) and self.of.value(function.function) == External("functools.partial") and function.arguments:
            work = Work(function.arguments[0], tuple((part, None) for part in function.arguments[1:]), tuple((key or "", part, None) for key, part in function.keywords))
        for name, part in self.received(work):
            value = self.of.value(part)
            called = self.of.value(work.function) if work.function is not None else None
            if isinstance(value, Engine) and self.is_pooled(value) and not (name and isinstance(called, Function) and self.of.facts.disposes(called, name)):
                way.faults.append(("to process", ("engine", dotted(part) or "the engine"), at))
        return [(way, None)], [way.copy()]

    def received(self, work: Work) -> Iterator[tuple[str | None, Expression]]:
        """What the function gets, each with the name of its parameter where that is known."""
        function = self.of.value(work.function) if work.function is not None else None
        names = self.of.facts.parameters(function) if isinstance(function, Function) else ()
        for at, (part, _) in enumerate(work.positional):
            if part is not None:
                yield (names[at] if at < len(names) else None), part
        for key, part, _ in work.keywords:
            if part is not None:
                yield key, part

    def is_pooled(self, engine: Engine) -> bool:
        """Whether an engine keeps connections that a forked process would share."""
        call = self.of.facts.call(engine.place)
        pool = call.keyword("poolclass") if call is not None else None
        return call is not None and not call.spread and (pool is None or dotted(pool) is None or not (dotted(pool) or "").endswith("NullPool"))

    def sent(self, values: tuple[Abstract, ...], at: Place, way: Way) -> None:
        """Sessions, or objects of theirs, are sent to another process."""
        for loc in dict.fromkeys(loc for value in values for loc in (*sessions_in(value), *_loaded_by(value))):
            way.faults.append(("to process", loc, at))


def _spread(expression: Expression | None, value: Abstract) -> tuple[tuple[Expression | None, Abstract], ...]:
    """The arguments in a tuple or list of them."""
    if isinstance(expression, Row) and not any(isinstance(item, Star) for item in expression.items):
        held = value.items if isinstance(value, Group) and not value.open else (None,) * len(expression.items)
        return tuple(zip(expression.items, held, strict=True))
    return tuple((None, item) for item in value.items) if isinstance(value, Group) and not value.open else ()


def _element(value: Abstract) -> Abstract:
    """What a function that is mapped over something gets of it in each turn, where that is the same in all."""
    same = isinstance(value, Group) and len(set(value.items)) == 1 and (value.open or len(value.items) > 1)
    return value.items[0] if isinstance(value, Group) and same else None


def _loaded_by(value: Abstract) -> tuple[Loc, ...]:
    """The sessions of the objects in a value."""
    return tuple(each.loc for each in objects_in(value) if each.loc is not None)
