"""Reporters: one format each, from a `Report` to text. They see neither files nor trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sa_session_lint.run import Report


@dataclass(frozen=True, slots=True)
class Style:
    """How a terminal wants it; machine formats ignore it."""

    colour: bool = False
    width: int = 100


def _late(module: str, function: str) -> Callable[[Report, Style], str]:
    def render(report: Report, style: Style) -> str:
        text: str = getattr(import_module(f"sa_session_lint.report.{module}"), function)(report, style)
        return text

    return render


FORMATS: dict[str, Callable[[Report, Style], str]] = {
    "full": _late("text", "full"),
    "concise": _late("text", "concise"),
    "json": _late("json", "render"),
    "sarif": _late("sarif", "render"),
    "github": _late("github", "render"),
}
