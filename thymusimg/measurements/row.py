"""The values of one row, and why some of them are undefined."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Row:
    """The values of a section so far, and the reasons of those that are undefined."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: object, why: str = "the measurement gave no number") -> None:
        """Set a value; ``why`` is kept if it is NaN."""
        self.values[name] = value
        if isinstance(value, float) and math.isnan(value):
            self.reasons[name] = why

    def put_all(self, values: Mapping[str, object], why: str) -> None:
        """Set several values that are undefined for the same reason."""
        for name, value in values.items():
            self.put(name, value, why)
