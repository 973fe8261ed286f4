"""The pixels of an inset: from the slide at full resolution where it is still there, else from the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.channels.open import open_section
from thymusimg.errors import ThymusimgError
from thymusimg.figures.frame import Frame, sample
from thymusimg.section.model import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thymusimg.figures.source import Shown
    from thymusimg.section.model import FloatPlane, Section, Window

_SAME_SLIDE = 0.9
"""Least correlation of a slide's pixels with the planes of its bundle; another slide has none."""
_FEW = 16


@dataclass(frozen=True)
class Detail:
    """Stains of a frame in the panel's pixels.

    Attributes
    ----------
    planes : mapping of str to (H, W) float32
        Background-subtracted, in the grey levels of the bundle's planes.
    source : str
        Where they were read, as the caption says it.
    """

    planes: dict[str, FloatPlane]
    source: str


def coarse_detail(section: Shown, frame: Frame, pitch_um: float, roles: Iterable[str], why: str = "") -> Detail:
    """Bring the bundle's coarse planes to a panel."""
    grid = section.grid
    window = frame.window(grid.shape, grid.pixel_um, grid.first_um)
    planes = {
        role: sample(
            section.planes[role][window.slices], (window.y0, window.x0), grid.pixel_um, grid.first_um, frame,
            pitch_um,
        )
        for role in roles
        if role in section.planes
    }  # fmt: skip
    return Detail(planes, f"from the run's planes of {grid.pixel_um:.3g} µm/px{f' ({why})' if why else ''}")


def full_detail(section: Shown, frame: Frame, pitch_um: float, roles: Iterable[str]) -> Detail:
    """Read a frame from the original slide, in the grey levels of the bundle's planes.

    The background that the run subtracted, and the illumination that it evened out, are taken over by a line fitted
    between the slide's pixels, averaged to the coarse grid, and the bundle's planes of the same place. A slide that
    does not fit is another one, and is not shown.
    """
    wanted = [role for role in roles if role in section.planes]
    try:
        slide = _open(section)
    except (ThymusimgError, OSError) as error:
        return coarse_detail(section, frame, pitch_um, wanted, f"the slide cannot be opened: {_short(error)}")
    try:
        planes = {}
        for role in wanted:
            if role not in slide.roles or slide.slide_shape != section.shape:
                return coarse_detail(section, frame, pitch_um, wanted, "the slide is not the one that was measured")
            window = _aligned(frame.window(section.shape, section.pixel_um), section)
            raw = slide.read(role, window).astype(np.float32)
            fitted = _as_in_bundle(raw, window, role, section)
            if fitted is None:
                return coarse_detail(section, frame, pitch_um, wanted, "the slide is not the one that was measured")
            planes[role] = sample(fitted, (window.y0, window.x0), section.pixel_um, (0.0, 0.0), frame, pitch_um)
    except (ThymusimgError, OSError) as error:
        return coarse_detail(section, frame, pitch_um, wanted, f"the slide cannot be read: {_short(error)}")
    finally:
        slide.image.close()
    return Detail(planes, f"read from the slide at full resolution ({section.pixel_um:.3g} µm/px)")


def _open(section: Shown) -> Section:
    opened = section.bundle.attributes["opened"]
    return open_section(
        opened["path"] or opened["paths"],
        channels=opened["channels"],
        pixel_size_um=opened["pixel_size_um"],
        scene=opened["scene"],
        projection=opened["projection"],
        roi=opened["roi"],
        subject=Subject(**section.bundle.attributes["subject"]),
    )


def _aligned(window: Window, section: Shown) -> Window:
    """Grow a window to whole blocks of the coarse grid, except at the slide's end."""
    factor = section.grid.factor
    ends = [
        (low // factor * factor, min(-(-high // factor) * factor, length))
        for low, high, length in zip((window.y0, window.x0), (window.y1, window.x1), section.shape, strict=True)
    ]
    return type(window)(*ends[0], *ends[1])


def _as_in_bundle(
    raw: npt.NDArray[np.float32], window: Window, role: str, section: Shown
) -> npt.NDArray[np.float32] | None:
    """Return raw pixels as the bundle's planes have them; None where the two do not belong together."""
    factor, place = section.grid.factor, section.grid.place
    rows, columns = (size // factor for size in raw.shape)
    top, left = window.y0 // factor, window.x0 // factor
    both = type(window)(top, top + rows, left, left + columns).overlap(place)
    blocks = raw[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    coarse = blocks.mean(axis=(1, 3), dtype=np.float64)[both.moved(-top, -left).slices].ravel()
    plane = section.planes[role][both.moved(-place.y0, -place.x0).slices].astype(np.float64).ravel()
    if coarse.size < _FEW:
        return None
    spread, own = coarse.std(), plane.std()
    if spread == 0 or own == 0:  # off the slide's tissue in a file without noise
        return np.asarray(raw - (coarse.mean() - plane.mean()), np.float32)
    if float(np.mean((coarse - coarse.mean()) * (plane - plane.mean())) / (spread * own)) < _SAME_SLIDE:
        return None
    slope = float(np.mean((coarse - coarse.mean()) * (plane - plane.mean())) / spread**2)
    return np.asarray((raw - coarse.mean()) * slope + plane.mean(), np.float32)


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}…"
