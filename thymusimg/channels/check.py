"""One quality check, and what the checks of a section share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from thymusimg.channels.correct import Correction
    from thymusimg.section.model import FloatPlane, Mask, Section
    from thymusimg.section.survey import Survey
    from thymusimg.settings import QualitySettings

Status = Literal["pass", "warn", "fail"]


class Check(NamedTuple):
    """One row of ``quality.csv``, less the section's name.

    A check that could not be made has ``value`` NaN and a reason that begins with *not measured*.
    """

    channel: str
    check: str
    value: float
    unit: str
    status: Status
    reason: str
    where: str = ""


def unmeasured(channel: str, check: str, unit: str, reason: str, status: Status = "pass") -> Check:
    """Return the row of a check that could not be made."""
    return Check(channel, check, math.nan, unit, status, f"not measured: {reason}")


def grade(value: float, passes: float, fails: float) -> Status:
    """Grade a value of which less is better; with ``passes > fails``, one of which more is better."""
    if passes > fails:
        value, passes, fails = -value, -passes, -fails
    return "pass" if value <= passes else "warn" if value <= fails else "fail"


@dataclass(frozen=True)
class Evidence:
    """All that the checks look at: one survey, its tissue, its correction; no pixel is read again."""

    section: Section
    survey: Survey
    tissue: Mask
    correction: Correction
    settings: QualitySettings

    @cached_property
    def inside(self) -> Mask:
        """(Y, X) bool: tissue that was scanned."""
        return self.tissue & self.survey.valid

    @cached_property
    def planes(self) -> Mapping[str, FloatPlane]:
        """Corrected coarse planes."""
        return self.correction.apply_coarse(self.survey.planes)

    @cached_property
    def signal(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Corrected values of the tissue's coarse pixels, one array a role; thinned evenly beyond 150,000."""
        places = np.flatnonzero(self.inside)
        step = max(1, places.size // 150_000)
        chosen = places[::step]
        return {role: plane.ravel()[chosen] for role, plane in self.planes.items()}

    @cached_property
    def background_sd(self) -> Mapping[str, float]:
        """Robust SD (1.4826 MAD) of each role off the tissue, in raw units; NaN where there is no background.

        At least a quarter of a grey level for integer pixels: a clipped black carries no noise of its own.
        """
        off = np.flatnonzero(self.survey.valid & ~self.tissue)
        off = off[:: max(1, off.size // 150_000)]
        floor = 0.25 if np.issubdtype(self.section.image.dtype, np.integer) else 0.0
        if off.size < 50:
            return dict.fromkeys(self.survey.planes, math.nan)
        return {role: max(floor, _mad_sd(plane.ravel()[off])) for role, plane in self.survey.planes.items()}

    @cached_property
    def tiles(self) -> pd.DataFrame:
        """The survey's tiles with ``tissue_share``, the share of the tile that is tissue."""
        import cv2

        tiles = self.survey.tiles
        total = cv2.integral(self.inside.view(np.uint8))
        factor = self.survey.grid.factor
        top, left = self.survey.grid.origin  # tiles lie on the slide
        y0, x0 = ((tiles[c].to_numpy() - first) // factor for c, first in (("y0", top), ("x0", left)))
        y1, x1 = (
            np.minimum(-(-(tiles[c].to_numpy() - first) // factor), size)
            for c, first, size in (("y1", top, self.tissue.shape[0]), ("x1", left, self.tissue.shape[1]))
        )
        count = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
        return tiles.assign(tissue_share=count / np.maximum(1, (y1 - y0) * (x1 - x0)))

    def tissue_tiles(self, role: str, share: float = 0.5) -> pd.DataFrame:
        """Return a role's tiles of which at least ``share`` is tissue."""
        tiles = self.tiles
        return tiles[(tiles["role"] == role) & (tiles["tissue_share"] >= share)]


def place(tiles: pd.DataFrame, row: int) -> str:
    """Write where the tile of a row lies, for jumping to it: ``y0,x0`` in full-resolution pixels."""
    return f"{int(tiles['y0'].iloc[row])},{int(tiles['x0'].iloc[row])}"


def percent(share: float) -> str:
    """Write a share for a reader."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _mad_sd(values: npt.NDArray[np.float32]) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
