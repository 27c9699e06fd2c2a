"""Colour for terminals."""

from __future__ import annotations

from dataclasses import dataclass

_CODES = {"bold": "1", "dim": "2", "red": "1;31", "yellow": "1;33", "blue": "1;34", "cyan": "36", "green": "32"}
SEVERITY_COLOUR = {"error": "red", "warning": "yellow", "info": "blue"}


@dataclass(frozen=True, slots=True)
class Paint:
    """`Paint(True)("text", "red")` is red; `Paint(False)` leaves everything as it is."""

    on: bool

    def __call__(self, text: str, colour: str) -> str:
        return f"\033[{_CODES[colour]}m{text}\033[0m" if self.on and text else text
