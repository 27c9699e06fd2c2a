"""A session kept by something that outlives a unit of work: a class, a cache, an object made once per process."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sa_session_lint.checks.check import Check, File
from sa_session_lint.model import vocabulary as v
from sa_session_lint.project.entry import kinds_of
from sa_session_lint.project.expression import Attribute, Call, Const, Expression, Item, Name
from sa_session_lint.project.outline import Outline, Scope
from sa_session_lint.project.usage import framework, is_aside, is_imported
from sa_session_lint.project.value import Class, External, Function, Place, Session, Value

_ENDS = frozenset({"close", "remove", "aclose"})
_MAKERS = frozenset({"__init__", "__new__", "__post_init__"})


class SessionOnLongLivedObject(Check):
    def __init__(self, file: File) -> None:
        super().__init__(file)
        self.blocks: list[tuple[Expression, Scope]] = []
        self.tests: list[tuple[Expression, Scope]] = []

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None:
            return
        for name, bindings in scope.bindings.items():
            for binding in bindings:
                value = self.index.value(binding.value, scope, self.file.path)
                if binding.how == "=" and isinstance(value, Session) and value.how in {"new", "registry"}:
                    trail = [self.note(value.place, "opened here, when the class is defined")]
                    self.report(self.file.outline.nodes[binding.at], trail, name=name, owner=f"class `{scope.name}`")

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:
        scope = self.file.outline.scope_of.get(id(original_node))
        for method in self.file.outline.scopes.values():
            if scope is not None and method.owner is scope and method.parameters:
                self.on_self(scope, method)

    def visit_WithItem(self, node: cst.WithItem) -> None:
        self.blocks.append((self.expression(node.item), self.scope(node.item)))

    def visit_If(self, node: cst.If) -> None:
        test = node.test.expression if isinstance(node.test, cst.UnaryOperation) else node.test
        test = test.left if isinstance(test, cst.Comparison) else test
        self.tests.append((self.expression(test), self.scope(test)))

    def on_self(self, owner: Scope, method: Scope) -> None:
        me = method.parameters[0].name
        for store in method.stores:
            target = store.target
            if not isinstance(target, Attribute) or target.value != Name(me):
                continue
            value = self.index.value(store.value, method, self.file.path)
            if not isinstance(value, Session) or value.how not in {"new", "registry"} or self.is_closed(owner, target.name):
                continue
            if not self.is_made_once(owner, method, target):
                continue
            because = self.long_lived(Class(self.file.path, owner.qualname), 0)
            if because is not None:
                place, text = because
                trail = [self.note(value.place, "opened here"), self.note(place, text)]
                self.report(self.file.outline.nodes[store.at], trail, name=f"{me}.{target.name}", owner=f"`{owner.name}`")
                return

    def visit_Call(self, node: cst.Call) -> None:
        """A session of one unit of work handed to the one instance of a class."""
        if not node.args:
            return
        cls = self.value(node.func)
        if not isinstance(cls, Class) or self.scope(node).kind != "function":
            return
        for argument in node.args:
            session = self.value(argument.value)
            if isinstance(session, Session) and session.how in {"depends", "with", "new"}:
                found = self.index.outline(cls.path)
                single = self.singleton(cls, found.scopes[cls.qualname]) if found is not None else None
                if single is not None:
                    trail = [self.note(session.place, "the session comes from here"), self.note(*single)]
                    self.report(node, trail, name=self.code(argument.value), owner=f"`{self.code(node.func)}`")
                return

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        scope = self.file.outline.scope_of.get(id(node))
        if scope is None or scope.is_generator or not scope.decorators:
            return
        for decorator, at in zip(scope.decorators, scope.decorated_at, strict=True):
            head = decorator.function if isinstance(decorator, Call) else decorator
            value = self.index.value(head, scope.parent or self.file.outline.module, self.file.path)
            if not isinstance(value, External) or value.dotted not in v.CACHES or value.dotted.endswith("cached_property"):
                continue  # a cached property is kept by its instance, which may be one unit of work
            for given in scope.returns:
                session = self.index.value(given.value, scope, self.file.path)
                if isinstance(session, Session) and session.how in {"new", "registry"}:
                    trail = [self.note(session.place, "opened here"), self.note(Place(self.file.path, at), "kept by the cache")]
                    self.report(self.file.outline.nodes[given.at], trail, name=f"{scope.name}()", owner="the cache")

    def is_made_once(self, owner: Scope, method: Scope, target: Attribute) -> bool:
        """Whether a method runs once per object, or opens the session only where there is none yet."""
        if method.name in _MAKERS:
            return True
        for test, scope in self.tests:
            asked = test.arguments if isinstance(test, Call) and test.function == Name("hasattr") else ()
            if scope is method and (test == target or asked == (target.value, Const(target.name))):
                return True
        for other in self.file.outline.scopes.values():
            if other.owner is owner and other.name in _MAKERS and other.parameters:
                called = Attribute(Name(other.parameters[0].name), method.name)
                if any(call.function == called for call in other.calls):
                    return True
        return False

    def is_closed(self, owner: Scope, name: str) -> bool:
        """Whether some method of the class or of its bases closes the attribute, or may: then it is a unit of work."""
        cls = Class(self.file.path, owner.qualname)
        if any(isinstance(self.index.member(cls.path, cls.qualname, name), Function) for name in ("__exit__", "__aexit__")):
            return True
        for outline, scope in self.family(cls):
            for method in outline.scopes.values():
                if method.owner is not scope or method.name == "__del__" or self.at_exit(scope, method):
                    continue
                me = method.parameters[0].name if method.parameters else ""
                mine = Attribute(Name(me), name)
                for call in method.calls:
                    if isinstance(call.function, Attribute) and call.function.name in _ENDS and call.function.value == mine:
                        return True
                    if mine in call.arguments or any(value == mine for _, value in call.keywords):
                        return True
                if (mine, method) in self.blocks:
                    return True
        return False

    def family(self, cls: Class) -> Iterator[tuple[Outline, Scope]]:
        """A class and its bases in the project."""
        queue, seen = [cls], set[Class]()
        while queue:
            one = queue.pop()
            found = self.index.outline(one.path) if one not in seen else None
            seen.add(one)
            if found is not None:
                scope = found.scopes[one.qualname]
                yield found, scope
                bases = (self.index.value(base, scope.parent or found.module, one.path) for base in scope.bases)
                queue += [base for base in bases if isinstance(base, Class)]

    def at_exit(self, owner: Scope, method: Scope) -> Place | None:
        """Where a method is registered to run when the process ends."""
        for other in self.file.outline.scopes.values():
            for call in other.calls if other.owner is owner else ():
                function = self.index.value(call.function, other, self.file.path)
                if function == External("atexit.register") and call.arguments:
                    handed = call.arguments[0]
                    if isinstance(handed, Attribute) and handed.name == method.name:
                        return Place(self.file.path, call.at)
        return None

    def long_lived(self, cls: Class, depth: int) -> tuple[Place, str] | None:
        """Where and why instances of a class live as long as the process."""
        return self.index.once(("long lived", cls, depth), lambda: self._long_lived(cls, depth))

    def _long_lived(self, cls: Class, depth: int) -> tuple[Place, str] | None:
        found = self.index.outline(cls.path)
        if found is None or framework(self.index) is None or depth > 2:
            return None
        scope = found.scopes[cls.qualname]
        for base in kinds_of(self.index, cls):
            if base in v.LONG_LIVED_BASES:
                return Place(cls.path, scope.at), v.LONG_LIVED_BASES[base]
        single = self.singleton(cls, scope)
        if single is not None:
            return single
        for method in found.scopes.values():
            if method.owner is scope and found is self.file.outline and (until := self.at_exit(scope, method)) is not None:
                return until, "ended only when the process ends"
        for outline in (o for path in self.index.files_with(scope.name) if not is_aside(path) and (o := self.index.outline(path)) is not None):
            for place in (outline.module, *outline.scopes.values()):
                for call in place.calls:
                    if _called(call) != scope.name or not self.makes(self.index.value(call.function, place, outline.path), cls):
                        continue
                    kept = self.kept(call, place, outline.path, depth)
                    if kept is not None:
                        return kept
            for derived in outline.scopes.values():
                if derived.kind == "class" and any(self.index.value(b, derived.parent or outline.module, outline.path) == cls for b in derived.bases):
                    because = self.long_lived(Class(outline.path, derived.qualname), depth + 1)
                    if because is not None:
                        return because
        return None

    def singleton(self, cls: Class, scope: Scope) -> tuple[Place, str] | None:
        """A metaclass that keeps instances, or a `__new__` that does."""
        for key, value in scope.keywords:
            if key == "metaclass":
                found = self.index.outline(cls.path)
                meta = self.index.value(value, scope.parent or found.module, cls.path) if found is not None else None
                if isinstance(meta, Class) and self.keeps(meta, "__call__"):
                    return Place(cls.path, scope.at), "its metaclass keeps one instance for the process"
        if self.keeps(cls, "__new__"):
            return Place(cls.path, scope.at), "`__new__` keeps one instance for the process"
        return None

    def keeps(self, cls: Class, method: str) -> bool:
        found = self.index.outline(cls.path)
        scope = found.scopes.get(f"{cls.qualname}.{method}") if found is not None else None
        if scope is None or not scope.parameters:
            return False
        me = scope.parameters[0].name
        for store in scope.stores:
            target = store.target.value if isinstance(store.target, Item) else store.target
            if isinstance(target, Attribute) and target.value in {Name(me), Name(cls.qualname)}:
                return True
        return False

    def makes(self, function: Value, cls: Class) -> bool:
        return function == cls

    def kept(self, call: Call, place: Scope, path: str, depth: int) -> tuple[Place, str] | None:
        """Whether the instance that a call makes is kept for the life of the process."""
        where = Place(path, call.at)
        if place.under_main:
            return None
        if place.kind in {"module", "class"}:
            found = self.index.outline(path)
            if framework(self.index, path) is None and not is_imported(self.index, path):
                return None  # a script
            bound = found is not None and any(b.value is call and not b.under_main for bs in place.bindings.values() for b in bs)
            return (where, "made once, at module level") if bound else None
        found = self.index.outline(path)
        if found is not None:
            for bindings in found.module.bindings.values():
                if any(b.within is place and b.value is call for b in bindings):
                    return where, "kept in a global"
        if place.owner is not None and place.parameters and place.name == "__init__":
            for store in place.stores:
                if store.value is call and isinstance(store.target, Attribute) and store.target.value == Name(place.parameters[0].name):
                    outer = self.long_lived(Class(path, place.owner.qualname), depth + 1)
                    if outer is not None:
                        return where, f"kept by `{place.owner.name}`, which lives as long as the process"
        return None


def _called(call: Call) -> str | None:
    return call.function.name if isinstance(call.function, (Name, Attribute)) else None


