"""Whether code may send SQL by a session: read in the order in which it runs, into the functions that it calls.

    session.add(User(name=form.name))       sends nothing, and reads `form` before anything is there to be flushed
    audit(user.id)                          after it: what is read may have to be loaded, and to load is to flush first

What is not known may send anything.
"""

from __future__ import annotations

import builtins
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import OPAQUE, Name, is_super
from sa_session_lint.model.value import UNKNOWN, Class, External, Function, Instance, Made, Method, Module, Registry, Session, Value
from sa_session_lint.project.mapping import attribute
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import callers
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_QUIET = frozenset({"append", "strip", "lower", "upper", "title", "encode", "decode", "format", "join", "replace", "isoformat", "debug", "info", "warning", "error", "exception"})
"""Methods of whatever it is that send nothing."""
_KEYED = frozenset({"get", "pop"})
"""Methods that send nothing if what they are given first is a text: they are those of a dict."""
_DUMPING = frozenset({"dict", "model_dump"})
"""Methods that read all attributes of what they are called on."""
_WRITES = frozenset({"add", "add_all", "delete"})
_FRAMES = 2
"""How many functions down it is looked."""


@dataclass(slots=True, eq=False)
class Reading:
    """Code of one file as it is read. `written`: to load something counts as sending, since something may be waiting for a flush; `writes` are the calls that have put it there."""

    index: Index
    outline: Outline
    frames: int = _FRAMES
    written: bool = False
    writes: list[cst.Call] = field(default_factory=list)

    def may_send(self, node: cst.CSTNode) -> bool:
        """Whether code may send SQL. What it writes is waiting for whatever is read next."""
        match node:
            case cst.With() | cst.Try() | cst.TryStar() | cst.Match() | cst.FunctionDef() | cst.ClassDef() | cst.Lambda() | cst.Yield():
                return True
            case cst.For(target, iterable, body, orelse):
                return node.asynchronous is not None or self.asks(iterable) or any(self.may_send(part) for part in (iterable, target, body, target, body, orelse) if part is not None)
            case cst.While(test, body, orelse):
                return any(self.may_send(part) for part in (test, body, test, body, orelse) if part is not None)
            case cst.CompFor(target, iterable):
                return node.asynchronous is not None or self.asks(iterable) or any(self.may_send(part) for part in children(node))
            case cst.ListComp() | cst.SetComp() | cst.DictComp() | cst.GeneratorExp():
                return any(self.may_send(part) for part in (*children(node), *children(node)))
            case cst.Assign(targets, value):
                return self.may_send(value) or any(self.sets(target.target) for target in targets)
            case cst.AnnAssign(target, _, value):
                return (value is not None and self.may_send(value)) or self.sets(target)
            case cst.AugAssign(target, _, value):
                return self.may_send(target) or self.may_send(value) or self.sets(target)
            case cst.Await(cst.Call(func=cst.Attribute(attr=cst.Name("delete"))) as call):
                return self.calls(call)
            case cst.Await() | cst.Del():
                return True
            case cst.Call():
                return self.calls(node)
            case cst.Attribute():
                return self.reads(node)
            case cst.Subscript():
                return not isinstance(node.slice[0].slice, cst.Index) or not isinstance(node.slice[0].slice.value, cst.SimpleString) or self.may_send(node.value)
        return any(self.may_send(child) for child in children(node))

    def asks(self, iterable: cst.BaseExpression) -> bool:
        """Whether what a loop runs through may be a query: all but what was given to the function, and what is made on the spot."""
        if not isinstance(iterable, cst.Name):
            return not isinstance(iterable, (cst.List, cst.Tuple, cst.Set, cst.Dict, cst.ListComp, cst.Call))
        scope = self.scope(iterable)
        return not any(parameter.name == iterable.value for parameter in scope.parameters) or iterable.value in scope.bindings

    def sets(self, target: cst.BaseExpression) -> bool:
        """The same of an assignment: a property may do anything, whatever else it sets is flushed later."""
        if not isinstance(target, cst.Attribute):
            return not isinstance(target, (cst.Name, cst.Tuple)) and self.may_send(target)
        if self.may_send(target.value) or self.is_property(target):
            return True
        self.written = True
        return False

    def reads(self, node: cst.Attribute) -> bool:
        """The same of an attribute: of a mapped object it may have to be loaded, which flushes first; of what is not known that is only ruled out as long as nothing waits."""
        if self.may_send(node.value):
            return True
        match owner := self.value(node.value):
            case Module() | Class() | Made():
                return False
            case External(dotted):
                return self.written and not is_sqlless(dotted)
            case Instance(path, qualname):
                model = Class(path, qualname)
                if self.is_property(node) or attribute(self.index, model, node.attr.value) not in {None, "column"}:
                    return True
                return self.written and not is_plain(self.index, model)
        return self.written or (isinstance(node.value, cst.Attribute) and owner is UNKNOWN and not isinstance(self.value(node.value.value), (Module, Instance)))

    def calls(self, node: cst.Call) -> bool:
        """The same of a call, arguments and all."""
        if is_super(self.outline.values.get(id(node.func.value), (OPAQUE, None))[0]) if isinstance(node.func, cst.Attribute) else False:
            return any(self.may_send(argument) for argument in node.args)
        if any(self.may_send(part) for part in (*([node.func.value] if isinstance(node.func, cst.Attribute) else []), *node.args)):
            return True
        value = self.value(node.func)
        match node.func:
            case cst.Attribute(owner, cst.Name(name)) if self.is_session(owner):
                if name not in _WRITES or (name == "delete" and self.written):  # to delete is to load what goes with it
                    return True
                self.written = True
                self.writes.append(node)
                return False
            case cst.Attribute(owner, cst.Name(name)) if value is UNKNOWN:
                known = self.value(owner)
                if isinstance(known, Instance) and is_plain(self.index, Class(known.path, known.qualname), "pydantic"):
                    return False
                keyed = name in _KEYED and bool(node.args) and isinstance(node.args[0].value, cst.SimpleString)
                return isinstance(owner, cst.Attribute) or not (name in _QUIET or keyed or (name in _DUMPING and not self.written))
        return self.runs(value, node)

    def runs(self, value: Value, call: cst.Call) -> bool:
        """The same of what is called."""
        match value:
            case Class(path, qualname):
                made = (self.index.member(path, qualname, name) for name in ("__new__", "__init__", "__post_init__"))
                return any(isinstance(each, Function) and self.runs(each, call) for each in made)
            case External(dotted) | Method(Made(dotted)):
                return not is_sqlless(dotted)
            case Function(path, qualname):
                outline = self.index.outline(path)
                scope = outline.scopes[qualname] if outline is not None else None
                node = outline.nodes[scope.at] if outline is not None and scope is not None else None
                if outline is None or scope is None or not isinstance(node, cst.FunctionDef) or not self.frames or scope.is_async or scope.is_generator or scope.decorators:
                    return True
                inner = Reading(self.index, outline, self.frames - 1, self.written)
                if inner.may_send(node.body):
                    return True
                self.written |= inner.written
                self.writes += [call] if inner.writes else []
                return False
        return True

    # -- what things are ----------------------------------------------------------------------------------------------

    def value(self, node: cst.CSTNode) -> Value:
        found = self.outline.values.get(id(node))
        return UNKNOWN if found is None else self.index.value(found[0], found[1], self.outline.path)

    def scope(self, node: cst.CSTNode) -> Scope:
        found = self.outline.values.get(id(node))
        return found[1] if found is not None else self.outline.module

    def is_property(self, node: cst.Attribute) -> bool:
        """Whether an attribute of an object is a function of its class."""
        owner = self.value(node.value)
        return isinstance(owner, Instance) and defines(self.index, Class(owner.path, owner.qualname), node.attr.value)

    def is_session(self, node: cst.CSTNode) -> bool:
        """Whether an expression is a session that saves nothing by itself: by its maker or annotation, or since callers give one."""
        value = self.value(node)
        if isinstance(node, cst.Name) and value is UNKNOWN:
            return is_given_session(self.index, self.outline, self.scope(node), node.value)
        return isinstance(value, (Session, Registry)) and not value.options.autocommit


def is_given_session(index: Index, outline: Outline, scope: Scope, name: str, frames: int = _FRAMES) -> bool:
    """Whether a parameter is one that some call of the function in the project gives a session for, and none what is known to be something else."""
    position = next((at for at, parameter in enumerate(scope.parameters) if parameter.name == name), None)
    if position is None or name in scope.bindings or not frames:
        return False

    def search() -> bool:
        answers: list[bool] = []
        for found, caller, call in callers(index, outline.path, scope):
            at = position - (scope.owner is not None)
            given = call.keyword(name) or (call.arguments[at] if 0 <= at < len(call.arguments) else None)
            value = index.value(given, caller, found.path) if given is not None else UNKNOWN
            if value is UNKNOWN and isinstance(given, Name) and is_given_session(index, found, caller, given.name, frames - 1):
                answers.append(True)
            elif value is not UNKNOWN and not is_aside(found.path) and not (isinstance(value, Made) and value.dotted.startswith("sqlalchemy.")):
                answers.append(isinstance(value, (Session, Registry)) and not value.options.autocommit)
        return bool(answers) and all(answers)

    return index.once(("given session", outline.path, scope.qualname, name, frames), search)


def defines(index: Index, cls: Class, name: str, depth: int = 5) -> bool:
    """Whether a class, or one that it inherits from, has a function of a name."""
    outline = index.outline(cls.path) if depth else None
    if outline is None:
        return False
    scope = outline.scopes[cls.qualname]
    bases = (index.value(base, scope.parent or outline.module, cls.path) for base in scope.bases)
    return any(binding.how == "def" for binding in scope.bindings.get(name, ())) or any(isinstance(base, Class) and base != cls and defines(index, base, name, depth - 1) for base in bases)


def is_sqlless(dotted: str) -> bool:
    """Whether something from outside of the project sends no SQL by a session, called or read."""
    root, _, name = dotted.partition(".")
    if root == "builtins":
        kind = getattr(builtins, name, None)
        return name in v.SQLLESS_BUILTINS or (isinstance(kind, type) and issubclass(kind, BaseException))
    return (root in sys.stdlib_module_names and root != "sqlite3") or any(dotted == known or dotted.startswith(f"{known}.") for known in v.SQLLESS)


def is_plain(index: Index, cls: Class, root: str | None = None, depth: int = 5) -> bool:
    """Whether a class is surely not mapped; with `root`: whether it comes from such a class of that package."""
    outline = index.outline(cls.path)
    if outline is None or not depth:
        return False
    scope = outline.scopes[cls.qualname]
    values = [index.value(base, scope.parent or outline.module, cls.path) for base in scope.bases]
    plain = all(
        (isinstance(value, Class) and value != cls and is_plain(index, value, None, depth - 1)) or (isinstance(value, External) and value.dotted.partition(".")[0] in v.PLAIN_DATA)
        for value in values
    )
    found = root is None or any(
        (isinstance(value, Class) and value != cls and is_plain(index, value, root, depth - 1)) or (isinstance(value, External) and value.dotted.partition(".")[0] == root)
        for value in values
    )
    return plain and found
