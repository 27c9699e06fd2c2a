"""A session kept by something that outlives a unit of work: a class, a cache, an object made once per process."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.check import Check, File
from sa_session_lint.model import vocabulary as v
from sa_session_lint.model.expression import Attribute, Call, Const, Expression, Name
from sa_session_lint.model.value import Class, External, Function, Place, Session
from sa_session_lint.project.lifetime import at_exit, family, long_lived, singleton
from sa_session_lint.project.outline import Scope

_ENDS = frozenset({"close", "remove", "aclose"})
_MAKERS = frozenset({"__init__", "__new__", "__post_init__"})


_FIRST = "goes to the only `{}` of the process: it keeps for good what it was first made with, and ignores the session of every later caller"


def _shared(owner: str) -> str:
    return f"is one session that lives as long as {owner}: all who use it share its transaction and its loaded objects, in whatever state they were left"


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
                    self.report(self.file.outline.nodes[binding.at], trail, name=name, consequence=_shared(f"class `{scope.name}`"))

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
            because = long_lived(self.index, Class(self.file.path, owner.qualname))
            if because is not None:
                place, text = because
                trail = [self.note(value.place, "opened here"), self.note(place, text)]
                self.report(self.file.outline.nodes[store.at], trail, name=f"{me}.{target.name}", consequence=_shared(f"`{owner.name}`"))
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
                single = singleton(self.index, cls)
                if single is not None:
                    trail = [self.note(session.place, "the session comes from here"), self.note(*single)]
                    self.report(node, trail, name=self.code(argument.value), consequence=_FIRST.format(self.code(node.func)))
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
                    self.report(self.file.outline.nodes[given.at], trail, name=f"{scope.name}()", consequence=_shared("the cache"))

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
        for outline, scope in family(self.index, cls):
            for method in outline.scopes.values():
                if method.owner is not scope or method.name == "__del__" or at_exit(self.index, outline, scope, method):
                    continue
                me = method.parameters[0].name if method.parameters else ""
                mine = Attribute(Name(me), name)
                for call in method.calls:
                    if isinstance(call.function, Attribute) and call.function.name in _ENDS and call.function.value == mine:
                        return True
                    handed_on = mine in call.arguments or any(value == mine for _, value in call.keywords)
                    if handed_on and method.name not in _MAKERS:
                        return True  # whoever gets it may close it
                if (mine, method) in self.blocks:
                    return True
        return False
