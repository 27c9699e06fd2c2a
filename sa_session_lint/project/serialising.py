"""Which attributes are read of an object that becomes a model of pydantic: by `UserOut.model_validate(user)`, or by FastAPI when a route gives it.

    class UserOut(BaseModel):                               `model_validate(user)` reads `user.name` and `user.posts`
        model_config = ConfigDict(from_attributes=True)
        name: str
        posts: list[PostOut]

See https://docs.pydantic.dev/latest/concepts/models/#arbitrary-class-instances and https://fastapi.tiangolo.com/tutorial/response-model/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import NONE, Attribute, Call, Choice, Const, Expression, Item, Name, Table
from sa_session_lint.model.value import Class, External, Method
from sa_session_lint.project.entry import kinds_of
from sa_session_lint.project.outline import Binding, Outline, Scope

if TYPE_CHECKING:
    from sa_session_lint.project.index import Index

_ROOTS = frozenset({"pydantic.BaseModel", "pydantic.main.BaseModel", "sqlmodel.SQLModel", "sqlmodel.main.SQLModel"})
_BESIDE = frozenset({"typing.Generic", "abc.ABC"})
_ALIASES = frozenset({"alias", "validation_alias", "alias_generator", "getter_dict"})
_OWN = frozenset({"__init__", "model_validate", "from_orm", "__get_validators__", "__get_pydantic_core_schema__"})
_LISTS = frozenset({"list", "List", "Sequence", "Iterable"})


def serialised(index: Index, schema: Class) -> tuple[str, ...]:
    """The attributes that are read of an object to make a model of a class; none where code of the class has a say in that."""
    return index.once(("serialised", schema), lambda: tuple(_fields(index, schema, 5) or ()))


def _fields(index: Index, schema: Class, depth: int) -> dict[str, None] | None:
    """The fields of a class, and of those that it inherits from; None where that is no model of pydantic, or does not tell what it reads."""
    found = index.outline(schema.path)
    if found is None or not depth:
        return None
    scope = found.scopes[schema.qualname]
    if ("table", Const(True)) in scope.keywords or _has_say(found, scope):
        return None
    names: dict[str, None] = {}
    rooted = False
    for base in scope.bases:
        value = index.value(base.value if isinstance(base, Item) else base, scope.parent or found.module, schema.path)
        above = _fields(index, value, depth - 1) if isinstance(value, Class) and value != schema else None
        if above is None and not (isinstance(value, External) and value.dotted in _ROOTS | _BESIDE):
            return None
        names |= above or {}
        rooted |= above is not None or (isinstance(value, External) and value.dotted in _ROOTS)
    return names | dict.fromkeys(name for name, bindings in scope.bindings.items() if _is_field(name, bindings)) if rooted else None


def response_of(index: Index, scope: Scope, path: str) -> tuple[Class, bool] | None:
    """The model of the response of a route of FastAPI, and whether it is a list of such; None where something else may have the object first."""
    found = index.outline(path)
    around = scope.parent or (found.module if found is not None else scope)
    models: list[tuple[Class, bool] | None] = []
    for decorator in scope.decorators:
        route = index.value(decorator.function, around, path) if isinstance(decorator, Call) else None
        if not isinstance(decorator, Call) or not isinstance(route, Method) or route.name not in v.ROUTE_METHODS or not kinds_of(index, route.receiver) & v.ASGI_APPS:
            return None
        models.append(_model(index, decorator.keyword("response_model") or scope.result, around, path))
    return models[0] if models else None


def _model(index: Index, expression: Expression | None, scope: Scope, path: str) -> tuple[Class, bool] | None:
    name = expression.value.name if isinstance(expression, Item) and isinstance(expression.value, (Name, Attribute)) else None
    if isinstance(expression, Item) and name in {"Optional", *_LISTS}:
        inner = _model(index, expression.key, scope, path)
        return None if inner is None or (inner[1] and name in _LISTS) else (inner[0], inner[1] or name in _LISTS)
    if isinstance(expression, Choice):  # `UserOut | None`
        told = [each for each in expression.options if each != NONE]
        return _model(index, told[0], scope, path) if len(told) == 1 else None
    value = index.value(expression, scope, path) if expression is not None else None
    return (value, False) if isinstance(value, Class) else None


def _has_say(found: Outline, scope: Scope) -> bool:
    """Whether a class may read an object in a way of its own, or by other names than those of its fields."""
    inner = [each for each in found.scopes.values() if each.parent is scope]
    told: set[object] = {key for call in scope.calls for key, _ in call.keywords}
    told |= {key.value for each in scope.bindings.get("model_config", ()) if isinstance(each.value, Table) for key, _ in each.value.items if isinstance(key, Const)}
    told |= {name for each in inner if each.kind == "class" for name in each.bindings}
    decorators = [decorator.function if isinstance(decorator, Call) else decorator for each in inner for decorator in each.decorators]
    validating = any(isinstance(each, (Name, Attribute)) and each.name in {"model_validator", "root_validator"} for each in decorators)
    return validating or not _ALIASES.isdisjoint(told) or not _OWN.isdisjoint(scope.bindings)


def _is_field(name: str, bindings: list[Binding]) -> bool:
    """Whether a name of such a class is one of its fields."""
    annotation = bindings[0].annotation
    kind = annotation.value if isinstance(annotation, Item) else annotation
    return annotation is not None and not name.startswith("_") and name != "model_config" and not (isinstance(kind, (Name, Attribute)) and kind.name == "ClassVar")
