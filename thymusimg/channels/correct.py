"""What is done to the pixels before anything is measured: background, vignetting, unmixing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.channels.unmix import inverse_mixing
from thymusimg.channels.vignetting import estimate_vignetting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.channels.gain import Gain
    from thymusimg.section.model import FloatPlane, Grid, Mask, Window
    from thymusimg.section.survey import Survey
    from thymusimg.settings import CorrectionSettings


@dataclass(frozen=True)
class Correction:
    """How raw pixels become measured ones: ``x = S⁻¹ ((raw − offset) / gain)``.

    Attributes
    ----------
    grid : Grid
    offset : mapping of str to float
        Background level of each role, in raw units.
    gains : mapping of str to Gain
        Relative illumination on the coarse grid (mean 1 over a tile); only for roles that are flattened.
    unmixing : (R, R) float64, or None
        Inverse of the mixing matrix over ``roles`` in order; None is off.
    roles : tuple of str
    notes : tuple of str
        What was done and why, for the provenance.
    periods : (float or None, float or None)
        Height and width of the stitched tiles in coarse pixels, None where none was found.
    """

    grid: Grid
    offset: Mapping[str, float]
    gains: Mapping[str, Gain]
    unmixing: npt.NDArray[np.float64] | None
    roles: tuple[str, ...]
    notes: tuple[str, ...] = ()
    periods: tuple[float | None, float | None] = (None, None)

    def apply_coarse(self, planes: Mapping[str, FloatPlane]) -> dict[str, FloatPlane]:
        """Correct planes of the coarse grid; returns new (Y, X) float32 planes."""
        flat = {role: self._flatten(role, plane, self.gains.get(role)) for role, plane in planes.items()}
        return self._unmix(flat)

    def apply(self, pixels: Mapping[str, npt.NDArray[np.generic]], window: Window) -> dict[str, FloatPlane]:
        """Correct full-resolution pixels.

        A pixel's value depends on its place on the slide only, never on the window it was read in.

        Parameters
        ----------
        pixels : mapping of str to (height, width) array
            Raw pixels of ``window``. Unmixing needs every role of ``roles``.
        window : Window
            Where they lie, in full-resolution pixels.

        Returns
        -------
        dict of str to (height, width) float32
        """
        at = {role: gain.sampled(self.grid.factor, window) for role, gain in self.gains.items() if role in pixels}
        flat = {role: self._flatten(role, raw, at.get(role)) for role, raw in pixels.items()}
        return self._unmix(flat)

    def _flatten(self, role: str, raw: npt.NDArray[np.generic], gain: Gain | None) -> FloatPlane:
        flat: FloatPlane = np.subtract(raw, np.float32(self.offset.get(role, 0.0)), dtype=np.float32)
        if gain is not None:
            gain.flatten(flat)
        return flat

    def _unmix(self, flat: dict[str, FloatPlane]) -> dict[str, FloatPlane]:
        if self.unmixing is None:
            return flat
        missing = [role for role in self.roles if role not in flat]
        if missing:
            raise ValueError(f"unmixing needs every stain together; missing: {', '.join(missing)}")
        inverse = self.unmixing.astype(np.float32)
        unmixed = dict(flat)
        for row, role in enumerate(self.roles):
            total = flat[role] * inverse[row, row]
            for column, source in enumerate(self.roles):
                if column != row and inverse[row, column] != 0:
                    total += inverse[row, column] * flat[source]
            unmixed[role] = total
        return unmixed


def estimate_correction(
    survey: Survey, tissue_mask: Mask, background: Mapping[str, float], settings: CorrectionSettings
) -> Correction:
    """Decide what is corrected on a section, from its coarse planes.

    The background is always subtracted. Per-tile vignetting is divided out only where the same pattern repeats at
    the period of the stitched tiles and predicts tiles that it was not learnt from. No smooth surface is ever
    fitted over the whole tissue: a medulla is not an illumination artefact. Unmixing needs a given matrix.

    Parameters
    ----------
    survey : Survey
    tissue_mask : (Y, X) bool
        Tissue on the coarse grid.
    background : mapping of str to float
        Level off the tissue of each role, in raw units.
    settings : CorrectionSettings

    Returns
    -------
    Correction
    """
    roles = tuple(survey.planes)
    offset = {role: float(background.get(role, 0.0)) for role in roles}
    notes = [f"background subtracted: {', '.join(f'{role} {level:.6g}' for role, level in offset.items())}"]
    gains: Mapping[str, Gain] = {}
    periods: tuple[float | None, float | None] = (None, None)
    if settings.illumination == "off":
        notes.append("illumination: off by setting")
    else:
        vignetting = estimate_vignetting(survey, tissue_mask, offset, settings)
        gains = vignetting.gains
        periods = vignetting.periods
        notes.extend(vignetting.notes)
    inverse = None
    if settings.unmixing is not None:
        inverse = inverse_mixing(settings.unmixing, roles)
        notes.append("unmixing: with the given matrix")
    return Correction(survey.grid, offset, gains, inverse, roles, tuple(notes), periods)
