"""What a cell network is given: intensities in units that neither gain, offset nor exposure of the slide change.

Both channels are brought to the statistics of the whole section, so that a window's input depends on no tile.
Training and inference scale with the same functions: a network is worth nothing with any other scaling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.errors import CellsError

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.cells.model import Gate
    from thymusimg.section.model import FloatPlane, Mask

SOFT_SD = 3.0
"""CD45 is linear below so many SDs of the negative tissue and logarithmic above: cells differ tenfold in
brightness, and the dim ones must not drown."""
DAPI_PERCENTILES = (5.0, 95.0)
"""Percentiles of DAPI in the tissue's coarse plane that become 0 and 1."""
DAPI_RANGE = (-0.5, 4.0)
LARGEST_SD = 60_000.0
"""Brighter pixels are cut to so many SDs; half precision holds no more."""


@dataclass(frozen=True)
class InputLevels:
    """Section-wide statistics that scale a network's input, in units of ``Correction.apply``.

    Attributes
    ----------
    cd45_background, cd45_scale : float
        Level and pixel SD of CD45-negative tissue.
    dapi_low, dapi_high : float
        DAPI that becomes 0 and 1; NaN without DAPI.
    """

    cd45_background: float
    cd45_scale: float
    dapi_low: float = math.nan
    dapi_high: float = math.nan

    @property
    def has_dapi(self) -> bool:
        """Whether DAPI can be used."""
        return math.isfinite(self.dapi_low) and self.dapi_high > self.dapi_low


def input_levels(gate: Gate, dapi: FloatPlane | None = None, tissue: Mask | None = None) -> InputLevels:
    """Return the statistics with which a section is brought to the network's units.

    Parameters
    ----------
    gate : Gate
        Its background and SD of negative tissue; the threshold takes no part.
    dapi : (Y, X) float32, optional
        Corrected coarse plane of the whole section. Without it, or where it does not vary: no DAPI.
    tissue : (Y, X) bool, optional
        Where its percentiles are taken; everywhere if left out.

    Raises
    ------
    CellsError
        If the gate has no SD to measure by.

    Examples
    --------
    >>> from thymusimg.cells.model import Gate
    >>> input_levels(Gate(60.0, 30.0, 10.0, "section")).cd45_scale
    10.0
    """
    if not (math.isfinite(gate.background) and math.isfinite(gate.background_sd) and gate.background_sd > 0):
        raise CellsError(
            f"the CD45 background of the section is {gate.background:g} ± {gate.background_sd:g}: "
            "there is nothing to scale a network's input by"
        )
    low = high = math.nan
    if dapi is not None:
        inside = dapi if tissue is None else dapi[tissue]
        if inside.size:
            low, high = (float(v) for v in np.percentile(inside, DAPI_PERCENTILES))
    return InputLevels(gate.background, gate.background_sd, low, high)


def in_background_sds(cd45: FloatPlane, levels: InputLevels) -> FloatPlane:
    """Return CD45 in SDs above the negative tissue; linear in the light."""
    scaled = (cd45 - np.float32(levels.cd45_background)) * np.float32(1.0 / levels.cd45_scale)
    return np.asarray(np.clip(scaled, -LARGEST_SD, LARGEST_SD), np.float32)


def in_dapi_range(dapi: FloatPlane, levels: InputLevels) -> FloatPlane:
    """Return DAPI between its low (0) and high (1) percentile; linear in the light."""
    scale = np.float32(1.0 / (levels.dapi_high - levels.dapi_low))
    scaled = (dapi - np.float32(levels.dapi_low)) * scale
    return np.asarray(np.clip(scaled, -LARGEST_SD, LARGEST_SD), np.float32)


def compress(cd45_sds: FloatPlane, dapi: FloatPlane | None) -> npt.NDArray[np.float32]:
    """Return the input ``(2, Y, X)`` of channels in linear units: asinh(CD45 / 3 SD), DAPI cut to its range."""
    given = np.zeros((2, *cd45_sds.shape), np.float32)
    np.arcsinh(cd45_sds * np.float32(1.0 / SOFT_SD), out=given[0])
    if dapi is not None:
        np.clip(dapi, *DAPI_RANGE, out=given[1])
    return given


def network_input(cd45: FloatPlane, dapi: FloatPlane | None, levels: InputLevels) -> npt.NDArray[np.float32]:
    """Return what the network is given for a window.

    Parameters
    ----------
    cd45, dapi : (Y, X) float32
        Corrected intensities at the network's pixel size; ``dapi`` may be missing.
    levels : InputLevels
        Of the whole section.

    Returns
    -------
    (2, Y, X) float32
        ``asinh((CD45 − background) / (3 · SD))`` and ``(DAPI − low) / (high − low)``; zeros where there is no
        DAPI.

    Examples
    --------
    >>> import numpy as np
    >>> plane = np.full((1, 1), 60.0, np.float32)
    >>> network_input(plane, None, InputLevels(30.0, 10.0)).round(2).ravel()
    array([0.88, 0.  ], dtype=float32)
    """
    nuclei = in_dapi_range(dapi, levels) if dapi is not None and levels.has_dapi else None
    return compress(in_background_sds(cd45, levels), nuclei)
