"""Flask's application context: `db.session` is the session of the context, and raises RuntimeError where there is none.

    threading.Thread(target=audit).start()          a thread begins without the context of the one that starts it
    return Response(rows())                         a body is produced when the context of the request is gone

See https://flask-sqlalchemy.palletsprojects.com/en/stable/contexts/ and https://flask.palletsprojects.com/en/stable/patterns/streaming/.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import OPAQUE, Attribute, Call, Expression
from sa_session_lint.model.value import UNKNOWN, External, Function, Made, Method, Place, Registry
from sa_session_lint.project.entry import receivers
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import called_name
from sa_session_lint.walk import children

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_PUSHING = frozenset({*v.APP_CONTEXTS, "has_app_context", "has_request_context", "with_appcontext", "copy_current_request_context", "copy_context", "stream_with_context"})
"""Names of what pushes a context, or asks whether there is one."""
_CALM = frozenset({"builtins.open", "threading.Lock", "threading.RLock", "contextlib.suppress", "contextlib.closing", "tempfile.TemporaryDirectory"})
"""Blocks that push none."""


def in_thread(index: Index, call: Call, scope: Scope, path: str) -> Expression | None:
    """What a call will have called in a thread that starts without a context."""
    match index.value(call.function, scope, path):
        case External("threading.Thread"):
            return call.keyword("target") or (call.arguments[1] if len(call.arguments) > 1 else None)
        case External("threading.Timer"):
            return call.keyword("function") or (call.arguments[1] if len(call.arguments) > 1 else None)
        case External("_thread.start_new_thread"):
            return call.arguments[0] if call.arguments else None
        case Method(Made(dotted, place), name) if dotted in v.THREAD_POOLS and name in v.POOL_METHODS and call.arguments:
            return None if _is_initialized(index, place) else call.arguments[0]
    return None


def _is_initialized(index: Index, place: Place) -> bool:
    """Whether the threads of a pool run something first, which may push a context."""
    found = index.outline(place.path)
    made = found.nodes[place.at] if found is not None else None
    return not isinstance(made, cst.Call) or any(arg.keyword is not None and arg.keyword.value == "initializer" for arg in made.args)


def outside(index: Index, function: Function, depth: int = 3) -> tuple[Place, Registry] | None:
    """Where a function that is called without a context, or one that it calls, works with the session of an application, or asks for it."""
    key = replace(function, receiver=None)
    return index.once(("outside of a context", key, depth), lambda: _outside(index, key, depth))


def _outside(index: Index, function: Function, depth: int) -> tuple[Place, Registry] | None:
    found = index.outline(function.path)
    scope = found.scopes.get(function.qualname) if found is not None else None
    if found is None or scope is None or any(called_name(each) not in {"staticmethod", "classmethod"} for each in scope.decorators):
        return None
    covered: set[int] = set()
    if _covered(index, found, scope, found.nodes[scope.at], False, covered):
        return None
    for call in scope.calls:
        if call.at in covered:
            continue
        registry = worked_with(index, call, scope, found.path)
        if registry is not None and needs_context(index, registry):
            return Place(found.path, call.at), registry
        callee = index.value(call.function, scope, found.path) if depth and registry is None else None
        inner = index.outline(callee.path) if isinstance(callee, Function) else None
        if inner is not None and isinstance(callee, Function) and not (inner.scopes[callee.qualname].is_generator or inner.scopes[callee.qualname].is_async):
            place = outside(index, callee, depth - 1)
            if place is not None:
                return place
    return None


def _covered(index: Index, found: Outline, scope: Scope, node: cst.CSTNode, inside: bool, calls: set[int]) -> bool:
    """Collect the calls in blocks that may push a context, or in handlers of what its lack raises; whether the code names what does."""
    for child in children(node):
        if isinstance(child, (cst.Name, cst.Attribute)) and (child.value if isinstance(child, cst.Name) else child.attr.value) in _PUSHING:
            return True
        within = inside or (isinstance(child, cst.With) and any(_may_push(index, found, scope, item.item) for item in child.items))
        if within and isinstance(child, cst.Call) and id(child) in found.values and isinstance(expression := found.values[id(child)][0], Call):
            calls.add(expression.at)
        if not isinstance(child, (cst.FunctionDef, cst.ClassDef)) and _covered(index, found, scope, child, within, calls):
            return True
    return False


def _may_push(index: Index, found: Outline, scope: Scope, item: cst.BaseExpression) -> bool:
    """Whether a block may push a context: any but one of a session's transaction, and those known as calm."""
    expression = found.values[id(item)][0] if id(item) in found.values else OPAQUE
    if isinstance(expression, Call) and isinstance(expression.function, Attribute) and expression.function.name in {"begin", "begin_nested"}:
        return False
    value = index.value(expression, scope, found.path)
    return not isinstance(value, Made) or value.dotted not in _CALM


def worked_with(index: Index, call: Call, scope: Scope, path: str) -> Registry | None:
    """The registry of Flask-SQLAlchemy whose session a call works with: `db.session.add(user)`, `User.query.get(1)`."""
    if not isinstance(call.function, Attribute):
        return None
    for part in (call.function, *receivers(call.function)):
        value = index.value(part, scope, path) if isinstance(part, Attribute) else UNKNOWN
        if isinstance(value, Method) and value.name in v.SESSION_CALLS and isinstance(value.receiver, Registry) and value.receiver.scope == "framework":
            return value.receiver
    return None


def needs_context(index: Index, registry: Registry) -> bool:
    """Whether a registry surely raises outside of a context. Before Flask-SQLAlchemy 3.0 `SQLAlchemy(app)` and `db.app = app` did without one."""
    found = index.outline(registry.place.path)
    made = found.nodes[registry.place.at] if found is not None else None
    if not isinstance(made, cst.Call) or any(arg.keyword is not None and arg.keyword.value == "session_options" for arg in made.args):
        return False
    if index.pins(registry.place.path).surely_at_least("flask-sqlalchemy", "3.0"):
        return True
    given = any(arg.star or arg.keyword is None or arg.keyword.value == "app" for arg in made.args)
    return not given and not any(
        isinstance(store.target, Attribute) and store.target.name == "app" and index.value(store.target.value, scope, outline.path) == Made("flask_sqlalchemy.SQLAlchemy", registry.place)
        for outline, scope in index.scopes_with("app")
        for store in scope.stores
    )
