"""Is the section usable? Every check of a section, as numbers with a verdict and a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.channels.check import Check, Evidence, grade, percent, unmeasured
from thymusimg.channels.file_checks import check_calibration, check_format, check_saturation
from thymusimg.channels.focus import MINIMUM_TILES, check_focus, relative_sharpness
from thymusimg.channels.illumination import check_background, check_tiles
from thymusimg.channels.stain_checks import (
    check_autofluorescence,
    check_bleed,
    check_registration,
    check_signals,
)

if TYPE_CHECKING:
    from thymusimg.channels.correct import Correction
    from thymusimg.section.model import Mask, Section
    from thymusimg.section.survey import Survey
    from thymusimg.settings import QualitySettings

COLUMNS = ("section_id", *Check._fields)


def assess_quality(
    section: Section, survey: Survey, tissue_mask: Mask, correction: Correction, settings: QualitySettings
) -> pd.DataFrame:
    """Check a section from its survey; no full-resolution pixel is read.

    A *fail* flags, and removes nothing.

    Parameters
    ----------
    section : Section
    survey : Survey
    tissue_mask : (Y, X) bool
        Tissue on the coarse grid.
    correction : Correction
    settings : QualitySettings

    Returns
    -------
    DataFrame
        One row a check and channel: ``section_id, channel`` (role, or ``""`` for the whole section), ``check,
        value, unit, status`` (pass, warn, fail), ``reason, where`` (``y0,x0`` of the worst tile in px, or the
        other channel). A check that could not be made has ``value`` NaN and a reason.
    """
    evidence = Evidence(section, survey, tissue_mask, correction, settings)
    rows = [check_calibration(evidence), check_format(evidence), _tissue(evidence), _usable(evidence)]
    rows += check_signals(evidence)
    for role in survey.planes:
        rows += [check_saturation(evidence, role), check_focus(evidence, role)]
        rows += [*check_tiles(evidence, role), check_background(evidence, role), check_bleed(evidence, role)]
    rows += [check_autofluorescence(evidence), check_registration(evidence)]
    table = pd.DataFrame(rows, columns=list(Check._fields))
    table.insert(0, "section_id", section.section_id)
    return table


def _tissue(evidence: Evidence) -> Check:
    area = float(np.count_nonzero(evidence.inside)) * evidence.survey.grid.pixel_area_mm2
    status = grade(area, evidence.settings.tissue_pass_mm2, evidence.settings.tissue_fail_mm2)
    reason = f"{area:.3g} mm² of tissue"
    if status != "pass":
        reason += f", less than {evidence.settings.tissue_pass_mm2:g} mm²: too small to stand for a lobe"
    return Check("", "tissue_area", area, "mm²", status, reason)


def _usable(evidence: Evidence) -> Check:
    """Measure the share of the tissue's tiles that no channel shows blurred or saturated."""
    spoiled: dict[tuple[int, int], bool] = {}
    for role in evidence.survey.planes:
        tiles = evidence.tissue_tiles(role)
        if len(tiles) < MINIMUM_TILES:
            continue
        score = relative_sharpness(tiles, evidence.tiles[evidence.tiles["role"] == role])
        bad = (score < evidence.settings.focus_ratio) | (
            tiles["saturated_fraction"].to_numpy() > evidence.settings.saturation_fail
        )
        for y0, x0, is_bad in zip(tiles["y0"], tiles["x0"], bad, strict=True):
            spoiled[y0, x0] = spoiled.get((y0, x0), False) or bool(is_bad)
    if not spoiled:
        return unmeasured("", "usable_tissue", "share of tiles", "too few tissue tiles")
    share = 1 - sum(spoiled.values()) / len(spoiled)
    status = grade(share, evidence.settings.usable_pass, evidence.settings.usable_fail)
    reason = f"{percent(share)} of the tissue tiles are neither blurred nor saturated in any channel"
    worst = next((f"{y0},{x0}" for (y0, x0), bad in sorted(spoiled.items()) if bad), "")
    return Check("", "usable_tissue", share, "share of tiles", status, reason, worst)
