from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Case:
    """A metric on a shape whose answer is known.

    ``metric`` begins with its id in the catalogue (``R12 cortical thickness``), ``column`` names what it becomes in a
    table (a column, a curve, or the function), ``case`` says the shape in words, ``tolerance`` is absolute, in ``unit``.
    ``why`` says where a tolerance comes from that is not rounding.
    """

    metric: str
    column: str
    case: str
    expected: float
    tolerance: float
    unit: str
    measure: Callable[[], float]
    why: str = ""
