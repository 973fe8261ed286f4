"""An annotated region as the section that every method of an analysis accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.channels.correct import Correction
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.section.coarse import block_mean
from thymusimg.section.model import Level, Section, Subject, Window

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, Grid
    from thymusimg.train.annotated import AnnotatedCells


class CorrectedImage:
    """Corrected planes behind the reader protocol; one level, no file."""

    format = "annotated region"
    semi_quantitative = False
    lossy = ""
    warnings: tuple[str, ...] = ()
    dtype: np.dtype[np.generic] = np.dtype(np.float32)
    tile_shape = (512, 512)

    def __init__(self, region: AnnotatedCells) -> None:
        self.path = region.section_id
        self.channel_names = region.roles
        self.emission_nm: tuple[float | None, ...] = (None,) * len(region.roles)
        self.levels = (Level((region.labels.shape[0], region.labels.shape[1]), 1.0),)
        self.pixel_size_um: tuple[float, float] | None = (region.pixel_um, region.pixel_um)
        self._planes = [region.planes[role] for role in region.roles]
        self.max_value = float(max(plane.max(initial=1.0) for plane in self._planes))

    def read(self, level: int, channel: int, window: Window) -> npt.NDArray[np.generic]:
        """Read a window of one channel; there is level 0 only."""
        if level != 0:
            raise IndexError(f"an annotated region has level 0 only, asked for {level}")
        return self._planes[channel][window.slices].copy()

    def close(self) -> None:
        """Nothing to release."""


def region_as_section(region: AnnotatedCells) -> tuple[Section, Correction, Compartments]:
    """Return a region as a section whose pixels are corrected already, all of it tissue to look for cells in."""
    roles = {role: index for index, role in enumerate(region.roles)}
    section = Section(
        Subject(region.section_id, animal=region.animal), CorrectedImage(region), roles,
        {role: role for role in roles}, region.pixel_um,
    )  # fmt: skip
    grid = section.grid
    nothing = Correction(grid, dict.fromkeys(roles, 0.0), {}, None, region.roles)
    return section, nothing, _all_tissue(grid)


def coarse_planes(region: AnnotatedCells, grid: Grid) -> dict[str, FloatPlane]:
    """Return the region's planes on the coarse grid of :func:`region_as_section`."""
    return {role: block_mean(plane, grid.factor) for role, plane in region.planes.items()}


def _all_tissue(grid: Grid) -> Compartments:
    unknown = np.full(grid.shape, np.nan, np.float32)
    return Compartments(
        grid=grid,
        labels=np.full(grid.shape, Compartment.INDETERMINATE, np.uint8),
        tissue=np.ones(grid.shape, bool),
        confidence=np.zeros(grid.shape, np.float32),
        distance_to_cmj_um=unknown,
        depth_from_capsule_um=unknown,
        axis=unknown,
        junction_um=(),
        method="annotated region",
    )
