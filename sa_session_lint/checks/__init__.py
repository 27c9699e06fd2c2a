"""The checks, one module per rule: `module-level-session` is found by `ModuleLevelSession` in `checks/module_level_session.py`."""

from __future__ import annotations

from importlib import import_module, util

from sa_session_lint.checks.check import Check


def load(rule: str) -> type[Check] | None:
    """The check of a rule, or None where a rule has none of its own (`unused-suppression`)."""
    module = f"sa_session_lint.checks.{rule.replace('-', '_')}"
    if util.find_spec(module) is None:
        return None
    check: type[Check] = getattr(import_module(module), "".join(part.capitalize() for part in rule.split("-")))
    check.rule = rule
    return check
