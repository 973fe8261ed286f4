"""Cortex and medulla from the densities of K14 and K8, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.capsule import bright_rim, thin_parts
from thymusimg.compartments.junction import (
    corticomedullary_axis,
    depth_from_capsule_um,
    junction_contours,
    signed_distance_um,
)
from thymusimg.compartments.levels import Cuts, measure_cuts
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.compartments.patches import absorb_small
from thymusimg.compartments.smooth import blur, density
from thymusimg.errors import RoleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.compartments.model import Tissue
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask
    from thymusimg.settings.compartments import CompartmentSettings

_CLIP_QUANTILE = 0.99  # single bright spots (debris, macrophages) must not make a density
_JUDGED = (Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE)


def segment_compartments(
    planes: Mapping[str, FloatPlane], tissue: Tissue, grid: Grid, settings: CompartmentSettings
) -> Compartments:
    """Divide the tissue into cortex, medulla and what is neither.

    Medulla is where the local K14 density is present and the K14 share against K8 lies above the cut; cortex needs
    K8 density of its own and a share below the cut; tissue with neither is indeterminate. Only ``k14`` and ``k8``
    are looked at.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Background-subtracted coarse planes; others than ``k14`` and ``k8`` are ignored.
    tissue : Tissue
    grid : Grid
    settings : CompartmentSettings

    Returns
    -------
    Compartments

    Raises
    ------
    RoleError
        If a keratin is missing.
    """
    for role in ("k14", "k8"):
        if role not in planes:
            raise RoleError(
                f"compartments: the {role} stain is missing; both keratins are needed, map it with --channel"
            )
    k14, k8 = planes["k14"], planes["k8"]
    labels = np.full(grid.shape, Compartment.BACKGROUND, np.uint8)
    confidence = np.zeros(grid.shape, np.float32)
    labels[tissue.mask] = Compartment.OTHER
    labels[tissue.artefact & tissue.mask] = Compartment.ARTEFACT
    judged = tissue.mask & ~tissue.artefact
    judged &= ~thin_parts(tissue.mask, grid.pixel_um)
    judged &= ~bright_rim(k14, k8, judged, tissue.mask, grid.pixel_um, settings)
    reasons: dict[str, str] = {}
    cuts: dict[str, float] = {}
    if judged.any():
        d14, d8 = _densities(k14, k8, judged, settings.density_um / grid.pixel_um)
        found = measure_cuts(d14[judged], d8[judged], settings)
        labels[judged] = _classify(d14[judged], d8[judged], found)
        confidence[judged] = _confidence(d14[judged], d8[judged], found)
        labels = absorb_small(labels, [int(c) for c in _JUDGED], settings.min_islet_um2 / grid.pixel_um**2)
        cuts = _as_table(found, settings)
        if found.note:
            reasons["compartments"] = found.note
    return _with_distances(labels, confidence, tissue.mask, grid, settings, reasons, cuts)


def _densities(k14: FloatPlane, k8: FloatPlane, where: Mask, sigma_px: float) -> tuple[FloatPlane, FloatPlane]:
    weight = blur(where.astype(np.float32), sigma_px)
    out = []
    for plane in (k14, k8):
        top = np.float32(np.quantile(plane[where], _CLIP_QUANTILE))
        out.append(density(np.minimum(plane, top), where, weight, sigma_px))
    return out[0], out[1]


def _classify(d14: FloatPlane, d8: FloatPlane, cuts: Cuts) -> LabelPlane:
    out = np.full(d14.shape, Compartment.INDETERMINATE, np.uint8)
    medullary = d14 > cuts.ratio * np.maximum(d8, 0)
    out[medullary & (d14 > cuts.k14)] = Compartment.MEDULLA
    out[~medullary & (d8 > cuts.k8)] = Compartment.CORTEX
    return out


def _confidence(d14: FloatPlane, d8: FloatPlane, cuts: Cuts) -> FloatPlane:
    """Return how far, in factors, a pixel lies from the nearest cut that would change its label."""
    tiny = np.float32(1e-6)
    ratio = np.abs(np.log2(np.maximum(d14, tiny) / np.maximum(d8, tiny)) - np.log2(np.clip(cuts.ratio, 1e-6, 1e6)))
    own = np.where(d14 > cuts.ratio * d8, d14 / max(cuts.k14, 1e-6), d8 / max(cuts.k8, 1e-6))
    presence = np.abs(np.log2(np.maximum(own, tiny)))
    return np.asarray(1 - np.exp2(-2 * np.minimum(ratio, presence)), np.float32)


def _as_table(cuts: Cuts, settings: CompartmentSettings) -> dict[str, float]:
    return {
        "k14_share": cuts.k14_share,
        "k14_to_k8_ratio": cuts.ratio,
        "k14_density": cuts.k14,
        "k8_density": cuts.k8,
        "k14_k8_contrast": cuts.contrast,
        "k14_medulla": cuts.k14_medulla,
        "k8_cortex": cuts.k8_cortex,
        "density_um": settings.density_um,
        "junction_smoothing_um": settings.junction_smoothing_um,
    }


def _with_distances(
    labels: LabelPlane,
    confidence: FloatPlane,
    tissue: Mask,
    grid: Grid,
    settings: CompartmentSettings,
    reasons: dict[str, str],
    cuts: dict[str, float],
) -> Compartments:
    lines = junction_contours(labels, grid, settings.junction_smoothing_um)
    depth = depth_from_capsule_um(tissue, grid)
    present = {code for code in _JUDGED if bool((labels == code).any())}
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
        reasons=reasons,
        cuts=cuts,
    )
