"""What the file itself allows: calibration, format, saturation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.channels.check import Check, grade, percent, place, unmeasured

if TYPE_CHECKING:
    from thymusimg.channels.check import Evidence

_CEILING_TILES = 3


def check_calibration(evidence: Evidence) -> Check:
    """Tell where the pixel size comes from."""
    used, recorded = evidence.section.pixel_size_um, evidence.section.image.pixel_size_um
    if recorded is None:
        why = f"the file records no pixel size; {used:g} µm was given by the user"
        return Check("", "calibration", used, "µm/px", "warn", why)
    if not np.allclose(recorded, used, rtol=0.02):
        why = f"the file records {recorded[1]:g} µm, but {used:g} µm was given by the user and is used"
        return Check("", "calibration", used, "µm/px", "warn", why)
    return Check("", "calibration", used, "µm/px", "pass", "the pixel size comes from the file")


def check_format(evidence: Evidence) -> Check:
    """Tell whether the pixels are measurements or a display export."""
    image = evidence.section.image
    bits = 8 * image.dtype.itemsize
    faults = []
    if image.semi_quantitative:
        faults.append(
            "a display export (RGB), semi-quantitative: brightness was scaled for the eye and does not compare"
        )
    if image.lossy:
        faults.append(f"lossy compression ({image.lossy}) changes fine detail and low intensities")
    if bits == 8 and not image.semi_quantitative:
        faults.append("8 bits a pixel: coarse steps, and possibly scaled for display")
    reason = "; ".join(faults) or f"{image.format}, {bits} bits a pixel, without loss"
    return Check("", "format", float(bits), "bit", "warn" if faults else "pass", reason)


def check_saturation(evidence: Evidence, role: str) -> Check:
    """Measure the share of the tissue's pixels at the detector's maximum, or piled up at a ceiling below it."""
    tiles = evidence.tissue_tiles(role, share=0.05)
    settings = evidence.settings
    if tiles.empty:
        return unmeasured(role, "saturation", "share of tissue", "no surveyed tile holds tissue", "warn")
    # Whatever is saturated on a tile is laid at the tissue's door: background does not saturate.
    pixels = (tiles["y1"] - tiles["y0"]) * (tiles["x1"] - tiles["x0"])
    share = float((tiles["saturated_fraction"] * pixels).sum() / (tiles["tissue_share"] * pixels).sum())
    worst = place(tiles, int(tiles["saturated_fraction"].to_numpy().argmax())) if share > 0 else ""
    ceiling = float(tiles["maximum"].max())
    # A camera of 12 bits in a file of 16 saturates at 4095: the brightest pixels of many tiles are the same.
    piled = int((tiles["maximum"] == ceiling).sum())
    if share == 0 and piled >= max(_CEILING_TILES, 0.02 * len(tiles)) and ceiling > 1:
        above = float(np.mean(evidence.survey.planes[role][evidence.inside] >= 0.98 * ceiling))
        reason = (
            f"{piled} of {len(tiles)} tiles end at exactly {ceiling:g}, below the file's maximum of "
            f"{evidence.section.image.max_value:g}: the camera was most likely saturated there "
            f"({percent(above)} of the tissue)"
        )
        status = grade(above, settings.saturation_pass, settings.saturation_fail)
        if status == "pass" and evidence.survey.grid.factor > 1:
            status = "warn"  # averaging over coarse pixels hides the share; that it happened is certain
        where = place(tiles, int(tiles["maximum"].to_numpy().argmax()))
        return Check(role, "saturation", above, "share of tissue", status, reason, where)
    status = grade(share, settings.saturation_pass, settings.saturation_fail)
    reason = f"{percent(share)} of the tissue is at the maximum" if share else "no tissue pixel is at the maximum"
    if status != "pass":
        reason += ": brightness there is lost, and means are too low"
    return Check(role, "saturation", share, "share of tissue", status, reason, worst)
