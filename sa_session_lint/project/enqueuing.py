"""What is handed to a worker: `task.delay(...)`, `app.send_task(...)`, `actor.send(...)`, `queue.enqueue(f, ...)`; and how it gets there.

    @app.task                               a task of Celery: what it is given is JSON, unless somebody says otherwise
    def greet(user_id): ...

    greet.apply_async((user.id,))           Enqueued("Celery", Function(greet), given=(user.id,))
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Const, Expression, Name, Row, Star, Table
from sa_session_lint.model.value import Class, External, Function, Made, Value
from sa_session_lint.project.entry import entry, reached
from sa_session_lint.project.mapping import lineage
from sa_session_lint.project.outline import Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index


class Enqueued(NamedTuple):
    """What a call hands to a `task`, None where only its name is known. `at_once`: a worker may run it from now on."""

    framework: str
    task: Function | None
    given: tuple[Expression, ...]
    at_once: bool


def enqueued(index: Index, call: Call, scope: Scope, path: str) -> Enqueued | None:
    """What a call hands to a worker; None where it surely is no such call, or may be one that the project has made its own."""
    function = call.function
    if not isinstance(function, Attribute) or function.name not in _NAMES:
        return None
    target = index.value(function.value, scope, path)
    kind, task = _kind(index, target)
    if kind == "RQ" and call.arguments and isinstance(named := index.value(call.arguments[0], scope, path), Function):
        task = named
    form = v.ENQUEUING.get((kind, function.name))
    if form is None or is_customized(index) or (task is not None and _is_foreign(index, task)):
        return None
    skipped, packed, sends = form
    at_once = sends and not ((packed or kind == "RQ") and _waits(call))
    given = call.arguments[skipped:]
    if packed:
        packs = (*given[:2], call.keyword("args"), call.keyword("kwargs"))
        return Enqueued(kind, task, tuple(part for pack in packs if pack is not None for part in _unpacked(pack)), at_once)
    given += tuple(value for key, value in call.keywords if key is not None)
    return Enqueued(kind, task, tuple(part for part in given if not isinstance(part, Star)), at_once)


def has_queue(index: Index) -> bool:
    """Whether anything in the project names a library of queues."""
    return any(index.files_with(name) for name in ("celery", "dramatiq", "rq"))


def may_enqueue(scope: Scope) -> bool:
    """Whether a function calls anything by a name that enqueuing goes by."""
    return any(isinstance(call.function, Attribute) and call.function.name in _NAMES for call in scope.calls)


def is_json(index: Index, call: Call, what: Enqueued, path: str) -> bool:
    """Whether what a task is given surely is made JSON on its way: the default of Celery from 4.0 on and of Dramatiq, as long as nothing in the project says
    anything of another format. https://docs.celeryq.dev/en/stable/userguide/calling.html#serializers"""
    if what.framework == "RQ" or index.pins(path).surely_below("celery", "4.0") or index.once(("formats",), lambda: _names_format(index)):
        return False
    options = options_of(index, what.task) if what.task is not None else None
    return not call.spread and all(each is None or each == Const("json") for each in (call.keyword("serializer"), options.keyword("serializer") if options else None))


def options_of(index: Index, task: Function) -> Call | None:
    """The decorator that makes a function a task, if it says any more than that."""
    found = index.outline(task.path)
    decorators = found.scopes[task.qualname].decorators if found is not None else ()
    return next((each for each in decorators[:1] if isinstance(each, Call)), None)


def asks_for(index: Index, task: Function, model: Class) -> bool:
    """Whether a task, itself or by functions that it calls, asks for rows of a class, and does not try again what it did not find."""
    found, options = index.outline(task.path), options_of(index, task)
    if found is None or (options is not None and (options.spread or any(key in v.RETRYING_OPTIONS for key, _ in options.keywords))):
        return False
    scope = found.scopes[task.qualname]
    if any(isinstance(call.function, Attribute) and call.function.name == "retry" for call in scope.calls):
        return False
    return any(
        index.value(part, function, outline.path) == model
        for outline, function, _ in reached(index, found, scope, depth=3)
        for call in function.calls
        for part in _given_or_called_on(call)
    )


def _given_or_called_on(call: Call) -> Iterator[Expression]:
    """The names, with their attributes, among the arguments of a call and in what it is called upon: `session.get(User, 1)`, `User.query.all()`."""
    stack = [*call.arguments, *(value for _, value in call.keywords)]
    if isinstance(call.function, Attribute):
        stack.append(call.function.value)
    while stack:
        match part := stack.pop():
            case Name():
                yield part
            case Attribute(inner, _) | Star(inner):
                yield part
                stack.append(inner)
            case Row(items):
                stack += items


_NAMES = frozenset(name for _, name in v.ENQUEUING)
_FORMAT = re.compile(rb"(?i)task_serializer(?![\"']?(?:\s*:\s*\w+)?\s*[:=]\s*[\"']json[\"'])")
_PICKLE = re.compile(rb"[\"']pickle[\"']")
_ENCODERS = re.compile(rb"kombu\.(?:utils\.json|serialization)|import[^\n]*\bserialization")
_QUEUES = re.compile(rb"(?i)celery|kombu|dramatiq|serializer")


def _kind(index: Index, target: Value) -> tuple[str, Function | None]:
    """What something is called upon to enqueue: a task of a framework, an application, a queue."""
    match target:
        case Function(path, qualname):
            found = index.outline(path)
            scope = found.scopes[qualname] if found is not None else None
            entered = entry(index, found, scope) if found is not None and scope is not None else None
            if scope is not None and entered is not None and entered.kind == "task" and entered.place.at in scope.decorated_at[:1]:
                return entered.framework, Function(path, qualname)
        case Made(dotted) if dotted in v.CELERY_APPS:
            return "Celery application", None
        case Made(dotted) if dotted in v.RQ_QUEUES:
            return "RQ", None
    return "", None


def _unpacked(packed: Expression) -> tuple[Expression, ...]:
    """The parts of a tuple, a list or a dict of arguments, as far as they are spelled out."""
    match packed:
        case Row(items):
            return items
        case Table(pairs):
            return tuple(value for _, value in pairs)
    return (packed,)


def _waits(call: Call) -> bool:
    return any(key is None or key in v.DELAYING for key, _ in call.keywords)


def _is_foreign(index: Index, task: Function) -> bool:
    """Whether a task is of a class from outside that may do anything with what it is given."""
    options, found = options_of(index, task), index.outline(task.path)
    base = options.keyword("base") if options is not None else None
    value = index.value(base, found.module, task.path) if base is not None and found is not None else None
    return options is not None and (options.spread or (isinstance(value, External) and not value.dotted.startswith("celery.")))


def is_customized(index: Index) -> bool:
    """Whether the tasks of the project may have a way of their own to enqueue: it may prepare what it is given, or wait for the commit."""

    def search() -> bool:
        return any(
            scope.kind == "class" and name in scope.bindings and _is_of_queue(index, Class(found.path, scope.qualname))
            for name in ("apply_async", "delay", "send_task", "send_with_options")
            for path in index.files_with(name)
            if re.search(rb"(?m)\bdef[ \t]+%s\b|^[ \t]+%s[ \t]*[:=]" % (name.encode(), name.encode()), index.data(path) or b"") and (found := index.outline(path)) is not None
            for scope in found.scopes.values()
        ) or any(
            (given := call.keyword("task_cls")) is not None and not isinstance(index.value(given, scope, found.path), Class)
            for found, scope, call in index.calls_with("task_cls")
        )

    return index.once(("enqueues by itself",), search)


def _is_of_queue(index: Index, cls: Class) -> bool:
    """Whether a class may inherit from one of a library of queues: from anything but classes of the project and of the standard library."""
    return any(
        not isinstance(base, Class) and not (isinstance(base, External) and base.dotted.partition(".")[0] in sys.stdlib_module_names)
        for _, bases in lineage(index, cls)
        for base in bases
    )


def _names_format(index: Index) -> bool:
    """Whether a file of the project names another format than JSON, or teaches JSON more."""
    telling = (
        (("task_serializer", "TASK_SERIALIZER", "CELERY_TASK_SERIALIZER", "celery_task_serializer"), _FORMAT), (("pickle",), _PICKLE),
        (("kombu",), _ENCODERS), (("register_type", "set_encoder"), _QUEUES),
    )  # fmt: skip
    return any(pattern.search(index.data(path) or b"") for words, pattern in telling for word in words for path in index.files_with(word))
