"""Settings: every key, what it refuses and where it says so, and which rules are chosen in the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from sa_session_lint import config
from sa_session_lint.config import Config, ConfigError, Maker, Overrides
from sa_session_lint.finding import Severity
from tests.linting import write


@dataclass(frozen=True)
class Rule:
    name: str = "session-method-not-called"
    code: str = "SAS209"
    severity: Severity = "error"
    profile: Literal["default", "strict"] = "default"
    tags: tuple[str, ...] = ("transaction",)


NOT_CALLED = Rule()
MODULE_LEVEL = Rule("module-level-session", "SAS101", "error", tags=("lifetime",))
STRICT = Rule("pool-without-pre-ping", "SAS805", "info", "strict", ("engine",))
RULES = (NOT_CALLED, MODULE_LEVEL, STRICT)


def own(text: str, root: Path) -> Config:
    return config.load(write({"sa-session-lint.toml": text}, root))


def fault(text: str, root: Path, name: str = "sa-session-lint.toml") -> ConfigError:
    write({name: text}, root)
    with pytest.raises(ConfigError) as caught:
        config.check_rules(config.load(root), RULES)
    assert caught.value.file == root / name
    return caught.value


GOOD: list[tuple[str, str, Any]] = [
    ("select", '["SAS2", "module-level-session"]', ("SAS2", "module-level-session")),
    ("select", "[]", ()),
    ("ignore", '["SAS209"]', ("SAS209",)),
    ("extend-select", '["ALL"]', ("ALL",)),
    ("per-file-ignores", '{ "scripts/" = ["SAS1"], "*.pyi" = ["ALL"] }', (("scripts/", ("SAS1",)), ("*.pyi", ("ALL",)))),
    ("severity", '{ SAS209 = "warning", module-level-session = "info" }', (("SAS209", "warning"), ("module-level-session", "info"))),
    ("fail-on", '"error"', "error"),
    ("exclude", '["old/", "*_pb2.py"]', ("old/", "*_pb2.py")),
    ("extend-exclude", '["generated/**"]', ("generated/**",)),
    ("respect-gitignore", "false", False),
    ("src", '["lib", "backend/src"]', ("lib", "backend/src")),
    ("tests", '["checks/"]', ("checks/",)),
    ("profile", '"strict"', "strict"),
    ("makers", '["app.db.new_session"]', (Maker("app.db.new_session"),)),
    ("makers", '[{ name = "app.db.session", kind = "async", expire-on-commit = false, closes = true }, "b"]', (Maker("app.db.session", "async", False, True), Maker("b"))),
    ("slow-calls", '["requests.get"]', ("requests.get",)),
    ("scope-hooks", '["app.db.shutdown"]', ("app.db.shutdown",)),
    ("target-versions", '{ sqlalchemy = "1.4", fastapi = "0.110.1" }', (("sqlalchemy", "1.4"), ("fastapi", "0.110.1"))),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "wanted"), GOOD, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("home", ["own", "pyproject"])
def test_every_key_is_read(key: str, value: str, wanted: object, home: str, tmp_path: Path) -> None:
    if home == "own":
        found = own(f"{key} = {value}\n", tmp_path)
        assert found.file == tmp_path / "sa-session-lint.toml"
    else:
        found = config.load(write({"pyproject.toml": f'[project]\nname = "shop"\n\n[tool.sa-session-lint]\n{key} = {value}\n'}, tmp_path))
        assert found.file == tmp_path / "pyproject.toml"
    assert getattr(found, key.replace("-", "_")) == wanted
    assert found == Config(**{"file": found.file, key.replace("-", "_"): wanted})


def test_the_keys_tested_are_all_there_are() -> None:
    assert {key for key, *_ in GOOD} == {name.replace("_", "-") for name in Config.__slots__} - {"file"}


BAD: list[tuple[str, str, str]] = [
    ("select", '"SAS2"', "must be an array of strings, not a string"),
    ("select", "[1]", "must be an array of strings, not an array that holds a number"),
    ("ignore", "true", "must be an array of strings, not a boolean"),
    ("extend-select", "{}", "must be an array of strings, not a table"),
    ("per-file-ignores", '["a"]', "must be a table, not an array"),
    ("per-file-ignores", '{ "a.py" = "SAS2" }', "`a.py` must be an array of strings, not a string"),
    ("severity", '"error"', "must be a table, not a string"),
    ("severity", '{ SAS209 = "eror" }', "`SAS209` must be one of `error`, `warning`, `info`, not `eror`; did you mean `error`?"),
    ("severity", "{ SAS209 = 1 }", "not a number"),
    ("fail-on", '"info"', "must be one of `error`, `warning`, not `info`"),
    ("fail-on", '"warnings"', "did you mean `warning`?"),
    ("exclude", '"old"', "must be an array of strings"),
    ("extend-exclude", "[1.5]", "an array that holds a number"),
    ("respect-gitignore", '"no"', "must be true or false, not a string"),
    ("respect-gitignore", "0", "must be true or false, not a number"),
    ("src", '"src"', "must be an array of strings"),
    ("tests", '"tests"', "must be an array of strings"),
    ("profile", '"strikt"', "must be one of `default`, `strict`, not `strikt`; did you mean `strict`?"),
    ("profile", "[]", "not an array"),
    ("makers", '"app.db.f"', "must be an array of dotted names or tables, not a string"),
    ("makers", '["app.db.f()"]', "`app.db.f()` is no dotted name, such as `app.db.new_session`"),
    ("makers", "[1]", "must be a table, not a number"),
    ("makers", '[{ kind = "sync" }]', "a maker needs a `name`"),
    ("makers", '[{ name = "f", kin = "sync" }]', "unknown key `kin`; did you mean `kind`?"),
    ("makers", '[{ name = "f", kind = "asynch" }]', "`kind` must be one of `sync`, `async`, not `asynch`; did you mean `async`?"),
    ("makers", '[{ name = "f", closes = "yes" }]', "`closes` must be true or false"),
    ("makers", "[{ name = 1 }]", "`name` must be a string, not a number"),
    ("slow-calls", '["requests get"]', "`requests get` is no dotted name"),
    ("scope-hooks", '[""]', "is no dotted name"),
    ("target-versions", '{ sqlalchmy = "2.0" }', "unknown package `sqlalchmy`; did you mean `sqlalchemy`?"),
    ("target-versions", '{ sqlalchemy = "2.x" }', '`sqlalchemy` must be a version such as "2.0", not `2.x`'),
    ("target-versions", "{ sqlalchemy = 2.0 }", "`sqlalchemy` must be a string, not a number"),
    ("target-versions", '"2.0"', "must be a table"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "words"), BAD, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_value_that_cannot_be_meant_is_refused_with_its_line(key: str, value: str, words: str, end: str, tmp_path: Path) -> None:
    lines = ["# ours", 'src = ["lib"]' if key != "src" else 'fail-on = "error"', "", f"{key} = {value}", ""]
    (tmp_path / "sa-session-lint.toml").write_bytes(end.join(lines).encode())
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path)
    found = caught.value
    assert found.line == 4
    assert found.message.startswith(f"`{key}`: ") and words in found.message
    assert found.key.split(".")[0] == key
    assert str(found) == f"{tmp_path / 'sa-session-lint.toml'}:4: {found.message}"


@pytest.mark.parametrize("key", sorted({key for key, *_ in BAD}))
def test_a_misspelt_key_is_refused_with_a_suggestion(key: str, tmp_path: Path) -> None:
    found = fault(f"\n{key}s = []\n" if key != "src" else "\nsrcs = []\n", tmp_path)
    wrong = f"{key}s" if key != "src" else "srcs"
    assert (found.line, found.message) == (2, f"unknown key `{wrong}`; did you mean `{key}`?")


def test_a_key_like_no_other_is_refused_without_a_suggestion(tmp_path: Path) -> None:
    assert fault("zzz = 1\n", tmp_path).message == "unknown key `zzz`"


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ('[severity]\nSAS209 = "warning"\nSAS101 = "wrong"\n', 3, "severity.SAS101"),
        ('[per-file-ignores]\n"a.py" = ["SAS2"]\n\n"b.py" = 1\n', 4, "per-file-ignores.b.py"),
        ('per-file-ignores."b.py" = 1\n', 1, "per-file-ignores.b.py"),
        ('[target-versions]\nsqlalchemy = "2.0"\nfastapi = "new"\n', 3, "target-versions.fastapi"),
        ('[[makers]]\nname = "a"\n\n[[makers]]\nname = "b"\nclosed = true\n', 6, "makers"),
        ('makers = [\n    "a",\n    "b c",\n]\n', 3, "makers"),
        ('slow-calls = [\n    "a.b",\n    "a-b",\n]\n', 3, "slow-calls"),
        ('select = [\n    "SAS2",\n    "SAS9",\n]\n', 3, "select"),
        ('ignore = ["SAS209"]\nextend-select = ["module-level-sesion"]\n', 2, "extend-select"),
        ('# severity = 1\n[severity]\n# SAS9\nSAS999 = "info"\n', 4, "severity.SAS999"),
        ('[per-file-ignores]\n"a.py" = [\n    "SAS209",\n    "SAS777",\n]\n', 4, "per-file-ignores.a.py"),
        ('severity = { SAS101 = "info", SAS888 = "info" }\n', 1, "severity.SAS888"),
    ],
)
@pytest.mark.parametrize("home", ["own", "pyproject"])
def test_the_line_is_that_of_the_value(text: str, line: int, key: str, home: str, tmp_path: Path) -> None:
    if home == "own":
        assert (fault(text, tmp_path).line, fault(text, tmp_path).key) == (line, key)
        return
    head = '[project]\nname = "x"\n[tool.other]\nselect = ["SAS9"]\n[tool.sa-session-lint]\n'
    body = text.replace("\n[[", "\n[[tool.sa-session-lint.").replace("\n[s", "\n[tool.sa-session-lint.s")
    for name in ("severity", "per-file-ignores", "target-versions"):
        body = body.replace(f"[{name}]", f"[tool.sa-session-lint.{name}]") if f"lint.{name}]" not in body else body
    body = body.replace("[[makers]]", "[[tool.sa-session-lint.makers]]")
    found = fault(head + body, tmp_path, "pyproject.toml")
    assert (found.line, found.key) == (line + 5, key)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("select = [\n", 1, "is not valid TOML"),
        ('select = ["a"]\nselect = ["b"]\n', 2, "is not valid TOML"),
        ("a = \n", 1, "is not valid TOML"),
        ("x = 1\ny = 'open\n", 2, "is not valid TOML"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(text: str, line: int, words: str, tmp_path: Path) -> None:
    found = fault(text, tmp_path)
    assert words in found.message
    assert found.line == line


def test_bytes_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sa-session-lint.toml").write_bytes(b"\nexclude = ['\xff']\n")
    with pytest.raises(ConfigError, match="is not valid TOML") as caught:
        config.load(tmp_path)
    assert caught.value.line == 2


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "sa-session-lint.toml").write_bytes(b"\xef\xbb\xbffail-on = 'error'\r\n")
    assert config.load(tmp_path).fail_on == "error"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path, explicit=tmp_path)


# -- where they are read ----------------------------------------------------------------------------------------------


def test_our_own_file_goes_before_pyproject(tmp_path: Path) -> None:
    files = {"sa-session-lint.toml": "fail-on = 'error'\n", "pyproject.toml": "[tool.sa-session-lint]\nprofile = 'strict'\n"}
    found = config.load(write(files, tmp_path))
    assert (found.fail_on, found.profile) == ("error", "default")


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.ruff]\nselect = ['ALL']\n", "# sa-session-lint\n", "[tool\nbroken = \n"])
def test_a_pyproject_without_our_table_says_nothing(text: str, tmp_path: Path) -> None:
    assert config.load(write({"pyproject.toml": text}, tmp_path)) == Config()


@pytest.mark.parametrize(
    "text",
    [
        "[tool.sa-session-lint]\nprofile = 'strict'\n",
        "[tool.'sa-session-lint']\nprofile = 'strict'\n",
        "[ tool . \"sa-session-lint\" ]\nprofile = 'strict'\n",
        "[tool]\nsa-session-lint = { profile = 'strict' }\n",
        "[tool]\nsa-session-lint.profile = 'strict'\n",
        "tool.sa-session-lint.profile = 'strict'\n",
    ],
)
def test_however_the_table_is_written_it_is_read(text: str, tmp_path: Path) -> None:
    assert config.load(write({"pyproject.toml": text}, tmp_path)).profile == "strict"
    assert fault(text.replace("'strict'", "'wrong'"), tmp_path, "pyproject.toml").line == text[: text.index("profile")].count("\n") + 1


def test_a_broken_pyproject_with_our_table_is_a_fault(tmp_path: Path) -> None:
    found = fault("[tool.sa-session-lint]\nprofile = \n", tmp_path, "pyproject.toml")
    assert found.line == 2 and "is not valid TOML" in found.message


@pytest.mark.parametrize("text", ["tool = 1\n", "[tool]\nsa-session-lint = 1\n", "[[tool]]\n"])
def test_a_table_that_is_none_is_a_fault_or_not_ours(text: str, tmp_path: Path) -> None:
    write({"pyproject.toml": text}, tmp_path)
    if "sa-session-lint" in text:
        with pytest.raises(ConfigError, match="must be a table, not a number"):
            config.load(tmp_path)
    else:
        assert config.load(tmp_path) == Config()


def test_an_explicit_file_is_read_instead_of_the_projects(tmp_path: Path) -> None:
    write({"sa-session-lint.toml": "fail-on = 'error'\n", "ci/strict.toml": "profile = 'strict'\n"}, tmp_path)
    found = config.load(tmp_path, tmp_path / "ci/strict.toml")
    assert (found.fail_on, found.profile) == ("warning", "strict")
    write({"ci/pyproject.toml": "[tool.sa-session-lint]\nprofile = 'strict'\n"}, tmp_path)
    assert config.load(tmp_path, tmp_path / "ci/pyproject.toml").profile == "strict"


def test_isolated_reads_nothing(tmp_path: Path) -> None:
    write({"sa-session-lint.toml": "nonsense = [\n"}, tmp_path)
    assert config.load(tmp_path, isolated=True) == Config()


def test_an_empty_own_file_sets_nothing(tmp_path: Path) -> None:
    assert own("", tmp_path) == Config(file=tmp_path / "sa-session-lint.toml")


# -- rules that there are not -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ('select = ["SAS9"]', "select", "`select`: there is no rule `SAS9`"),
        ('ignore = ["session-method-not-caled"]', "ignore", "`ignore`: there is no rule `session-method-not-caled`; did you mean `session-method-not-called`?"),
        ('extend-select = ["SAS208"]', "extend-select", "`extend-select`: there is no rule `SAS208`; did you mean `SAS209`?"),
        ('select = ["all"]', "select", "`select`: there is no rule `all`"),
        ('select = [""]', "select", "`select`: there is no rule ``"),
        ('severity = { nothing = "info" }', "severity.nothing", "`severity`: there is no rule `nothing`"),
        ('per-file-ignores = { "a.py" = ["E501"] }', "per-file-ignores.a.py", "`per-file-ignores`: there is no rule `E501`"),
    ],
)  # fmt: skip
def test_a_rule_that_there_is_not_is_refused(text: str, key: str, message: str, tmp_path: Path) -> None:
    found = fault(f"\n{text}\n", tmp_path)
    assert (found.line, found.key) == (2, key)
    assert found.message.startswith(message)


def test_of_the_command_line_no_file_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        config.check_rules(Config().overridden(Overrides(select=("SAS9",))), RULES)
    assert str(caught.value).startswith("`select`: there is no rule `SAS9`")
    assert caught.value.failure(Path("/x")).path == ""


@pytest.mark.parametrize("token", ["ALL", "SAS", "SAS2", "SAS20", "SAS209", "sas209", "session-method-not-called"])
def test_names_codes_and_prefixes_are_rules(token: str) -> None:
    config.check_rules(Config(select=(token,), ignore=(token,), severity=((token, "info"),)), RULES)
    assert Config(select=(token,)).selects(NOT_CALLED)


# -- what is chosen ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        (Config(), "209 101"),
        (Config(profile="strict"), "209 101 805"),
        (Config(select=()), ""),
        (Config(select=("SAS2",)), "209"),
        (Config(select=("ALL",)), "209 101 805"),
        (Config(select=("SAS8",)), "805"),
        (Config(extend_select=("SAS805",)), "209 101 805"),
        (Config(select=("SAS2",), extend_select=("SAS1",)), "209 101"),
        (Config(ignore=("SAS209",)), "101"),
        (Config(ignore=("ALL",)), ""),
        (Config(ignore=("SAS",)), ""),
        (Config(ignore=("SAS",), extend_select=("SAS209",)), "209"),
        (Config(select=("ALL",), ignore=("SAS2",)), "101 805"),
        (Config(select=("SAS209",), ignore=("SAS2",)), "209"),
        (Config(select=("SAS2",), ignore=("SAS209",)), ""),
        (Config(select=("session-method-not-called",), ignore=("SAS209",)), ""),
        (Config(select=("SAS20",), ignore=("SAS2",)), "209"),
        (Config(select=("SAS2",), ignore=("SAS2",)), ""),
        (Config(select=("SAS2",), profile="strict"), "209"),
    ],
)
def test_the_more_exact_word_wins_and_of_two_equals_ignore(settings: Config, chosen: str) -> None:
    assert " ".join(rule.code[3:] for rule in RULES if settings.selects(rule)) == chosen


@pytest.mark.parametrize(
    ("overrides", "chosen"),
    [
        (Overrides(), "805"),
        (Overrides(select=("SAS2", "SAS1")), "209 101"),
        (Overrides(ignore=("SAS8",)), ""),
        (Overrides(extend_select=("SAS209",)), "209 805"),
        (Overrides(select=("SAS2",), ignore=("SAS209",)), ""),
        (Overrides(select=("SAS2",), extend_select=("SAS1",)), "209 101"),
        (Overrides(profile="strict"), "805"),
    ],
)
def test_the_command_line_changes_the_choice(overrides: Overrides, chosen: str) -> None:
    settings = Config(select=("SAS8",), ignore=("SAS2", "SAS1")).overridden(overrides)
    assert " ".join(rule.code[3:] for rule in RULES if settings.selects(rule)) == chosen


def test_the_command_line_overrides_profile_and_gitignore() -> None:
    settings = Config(profile="default", respect_gitignore=True)
    changed = settings.overridden(Overrides(profile="strict", respect_gitignore=False))
    assert (changed.profile, changed.respect_gitignore) == ("strict", False)
    assert settings.overridden(Overrides()) == settings


@pytest.mark.parametrize(
    ("pattern", "path", "on"),
    [
        ("a.py", "a.py", False),
        ("a.py", "lib/a.py", False),
        ("/a.py", "lib/a.py", True),
        ("lib/", "lib/x/a.py", False),
        ("lib/*.py", "lib/a.py", False),
        ("lib/*.py", "lib/x/a.py", True),
        ("lib/**", "lib/x/a.py", False),
        ("**/x/*.py", "lib/x/a.py", False),
        ("*.pyi", "a.py", True),
    ],
)
def test_per_file_ignores_are_patterns_of_gitignore(pattern: str, path: str, on: bool) -> None:
    settings = Config(per_file_ignores=((pattern, ("SAS2",)),))
    assert settings.applies(NOT_CALLED, path) == on
    assert settings.applies(STRICT, path)


@pytest.mark.parametrize(
    ("severity", "wanted"),
    [
        ((), "error"),
        ((("SAS209", "warning"),), "warning"),
        ((("SAS2", "warning"), ("SAS209", "info")), "info"),
        ((("SAS209", "info"), ("SAS2", "warning"), ("ALL", "error")), "info"),
        ((("ALL", "warning"),), "warning"),
        ((("SAS8", "warning"),), "error"),
        ((("session-method-not-called", "info"), ("SAS2", "warning")), "info"),
    ],
)
def test_the_most_exact_word_decides_the_severity(severity: tuple[tuple[str, Severity], ...], wanted: str) -> None:
    assert Config(severity=severity).severity_of(NOT_CALLED) == wanted


@pytest.mark.parametrize(
    "path",
    ["tests/a.py", "shop/tests/x/a.py", "test/a.py", "conftest.py", "lib/conftest.py", "test_a.py", "lib/a_test.py", "migrations/versions/a.py",
     "app/alembic/versions/x.py", "alembic/env.py", "migrations/env.py", "db/versions/0123456789ab_add_user.py"],
)  # fmt: skip
def test_tests_and_migrations_are_known(path: str) -> None:
    assert Config().is_test(path)
    assert not Config().applies(MODULE_LEVEL, path)
    assert Config().applies(NOT_CALLED, path)


@pytest.mark.parametrize("path", ["app/a.py", "contest.py", "latest/a.py", "app/testing.py", "versions/a.py", "env.py", "app/versions/v1_users.py", "attest_x.py"])
def test_other_files_are_no_tests(path: str) -> None:
    assert not Config().is_test(path)
    assert Config().applies(MODULE_LEVEL, path)


def test_tests_may_lie_elsewhere() -> None:
    settings = Config(tests=("checks/",))
    assert settings.is_test("checks/a.py") and not settings.is_test("tests/a.py")
    assert settings.is_test("alembic/env.py")


def test_exclude_and_extend_exclude_add_up_and_may_be_taken_back() -> None:
    settings = Config(exclude=("old/*",), extend_exclude=("*_pb2.py", "!old/keep.py"))
    assert [settings.is_excluded(path) for path in ("old/a.py", "old/keep.py", "x_pb2.py", "a.py")] == [True, False, True, False]
    assert not Config().is_excluded("a.py")
