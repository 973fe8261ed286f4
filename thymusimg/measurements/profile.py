"""How cells lie across the corticomedullary junction (P4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.measurements.placing import cell_places
from thymusimg.measurements.repopulation import garwood_interval

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments

PROFILE_NAMES = (
    "low_um",
    "high_um",
    "cell_count",
    "area_mm2",
    "density_per_mm2",
    "density_low_per_mm2",
    "density_high_per_mm2",
)


def profile_by_distance(compartments: Compartments, cells: Cells, *, bin_um: float = 25.0) -> pd.DataFrame:
    """Return the parenchyma's cells per area by signed distance to the corticomedullary junction (P4).

    As :func:`junction_profile`, for a section's compartments and assigned cells.
    """
    inside = cell_places(cells, compartments).parenchyma
    return junction_profile(
        cells.table["distance_to_cmj_um"].to_numpy(np.float64)[inside],
        compartments.distance_to_cmj_um[compartments.mask()],
        compartments.grid.pixel_area_mm2,
        bin_um=bin_um,
    )


def junction_profile(
    cell_distance_um: npt.ArrayLike,
    pixel_distance_um: npt.ArrayLike,
    pixel_area_mm2: float,
    *,
    bin_um: float = 25.0,
) -> pd.DataFrame:
    """Return cells per tissue area by signed distance to the corticomedullary junction (P4).

    A raw histogram of distances shows mostly how much tissue there is at each distance; this divides by it.

    Parameters
    ----------
    cell_distance_um, pixel_distance_um : (N,), (M,) array
        Signed distance of every cell and of every pixel of the tissue, negative in the cortex; NaN is left out.
    pixel_area_mm2 : float
    bin_um : float
        Bins are ``k bin_um … (k + 1) bin_um``: the junction is an edge.

    Returns
    -------
    DataFrame
        ``low_um, high_um, cell_count, area_mm2, density_per_mm2, density_low_per_mm2, density_high_per_mm2``
        (Garwood 95 %); one row a bin with tissue. Empty without a junction.

    Examples
    --------
    >>> junction_profile([-10, 5, 5], [-10.0] * 4 + [5.0] * 2, 0.5)["density_per_mm2"].tolist()
    [0.5, 2.0]
    """
    pixels = np.asarray(pixel_distance_um, np.float64)
    pixels = pixels[np.isfinite(pixels)]
    if not pixels.size:
        return pd.DataFrame({name: pd.Series(dtype=np.float64) for name in PROFILE_NAMES})
    cells = np.asarray(cell_distance_um, np.float64)
    of_pixel = np.floor(pixels / bin_um).astype(np.int64)
    first = int(of_pixel.min())
    area = np.bincount(of_pixel - first) * pixel_area_mm2
    of_cell = np.floor(cells[np.isfinite(cells)] / bin_um).astype(np.int64) - first
    # a cell's centroid may lie a fraction of a pixel beyond the last bin that holds tissue
    count = np.bincount(np.clip(of_cell, 0, len(area) - 1), minlength=len(area))
    kept = np.flatnonzero(area > 0)
    low, high = garwood_interval(count[kept])
    edges = (kept + first) * bin_um
    bins = (edges, edges + bin_um, count[kept], area[kept], count[kept] / area[kept], low / area[kept])
    return pd.DataFrame(dict(zip(PROFILE_NAMES, (*bins, high / area[kept]), strict=True)))
