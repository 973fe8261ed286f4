"""How cells and stains lie across the junction and under the capsule: per tissue area, no raw histograms (P4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from thymusimg.measurements.population.placing import cell_places
from thymusimg.measurements.population.repopulation import garwood_interval
from thymusimg.measurements.smoothing import distance_px

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

PROFILE_NAMES = (
    "low_um",
    "high_um",
    "cell_count",
    "area_mm2",
    "density_per_mm2",
    "density_low_per_mm2",
    "density_high_per_mm2",
)


class Profile(NamedTuple):
    """Cells per tissue area along a coordinate; one entry a bin with tissue.

    ``x`` is the middle of a bin, ``density`` in 1/mm² with the ends of its Garwood 95 % interval.
    """

    x: Values
    cells: npt.NDArray[np.int64]
    area_mm2: Values
    density: Values
    density_low: Values
    density_high: Values


def density_profile(cell_x: npt.ArrayLike, pixel_x: npt.ArrayLike, pixel_area_mm2: float, width: float) -> Profile:
    """Return cells per tissue area along any coordinate (P4).

    A raw histogram of cells shows mostly how much tissue there is at each place; this divides by it.

    Parameters
    ----------
    cell_x, pixel_x : (N,), (M,) array
        The coordinate at every cell and at every pixel of the tissue; NaN is left out.
    pixel_area_mm2 : float
    width : float
        Bins are ``k width … (k + 1) width``, in the coordinate's unit.

    Examples
    --------
    Twice the tissue and twice the cells on the left: the profile is flat.

    >>> profile = density_profile([-10, -9, 5], [-10.0] * 4 + [5.0] * 2, 0.5, 25.0)
    >>> profile.x.tolist(), profile.density.tolist()
    ([-12.5, 12.5], [1.0, 1.0])
    """
    bins, first, size = _bins(pixel_x, width)
    if not size:
        nothing = np.zeros(0)
        return Profile(nothing, np.zeros(0, np.int64), nothing, nothing, nothing, nothing)
    area = np.asarray(np.bincount(bins) * pixel_area_mm2, np.float64)
    cells = np.asarray(cell_x, np.float64)
    of_cell = np.floor(cells[np.isfinite(cells)] / width).astype(np.int64) - first
    # a cell's centroid may lie a fraction of a pixel beyond the last bin that holds tissue
    count = np.bincount(np.clip(of_cell, 0, len(area) - 1), minlength=len(area))
    kept = np.flatnonzero(area > 0)
    count, area = count[kept], area[kept]
    low, high = garwood_interval(count)
    middle = np.asarray((kept + first + 0.5) * width, np.float64)
    return Profile(middle, count, area, count / area, low / area, high / area)


def mean_profile(
    plane_value: npt.ArrayLike, pixel_x: npt.ArrayLike, pixel_area_mm2: float, width: float
) -> tuple[Values, Values, Values]:
    """Return the middle of every bin, the mean of a plane in it, and its tissue area in mm² (P4).

    Parameters
    ----------
    plane_value, pixel_x : (M,) array
        The plane and the coordinate at every pixel of the tissue.

    Examples
    --------
    >>> x, mean, area = mean_profile([1.0, 3.0, 8.0], [1.0, 2.0, 30.0], 0.5, 25.0)
    >>> x.tolist(), mean.tolist(), area.tolist()
    ([12.5, 37.5], [2.0, 8.0], [1.0, 0.5])
    """
    place = np.asarray(pixel_x, np.float64)
    bins, first, size = _bins(place, width)
    if not size:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    value = np.asarray(plane_value, np.float64)[np.isfinite(place)]
    count = np.bincount(bins)
    kept = np.flatnonzero(count)
    mean = np.bincount(bins, weights=value)[kept] / count[kept]
    middle = np.asarray((kept + first + 0.5) * width, np.float64)
    area = np.asarray(count[kept] * pixel_area_mm2, np.float64)
    return middle, mean, area


def _bins(pixel_x: npt.ArrayLike, width: float) -> tuple[npt.NDArray[np.int64], int, int]:
    pixels = np.asarray(pixel_x, np.float64)
    pixels = pixels[np.isfinite(pixels)]
    if not pixels.size:
        return np.zeros(0, np.int64), 0, 0
    pixels /= width
    bins = np.floor(pixels, out=pixels).astype(np.int64)
    first = int(bins.min())
    bins -= first
    return bins, first, pixels.size


def quantile_in(values: npt.ArrayLike, reference: npt.ArrayLike) -> Values:
    """Return the share of a reference that lies below each value, ties counted half; NaN stays NaN.

    Examples
    --------
    >>> quantile_in([1.0, 2.5], [1.0, 2.0, 3.0, 4.0]).tolist()
    [0.125, 0.5]
    """
    asked = np.asarray(values, np.float64)
    _, distinct, upto = _ranked(reference)
    if not distinct.size:
        return np.full(asked.shape, np.nan)
    below = upto[np.searchsorted(distinct, asked, "left")] + upto[np.searchsorted(distinct, asked, "right")]
    return np.where(np.isfinite(asked), below / (2 * upto[-1]), np.nan)


def quantile_among(values: npt.ArrayLike) -> Values:
    """Return the share of the values that lies below each of them: :func:`quantile_in` of a set in itself."""
    number, distinct, upto = _ranked(values)
    if not distinct.size:
        return np.full(number.shape, np.nan)
    share = (upto[:-1] + upto[1:]) / (2 * upto[-1])
    return np.where(number >= 0, share[number], np.nan)


def _ranked(values: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], Values, npt.NDArray[np.int64]]:
    """Return every value's place among the distinct finite ones (-1: not finite), these, and how many lie below.

    Pixels that share a hexagon share a value: numbering the few there are is quicker than sorting the many.
    """
    plane = np.asarray(values, np.float64)
    first, found = pd.factorize(np.where(np.isfinite(plane), plane, np.nan).ravel())
    order = np.argsort(found)
    place = np.append(np.argsort(order), -1)  # the last is where -1 points
    number: npt.NDArray[np.int64] = place[first].reshape(plane.shape)
    counts = np.bincount(number[number >= 0], minlength=len(found))
    return number, np.asarray(found[order], np.float64), np.concatenate([[0], np.cumsum(counts)])


def border_distance_um(tissue: Mask, pixel_um: float) -> FloatPlane:
    """Return the distance to where the image's border cuts the tissue; infinite where it cuts none.

    Nearer to that cut than to the junction, the true distance to the junction is not known: it may lie beyond.

    Examples
    --------
    >>> import numpy as np
    >>> tissue = np.zeros((5, 6), bool)
    >>> tissue[1:4, 2:] = True  # leaves the image on the right
    >>> border_distance_um(tissue, 2.0)[2].tolist()
    [10.0, 8.0, 6.0, 4.0, 2.0, 0.0]
    """
    cut = np.zeros_like(tissue)
    cut[0], cut[-1] = tissue[0], tissue[-1]
    cut[:, 0], cut[:, -1] = tissue[:, 0], tissue[:, -1]
    if not cut.any():
        return np.full(tissue.shape, np.inf, np.float32)
    return np.asarray(distance_px(cut) * np.float32(pixel_um), np.float32)


def profile_by_distance(compartments: Compartments, cells: Cells, *, bin_um: float = 25.0) -> pd.DataFrame:
    """Return the parenchyma's cells per area by signed distance to the corticomedullary junction (P4).

    As :func:`junction_profile`, for a section's compartments and assigned cells. What is nearer to where the image
    cuts the tissue than to the junction takes no part.
    """
    places = cell_places(cells, compartments)
    border = border_distance_um(compartments.tissue, compartments.grid.pixel_um)
    known = compartments.mask() & (np.abs(compartments.distance_to_cmj_um) <= border)
    inside = places.parenchyma & places.on(known)
    return junction_profile(
        cells.table["distance_to_cmj_um"].to_numpy(np.float64)[inside],
        compartments.distance_to_cmj_um[known],
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
    """Return :func:`density_profile` by signed distance to the junction as a table.

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
    found = density_profile(cell_distance_um, pixel_distance_um, pixel_area_mm2, bin_um)
    if not found.x.size:
        return pd.DataFrame({name: pd.Series(dtype=np.float64) for name in PROFILE_NAMES})
    edges = found.x - bin_um / 2
    return pd.DataFrame(dict(zip(PROFILE_NAMES, (edges, edges + bin_um, *found[1:]), strict=True)))
