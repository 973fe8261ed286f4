"""Methods of an analysis as functions of an annotated region or section: what is judged is what will be run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.cells.classical import detect_cells
from thymusimg.cells.network import detect_with_network
from thymusimg.compartments.methods import find_division
from thymusimg.section.model import Window
from thymusimg.settings import CellSettings, CompartmentSettings, ComputeSettings
from thymusimg.train.as_section import region_as_section

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.models.find import InstalledModel
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane
    from thymusimg.train.annotated import AnnotatedCells, AnnotatedCompartments
    from thymusimg.train.judge import FindCells, FindCompartments

CLASSICAL, KERATIN = "--cells classical", "--compartments keratin"
"""What a training is compared with where it began with no model."""


def cell_finder(model: InstalledModel | None, device: str = "cpu") -> FindCells:
    """Return what finds the cells of a region: a network, or the classical method where there is none."""

    def find(region: AnnotatedCells) -> npt.NDArray[np.uint32]:
        section, correction, tissue = region_as_section(region)
        if model is None:
            cells = detect_cells(section, correction, tissue, region.gate, CellSettings())
        else:
            cells = detect_with_network(
                section, correction, tissue, region.gate, CellSettings(), model=model, device=device,
                planes=_whole_section(region, section.grid),
            )  # fmt: skip
        height, width = section.shape
        return cells.masks.paint(Window(0, height, 0, width))

    return find


def compartment_finder(model: InstalledModel | None, device: str = "cpu") -> FindCompartments:
    """Return what divides a section: a model, or the keratin rule where there is none."""
    method = "keratin" if model is None else str(model.folder.resolve())
    divide = find_division(method, compute=ComputeSettings(device=device))

    def find(section: AnnotatedCompartments) -> LabelPlane:
        found = divide(section.planes, section.tissue, section.grid, CompartmentSettings())
        return found.labels

    return find


def _whole_section(region: AnnotatedCells, grid: Grid) -> dict[str, FloatPlane]:
    """Return a DAPI plane with the percentiles of the whole section: half of it is its low, half its high level."""
    if "dapi" not in region.planes or not region.levels.has_dapi:
        return {}
    plane = np.full(grid.shape, region.levels.dapi_high, np.float32)
    plane.ravel()[: plane.size // 2] = region.levels.dapi_low
    return {"dapi": plane}
