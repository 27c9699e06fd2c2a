"""The handlers around a call, and whether they come to their end.

    except IntegrityError:
        logger.warning("no room for %s", user.name)     a failed flush has expired `user`: reading it raises once more
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model.expression import Attribute, Call, Name
from sa_session_lint.model.protocol import METHODS
from sa_session_lint.model.value import UNKNOWN, Class, Instance, Place
from sa_session_lint.project.mapping import is_column
from sa_session_lint.project.usage import called_name, caller_at
from sa_session_lint.walk import children, path_between

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index
    from sa_session_lint.project.outline import Scope


_ENDS = frozenset({"rollback", "close", "sql", "bulk", "flush", "commit", "nested", "begin"})
"""What is done to a session either ends its trouble, or raises before the next read does."""


def handlers_around(index: Index, place: Place) -> tuple[Scope, tuple[cst.ExceptHandler | cst.ExceptStarHandler, ...]] | None:
    """The function that makes a call, and the handlers of the innermost `try` block there that holds it."""
    caller = caller_at(index, place)
    if caller is None:
        return None
    outline, scope = caller
    found: tuple[cst.ExceptHandler | cst.ExceptStarHandler, ...] = ()
    for statement in path_between(outline.nodes[scope.at], outline.nodes[place.at]):
        if isinstance(statement, (cst.Try, cst.TryStar)) and statement.handlers and any(True for _ in path_between(statement.body, outline.nodes[place.at])):
            found = tuple(statement.handlers)
    return scope, found


def reads(handler: cst.CSTNode) -> Iterator[cst.Attribute]:
    """The attributes that a handler reads of plain names before it does anything to a session, in order; those that it calls are none."""
    stack: list[cst.CSTNode] = [handler]
    while stack:
        match node := stack.pop():
            case cst.FunctionDef() | cst.Lambda() | cst.AssignTarget():
                continue
            case cst.Call(func=cst.Attribute(attr=cst.Name(value=method))) if METHODS.get(method) in _ENDS or method.startswith("expunge"):
                return
            case cst.Call(func=func, args=arguments):
                stack += reversed(arguments)
                if isinstance(func, cst.Attribute):
                    stack.append(func.value)
                continue
            case cst.Attribute(value=cst.Name()):
                yield node
        stack += reversed(list(children(node)))


def may_raise(index: Index, handler: cst.CSTNode, scope: Scope, path: str) -> bool:
    """Whether a handler of a failed flush reads an attribute of what may be an object of a mapped class that was loaded: any but one made here. To format an
    object is to read it; what is formatted may be one if its attributes are read elsewhere in the function."""
    caught = handler.name.name if isinstance(handler, (cst.ExceptHandler, cst.ExceptStarHandler)) and handler.name is not None else None
    ignored = caught.value if isinstance(caught, cst.Name) else None
    found = index.outline(path)
    asked_of = set(_asked_of(found.nodes[scope.at])) if found is not None and scope.kind == "function" else set()
    asked = [(read.value.value, read.attr.value) for read in reads(handler) if isinstance(read.value, cst.Name)]
    asked += [(name, "__str__") for name in _formatted(handler) if name in asked_of]
    return any(name != ignored and _may_be_loaded(index, name, attribute, scope, path) for name, attribute in asked)


def _formatted(node: cst.CSTNode) -> Iterator[str]:
    """The names that stand in f-strings by themselves."""
    if isinstance(node, cst.FormattedStringExpression) and isinstance(node.expression, cst.Name):
        yield node.expression.value
    for child in children(node):
        yield from _formatted(child)


def _asked_of(node: cst.CSTNode) -> Iterator[str]:
    """The names of which an attribute is read, and not called."""
    for child in children(node):
        if isinstance(child, cst.Attribute) and isinstance(child.value, cst.Name) and not (isinstance(node, cst.Call) and node.func is child):
            yield child.value.value
        yield from _asked_of(child)


def _may_be_loaded(index: Index, name: str, attribute: str, scope: Scope, path: str) -> bool:
    """Whether a name of a function may hold an object that came from the database, and the attribute be one that a failed flush expires."""
    own = any(parameter.name == name for parameter in scope.parameters[1 if scope.owner is not None else 0 :])
    bindings = [binding for binding in scope.bindings.get(name, ()) if binding.how != "annotation"]
    if not (own or bindings) or any(binding.how == "import" for binding in bindings):
        return False
    if bindings and not own and all(isinstance(b.value, Call) and isinstance(index.value(b.value.function, scope, path), Class) for b in bindings):
        return False  # what was made here stays readable
    over = any(binding.how == "for" for binding in bindings)
    if not over and any(isinstance(call.function, Attribute) and call.function.name == "add" and Name(name) in call.arguments for call in scope.calls):
        return False  # and so does what is added here, unless it is one of many: who adds an object has it from somewhere else
    value = index.value(Name(name), scope, path)
    return value is UNKNOWN or (isinstance(value, Instance) and (attribute == "__str__" or is_column(index, Class(value.path, value.qualname), attribute)))


def names_caught(handler: cst.ExceptHandler | cst.ExceptStarHandler) -> tuple[str, ...]:
    """The last parts of the names of the exceptions that a handler is for."""
    if handler.type is None:
        return ("BaseException",)
    types = [e.value for e in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
    return tuple(t.value if isinstance(t, cst.Name) else t.attr.value if isinstance(t, cst.Attribute) else "?" for t in types)


def rolls_back(node: cst.CSTNode) -> bool:
    """Whether code reads a `rollback` of something, to call it or to hand it on."""
    return (isinstance(node, cst.Attribute) and node.attr.value == "rollback") or any(rolls_back(child) for child in children(node))


def recovers(index: Index, failed: Place) -> bool:
    """Whether what failed is a `commit()`, and the project has a class of sessions whose `commit` rolls back when it fails: any session may be one of those."""
    found = index.outline(failed.path)
    node = found.nodes[failed.at] if found is not None else None
    if not (isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "commit"):
        return False

    def search() -> bool:
        commits = (
            (outline, scope)
            for outline, scope in index.scopes_with("commit", "rollback", "super")
            if scope.name == "commit" and scope.owner is not None and any((called_name(base) or "").endswith("Session") for base in scope.owner.bases)
        )
        return any(rolls_back(outline.nodes[scope.at]) for outline, scope in commits)

    return index.once(("recovers",), search)
