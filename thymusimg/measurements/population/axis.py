"""The corticomedullary axis (CMA; Yayon et al. 2024): where a place lies from capsule over cortex to medulla (P4).

Written from the published definition (TissueTag): a hexagonal grid, for every structure the mean distance to its K
nearest grid points, and normalised differences of those. The bins published for human thymus do not apply to mouse
and are not used.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.population.hexgrid import HexGrid, lay_hex_grid

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import LabelPlane, Mask
    from thymusimg.settings import MeasurementSettings

Values = npt.NDArray[np.float64]

WEIGHTS = (0.2, 0.8)
"""Of capsule against cortex, and of cortex against medulla, in CMA₃ (Yayon et al. 2024)."""
PLACED = (Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE, Compartment.OTHER)
"""Where a place has a position on the axis; grid points of cysts and artefacts are removed after the distances."""


@dataclass(frozen=True)
class Axis:
    """The axis at the points of a grid.

    Attributes
    ----------
    cma2, cma3 : (rows, half steps) float64
        In (−1, 1), negative outside; NaN where the grid has no point.
    reason2, reason3 : str
        Why an axis is undefined everywhere, or "".
    """

    grid: HexGrid
    cma2: Values
    cma3: Values
    reason2: str = ""
    reason3: str = ""


def normalised_difference(outer: npt.ArrayLike, inner: npt.ArrayLike) -> Values:
    """Return (μ_outer − μ_inner) / (μ_outer + μ_inner): from −1 at the outer structure to 1 at the inner one.

    Examples
    --------
    >>> float(normalised_difference(30.0, 10.0))
    0.5
    """
    a, b = np.asarray(outer, np.float64), np.asarray(inner, np.float64)
    return np.asarray((a - b) / (a + b))


def mean_distance_um(grid: HexGrid, structure: Mask, neighbours: int = 10, *, asked: Mask | None = None) -> Values:
    """Return the mean distance of every grid point to the K nearest grid points of a structure.

    A point of the structure is its own first neighbour. Deep inside it, ten neighbours on a grid of 15 µm are
    (0 + 6·15 + 3·25.98) / 10 = 16.8 µm away on average: the axis is not free of the grid's scale.

    Parameters
    ----------
    grid : HexGrid
    structure : (rows, half steps) bool
        Which places of the grid belong to the structure.
    neighbours : int
        K.
    asked : (rows, half steps) bool, optional
        Only for these points.

    Returns
    -------
    (rows, half steps) float64
        NaN elsewhere, and everywhere with fewer than K points of the structure.

    Examples
    --------
    >>> import numpy as np
    >>> grid = lay_hex_grid(np.ones((150, 150), bool), 2.0, 15.0)
    >>> inside = mean_distance_um(grid, grid.valid)
    >>> round(float(inside[grid.reach]), 1)  # the middle
    16.8
    """
    valid = grid.valid
    structure = structure & valid
    asked = valid if asked is None else asked & valid
    out = np.full(valid.shape, np.nan)
    if np.count_nonzero(structure) < neighbours:
        return out
    nearest = _lattice_distances(grid, neighbours)
    deep = _deep(grid, structure, float(nearest[-1]))
    # what lies so deep that K points of the structure are nearer to any place outside it need not be searched
    searched = structure & ~_deep(grid, structure, grid.spacing_um * (1.4 * math.sqrt(neighbours) + 1))
    points = grid.points_um()
    tree = cKDTree(points[searched[valid]])
    out[asked & deep] = nearest.mean()
    distance = tree.query(points[(asked & ~deep)[valid]], k=neighbours)[0]
    out[asked & ~deep] = np.asarray(distance, np.float64).reshape(-1, neighbours).mean(axis=1)
    return out


def _lattice_distances(grid: HexGrid, count: int) -> Values:
    """Return the distances from a grid point to its ``count`` nearest ones, itself included."""
    reach = math.ceil(math.sqrt(count)) + 2
    rows, steps = np.mgrid[-reach : reach + 1, -2 * reach : 2 * reach + 1]
    kept = (rows + steps) % 2 == 0
    distance = np.hypot(rows[kept] * grid.row_um, steps[kept] * grid.spacing_um / 2)
    return np.asarray(np.sort(distance)[:count])


def _deep(grid: HexGrid, structure: Mask, radius_um: float) -> Mask:
    """Return the points of a structure around which all points within a radius belong to it."""
    rows, steps = math.ceil(radius_um / grid.row_um), math.ceil(2 * radius_um / grid.spacing_um)
    padded = np.pad(structure, ((rows, rows), (steps, steps)))
    deep = structure.copy()
    height, width = structure.shape
    for m in range(-rows, rows + 1):
        for c in range(-steps, steps + 1):
            near = math.hypot(m * grid.row_um, c * grid.spacing_um / 2) <= radius_um * (1 + 1e-9)
            if near and (m + c) % 2 == 0:
                deep &= padded[rows + m : rows + m + height, steps + c : steps + c + width]
    return deep


def corticomedullary_axis(
    labels: LabelPlane,
    depth_um: npt.NDArray[np.float32],
    pixel_um: float,
    *,
    spacing_um: float = 10.0,
    neighbours: int = 10,
    capsule_um: float = 20.0,
) -> Axis:
    """Return CMA₂ and CMA₃ on a hexagonal grid over the tissue (P4; Yayon et al. 2024).

    With μ the mean distance to the K nearest grid points of a structure and h(a, b) = (μ_a − μ_b) / (μ_a + μ_b),
    CMA₃ = 0.2 h(capsule, cortex) + 0.8 h(cortex, medulla) and CMA₂ = h(capsule, medulla). Nothing is rescaled.

    Parameters
    ----------
    labels : (Y, X) uint8
        Codes of :class:`Compartment`.
    depth_um : (Y, X) float32
        Distance to the outer edge of the tissue, NaN off the tissue (the image's border is no edge).
    pixel_um, spacing_um : float
        µm.
    capsule_um : float
        The outermost tissue that stands for the capsule; grid points there are no cortex and no medulla.

    Returns
    -------
    Axis
        NaN, with the reason, if a structure has fewer than ``neighbours`` grid points.

    Examples
    --------
    A ribbon of cortex over medulla: the axis rises from capsule to medulla.

    >>> import numpy as np
    >>> labels = np.zeros((260, 500), np.uint8)
    >>> labels[10:130], labels[130:250] = Compartment.CORTEX, Compartment.MEDULLA
    >>> rows = np.arange(260, dtype=np.float32)[:, None] * np.ones(500, np.float32)
    >>> depth = np.where(labels > 0, (rows - 9.5) * 2, np.nan).astype(np.float32)
    >>> axis = corticomedullary_axis(labels, depth, 2.0)
    >>> [round(float(v), 2) for v in axis.grid.at(axis.cma3, [12, 120, 140, 240], [250] * 4)]
    [-0.7, -0.14, 0.48, 0.79]
    """
    tissue, masks = labels != Compartment.BACKGROUND, {c: labels == c for c in PLACED[:2]}
    grid = lay_hex_grid(tissue, pixel_um, spacing_um, *masks.values())
    capsule = grid.share(tissue & (depth_um < capsule_um)) >= 0.5  # false where the depth is unknown
    inner = {
        "capsule": capsule,
        "cortex": (grid.share(masks[Compartment.CORTEX]) >= 0.5) & ~capsule,
        "medulla": (grid.share(masks[Compartment.MEDULLA]) >= 0.5) & ~capsule,
    }
    near = grid.share(tissue, 2 * spacing_um) > 0  # every place of the tissue has its nearest points among these
    away = {name: mean_distance_um(grid, structure, neighbours, asked=near) for name, structure in inner.items()}
    outer = normalised_difference(away["capsule"], away["cortex"])
    cma3 = WEIGHTS[0] * outer + WEIGHTS[1] * normalised_difference(away["cortex"], away["medulla"])
    few = {name: int(np.count_nonzero(structure & grid.valid)) for name, structure in inner.items()}
    return Axis(
        grid,
        normalised_difference(away["capsule"], away["medulla"]),
        cma3,
        _too_few(few, ("capsule", "medulla"), neighbours, spacing_um),
        _too_few(few, ("capsule", "cortex", "medulla"), neighbours, spacing_um),
    )


def _too_few(count: dict[str, int], names: tuple[str, ...], neighbours: int, spacing_um: float) -> str:
    for name in names:
        if count[name] < neighbours:
            return f"the {name} holds {count[name]} points of the {spacing_um:g} µm grid; {neighbours} are needed"
    return ""


_last: list[tuple[weakref.ref[LabelPlane], tuple[float, int, float], Axis]] = []


def section_axis(compartments: Compartments, settings: MeasurementSettings) -> Axis:
    """Return the axis of a section with tissue; that of the last section is kept at hand."""
    wanted = (settings.cma_spacing_um, settings.cma_neighbours, settings.cma_capsule_um)
    for labels, used, axis in _last:
        if labels() is compartments.labels and used == wanted:
            return axis
    axis = corticomedullary_axis(
        compartments.labels,
        compartments.depth_from_capsule_um,
        compartments.grid.pixel_um,
        spacing_um=wanted[0],
        neighbours=wanted[1],
        capsule_um=wanted[2],
    )
    _last[:] = [(weakref.ref(compartments.labels), wanted, axis)]
    return axis


def place_on_axis(cells: Cells, compartments: Compartments, settings: MeasurementSettings) -> Cells:
    """Give every cell ``cma2`` and ``cma3`` of its nearest grid point; NaN in cysts and artefacts."""
    y = compartments.grid.to_index(cells.table["y_um"].to_numpy(np.float64), axis=0)
    x = compartments.grid.to_index(cells.table["x_um"].to_numpy(np.float64), axis=1)
    columns = {name: np.full(len(cells.table), np.nan) for name in ("cma2", "cma3")}
    if compartments.tissue.any():
        axis = section_axis(compartments, settings)
        height, width = compartments.labels.shape
        rows = np.clip(np.floor(y + 0.5).astype(np.intp), 0, height - 1)
        cols = np.clip(np.floor(x + 0.5).astype(np.intp), 0, width - 1)
        placed = np.isin(compartments.labels[rows, cols], PLACED)
        for name, values in (("cma2", axis.cma2), ("cma3", axis.cma3)):
            columns[name] = np.where(placed, axis.grid.at(values, y, x), np.nan)
    return replace(cells, table=cells.table.assign(**columns))
