"""One scale for a whole section: what every tile's pixels are divided by before a foreign segmenter sees them.

Scaling every tile by itself, as most segmenters do, stretches the noise of a tile without cells to full range, and
cells are then found in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thymusimg.cells.background import sample_windows
from thymusimg.section.tiles import map_tiles
from thymusimg.settings import GateSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.cells.model import Gate
    from thymusimg.channels.correct import Correction
    from thymusimg.section.model import FloatPlane, Mask, Section, Window

PERCENTILES = (1.0, 99.8)
"""Percentiles of the tissue's pixels that become 0 and 1; for CD45 only the upper one."""
LEAST_GATES = 3.0
"""CD45's range is at least so many times the height of its gate above the background: where there are no cells, the
noise stays small."""


class Limits(NamedTuple):
    """What becomes 0 and 1, in units of ``Correction.apply``; equal ones: the channel does not vary."""

    low: float
    high: float

    def scale(self, plane: FloatPlane) -> FloatPlane:
        """Return ``(plane − low) / (high − low)``, not clipped; zeros for a channel that does not vary."""
        if self.high <= self.low:
            return np.zeros(plane.shape, np.float32)
        factor = np.float32(1.0 / (self.high - self.low))
        return np.asarray((plane - np.float32(self.low)) * factor, np.float32)


def measure_limits(
    section: Section, correction: Correction, analysable: Mask, gate: Gate, roles: Sequence[str], threads: int = 2
) -> dict[str, Limits]:
    """Measure the limits of every channel on evenly spread full-resolution tiles of the tissue.

    CD45 runs from the background of its negative tissue to the 99.8th percentile or three times the gate's height,
    whichever is more; the other stains from their 1st to their 99.8th percentile. Always the same tiles: nothing
    depends on how the work is cut.

    Returns
    -------
    dict of str to Limits
    """
    windows = sample_windows(analysable, section, GateSettings())

    def sample(window: Window) -> list[FloatPlane]:
        wanted = correction.roles if correction.unmixing is not None else roles
        planes = correction.apply({role: section.read(role, window) for role in wanted}, window)
        factor = section.grid.factor
        rows, columns = (
            np.arange(start, stop) // factor for start, stop in ((window.y0, window.y1), (window.x0, window.x1))
        )
        inside = analysable[np.ix_(rows, columns)]
        return [planes[role][inside] for role in roles]

    samples = list(map_tiles(sample, windows, threads))
    limits = {}
    for index, role in enumerate(roles):
        pixels = np.concatenate([part[index] for part in samples]) if samples else np.zeros(1, np.float32)
        low, high = (float(v) for v in np.percentile(pixels, PERCENTILES)) if pixels.size else (0.0, 0.0)
        if role == "cd45":
            low, high = (
                gate.background,
                max(high, gate.background + LEAST_GATES * (gate.threshold - gate.background)),
            )
        limits[role] = Limits(low, high)
    return limits
