"""Each layer imports only from layers to its left: read off the imports of every module, late ones included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sa_session_lint"

# From left to right; what stands in one group may import from its own group.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("finding",),
    ("scan", "guard", "visit_order", "walk", "source"),
    ("model",),
    ("flow",),
    ("typestate",),
    ("project",),
    ("checks",),
    ("catalogue", "config", "suppress"),
    ("run",),
    ("report", "explain"),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def module(path: Path) -> str:
    """The dotted name of a module below the package, `project.files`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {module(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def imports(tree: ast.AST, typing_too: bool = True) -> set[str]:
    """Every module that is imported, wherever it is."""
    found: set[str] = set()
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if not typing_too and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped |= {inner for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(tree: ast.AST, typing_too: bool = True) -> set[str]:
    """The modules of ours that are imported, without the package's name: `project.files`, `report`."""
    names = {name.removeprefix("sa_session_lint.") for name in imports(tree, typing_too) if name.startswith("sa_session_lint.")}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names if name in MODULES or name.rpartition(".")[0] in MODULES} | {
        name for name in names if f"{name}.__init__" in MODULES
    }


def test_every_module_has_its_layer() -> None:
    assert {name.partition(".")[0] for name in MODULES} - {"__init__"} == set(RANK)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__init__"])
def test_a_layer_imports_nothing_from_the_right(name: str) -> None:
    rank = RANK[name.partition(".")[0]]
    wrong = sorted(other for other in ours(MODULES[name]) if RANK[other.partition(".")[0]] > rank)
    assert wrong == [], f"{name} imports {wrong}"


def test_the_package_itself_imports_nothing() -> None:
    assert imports(MODULES["__init__"]) == set()


def test_values_import_nothing_of_ours() -> None:
    assert ours(MODULES["finding"]) == ours(MODULES["scan"]) == ours(MODULES["visit_order"]) == set()


BASES = {"checks.check", "checks.flow_check", "checks.read_check", "checks.response_check", "checks.wait_check"}


def test_checks_never_import_one_another() -> None:
    for name, tree in MODULES.items():
        if name.startswith("checks.") and name != "checks.__init__":
            assert {other for other in ours(tree) if other.startswith("checks.")} <= BASES, name


def test_only_the_command_line_imports_click() -> None:
    users = {name for name, tree in MODULES.items() if any(each.partition(".")[0] == "click" for each in imports(tree))}
    assert users == {"cli"}


def test_reporters_and_settings_see_no_tree() -> None:
    for name, tree in MODULES.items():
        if name.startswith("report.") or name in {"finding", "scan", "guard", "config", "catalogue", "suppress", "cli"}:
            assert not any(each.partition(".")[0] in {"libcst", "ast"} for each in imports(tree)), name


def test_nothing_of_the_linted_project_can_be_run() -> None:
    """Who reads code of others must have no means to run it; `import_module` is for our own checks and reporters."""
    allowed = {"checks.__init__": {"importlib"}, "report.__init__": {"importlib"}}
    for name, tree in MODULES.items():
        used = {each.partition(".")[0] for each in imports(tree)} & {"importlib", "runpy", "subprocess", "pickle", "marshal", "code", "ctypes", "shelve", "multiprocessing"}
        assert used <= allowed.get(name, set()), name
        for node in ast.walk(tree):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert called not in {"eval", "exec", "__import__"}, name
            if called == "compile":
                assert "ast.PyCF_ONLY_AST" in ast.unparse(node), name


def test_no_layers_import_one_another_in_a_circle() -> None:
    """At run time, module by module."""
    edges = {name: ours(tree, typing_too=False) - {name} for name, tree in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"{' -> '.join((*way, name))}"
        if name not in done:
            for other in edges.get(name, ()):
                visit(other, (*way, name))
            done.add(name)

    for name in edges:
        visit(name, ())
