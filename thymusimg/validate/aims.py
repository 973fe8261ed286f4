"""What the project aims at, and whether the figures get there."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Aim:
    """A figure that is aimed at: ``at least`` or ``at most`` a bound."""

    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool | None:
        """Say whether a value gets there; None where it is undefined."""
        if math.isnan(value):
            return None
        return value >= self.bound if self.at_least else abs(value) <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


NOMINAL = {
    "dice_tissue": Aim(0.97),
    "dice_medulla": Aim(0.90),
    "dice_cortex": Aim(0.92),
    "border_mean_um": Aim(10.0, at_least=False),
    "border_p95_um": Aim(40.0, at_least=False),
}
"""Compartments at nominal optics."""
HARD = {"dice_medulla": Aim(0.88)}
"""Compartments under hard optics."""
CELLS = {
    "sparse": {"f1_iou_50": Aim(0.95), "count_bias": Aim(0.05, at_least=False), "density_bias": Aim(0.05, False)},
    "medium": {"f1_iou_50": Aim(0.92), "count_bias": Aim(0.05, at_least=False), "density_bias": Aim(0.05, False)},
    "packed": {"f1_iou_50": Aim(0.80), "count_bias": Aim(0.15, at_least=False), "density_bias": Aim(0.15, False)},
}
"""Cells at nominal optics, by density."""
FALSE_POSITIVES = Aim(0.05, at_least=False)
"""The interval of the rate should hold this or lie below it."""
SPEARMAN = Aim(0.9)
ORDERING = Aim(0.99)
