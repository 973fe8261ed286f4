"""What a person who sets the CD45 gate looks at: a sample of the tissue's pixels, and where lines on it lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.cells.background import sample_windows
from thymusimg.cells.gate import estimate_gate
from thymusimg.cells.light import CellLight
from thymusimg.section.tiles import map_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.cells.model import Gate
    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Section, Window
    from thymusimg.settings import GateSettings

MOST_PIXELS = 1_000_000
"""Of more, every n-th is kept: a share's standard error is then at most 0.05 %."""


@dataclass(frozen=True)
class GateSample:
    """The pixels behind a gate.

    Attributes
    ----------
    gate : Gate
        By the rule of the settings, from the section's own background.
    by_controls : Gate or None
        What the study's negative controls say; None without any.
    pixels : (N,) float32
        CD45 of the tissue in the tiles on which the background is measured, ascending; in the units of
        ``gate.threshold``.
    """

    gate: Gate
    by_controls: Gate | None
    pixels: FloatPlane

    def threshold(self, deviations: float) -> float:
        """Return the threshold so many SDs above the background, as the rule without controls sets it."""
        return self.gate.background + deviations * self.gate.background_sd

    def deviations(self, threshold: float) -> float:
        """Return how many SDs above the background a threshold lies."""
        return (threshold - self.gate.background) / self.gate.background_sd

    def positive_share(self, threshold: float) -> float:
        """Return the share of the pixels at or above a threshold."""
        return 1 - float(np.searchsorted(self.pixels, threshold, "left")) / max(1, len(self.pixels))

    def histogram(self, bins: int = 160) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return counts and edges from the 0.1st to the 99.9th percentile; what lies beyond is in the end bins."""
        low, high = (float(v) for v in np.quantile(self.pixels, (0.001, 0.999)))
        edges = np.linspace(low, max(high, low + 1e-6), bins + 1)
        counts, _ = np.histogram(np.clip(self.pixels, edges[0], edges[-1]), edges)
        return counts.astype(np.int64), edges


def sample_gate(
    section: Section,
    correction: Correction,
    compartments: Compartments,
    settings: GateSettings,
    *,
    controls: Sequence[ControlEvidence] = (),
    threads: int = 2,
    progress: Progress | None = None,
) -> GateSample:
    """Read what is needed to look at a section's gate.

    Parameters
    ----------
    section, correction, compartments, settings, controls
        As in :func:`thymusimg.cells.gate.estimate_gate`.

    Raises
    ------
    GateError
        As there.
    """
    if progress:
        progress("gate", 0.0)
    own = estimate_gate(section, correction, compartments, settings, threads=threads)
    by_controls = None
    if controls:
        by_controls = estimate_gate(section, correction, compartments, settings, controls=controls, threads=threads)
    light = CellLight(section, correction, compartments.analysable, own)
    factor = section.grid.factor

    def read(window: Window) -> FloatPlane:
        inside = light.analysable[
            np.ix_(np.arange(window.y0, window.y1) // factor, np.arange(window.x0, window.x1) // factor)
        ]
        pixels: FloatPlane = light.read(["cd45"], window)["cd45"][inside]
        return pixels

    windows = sample_windows(compartments.analysable, section, settings)
    pixels = np.concatenate(list(map_tiles(read, windows, threads)))
    step = -(-len(pixels) // MOST_PIXELS)
    return GateSample(own, by_controls, np.sort(pixels[::step]))
