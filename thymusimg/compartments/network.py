"""Cortex and medulla by a trained network, from K14 and K8 alone.

Each keratin is divided by its own level in the section, so that exposure and fluorophore do not count, and
compressed (inverse hyperbolic sine), so that neither a fold nor a weak tile leaves the network's range. CD45 and
DAPI are never given: cells must not define the compartment that they are counted in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.frame import Division, segment_with
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.compartments.shapes import components
from thymusimg.errors import ModelError
from thymusimg.progress import silent
from thymusimg.section.model import Window
from thymusimg.section.quantile import mean_above_zero
from thymusimg.section.resample import Resampling
from thymusimg.section.tiles import Tile, tile_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.compartments.model import Tissue
    from thymusimg.models.find import InstalledModel
    from thymusimg.networks.engine import Network
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask
    from thymusimg.settings.compartments import CompartmentSettings

PIXEL_UM = 2.0
"""Pixel size at which the networks work."""
CLASSES = (Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE, Compartment.OTHER)
"""What a network tells apart, in the order of its outputs."""
CHANNELS = ("k14", "k8")
"""What a network takes."""
TILE_PX = 1536
ISLET_MARGIN = 0.2
"""Least mean margin of an islet's probability of medulla over that of indeterminate tissue."""
_OUTSHINES = 4.0  # times the mean of a stain: brighter pixels do not raise its level
_STRETCH = 2.0
_DARKEST = 0.25  # times the level, below zero
_BRIGHTEST = 40.0  # times the level
_NO_TISSUE = -1.0  # what a network is given off the tissue: darker than any of it


@dataclass(frozen=True)
class _Prepared:
    """A section on the network's grid."""

    k14: FloatPlane
    k8: FloatPlane
    where: Mask
    judged: Mask


def segment_by_network(
    planes: Mapping[str, FloatPlane],
    tissue: Tissue,
    grid: Grid,
    settings: CompartmentSettings,
    *,
    model: InstalledModel,
    device: str = "cpu",
    threads: int = 1,
    progress: Progress = silent,
) -> Compartments:
    """Divide the tissue into cortex, medulla and what is neither, by a trained network.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Background-subtracted coarse planes; others than ``k14`` and ``k8`` are ignored.
    tissue : Tissue
    grid : Grid
        Resampled to :data:`PIXEL_UM` where it differs.
    settings : CompartmentSettings
    model : InstalledModel
    device : str
        ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.
    threads : int
        Results do not depend on it.
    progress : callable

    Raises
    ------
    RoleError
        If a keratin is missing.
    ModelError
        If the model is none for compartments, or not made for this pixel size.
    DeviceError
        If the device is not there.
    """
    from thymusimg.networks.engine import load_network

    card = model.card
    known = tuple(code.name.lower() for code in CLASSES)
    if card.classes != known or card.pixel_size_um != PIXEL_UM:
        raise ModelError(
            f"{model.folder}: tells {', '.join(card.classes)} apart at {card.pixel_size_um:g} µm/px; "
            f"a compartment network tells {', '.join(known)} apart at {PIXEL_UM:g} µm/px."
        )
    if not card.finest_pixel_um <= grid.pixel_um <= card.coarsest_pixel_um:
        raise ModelError(
            f"--compartments {card.name}: is for coarse pixels of {card.finest_pixel_um:g} to "
            f"{card.coarsest_pixel_um:g} µm, this section's are {grid.pixel_um:g} µm. Use --compartments keratin."
        )
    network = load_network(model, device)

    def divide(k14: FloatPlane, k8: FloatPlane, judged: Mask, px: float, _: CompartmentSettings) -> Division:
        return divide_by_network(
            k14, k8, judged, tissue.mask, px, network=network, threads=threads, progress=progress
        )

    return segment_with(divide, planes, tissue, grid, settings, method=card.name)


def divide_by_network(
    k14: FloatPlane,
    k8: FloatPlane,
    judged: Mask,
    tissue: Mask,
    pixel_um: float,
    *,
    network: Network,
    threads: int = 1,
    tile_px: int = TILE_PX,
    progress: Progress = silent,
) -> Division:
    """Tell cortex, medulla, indeterminate and other tissue apart; confidence is the margin of the probabilities.

    Parameters
    ----------
    k14, k8 : (Y, X) float32
    judged, tissue : (Y, X) bool
    pixel_um : float
    network : Network
    threads : int
    tile_px : int
        Side of a tile on the network's grid, a multiple of its stride. Tiles begin at multiples of it and read as
        far around as the network reaches, so the outputs are the same but for the rounding of sums.
    progress : callable
    """
    resampling = Resampling((judged.shape[0], judged.shape[1]), pixel_um, PIXEL_UM)
    prepared = _Prepared(
        to_network_grid(levelled(k14, judged), resampling),
        to_network_grid(levelled(k8, judged), resampling),
        to_network_grid(tissue.astype(np.float32), resampling) > 0.5,
        to_network_grid(judged.astype(np.float32), resampling) > 0,
    )
    scores = _probabilities(prepared, network, threads, tile_px, progress)
    shares = np.stack([_from_network_grid(plane, resampling) for plane in scores])
    order = np.sort(shares, axis=0)
    labels = np.asarray(CLASSES, np.uint8)[shares.argmax(0)]
    labels[~judged] = Compartment.OTHER
    _drop_doubtful_islets(labels, shares)
    confidence = np.where(judged, np.clip(order[-1] - order[-2], 0, 1), 0).astype(np.float32)
    return Division(labels, confidence, {"islet_margin": ISLET_MARGIN}, _note(labels[judged]))


def _drop_doubtful_islets(labels: LabelPlane, shares: FloatPlane) -> None:
    """Call islets indeterminate that, over their whole area, are hardly likelier medulla than indeterminate.

    Pixel by pixel the likelier class is right more often; an islet that is there is likely as a whole.
    """
    islet, area = components(labels == Compartment.MEDULLA)
    margin = shares[CLASSES.index(Compartment.MEDULLA)] - shares[CLASSES.index(Compartment.INDETERMINATE)]
    mean = np.bincount(islet.ravel(), weights=margin.ravel(), minlength=len(area)) / np.maximum(area, 1)
    doubtful = mean < ISLET_MARGIN
    doubtful[0] = False
    labels[doubtful[islet]] = Compartment.INDETERMINATE


def levelled(plane: FloatPlane, judged: Mask) -> FloatPlane:
    """Return a stain over its level in the section: its mean over ``judged``, cut at four times the plain mean."""
    mean = max(mean_above_zero(plane, judged), 1e-6)
    level = mean_above_zero(np.minimum(plane, np.float32(_OUTSHINES * mean)), judged)
    return np.asarray(plane / np.float32(max(level, 1e-6)), np.float32)


def network_inputs(k14: FloatPlane, k8: FloatPlane, where: npt.NDArray[np.generic]) -> FloatPlane:
    """Return what a network takes, (2, Y, X) float32.

    Parameters
    ----------
    k14, k8 : (Y, X) float32
        Levelled stains.
    where : (Y, X) bool or uint8
        0 off the tissue, where the stains are not looked at.
    """
    out = np.empty((len(CHANNELS), *where.shape), np.float32)
    for row, plane in enumerate((k14, k8)):
        np.arcsinh(_STRETCH * np.clip(plane, -_DARKEST, _BRIGHTEST), out=out[row])
    out[:, where == 0] = _NO_TISSUE
    return out


def to_network_grid(plane: FloatPlane, resampling: Resampling) -> FloatPlane:
    """Return a coarse plane at the network's pixel size."""
    whole = Window(0, resampling.shape[0], 0, resampling.shape[1])
    return resampling.sample(np.asarray(plane, np.float32), Window(0, plane.shape[0], 0, plane.shape[1]), whole)


def _from_network_grid(plane: FloatPlane, resampling: Resampling) -> FloatPlane:
    height, width = resampling.slide_shape
    if resampling.scale == 1.0:
        return plane[:height, :width]
    back = Resampling((plane.shape[0], plane.shape[1]), resampling.scale, 1.0)
    place = Window(0, plane.shape[0], 0, plane.shape[1])
    return back.sample(plane, place, Window(0, height, 0, width))


def _probabilities(
    section: _Prepared, network: Network, threads: int, tile_px: int, progress: Progress
) -> FloatPlane:
    """Return the probability of every class, (4, Y, X); zero where nothing is judged."""
    from thymusimg.networks.stream import stream

    stride = network.stride
    halo = -(-network.reach_px // stride) * stride
    shape = section.judged.shape
    side = min(tile_px, -(-max(shape) // stride) * stride)
    tiles = [t for t in tile_grid((shape[0], shape[1]), side) if section.judged[t.core.slices].any()]
    out = np.zeros((len(CLASSES), *shape), np.float32)

    def read(tile: Tile) -> FloatPlane:
        outer = Window(
            tile.core.y0 - halo, tile.core.y0 + side + halo, tile.core.x0 - halo, tile.core.x0 + side + halo
        )
        return network_inputs(*(_padded(plane, outer) for plane in (section.k14, section.k8, section.where)))

    def finish(tile: Tile, found: FloatPlane | None) -> None:
        if found is not None:
            height, width = tile.core.shape
            out[:, *tile.core.slices] = softmax(found[:, halo : halo + height, halo : halo + width])

    for _ in stream(network, tiles, read, finish, threads=threads, progress=progress, stage="compartments"):
        pass
    return out


def softmax(scores: FloatPlane) -> FloatPlane:
    """Return probabilities of raw scores over the first axis."""
    power = np.exp(scores - scores.max(0, keepdims=True))
    return np.asarray(power / power.sum(0, keepdims=True), np.float32)


def _padded(plane: npt.NDArray[np.generic], window: Window) -> FloatPlane:
    """Return a window that may reach beyond the plane, where there is nothing."""
    out = np.zeros(window.shape, np.float32)
    y0, x0 = max(window.y0, 0), max(window.x0, 0)
    part = plane[y0 : max(window.y1, 0), x0 : max(window.x1, 0)]
    out[y0 - window.y0 :, x0 - window.x0 :][: part.shape[0], : part.shape[1]] = part
    return out


def _note(labels: FloatPlane) -> str:
    absent = [
        code.name.lower() for code in (Compartment.CORTEX, Compartment.MEDULLA) if not bool((labels == code).any())
    ]
    return f"the network finds no {' and no '.join(absent)}" if absent else ""
