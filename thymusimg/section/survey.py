"""The survey of a section: coarse planes of every stain and full-resolution statistics of its tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from thymusimg.section.model import FloatPlane, Grid, Mask


@dataclass(frozen=True)
class Survey:
    """What one pass over a slide (or its pyramid) tells.

    Attributes
    ----------
    grid : Grid
    planes : mapping of str to (Y, X) float32
        Mean raw intensity of each role on the coarse grid, background and illumination untouched.
    valid : (Y, X) bool
        Pixels that were scanned and lie inside the ROI. False on the constant filling of a mosaic.
    tiles : DataFrame
        One row a role and surveyed full-resolution tile of 512 px (fixed, anchored at the origin, whatever the
        processing tile): ``role, y0, x0, y1, x1`` (px), ``mean, sd, maximum``, ``saturated_fraction``,
        ``laplacian_variance`` (variance of the 3x3 Laplacian), ``noise_sd`` (robust, from the same Laplacian).
        All tiles of a flat file; of a pyramidal one an even sample.
    limits : mapping of str to (low, high)
        The 0.1 and 99.9 percentiles of the valid coarse pixels: the section's one set of display limits.
    """

    grid: Grid
    planes: Mapping[str, FloatPlane]
    valid: Mask
    tiles: pd.DataFrame
    limits: Mapping[str, tuple[float, float]]
