"""The survey of a section: coarse planes of every stain and full-resolution statistics of its tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.errors import PixelValueError
from thymusimg.progress import silent
from thymusimg.section import survey_cache
from thymusimg.section.filling import find_filling
from thymusimg.section.flat import survey_flat
from thymusimg.section.framing import frame_of_outlines, frame_of_signal, needs_frame
from thymusimg.section.memory import require_memory
from thymusimg.section.quantile import quantiles
from thymusimg.section.roi import roi_mask
from thymusimg.section.streaming import coarse_level, glance_pyramid, stream_full, stream_pyramid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Grid, Mask, Section
    from thymusimg.section.survey_cache import Surveyed

DISPLAY_PERCENTILES = (0.1, 99.9)
TILE_COLUMNS = (
    "y0",
    "x0",
    "y1",
    "x1",
    "mean",
    "sd",
    "maximum",
    "saturated_fraction",
    "laplacian_variance",
    "noise_sd",
)


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
        One row a role and surveyed full-resolution tile of 512 px (fixed, anchored at the slide's origin, whatever
        the processing tile): ``role, y0, x0, y1, x1`` (px of the slide), ``mean, sd, maximum``,
        ``saturated_fraction``, ``laplacian_variance`` (variance of the 3x3 Laplacian), ``noise_sd``
        (robust, from the same Laplacian). All tiles of a flat file; of a pyramidal one an even sample.
    limits : mapping of str to (low, high)
        The 0.1 and 99.9 percentiles of the valid coarse pixels: the section's one set of display limits.
    warnings : tuple of str
        Plain sentences: stains that are constant, filling that was left out.
    """

    grid: Grid
    planes: Mapping[str, FloatPlane]
    valid: Mask
    tiles: pd.DataFrame
    limits: Mapping[str, tuple[float, float]]
    warnings: tuple[str, ...] = ()


def survey_section(
    section: Section, *, threads: int = 2, progress: Progress = silent, cache: Path | None = None
) -> Survey:
    """Look once at a whole section: coarse planes, valid pixels, tile statistics, display limits.

    A pyramid is read at the level that the coarse grid needs. A flat file is streamed at full resolution, each
    stored block decoded once; memory grows with the stored block, never with the slide.

    Parameters
    ----------
    section : Section
    threads : int
        Decoding threads; no number depends on it.
    progress : callable
        Called with stage ``survey``.
    cache : Path, optional
        Folder where the coarse planes of a flat file are kept, by the file's identity.

    Raises
    ------
    PixelValueError
        If a stain has NaN or infinite pixels, or every stain is constant.
    UnreadableError
        If pixels cannot be decoded.
    OutputError
        If the cache cannot be written.
    """
    return _survey(section, _parts(section, threads, progress, cache))


def _survey(section: Section, parts: Mapping[str, Surveyed]) -> Survey:
    planes = {role: parts[role].plane for role in section.roles}
    warnings = _check_constant(section, planes)
    filling = find_filling(planes)
    valid = roi_mask(section.roi, section.grid) & ~filling
    if filling.any():
        warnings.append(f"{100 * filling.mean():.1f} % of the slide is the filling between scanned tiles")
    if not valid.any():
        raise PixelValueError(
            f"{section.image.path}: no scanned pixel lies inside the region of interest. Check the ROI file: its "
            "coordinates must be full-resolution pixels (x, y)."
        )
    limits = {role: _limits(plane, valid) for role, plane in planes.items()}
    return Survey(section.grid, planes, valid, _table(parts), limits, tuple(warnings))


def survey_framed(
    section: Section, *, threads: int = 2, progress: Progress = silent, cache: Path | None = None
) -> tuple[Section, Survey]:
    """Look for the section on its slide, and survey the frame that it lies in (:func:`survey_section`).

    A small slide, or a section that has its frame, is surveyed as it is. On a big slide the frame is that of the
    outlines where the section has some, else that of all that may be tissue, with a margin of glass. A first look
    at a coarse level of the pyramid finds it. A flat file is streamed once: the frame's blocks are kept on the way,
    and only what did not fit beside them (glass within the frame) is read again.

    Returns
    -------
    section : Section
        With its frame.
    survey : Survey
        On the frame's grid.

    Raises
    ------
    TooLargeError
        If the analysis would need more memory than there is; before any plane is made.
    """
    if needs_frame(section):
        if section.roi:
            section = frame_of_outlines(section)
        elif coarse_level(section) > 0:
            section = frame_of_signal(section, glance_pyramid(section, threads, progress))
        else:
            section, parts = survey_flat(section, threads, progress, cache)
            return section, _survey(section, parts)
    require_memory(section)
    return section, survey_section(section, threads=threads, progress=progress, cache=cache)


def _parts(section: Section, threads: int, progress: Progress, cache: Path | None) -> dict[str, Surveyed]:
    level = coarse_level(section)
    if level > 0:
        return stream_pyramid(section, level, threads, progress)
    files = {role: survey_cache.place(cache, section, role) for role in section.roles}
    kept = {role: survey_cache.load(file, section) for role, file in files.items()}
    missing = [role for role, surveyed in kept.items() if surveyed is None]
    fresh = stream_full(section, missing, threads, progress) if missing else {}
    for role, surveyed in fresh.items():
        survey_cache.save(files[role], surveyed)
    return {role: surveyed or fresh[role] for role, surveyed in kept.items()}


def _check_constant(section: Section, planes: Mapping[str, FloatPlane]) -> list[str]:
    constant = [role for role, plane in planes.items() if plane.min() == plane.max()]
    if planes and len(constant) == len(planes) and section.shape != (1, 1):
        values = ", ".join(f"{role} = {planes[role].flat[0]:g}" for role in constant)
        raise PixelValueError(f"{section.image.path}: every stain is constant over the whole image ({values}).")
    return [
        f"the {role} channel is constant ({planes[role].flat[0]:g}) over the whole image: empty or not exported"
        for role in constant
    ]


def _limits(plane: FloatPlane, valid: Mask) -> tuple[float, float]:
    low, high = quantiles(plane, [percent / 100 for percent in DISPLAY_PERCENTILES], valid)
    return low, high


def _table(parts: Mapping[str, Surveyed]) -> pd.DataFrame:
    frames = []
    for role, surveyed in parts.items():
        frame = pd.DataFrame(surveyed.tiles, columns=list(TILE_COLUMNS))
        frame[list(TILE_COLUMNS[:4])] = frame[list(TILE_COLUMNS[:4])].astype(np.int64)
        frame.insert(0, "role", role)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
