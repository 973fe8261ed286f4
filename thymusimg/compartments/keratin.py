"""Cortex and medulla from the densities of K14 and K8, without training.

The rule, on background-subtracted planes:

1. Cysts, folds, debris, strands and the capsule are set apart, and fat is taken off the tissue (``frame.py``).
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

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.frame import Division, segment_with
from thymusimg.compartments.levels import Levels, judge_one_population, measure_levels
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.compartments.shapes import components, drop_small, opened
from thymusimg.compartments.share import local_densities, share_width_um, voted_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.compartments.model import Tissue
    from thymusimg.section.model import FloatPlane, Grid, Mask
    from thymusimg.settings.compartments import CompartmentSettings

_GLARING = 3.0  # times the medulla's own K14 density
_GLARING_EDGE = 2.0
_MIN_K8 = 0.2  # K8 of medulla over K8 of cortex; below it, K8 is not a marker of this section's medulla
_WITHOUT_K8 = 0.35
_MIN_MIXED = 3.0  # area of mixed tissue over its least width squared; a widening of the border has less


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
    return segment_with(divide_by_keratins, planes, tissue, grid, settings, method="keratin")


def divide_by_keratins(
    k14: FloatPlane, k8: FloatPlane, judged: Mask, px: float, settings: CompartmentSettings
) -> Division:
    """Tell cortex and medulla of the judged tissue apart by the rule of this module, as :class:`Division`."""
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
    return Division(labels, _confidence(near14, near8, share, levels), _as_table(levels, width, settings))


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


def _one_population(d14: FloatPlane, d8: FloatPlane, judged: Mask, settings: CompartmentSettings) -> Division:
    kind, present, note = judge_one_population(d14[judged], d8[judged], settings)
    labels = np.full(judged.shape, Compartment.INDETERMINATE, np.uint8)
    confidence = np.zeros(judged.shape, np.float32)
    if kind != "mixed":
        plane = d8 if kind == "cortex" else d14
        labels[plane > present] = Compartment.CORTEX if kind == "cortex" else Compartment.MEDULLA
        confidence = _certainty(np.log2(np.maximum(plane, 1e-6) / present))
    name = {"cortex": "k8_density", "medulla": "k14_density"}.get(kind)
    return Division(
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
