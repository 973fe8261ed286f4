"""Which pixel size a section has: the user's word, else the metadata, and never a guess."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from thymusimg.errors import PixelSizeError

if TYPE_CHECKING:
    from thymusimg.section.model import Image

SMALLEST_UM, LARGEST_UM = 0.05, 5.0
"""Pixels outside this range are no microscope's view of a thymus: finer is beyond optics, coarser shows no cell."""

ANISOTROPY = 0.01
"""Height and width may differ by this share before the pixel counts as not square."""

HOW = "Set it with --pixel-size UM (in a study table: column 'pixel_size_um')."

UNITS_UM = {
    "": 1.0,
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "micrometers": 1.0,
    "micrometres": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
    "pm": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "in": 25_400.0,
    "inch": 25_400.0,
    "inches": 25_400.0,
}


def to_um(value: float, unit: str | None) -> float | None:
    r"""Turn a length into µm; None where the unit is no length (``pixel``) or the value no number.

    >>> to_um(325, "nm")
    0.325
    >>> to_um(0.65, "\\u00B5m")
    0.65
    """
    text = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), unit or "")
    # The micro sign and the Greek letter look the same; a lost code page leaves others before the m.
    text = text.strip().strip('"').replace("μ", "µ").replace("Â", "").replace("\ufffd", "µ")
    factor = UNITS_UM.get(text if text == "Å" else text.lower())
    if factor is None or not math.isfinite(value) or value <= 0:
        return None
    return round(value * factor, 12)


def check_pixel_size(image: Image, override: float | None = None) -> float:
    """Return the side of a full-resolution pixel in µm.

    Parameters
    ----------
    image : Image
        Its metadata are judged if ``override`` is None.
    override : float, optional
        What the user says, in µm; wins over the metadata.

    Raises
    ------
    PixelSizeError
        If the size is missing, not square, or outside 0.05-5 µm; the message names the option to set.
    """
    if override is not None:
        if not (math.isfinite(override) and SMALLEST_UM <= override <= LARGEST_UM):
            raise PixelSizeError(
                f"{image.path}: the pixel size given, {override:g} µm, is outside "
                f"{SMALLEST_UM:g}-{LARGEST_UM:g} µm. Give the side of one full-resolution pixel in µm."
            )
        return float(override)
    if image.pixel_size_um is None:
        reason = next((w for w in image.warnings if "resolution" in w or "unit" in w), "")
        raise PixelSizeError(
            f"{image.path}: the file records no pixel size{f' ({reason})' if reason else ''}. {HOW}"
        )
    height, width = image.pixel_size_um
    if not all(SMALLEST_UM <= side <= LARGEST_UM for side in (height, width)):
        raise PixelSizeError(
            f"{image.path}: the file's pixel size, {width:g} × {height:g} µm, is outside "
            f"{SMALLEST_UM:g}-{LARGEST_UM:g} µm and cannot be right. {HOW}"
        )
    if abs(height - width) > ANISOTROPY * max(height, width):
        raise PixelSizeError(
            f"{image.path}: the pixels are not square ({width:g} × {height:g} µm, width × height). "
            f"Resample the image, or if the metadata are wrong: {HOW}"
        )
    return height if height == width else math.sqrt(height * width)
