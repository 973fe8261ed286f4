"""Colour in a TIFF: display composites, alpha, palettes, inverted grey, and lossy compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thymusimg.errors import UnsupportedFormatError
from thymusimg.section.readers.base import RGB_NAMES

RGB, YCBCR, PALETTE, MIN_IS_WHITE, MIN_IS_BLACK = 2, 6, 3, 0, 1
OTHER_COLOURS = {4: "transparency mask", 5: "CMYK", 8: "CIELab", 9: "ICCLab", 32803: "raw camera (CFA)"}

LOSSY = {
    6: "JPEG",
    7: "JPEG",
    33007: "JPEG",
    34892: "JPEG",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    22610: "JPEG XR",
    34934: "JPEG XR",
    34927: "WebP",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    34887: "LERC",
}
REVERSIBLE_WAVELET = 1


@dataclass(frozen=True)
class Colour:
    """How the samples of a page are to be taken.

    Attributes
    ----------
    names : tuple of str
        Names of the kept samples of a display composite, empty otherwise.
    keep : tuple of int or None
        The samples to keep, None for all.
    display : bool
        True for a composite whose intensities were scaled for the eye.
    """

    names: tuple[str, ...] = ()
    keep: tuple[int, ...] | None = None
    display: bool = False
    warnings: tuple[str, ...] = ()


def read_colour(path: str, series: Any) -> Colour:
    """Judge the photometric interpretation of a series.

    Raises
    ------
    UnsupportedFormatError
        For colour models whose numbers are no intensities.
    """
    key = series.keyframe
    photometric, samples = int(key.photometric), int(key.samplesperpixel)
    if photometric in OTHER_COLOURS:
        raise UnsupportedFormatError(
            f"{path}: its colours are {OTHER_COLOURS[photometric]}, from which no stain can be read. "
            "Export RGB or grey."
        )
    if photometric == PALETTE:
        return _palette(path, series)
    if photometric == MIN_IS_WHITE:
        if series.kind in ("imagej", "ome"):
            return Colour(warnings=("asks to be shown inverted; the stored values were taken",))
        raise UnsupportedFormatError(f"{path}: is inverted grey (0 is white). Export it without inversion.")
    if photometric in (RGB, YCBCR) and samples >= 3:
        return _rgb(series, samples)
    if samples > 1 and _has_alpha(key):
        return Colour(keep=tuple(range(samples - 1)), warnings=("an alpha channel was left out",))
    return Colour()


def _rgb(series: Any, samples: int) -> Colour:
    key = series.keyframe
    # Programs that write arrays call a (4, Y, X), a 16-bit (3, Y, X) or a 16-bit (Y, X, 4) stack of stains RGB,
    # the fourth stain its alpha. Display pictures are 8-bit, and 16-bit ones have no alpha.
    planar, deep = int(key.planarconfig) == 2, key.dtype != np.uint8
    if (planar and (samples > 3 or deep)) or (deep and samples > 3):
        return Colour(
            warnings=(f"says RGB, but its {samples} samples look like a stack: taken for unnamed channels",)
        )
    if samples == 3:
        return Colour(RGB_NAMES, display=True)
    if _has_alpha(key):
        return Colour(RGB_NAMES, keep=(0, 1, 2), display=True, warnings=("an alpha channel was left out",))
    extra = tuple(f"sample {i}" for i in range(3, samples))
    return Colour(
        (*RGB_NAMES, *extra), display=True, warnings=(f"has {samples - 3} samples beside red, green, blue",)
    )


def _has_alpha(key: Any) -> bool:
    return bool(key.extrasamples) and int(key.extrasamples[-1]) in (1, 2)


def _palette(path: str, series: Any) -> Colour:
    colormap = series.keyframe.colormap
    if series.kind in ("imagej", "ome") or colormap is None:
        return Colour(warnings=("carries a display colour table, which was ignored",))
    steps = np.diff(np.asarray(colormap, dtype=np.int64), axis=1)
    if bool(np.all(steps >= 0)) and bool(np.any(steps > 0)):
        return Colour(warnings=("carries a display colour table (a plain ramp), which was ignored",))
    raise UnsupportedFormatError(
        f"{path}: has indexed colours, from which no intensity can be read. Export it as RGB or as grey."
    )


def lossy_name(key: Any) -> str:
    """Name the compression if it loses detail; the first block of JPEG 2000 and WebP says whether it does."""
    name = LOSSY.get(int(key.compression), "")
    if name == "JPEG" and int(key.compression) == 7 and key.bitspersample > 8:
        return ""  # more than 8 bits exist only as lossless JPEG (and 12-bit, which no scanner writes)
    if name in ("JPEG 2000", "WebP") and key.dataoffsets and key.databytecounts[0]:
        handle = key.parent.filehandle
        handle.seek(key.dataoffsets[0])
        head = handle.read(min(key.databytecounts[0], 4096))
        if b"VP8L" in head[:32] if name == "WebP" else _is_reversible(head):
            return ""
    return "" if name == "LERC" else name


def _is_reversible(head: bytes) -> bool:
    """Tell whether a JPEG 2000 codestream uses the 5-3 wavelet: byte 13 after its COD marker."""
    at = head.find(b"\xff\x52")
    return 0 <= at < len(head) - 14 and head[at + 13] == REVERSIBLE_WAVELET
