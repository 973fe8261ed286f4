"""How a cell network is fitted: its size, its schedule, and how much of which data it sees."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from thymusimg.train.loop import Schedule

if TYPE_CHECKING:
    from pathlib import Path

ARCHITECTURE: dict[str, Any] = {"widths": [16, 24, 32, 48], "stem": 2}
PIXEL_UM = 0.5
"""Pixel size at which the network works: a ring of 0.5 µm is a pixel wide, a thymocyte 13."""


@dataclass(frozen=True)
class CellFit:
    """Schedule and crops of a fit.

    Attributes
    ----------
    schedule : Schedule
    batch, side_px : int
        Crops in a batch, and their side.
    """

    schedule: Schedule = field(default_factory=lambda: Schedule(epochs=24, steps=200, rate=3e-3, patience=12))
    batch: int = 8
    side_px: int = 256

    @classmethod
    def gentle(cls) -> CellFit:
        """Return the settings of fine-tuning to a few annotated sections."""
        return cls(Schedule(epochs=15, steps=40, rate=5e-4, patience=5), batch=8, side_px=192)

    def as_table(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class PhantomCells:
    """Synthetic sections to fit to, drawn from the seed of the training.

    Attributes
    ----------
    count, stop_by : int
        Sections that the weights are fitted to, and others that choose the best epoch.
    nuclei : Path, optional
        Folder with the images of the Data Science Bowl 2018 (``images_and_masks.zip``, ``index.csv``).
    nuclei_share : float
        Share of the crops that come from them.
    cache : Path, optional
        Folder that keeps drawn sections, about 3 MB each; without it a temporary one.
    workers : int
        Processes that draw.
    """

    count: int = 280
    stop_by: int = 16
    nuclei: Path | None = None
    nuclei_share: float = 0.07
    cache: Path | None = None
    workers: int = 2
