"""A function, and what the operators ask of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import libcst as cst

from mutation.reading import (
    CALM,
    CLOSES,
    CONSUMED,
    ENDINGS,
    LIBRARY_ERROR,
    NESTED,
    action,
    below,
    called,
    calls,
    children,
    code,
    mentions,
    root,
    runs,
    sure,
)
from sa_session_lint.model.value import Class, External, Function, Maker, Manager, Method, Registry, Session, Value
from sa_session_lint.project.index import Index
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.outline import Outline
from sa_session_lint.project.usage import callers


@dataclass(frozen=True)
class Owned:
    """A session that a function opens and closes. It lives in `body`, a part of `whole`; `bound` are the places of its name that are no uses."""

    name: str
    session: Session
    how: Literal["with", "begin", "helper", "finally"]
    whole: cst.With | cst.Try
    body: Sequence[cst.BaseStatement]
    opening: cst.Call
    bound: frozenset[cst.CSTNode]
    close: cst.BaseStatement | None = None

    @property
    def wait(self) -> str:
        return "await " if self.session.kind == "async" else ""


@dataclass(frozen=True)
class Held:
    """A session, a function's own or a parameter, of which a connection is out once a statement has run; `after` is the rest of the block."""

    name: str
    session: Session
    line: cst.BaseStatement
    after: Sequence[cst.BaseStatement]
    owned: Owned | None = None


OBJECTS = frozenset({"first", "one", "one_or_none", "all"})
"""Methods of a query that give objects."""


class Body:
    """A function, and what the operators ask of it."""

    def __init__(self, index: Index, outline: Outline, function: cst.FunctionDef) -> None:
        self.index, self.outline, self.function = index, outline, function
        self.nodes = list(below(function))
        self.blocks = [node.body for node in self.nodes if isinstance(node, cst.IndentedBlock)]
        self.is_generator = any(isinstance(node, cst.Yield) for node in self.nodes)

    @cached_property
    def has_savepoint(self) -> bool:
        return re.search(r"begin|savepoint|autocommit", code(self.function)) is not None

    @cached_property
    def parents(self) -> dict[cst.CSTNode, cst.CSTNode]:
        return {child: node for node in below(self.function, ()) for child in children(node)}

    @cached_property
    def names(self) -> list[cst.Name]:
        """Every name that is not an attribute's or a keyword's, those of inner functions, too."""
        of = self.parents
        return [n for n in of if isinstance(n, cst.Name) and getattr(of[n], "attr", None) is not n and getattr(of[n], "keyword", None) is not n]

    @cached_property
    def owned(self) -> list[Owned]:
        found = [self._of_with(node) if isinstance(node, cst.With) else self._of_try(block, at) for block in self.blocks for at, node in enumerate(block)]
        return [owned for owned in found if owned is not None]

    @cached_property
    def held(self) -> list[Held]:
        """Every statement after which a session surely holds a connection; none in a generator."""
        found: list[Held] = []
        for o in () if self.is_generator else self.owned:
            if not o.session.options.autocommit:
                found += [Held(o.name, o.session, node, o.body[at + 1 :], o) for at, node in enumerate(o.body) if self._takes(node, o.name)]
        body = [node for node in self.function.body.body if isinstance(node, cst.BaseStatement)]
        for name in () if self.is_generator else self.parameters:
            for at, node in enumerate(body):
                session = self.receiver(node, name) if self._takes(node, name) else None
                if isinstance(session, Session) and session.how in {"given", "depends"}:
                    found.append(Held(name, session, node, body[at + 1 :]))
        return found

    @cached_property
    def parameters(self) -> list[str]:
        given = self.function.params
        return [each.name.value for each in (*given.posonly_params, *given.params, *given.kwonly_params)]

    def _takes(self, node: cst.BaseStatement, session: str) -> bool:
        """Whether a connection of the session is out after a statement: it surely runs SQL, ends no transaction and hands the session to nobody."""
        handed = any(isinstance(inner, cst.Arg) and code(inner.value) == session for inner in below(node, ()))
        return runs(node, session) and not calls([node], session, ENDINGS | {"begin", "begin_nested"}) and not handed and not any(isinstance(inner, cst.Return) for inner in sure(node))

    def receiver(self, node: cst.CSTNode, name: str) -> Value | None:
        """What the receiver of this name stands for where a method of it is called."""
        call = next((inner for inner in below(node) if called(inner)[0] == name), None)
        return self.value(call.func.value) if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute) else None

    def callee(self, call: cst.Call) -> Body | None:
        """The function of the project that a call calls."""
        function = self.value(call.func)
        outline = self.index.outline(function.path) if isinstance(function, Function) else None
        node = outline.nodes[outline.scopes[function.qualname].at] if outline is not None and isinstance(function, Function) else None
        return Body(self.index, outline, node) if outline is not None and isinstance(node, cst.FunctionDef) else None

    def gives_away(self, session: str) -> bool:
        """Whether a session is handed to what is no function of the project, which may do anything with it."""
        given = [node for node in self.nodes if isinstance(node, cst.Call) and any(code(each.value) == session for each in node.args)]
        return any(self.callee(call) is None for call in given)

    def run_on(self, call: cst.Call) -> str | None:
        """The name of the asynchronous session that a call hands to a function of the project, which surely runs SQL on it."""
        callee = self.callee(call)
        given = [each for each in call.args if isinstance(each.value, cst.Name) and isinstance(self.value(each.value), Session)]
        if callee is None or len(given) != 1 or callee.is_generator or not callee.function.asynchronous:
            return None
        at = call.args.index(given[0]) + (callee.parameters[:1] in (["self"], ["cls"]))
        name = given[0].keyword.value if given[0].keyword is not None else callee.parameters[at] if at < len(callee.parameters) else ""
        session = next((value for node in callee.function.body.body if runs(node, name) and (value := callee.receiver(node, name))), None)
        return code(given[0].value) if isinstance(session, Session) and session.kind == "async" else None

    def callers(self) -> Iterator[tuple[Body, cst.Call]]:
        """The calls of the function that can be traced, outside of tests and scripts."""
        for outline, scope, call in callers(self.index, self.outline.path, self.outline.scope_of[id(self.function)]):
            node, made = outline.nodes[scope.at], outline.nodes[call.at]
            if isinstance(node, cst.FunctionDef) and isinstance(made, cst.Call) and not is_aside(outline.path):
                yield Body(self.index, outline, node), made

    def is_handed_on(self) -> bool:
        """Whether the function, or what it returns, is an argument anywhere."""
        name = self.function.name.value
        calls_with = self.index.calls_with(name)
        return any(f"'{name}'" in repr((call.arguments, call.keywords)) for _, _, call in calls_with)

    def is_plain_maker(self, opening: cst.Call) -> bool:
        """Whether a call opens a session of a maker of the project, or begins one of its transactions."""
        function = self.value(opening.func)
        maker = function.receiver if isinstance(function, Method) else function
        return isinstance(maker, Maker) and maker.place is not None

    def value(self, node: cst.CSTNode, outline: Outline | None = None) -> Value | None:
        """What an expression stands for."""
        outline = outline or self.outline
        found = outline.values.get(id(node))
        return None if found is None else self.index.value(*found, outline.path)

    def is_session(self, statement: cst.CSTNode) -> bool:
        """Whether a statement calls a method of what surely is a session."""
        call = next((node for node in below(statement) if isinstance(node, cst.Call)), None)
        return call is not None and isinstance(call.func, cst.Attribute) and isinstance(self.value(call.func.value), (Session, Registry))

    def _of_with(self, node: cst.With) -> Owned | None:
        match node:
            case cst.With(items=[cst.WithItem(item=cst.Call() as opening, asname=cst.AsName(name=cst.Name(value=name)))], body=cst.IndentedBlock(body=body)):
                session, how = self._opened(opening)
                if session is not None:
                    bound = frozenset(one.name for one in self.nodes if isinstance(one, cst.AsName))
                    return Owned(name, session, how, node, body, opening, bound)
        return None

    def _of_try(self, block: Sequence[cst.BaseStatement], at: int) -> Owned | None:
        match block[at]:
            case cst.Try(body=cst.IndentedBlock(body=body), finalbody=cst.Finally(body=cst.IndentedBlock(body=final))) as whole:
                close = next((node for node in final if action(node)[1] == "close"), None)
                before = next((node for node in reversed(block[:at]) if close is not None and mentions(node, action(close)[0])), None)
                match before:
                    case cst.SimpleStatementLine(body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name) as bound)], value=cst.Call() as opening)]):
                        session, how = self._opened(opening)
                        if session is not None and how == "with" and close is not None and action(close)[0] == name:
                            return Owned(name, session, "finally", whole, body, opening, frozenset({bound, *below(close)}), close)
        return None

    def _opened(self, call: cst.Call) -> tuple[Session | None, Literal["with", "begin", "helper"]]:
        """The session that a with-block over this call closes."""
        value, function = self.value(call), self.value(call.func)
        inner = value.value if isinstance(value, Manager) else value
        if not isinstance(inner, Session) or inner.how not in {"new", "with"} or not begins(inner):
            return None, "with"
        if isinstance(value, Session):
            return (value if value.how == "new" and self._is_plain(self.outline, call) else None), "with"
        if isinstance(function, Method) and isinstance(function.receiver, Maker) and function.name == "begin":
            return inner, "begin"
        helper = self.index.outline(function.path) if isinstance(function, Function) else None
        text = code(helper.nodes[helper.scopes[function.qualname].at]) if helper is not None and isinstance(function, Function) else ""
        return (inner if CLOSES.search(text) else None), "helper"

    def _is_plain(self, outline: Outline, call: cst.CSTNode, depth: int = 0) -> bool:
        """Whether what a call opens is of SQLAlchemy's own class, with a connection of its own."""
        function = self.value(call.func, outline) if isinstance(call, cst.Call) else None
        if isinstance(function, Function) and depth < 3:
            session = self.value(call, outline)
            made = self.index.outline(session.place.path) if isinstance(session, Session) and session.place is not None else None
            return made is not None and self._is_plain(made, made.nodes[session.place.at], depth + 1)  # type: ignore[union-attr]
        given = [a for a in call.args if a.keyword is None or "bind" in a.keyword.value] if isinstance(call, cst.Call) else []
        if any("engine" not in code(a.value).lower() for a in given):
            return False
        if isinstance(function, Maker) and function.place is not None and "class_" in function.options.given:
            made = self.index.outline(function.place.path)
            keywords = getattr(made.nodes[function.place.at], "args", ()) if made is not None else ()
            return any(a.keyword is not None and a.keyword.value == "class_" and code(a.value) in {"Session", "AsyncSession"} for a in keywords)
        return isinstance(function, (Maker, External))

    def text_of(self, opening: cst.Call) -> str:
        """The text of the function of the project that a call calls."""
        callee = self.callee(opening)
        return code(callee.function) if callee is not None else ""

    def mentions_commit(self, opening: cst.Call) -> bool:
        return "commit" in self.text_of(opening)

    def saves(self, opening: cst.Call) -> bool:
        """Whether a context manager of the project commits when its block has come to its end."""
        return re.search(r"yield \w+\n\s*(await )?\w+\.commit\(\)", self.text_of(opening)) is not None

    def uses_only(self, owned: Owned, methods: frozenset[str]) -> bool:
        """Whether these methods are all that the function does with the session: it is not handed on, returned, stored or captured."""
        return self.is_put_to(owned.name, owned.bound, methods)

    def is_put_to(self, session: str, bound: frozenset[cst.CSTNode], methods: frozenset[str]) -> bool:
        """Whether these methods are all that the function does with what has this name, save at the places where it is bound."""
        inner = {node for outer in self.parents if isinstance(outer, NESTED) for node in below(outer, ())}
        for name in self.names:
            if name.value == session and name not in bound:
                attribute = self.parents[name]
                if name in inner or not isinstance(attribute, cst.Attribute) or attribute.attr.value not in methods:
                    return False
                if getattr(self.parents[attribute], "func", None) is not attribute:
                    return False
        return not self.is_generator and not self._hands_on_result(session)

    def _hands_on_result(self, session: str) -> bool:
        """Whether a query or a result, which hold their session, is returned or handed on before it is read."""

        def unread(node: cst.CSTNode) -> bool:
            start = called(root(node, session))[1]
            return start in {"query", "execute", "exec", "scalars"} and called(getattr(node, "expression", node))[1] not in CONSUMED

        kept = {code(node.targets[0].target) for node in self.nodes if isinstance(node, cst.Assign) and unread(node.value)}
        handed = [node.value for node in self.nodes if isinstance(node, (cst.Return, cst.Arg)) and node.value is not None]
        return any(unread(value) or code(value) in kept or isinstance(value, cst.GeneratorExp) for value in handed)

    def is_entity(self, call: cst.Call) -> bool:
        """Whether a call's first argument is a mapped class, or a `select()` of one: what is read then are objects, row by row."""
        argument = call.args[0].value if len(call.args) == 1 else None
        while isinstance(argument, cst.Call) and isinstance(argument.func, cst.Attribute):
            argument = argument.func.value
        if isinstance(argument, cst.Call) and code(argument.func).endswith("select") and called(call)[1] != "query":
            argument = argument.args[0].value if len(argument.args) == 1 else None
        return argument is not None and isinstance(self.value(argument), Class)

    def gives_loadable(self, given: cst.BaseExpression, session: str) -> bool:
        """Whether an expression gives objects, as a session loads them, of a class with a relationship."""
        start, method = root(given, session), called(given)[1]
        plain = method in OBJECTS and start is not None and called(start)[1] in {"query", "scalars"} and self.is_entity(start)
        return start is not None and (plain or (given is start and method == "get")) and self.has_relationship(start)

    def asks_framework(self, given: cst.BaseExpression) -> bool:
        """Whether an expression gives objects by the query of a Flask-SQLAlchemy model: `User.query.filter_by(name=name).first()`."""
        here: cst.CSTNode = given
        while isinstance(here, (cst.Call, cst.Attribute)) and not (isinstance(here, cst.Attribute) and here.attr.value == "query"):
            here = here.func if isinstance(here, cst.Call) else here.value
        asked = self.value(here) if called(given)[1] in OBJECTS | {"get"} and re.search(r"with_entities|join|add_", code(given)) is None else None
        return isinstance(asked, Method) and isinstance(asked.receiver, Registry) and asked.receiver.scope == "framework" and isinstance(here, cst.Attribute) and isinstance(self.value(here.value), Class)

    def has_relationship(self, call: cst.Call) -> bool:
        """Whether the class that is asked for first has a relationship in its body that is loaded when it is read."""
        argument = call.args[0].value
        while isinstance(argument, cst.Call):
            argument = argument.func.value if isinstance(argument.func, cst.Attribute) else argument.args[0].value
        value = self.value(argument)
        outline = self.index.outline(value.path) if isinstance(value, Class) else None
        text = code(outline.nodes[outline.scopes[value.qualname].at]) if outline is not None and isinstance(value, Class) else ""
        return "relationship(" in text and "lazy" not in text

    def origin(self, read: cst.BaseExpression) -> cst.BaseExpression:
        """What a name was given, if it is given but one thing."""
        if not isinstance(read, cst.Name):
            return read
        values = [node.value for node in self.nodes if isinstance(node, cst.Assign) and any(mentions(target, read.value) for target in node.targets)]
        given = any(isinstance(node, cst.Param) and node.name.value == read.value for node in below(self.function, ()))
        return values[0] if len(values) == 1 and not given else read

    def is_new(self, made: cst.BaseExpression) -> bool:
        """Whether an expression is surely an object of a mapped class that this function makes."""
        made = self.origin(made)
        return isinstance(made, cst.Call) and isinstance(self.value(made.func), Class)

    def writes(self, node: cst.CSTNode, session: str) -> list[cst.BaseExpression]:
        """What a statement surely writes: the objects that it adds or deletes, the `insert()`, `update()` or `delete()` that it executes."""
        found: list[cst.BaseExpression] = []
        for call in sure(node):
            receiver, method = called(call)
            argument = call.args[0].value if isinstance(call, cst.Call) and receiver == session and len(call.args) == 1 else None
            new = argument is not None and method == "add" and self.is_new(argument)
            if argument is not None and (method == "delete" or new or (method in {"execute", "exec"} and self.is_dml(argument))):
                found.append(argument)
        return found

    def is_dml(self, executed: cst.BaseExpression) -> bool:
        """Whether what is executed is an `insert()`, `update()` or `delete()`."""
        executed = self.origin(executed)
        while isinstance(executed, cst.Call) and isinstance(executed.func, cst.Attribute) and isinstance(executed.func.value, cst.Call):
            executed = executed.func.value
        value = self.value(executed.func) if isinstance(executed, cst.Call) else None
        return isinstance(value, External) and re.fullmatch(r"sqlalchemy\..*\.?(insert|update|delete)", value.dotted) is not None

    def reads_loaded(self, nodes: Sequence[cst.CSTNode]) -> bool:
        """Whether statements read an attribute of what may be an object that was loaded, which a failed flush has expired: the read itself raises then."""
        local = {code(one.target) for one in self.nodes if isinstance(one, (cst.AssignTarget, cst.AnnAssign, cst.For, cst.CompFor))} | set(self.parameters)
        inner = [one for node in nodes for one in below(node)]
        stores = {one.target for one in inner if isinstance(one, (cst.AssignTarget, cst.AnnAssign))} | {one.func for one in inner if isinstance(one, cst.Call)}
        read = {one.value for one in inner if isinstance(one, cst.Attribute) and one not in stores}
        return any(isinstance(one, cst.Name) and one.value in local - {"self", "cls"} and not self.is_new(one) for one in read)

    def hands_on(self, names: set[str], session: str) -> bool:
        """Whether one of these objects is given to a call that is no work on the session, nor a calm one: whoever gets it may ask for its session."""
        others = [node for node in self.nodes if isinstance(node, cst.Call) and called(node)[0] != session and CALM.fullmatch(code(node.func)) is None]
        return any(isinstance(arg.value, cst.Name) and arg.value.value in names for call in others for arg in call.args)

    def refused(self, handler: cst.ExceptHandler) -> bool:
        """Whether a handler is for IntegrityError alone."""
        value = self.value(handler.type) if handler.type is not None else None
        return isinstance(value, External) and value.dotted == "sqlalchemy.exc.IntegrityError"

    def catches(self, handler: cst.ExceptHandler) -> bool:
        """Whether a handler gets the errors of a flush."""
        kinds = [e.value for e in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
        values = [self.value(kind) if kind is not None else External("builtins.Exception") for kind in kinds]
        return any(isinstance(value, External) and LIBRARY_ERROR.fullmatch(value.dotted) for value in values)


def begins(session: Session | Maker | Registry) -> bool:
    """Whether such a session begins a transaction by itself, and keeps it until it is ended."""
    return "autobegin" not in session.options.given and not ("autocommit" in session.options.given and session.options.autocommit)
