"""What surrounds a division of the tissue into cortex and medulla, whichever method divides it.

Cysts, folds, debris, strands and the capsule are set apart, and fat is taken off the tissue; the rest is judged.
A division (the keratin rule, a forest, a network) says what of it is cortex, medulla, or neither. Patches too
small to be a compartment are then absorbed, connective tissue along the edge is no medulla, and the junction is
drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.capsule import bright_rim, capsule_thickness_um, thin_parts
from thymusimg.compartments.cyst import MAX_FREE, find_cysts, free_share, windows
from thymusimg.compartments.edge import false_medulla
from thymusimg.compartments.fat import find_lace, lace_gaps
from thymusimg.compartments.junction import (
    corticomedullary_axis,
    depth_from_capsule_um,
    junction_contours,
    signed_distance_um,
)
from thymusimg.compartments.model import PARENCHYMA, Compartment, Compartments
from thymusimg.compartments.patches import absorb_small
from thymusimg.compartments.shapes import components, depth_px, fill_holes
from thymusimg.errors import RoleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thymusimg.compartments.model import Tissue
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask
    from thymusimg.settings.compartments import CompartmentSettings

    Divide = Callable[[FloatPlane, FloatPlane, Mask, float, CompartmentSettings], "Division"]

_MAX_LACE = 0.3  # share of a cyst's surroundings that are fat if its lumen is taken for a fat cell's
_LACE_REACH_UM = 150.0  # gaps farther from a lumen say nothing about it


@dataclass(frozen=True)
class Division:
    """What a method says of the tissue that can be judged; outside it nothing is read.

    Attributes
    ----------
    labels : (Y, X) uint8
        Codes of :class:`Compartment`: cortex, medulla, indeterminate or other.
    confidence : (Y, X) float32
        In [0, 1].
    cuts : mapping of str to float
        The thresholds that were really used.
    note : str
        What a reader of the section must know.
    """

    labels: LabelPlane
    confidence: FloatPlane
    cuts: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Surroundings:
    """Where a section can be judged, and what the rest of it is.

    Attributes
    ----------
    labels : (Y, X) uint8
        Background, cyst, artefact, and other for all that is left, what is ``judged`` included.
    inside : (Y, X) bool
        The tissue without its fat.
    judged : (Y, X) bool
        What a method divides.
    capsule_um : float
        Thickness of the capsule, read from the section.
    """

    labels: LabelPlane
    inside: Mask
    judged: Mask
    capsule_um: float


def segment_with(
    divide: Divide,
    planes: Mapping[str, FloatPlane],
    tissue: Tissue,
    grid: Grid,
    settings: CompartmentSettings,
    *,
    method: str,
) -> Compartments:
    """Divide the tissue into cortex, medulla and what is neither, by any method.

    Parameters
    ----------
    divide : callable
        ``divide(k14, k8, judged, pixel_um, settings) -> Division``. It is not called where nothing can be judged.
    planes : mapping of str to (Y, X) float32
        Background-subtracted coarse planes; others than ``k14`` and ``k8`` are ignored.
    tissue : Tissue
    grid : Grid
    settings : CompartmentSettings
    method : str
        Name that the result carries.

    Raises
    ------
    RoleError
        If a keratin is missing.
    """
    k14, k8 = keratins(planes)
    around = find_surroundings(k14, k8, tissue, grid, settings)
    labels, found = label_within(around, divide, k14, k8, grid.pixel_um, settings)
    reasons = {"compartments": found.note} if found.note else {}
    cuts = {"capsule_um": around.capsule_um, **found.cuts}
    return with_distances(labels, found.confidence, around.inside, grid, settings, method, reasons, cuts)


def label_within(
    around: Surroundings,
    divide: Divide,
    k14: FloatPlane,
    k8: FloatPlane,
    pixel_um: float,
    settings: CompartmentSettings,
) -> tuple[LabelPlane, Division]:
    """Label a section whose surroundings are known: what can be judged is divided, and small patches absorbed.

    Returns
    -------
    tuple
        The labels, and the division, whose confidence is 0 wherever nothing was judged.
    """
    labels = around.labels.copy()
    confidence = np.zeros(labels.shape, np.float32)
    if not around.judged.any():
        return labels, Division(labels, confidence)
    found = divide(k14, k8, around.judged, pixel_um, settings)
    labels[around.judged] = found.labels[around.judged]
    confidence[around.judged] = found.confidence[around.judged]
    labels = absorb_small(labels, [int(c) for c in PARENCHYMA], settings.min_islet_um2 / pixel_um**2)
    labels[false_medulla(labels, pixel_um)] = Compartment.OTHER
    return labels, replace(found, confidence=confidence)


def keratins(planes: Mapping[str, FloatPlane]) -> tuple[FloatPlane, FloatPlane]:
    """Return the planes of K14 and K8.

    Raises
    ------
    RoleError
        If one is missing.
    """
    for role in ("k14", "k8"):
        if role not in planes:
            raise RoleError(
                f"compartments: the {role} stain is missing; both keratins are needed, map it with --channel"
            )
    return planes["k14"], planes["k8"]


def find_surroundings(
    k14: FloatPlane, k8: FloatPlane, tissue: Tissue, grid: Grid, settings: CompartmentSettings
) -> Surroundings:
    """Set apart what is no parenchyma whatever its stain: cysts, artefacts, fat, strands and the capsule."""
    px = grid.pixel_um
    # Fat of small cells stands among the tissue until both keratins are looked at finely.
    cyst, fat = _lumens(k14, k8, tissue.mask, px)
    inside = tissue.mask & ~fat
    cyst &= inside
    filled = fill_holes(inside)
    depth = (depth_px(filled) - np.float32(0.5)) * np.float32(px)
    judged = inside & ~tissue.artefact & ~cyst & ~thin_parts(filled, px)
    thickness = capsule_thickness_um(k14, k8, judged, depth, px, settings)
    judged &= depth > thickness
    judged &= ~bright_rim(k14, judged, depth, px, settings)

    labels = np.full(grid.shape, Compartment.BACKGROUND, np.uint8)
    labels[inside] = Compartment.OTHER
    labels[cyst] = Compartment.CYST
    labels[tissue.artefact & inside] = Compartment.ARTEFACT
    return Surroundings(labels, inside, judged, thickness)


def _lumens(k14: FloatPlane, k8: FloatPlane, tissue: Mask, px: float) -> tuple[Mask, Mask]:
    """Return the cysts and the fat of the tissue.

    A lumen with tissue around it is a cyst, and none of the gaps of a lace; one among fat cells is one of them.
    """
    cyst = find_cysts(k14, k8, fill_holes(tissue), px)
    gaps, filled = lace_gaps(k14, k8, tissue, px)
    fat = find_lace(gaps, filled, px)
    if not (fat & cyst).any():
        return cyst, fat
    labels, area = components(cyst)
    for number, window in enumerate(windows(labels, len(area), int(_LACE_REACH_UM / px)), start=1):
        own = labels[window] == number
        if (own & fat[window]).any():
            # Its own gap makes fat of what surrounds it; the others must not.
            others = find_lace(np.where(own, np.uint32(0), gaps[window]), filled[window], px)
            apart = free_share(own, tissue[window] & ~fat[window], px)
            if apart > _MAX_LACE or free_share(own, tissue[window] & ~others, px) > MAX_FREE:
                cyst[window] &= ~own
    return cyst, find_lace(np.where(cyst, np.uint32(0), gaps), filled, px) & ~cyst


def with_distances(
    labels: LabelPlane,
    confidence: FloatPlane,
    tissue: Mask,
    grid: Grid,
    settings: CompartmentSettings,
    method: str,
    reasons: dict[str, str],
    cuts: dict[str, float],
    *,
    depth: FloatPlane | None = None,
) -> Compartments:
    """Draw the junction of a map of compartments, and measure every distance that follows from it.

    ``depth`` is the depth from the capsule where it is known already: it follows from the tissue alone.
    """
    lines = junction_contours(labels, grid, settings.junction_smoothing_um)
    depth = depth_from_capsule_um(tissue, grid) if depth is None else depth
    present = {code for code in PARENCHYMA if bool((labels == code).any())}
    if not lines:
        absent = [c.name.lower() for c in (Compartment.MEDULLA, Compartment.CORTEX) if c not in present]
        reasons["junction"] = (
            f"no {' and no '.join(absent)} was found" if absent else "cortex and medulla do not touch"
        )
    if Compartment.MEDULLA not in present:
        reasons["axis"] = "no medulla was found"
    if not np.isfinite(depth).any():
        reasons["depth"] = reasons["axis"] = "the field of view holds no edge of the tissue"
    return Compartments(
        grid=grid,
        labels=labels,
        tissue=tissue,
        confidence=confidence,
        distance_to_cmj_um=signed_distance_um(labels, tissue, lines, grid),
        depth_from_capsule_um=depth,
        axis=corticomedullary_axis(labels, depth, grid),
        junction_um=lines,
        method=method,
        reasons=reasons,
        cuts=cuts,
    )
