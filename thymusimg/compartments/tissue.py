"""Where tissue lies, and what of it cannot be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.cyst import embedded, find_cysts, fine_blur
from thymusimg.compartments.fat import find_fat
from thymusimg.compartments.fold import find_folds, find_specks
from thymusimg.compartments.glass import STAINS, Glass, find_glass, median_sd
from thymusimg.compartments.model import Tissue
from thymusimg.compartments.shapes import components, dilate, fill_holes, fill_small_holes, holes, opened
from thymusimg.compartments.smooth import masked_blur
from thymusimg.errors import TissueError
from thymusimg.section.quantile import quantiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, Mask
    from thymusimg.section.survey import Survey
    from thymusimg.settings.compartments import TissueSettings

_GLARE_UM = 20.0  # light spills so far from bright tissue onto the glass
_DIM = 0.5  # of the least light of tissue
_MIN_RELIEF = 0.3  # a field without glass is tissue if its smoothed brightness varies by this much of its median
_MIN_GLASS_PX = 50


def find_tissue(survey: Survey, settings: TissueSettings) -> Tissue:
    """Find the tissue of a section, its folds, and the level of the bare glass around it.

    The keratins and DAPI decide; CD45 is never looked at, so that repopulation cannot enlarge the area that cells
    are counted per. Tears and vessels stay open; a hole with a bright keratin lining is a cyst, which belongs to
    the tissue. Strands thinner than ``parenchyma_width_um`` (fat, a torn-off capsule) and small detached pieces are
    left out. A field of view without bare glass is all tissue; its background is then the dark tail of each stain,
    and a note says so.

    Parameters
    ----------
    survey : Survey
        Needs at least one of ``k14``, ``k8`` and ``dapi``.
    settings : TissueSettings

    Returns
    -------
    Tissue
        ``background`` and ``background_sd`` hold every stain of the survey.

    Raises
    ------
    TissueError
        If there is no tissue, or none of the stains that can show it.
    """
    planes, valid, px = survey.planes, survey.valid, survey.grid.pixel_um
    if not any(role in planes for role in STAINS):
        raise TissueError("tissue: none of k14, k8 and dapi is present; one of them is needed to find the tissue")
    if not valid.any():
        raise TissueError("tissue: the section has no valid pixel (empty outline, or an empty mosaic)")
    glass = find_glass(planes, valid, settings.smoothing_um / px, settings.threshold, settings.noise_sd)
    notes: tuple[str, ...] = ()
    solid = closed = valid & ~glass.mask
    if glass.found:
        labels, area = _empty_holes(solid, planes, glass)
        closed = solid | (labels > 0)
        fat = find_fat(solid, (labels, area), px)
        solid, closed = solid & ~fat, closed & ~fat
        mask = _outline(solid, px, settings)
    else:
        _require_relief(planes, valid, settings.smoothing_um / px)
        mask = valid.copy()
        notes = ("no bare glass in the field of view: background taken from the dark tail of each stain",)
    if not mask.any():
        raise TissueError(
            f"tissue: no piece of tissue of at least {settings.min_area_um2:g} µm² found; "
            "check the channels and the pixel size, or lower tissue.min_area_um2"
        )
    background, spread = _background(planes, valid, mask, glass, px)
    lit = {role: planes[role] - np.float32(background[role]) for role in ("k14", "k8") if role in planes}
    cyst = artefact = np.zeros_like(mask)
    if len(lit) == 2:
        fine = {role: fine_blur(plane, px) for role, plane in lit.items()}
        inside, pair = fill_holes(mask), (fine["k14"], fine["k8"])
        cyst = find_cysts(lit["k14"], lit["k8"], inside, px, fine=pair, where=inside | closed) & valid
        if (cyst & ~inside).any():
            # The thin wall between a lumen and the outside falls to the opening, unless the lumen is solid.
            cyst = embedded(cyst, inside, px)
            mask = _outline(solid | cyst, px, settings)
        mask |= cyst
        artefact = find_specks(lit, fine, mask & ~cyst, px)
        del fine
        artefact |= find_folds(lit, mask & ~cyst & ~artefact, px, settings)
    return Tissue(mask, artefact, background, spread, notes)


def _empty_holes(
    bright: Mask, planes: Mapping[str, FloatPlane], glass: Glass
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return the holes, numbered, and their areas, after those that are no glass were filled in ``bright``.

    Tears, vessels, cysts and fat cells are empty. What is nearer to the darkest tissue than to glass is tissue poor
    in epithelium.
    """
    labels, area = holes(bright)
    inside = labels > 0
    number = labels[inside]
    light = np.bincount(number, weights=glass.light(planes, inside), minlength=len(area))
    dim = light > _DIM * glass.cut * area
    dim[0] = False
    if dim.any():
        bright[inside] = dim[number]
        labels[inside] = np.where(dim[number], np.uint32(0), number)
    return labels, np.where(dim, 0, area)


def _outline(bright: Mask, px: float, settings: TissueSettings) -> Mask:
    filled = fill_small_holes(bright, settings.max_pinhole_um2 / px**2)
    core = opened(filled, settings.parenchyma_width_um / 2 / px)
    labels, area = components(core)
    area[0] = 0
    if area.max() == 0:
        return np.zeros_like(core)
    lobes = area >= max(settings.min_area_um2 / px**2, settings.min_share * area.max())
    lobes[0] = False
    # The capsule is thinner than the opening allows, but it clings to what is left.
    return filled & dilate(np.asarray(lobes[labels], bool), settings.parenchyma_width_um / 2 / px)


def _background(
    planes: Mapping[str, FloatPlane], valid: Mask, mask: Mask, glass: Glass, px: float
) -> tuple[dict[str, float], dict[str, float]]:
    level: dict[str, float] = {}
    spread: dict[str, float] = {}
    where = valid & ~mask
    if glass.found:
        bare = glass.mask & ~mask
        where = bare & ~dilate(mask, _GLARE_UM / px)
        if np.count_nonzero(where) < _MIN_GLASS_PX:
            where = bare
    for role, plane in planes.items():
        if glass.found:
            level[role], spread[role] = median_sd(plane, where)
        else:
            low, quarter = quantiles(plane, (0.001, 0.01), valid)
            level[role], spread[role] = low, quarter - low
    return level, spread


def _require_relief(planes: Mapping[str, FloatPlane], valid: Mask, sigma_px: float) -> None:
    """Refuse a field that is bare glass from edge to edge."""
    for role in STAINS:
        if role in planes:
            low, middle, high = quantiles(masked_blur(planes[role], valid, sigma_px), (0.05, 0.5, 0.95), valid)
            if high - low > _MIN_RELIEF * abs(middle):
                return
    raise TissueError("tissue: the field of view is evenly dark, no tissue found; check the channels")
