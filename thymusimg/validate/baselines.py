"""What people script today, on the same images: plain Otsu with a watershed, and a Gaussian mixture on K14."""

from __future__ import annotations

from itertools import chain, combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed

from thymusimg.compartments.model import Compartment
from thymusimg.evaluate.overlap import dice

if TYPE_CHECKING:
    from thymusimg.phantom import Phantom
    from thymusimg.section.model import FloatPlane, LabelPlane, Mask

BLUR_PX = 5.0
"""Blur of the coarse planes, in their pixels."""
COMPONENTS = 4
_BINS = 1024
_STEPS = 500


def otsu_compartments(phantom: Phantom) -> LabelPlane:
    """Otsu on blurred K14 is medulla, Otsu on blurred K8 in the rest is cortex; the true tissue is given."""
    tissue = phantom.truth.tissue
    k14, k8 = (blurred(phantom, role) for role in ("k14", "k8"))
    medulla = tissue & (k14 > threshold_otsu(k14[tissue]))
    rest = tissue & ~medulla
    cortex = rest & (k8 > threshold_otsu(k8[rest])) if rest.any() else rest
    labels = np.zeros(tissue.shape, np.uint8)
    labels[medulla], labels[cortex] = Compartment.MEDULLA, Compartment.CORTEX
    return labels


def mixture_compartments(phantom: Phantom) -> LabelPlane:
    """Four Gaussians on blurred K14 inside the true tissue; those that are medulla are chosen by the truth.

    Of all choices of components the one with the best Dice of the true medulla is taken: no hand can choose better.
    The rest of the tissue is cortex.
    """
    truth = phantom.truth
    values = blurred(phantom, "k14")
    component = np.full(truth.tissue.shape, -1, np.int8)
    component[truth.tissue] = gaussian_mixture(values[truth.tissue], COMPONENTS)
    true = truth.labels == Compartment.MEDULLA
    choices = chain.from_iterable(combinations(range(COMPONENTS), n) for n in range(1, COMPONENTS))
    best = max(choices, key=lambda c: np.nan_to_num(dice(np.isin(component, c), true)))
    labels = np.where(truth.tissue, Compartment.CORTEX, Compartment.BACKGROUND).astype(np.uint8)
    labels[np.isin(component, best)] = Compartment.MEDULLA
    return labels


def gaussian_mixture(values: npt.NDArray[np.floating], components: int) -> npt.NDArray[np.int8]:
    """Return to which of ``components`` Gaussians each value most likely belongs (EM on a histogram).

    Components start at evenly spread quantiles and are numbered by their means at the end.

    >>> import numpy as np
    >>> found = gaussian_mixture(np.concatenate([np.full(50, 0.0), np.full(50, 1.0)]), 2)
    >>> found[[0, -1]]
    array([0, 1], dtype=int8)
    """
    low, high = (float(v) for v in np.quantile(values, (0, 1)))
    counts, edges = np.histogram(values, _BINS, (low, high if high > low else low + 1))
    x, n = (edges[1:] + edges[:-1]) / 2, counts.astype(float)
    mean = np.quantile(values, (np.arange(components) + 0.5) / components).astype(float)
    floor = ((edges[1] - edges[0]) / 2) ** 2
    var, share = (
        np.full(components, max(float(values.var()) / components, floor)),
        np.full(components, 1 / components),
    )
    for _ in range(_STEPS):
        log = np.log(share)[:, None] - 0.5 * np.log(var)[:, None] - (x - mean[:, None]) ** 2 / (2 * var[:, None])
        duty = np.exp(log - log.max(0)) * n / np.exp(log - log.max(0)).sum(0)
        total = duty.sum(1) + 1e-12
        moved = duty @ x / total
        var = np.maximum((duty * (x - moved[:, None]) ** 2).sum(1) / total, floor)
        share = total / total.sum()
        still = bool(np.abs(moved - mean).max() < 1e-6 * (high - low))
        mean = moved
        if still:
            break
    order = np.argsort(mean)
    mean, var, share = mean[order], var[order], share[order]
    log = np.log(share)[:, None] - 0.5 * np.log(var)[:, None] - (x - mean[:, None]) ** 2 / (2 * var[:, None])
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _BINS - 1)
    found: npt.NDArray[np.int8] = log.argmax(0).astype(np.int8)[place]
    return found


def blurred(phantom: Phantom, role: str) -> FloatPlane:
    """Return one stain on the coarse grid, blurred."""
    factor, shape = phantom.truth.grid.factor, phantom.truth.grid.shape
    plane = phantom.plane(role)
    pad = [(0, n * factor - size) for n, size in zip(shape, plane.shape, strict=True)]
    blocks = np.pad(plane, pad, mode="edge").reshape(shape[0], factor, shape[1], factor)
    smooth: FloatPlane = gaussian(blocks.mean((1, 3)), BLUR_PX).astype(np.float32)
    return smooth


def otsu_cells(phantom: Phantom) -> npt.NDArray[np.uint32]:
    """Otsu on CD45, holes filled, split by a watershed on the distance from the edge."""
    smooth = gaussian(phantom.plane("cd45"), 0.5 / phantom.pixel_size_um)
    if float(smooth.max()) == float(smooth.min()):
        return np.zeros(smooth.shape, np.uint32)
    positive: Mask = ndi.binary_fill_holes(smooth > threshold_otsu(smooth))
    distance = gaussian(ndi.distance_transform_edt(positive), 0.5 / phantom.pixel_size_um)
    peaks = peak_local_max(distance, min_distance=max(1, round(2 / phantom.pixel_size_um)), labels=label(positive))
    markers = np.zeros(smooth.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(watershed(-distance, markers, mask=positive), np.uint32)
