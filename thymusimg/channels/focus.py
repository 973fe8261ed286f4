"""Is a tile in focus? Judged against tiles of like brightness and texture: sparse is not blurred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.channels.check import Check, grade, percent, place, unmeasured

if TYPE_CHECKING:
    import pandas as pd

    from thymusimg.channels.check import Evidence

    FloatVector = npt.NDArray[np.float64]

MINIMUM_TILES = 8
_NEIGHBOURS = 15
_LAPLACIAN_NOISE = 20.0
"""Sum of the squared weights of the kernel [0 1 0; 1 −4 1; 0 1 0]: white noise of variance σ² leaves 20 σ²."""
_BLURRED_UM = 3.0
"""Detail coarser than this cannot show a thymocyte (6.5 µm) as anything but a blot."""


def check_focus(evidence: Evidence, role: str) -> Check:
    """Measure the share of the tissue's tiles that are in focus."""
    unit = "share of tiles"
    tiles = evidence.tissue_tiles(role)
    if len(tiles) < MINIMUM_TILES:
        why = f"{len(tiles)} tissue tiles are too few to compare with each other"
        return unmeasured(role, "focus", unit, why, "warn")
    score = relative_sharpness(tiles, evidence.tiles[evidence.tiles["role"] == role])
    blurred = score < evidence.settings.focus_ratio
    share = 1 - float(blurred.mean())
    detail = detail_scale_um(tiles, evidence.section.pixel_size_um)
    status = grade(share, evidence.settings.focus_pass, evidence.settings.focus_fail)
    reason = f"{percent(share)} of {len(tiles)} tissue tiles are as sharp as tiles of like brightness and texture"
    if status != "pass":
        reason += "; the others are blurred (out of focus, lifted or thick tissue)"
    if detail > _BLURRED_UM:
        status = "warn" if status == "pass" else status
        reason += f"; the finest detail anywhere is about {detail:.1f} µm, so the whole section may be out of focus"
    where = place(tiles, int(np.argmin(score))) if blurred.any() else ""
    return Check(role, "focus", share, unit, status, reason, where)


def relative_sharpness(tiles: pd.DataFrame, every_tile: pd.DataFrame) -> FloatVector:
    """Compare each tile's sharpness with that of the tiles nearest to it in brightness and texture.

    Sharpness is the variance of the Laplacian, less what photon noise alone would leave. The reference is the
    median of the nearest tiles in (log mean, log SD); 1 is as sharp as those.

    Parameters
    ----------
    tiles : DataFrame
        The tissue tiles of one role, as in :class:`~thymusimg.section.survey.Survey`.
    every_tile : DataFrame
        All tiles of that role, background included, from which the noise is learnt.

    Returns
    -------
    (N,) float64
    """
    from scipy.spatial import cKDTree

    level, texture, variance = _within_tissue(tiles, every_tile)
    sharpness = np.log(variance)
    features = np.column_stack([np.log(level), np.log(texture)])
    # Brightness says little about sharpness once the texture is matched, hence its smaller weight.
    features *= [0.5, 1.0]
    count = min(_NEIGHBOURS, max(MINIMUM_TILES - 1, len(tiles) // 3)) + 1
    nearest = np.asarray(cKDTree(features).query(features, k=count)[1])
    reference: FloatVector = np.median(sharpness[nearest[:, 1:]], axis=1)
    return np.exp(sharpness - reference)


def detail_scale_um(tiles: pd.DataFrame, pixel_size_um: float) -> float:
    """Estimate the finest detail that a channel shows anywhere, in µm.

    A field with the autocorrelation exp(−r²/4s²) has Laplacian variance 2/s⁴ of its own variance; hence
    ``s = (2 sd² / laplacian_variance)^¼`` pixels. The tenth percentile over tiles stands for the sharpest ones.
    """
    ratio = tiles["sd"].to_numpy() ** 2 / np.maximum(tiles["laplacian_variance"].to_numpy(), 1e-12)
    return float(np.percentile((2 * ratio) ** 0.25, 10)) * pixel_size_um


def _within_tissue(tiles: pd.DataFrame, every_tile: pd.DataFrame) -> tuple[FloatVector, FloatVector, FloatVector]:
    """Return brightness, SD and Laplacian variance of the tissue on each tile, without its edge to the background.

    With a share p of tissue, ``sd² = p σ² + p (1 − p) Δ²`` where Δ is the tissue's brightness above background.
    """
    share = np.clip(tiles["tissue_share"].to_numpy(), 0.05, 1)
    level = np.maximum(tiles["mean"].to_numpy() - every_tile["mean"].min(), 0) / share
    spread = tiles["sd"].to_numpy() ** 2
    inner = np.maximum((spread - share * (1 - share) * level**2) / share, 0.05 * spread)
    tiny = 1e-9 + 1e-3 * float(level.max())
    return level + tiny, np.sqrt(inner) + 1e-9, _without_noise(tiles, every_tile) / share


def _without_noise(tiles: pd.DataFrame, every_tile: pd.DataFrame) -> FloatVector:
    """Return the Laplacian variance above half the noise floor of the smoothest tiles.

    The floor is read noise plus photon noise that grows with brightness. The smoothest tiles bound it from above,
    hence the half.
    """
    noise, mean = every_tile["noise_sd"].to_numpy() ** 2, every_tile["mean"].to_numpy()
    read_noise, dark = float(noise.min()), float(mean.min())
    bright = mean > dark + 0.1 * (mean.max() - dark)
    slope = float(np.percentile((noise[bright] - read_noise) / (mean[bright] - dark), 5)) if bright.any() else 0.0
    floor = read_noise + max(0.0, slope) * (tiles["mean"].to_numpy() - dark)
    variance = tiles["laplacian_variance"].to_numpy()
    above: FloatVector = np.maximum(variance - 0.5 * _LAPLACIAN_NOISE * floor, 0.02 * variance + 1e-12)
    return above
