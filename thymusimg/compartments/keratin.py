"""Cortex and medulla from the densities of K14 and K8, without training.

The rule, on background-subtracted planes:

1. Cysts, folds, debris, strands and the capsule are set apart, and fat is taken off the tissue.
2. The ratio of the local densities K14 / K8 (Gaussian, ``density_um``) is searched for two populations. If their
   ratios differ by ``min_contrast`` or more and K14 itself rises by 1.4 or more, their median densities are the
   levels of medulla and cortex, and a ratio says which mixture of the two it is. A contrast below a factor of two
   must last over ``mosaic_um``, where a random mosaic of cells averages out. A factor common to both keratins, such
   as a dark tile corner, cancels. Each strand votes with its own ratio, and the votes of a neighbourhood are its
   medullary share; the neighbourhood is the smaller the more the populations differ (``share.py``).
3. More than ``medulla_cut`` medulla with K14 present is medulla; less, with K8 present, is cortex. Tissue without
   the keratin of its own, and mixtures wider than ``mixed_width_um``, are indeterminate. Narrow patches of medulla
   that face the outside of the lobe are connective tissue (``edge.py``).
4. With one population only there is no inner reference: a keratin that is ``single_ratio`` times brighter than the
   other stands alone, and the section is all cortex or all medulla; otherwise it is indeterminate throughout.

Limits: in (4) exposures count, so a K8-only section whose K14 was exposed far longer is called indeterminate. A
section of cortex and epithelium-poor tissue only falls under (4) too. Stain that drifts in one keratin by more than
a factor of two over the section moves the border.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from thymusimg.compartments.levels import Levels, judge_one_population, measure_levels
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.compartments.patches import absorb_small
from thymusimg.compartments.shapes import components, depth_px, drop_small, fill_holes, opened
from thymusimg.compartments.share import local_densities, share_width_um, voted_share
from thymusimg.errors import RoleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.compartments.model import Tissue
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask
    from thymusimg.settings.compartments import CompartmentSettings

_GLARING = 3.0  # times the medulla's own K14 density
_GLARING_EDGE = 2.0
_MIN_K8 = 0.2  # K8 of medulla over K8 of cortex; below it, K8 is not a marker of this section's medulla
_WITHOUT_K8 = 0.35
_MAX_LACE = 0.3  # share of a cyst's surroundings that are fat if its lumen is taken for a fat cell's
_LACE_REACH_UM = 150.0  # gaps farther from a lumen say nothing about it
_MIN_MIXED = 3.0  # area of mixed tissue over its least width squared; a widening of the border has less
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
    confidence = np.zeros(grid.shape, np.float32)
    reasons: dict[str, str] = {}
    cuts = {"capsule_um": thickness}
    if judged.any():
        found = _divide(k14, k8, judged, px, settings)
        labels[judged], confidence[judged] = found.labels[judged], found.confidence[judged]
        labels = absorb_small(labels, [int(c) for c in _JUDGED], settings.min_islet_um2 / px**2)
        labels[false_medulla(labels, px)] = Compartment.OTHER
        cuts |= found.cuts
        if found.note:
            reasons["compartments"] = found.note
    return _with_distances(labels, confidence, inside, grid, settings, reasons, cuts)


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


@dataclass(frozen=True)
class _Division:
    labels: LabelPlane
    confidence: FloatPlane
    cuts: dict[str, float]
    note: str = ""


def _divide(k14: FloatPlane, k8: FloatPlane, judged: Mask, px: float, settings: CompartmentSettings) -> _Division:
    d14, d8 = local_densities(k14, k8, judged, settings.density_um / px)
    levels = measure_levels(d14[judged], d8[judged], settings)
    if levels is None or not (levels.clear or _lasts(k14, k8, judged, px, settings)):
        return _one_population(d14, d8, judged, settings)
    width = share_width_um(levels, settings)
    share = voted_share((k14, k8), judged, (d14, d8), levels, px, settings)
    near14, near8 = local_densities(k14, k8, judged, settings.presence_um / px)
    labels = np.full(judged.shape, Compartment.INDETERMINATE, np.uint8)
    medullary = share > settings.medulla_cut
    labels[medullary & (near14 > levels.k14_present)] = Compartment.MEDULLA
    labels[~medullary & (near8 > levels.k8_present)] = Compartment.CORTEX
    # A border between the compartments passes through every share; only a wide belt in between is a mixture.
    between = judged & (np.abs(share - np.float32(0.5)) < settings.mixed_share / 2)
    mixed = opened(between, settings.mixed_width_um / 2 / px)
    labels[drop_small(mixed, _MIN_MIXED * (settings.mixed_width_um / px) ** 2)] = Compartment.INDETERMINATE
    labels[_foreign(near14, near8, judged, levels)] = Compartment.OTHER
    return _Division(labels, _confidence(near14, near8, share, levels), _as_table(levels, width, settings))


def _lasts(k14: FloatPlane, k8: FloatPlane, judged: Mask, px: float, settings: CompartmentSettings) -> bool:
    """Return whether K14 / K8 still differs over wider windows.

    A random mosaic of cells of both kinds averages out as 1 / sigma; compartments do not.
    """
    wide14, wide8 = local_densities(k14, k8, judged, settings.mosaic_um / px)
    levels = measure_levels(wide14[judged], wide8[judged], settings)
    return levels is not None and levels.steps


def _foreign(d14: FloatPlane, d8: FloatPlane, judged: Mask, levels: Levels) -> Mask:
    """Return what shows K14 and is no medulla: too bright for one, or without the K8 that this section's has.

    Fat, keratinised linings and a capsule folded in look like this.
    """
    core = judged & (d14 > _GLARING * levels.k14_medulla)
    bare = np.zeros_like(judged)
    if levels.k8_medulla > _MIN_K8 * levels.k8_cortex:
        bare = judged & (d14 > levels.k14_medulla) & (d8 < _WITHOUT_K8 * levels.k8_medulla)
    if not core.any():
        return bare
    patch, area = components(judged & (d14 > _GLARING_EDGE * levels.k14_medulla))
    hit = np.zeros(len(area), bool)
    hit[patch[core]] = True
    return np.asarray(bare | hit[patch], bool)


def _one_population(d14: FloatPlane, d8: FloatPlane, judged: Mask, settings: CompartmentSettings) -> _Division:
    kind, present, note = judge_one_population(d14[judged], d8[judged], settings)
    labels = np.full(judged.shape, Compartment.INDETERMINATE, np.uint8)
    confidence = np.zeros(judged.shape, np.float32)
    if kind != "mixed":
        plane = d8 if kind == "cortex" else d14
        labels[plane > present] = Compartment.CORTEX if kind == "cortex" else Compartment.MEDULLA
        confidence = _certainty(np.log2(np.maximum(plane, 1e-6) / present))
    name = {"cortex": "k8_density", "medulla": "k14_density"}.get(kind)
    return _Division(
        labels, confidence, {"density_um": settings.density_um} | ({name: present} if name else {}), note
    )


def _confidence(d14: FloatPlane, d8: FloatPlane, share: FloatPlane, levels: Levels) -> FloatPlane:
    """Return how clear of the nearest cut a pixel lies: the medullary share, or the presence of its keratin."""
    own = np.where(share > 0.5, d14 / np.float32(levels.k14_present), d8 / np.float32(levels.k8_present))
    presence = np.log2(np.maximum(own, 1e-6))
    return np.asarray(
        np.minimum(_certainty(presence), np.clip(2 * np.abs(share - np.float32(0.5)), 0, 1)), np.float32
    )


def _certainty(doublings: FloatPlane) -> FloatPlane:
    """Turn a distance from a cut in doublings into a confidence: 0 on the cut, 0.75 at a factor of two."""
    return np.asarray(1 - np.exp2(-2 * np.abs(doublings)), np.float32)


def _as_table(levels: Levels, width_um: float, settings: CompartmentSettings) -> dict[str, float]:
    return {
        "k14_share": levels.ratio_cut / (1 + levels.ratio_cut),
        "k14_to_k8": levels.ratio_cut,
        "k14_density": levels.k14_present,
        "k8_density": levels.k8_present,
        "k14_k8_contrast": levels.contrast,
        "k14_cortex": levels.k14_cortex,
        "k14_medulla": levels.k14_medulla,
        "k8_cortex": levels.k8_cortex,
        "k8_medulla": levels.k8_medulla,
        "density_um": settings.density_um,
        "share_um": width_um,
        "presence_um": settings.presence_um,
        "medulla_cut": settings.medulla_cut,
        "mixed_share": settings.mixed_share,
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
