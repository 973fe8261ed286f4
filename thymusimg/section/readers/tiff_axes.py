"""Which pages of a TIFF are channels, which z planes, and which nobody can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thymusimg.errors import UnsupportedFormatError

MOST_UNNAMED_PAGES = 5
"""Pages without an axis name count as channels up to here: no slide has fewer z planes and no panel more stains."""

AXIS_NAMES = {
    "P": "position",
    "R": "tile of a mosaic",
    "H": "phase",
    "A": "angle",
    "L": "exposure",
    "E": "lambda",
    "M": "mosaic tile",
    "V": "view",
}


@dataclass(frozen=True)
class Axes:
    """How a series runs over its pages.

    Attributes
    ----------
    leading : list of (axis, size)
        Axes over pages, slowest first.
    channel_pages : int
        Pages that hold channels (a page may hold several samples).
    channel_in_page : bool
        True where the samples of one page are the channel axis.
    """

    leading: list[tuple[str, int]]
    channel_pages: int
    depth: int
    times: int
    channel_in_page: bool
    warnings: tuple[str, ...] = ()


def read_axes(path: str, series: Any) -> Axes:
    """Read the axes of a series.

    Raises
    ------
    UnsupportedFormatError
        If pages run over an axis that is no channel, z or time, or that has no name.
    """
    names, sizes = series.get_axes(False), series.get_shape(False)
    samples = int(series.keyframe.samplesperpixel)
    leading = [(axis, int(size)) for axis, size in zip(names, sizes, strict=True) if axis not in "YX"]
    leading = [(axis, size) for axis, size in leading if axis != "S" or size not in (1, samples)]
    sized = {axis: size for axis, size in leading if size > 1}
    in_page = samples > 1 and "S" not in names and sized.get("C") == samples
    warnings: tuple[str, ...] = ()
    for axis in ("I", "Q"):
        if axis in sized:
            warnings = (_unnamed(path, sized[axis], dict(sized)),)
    strange = [axis for axis in sized if axis not in "CZTIQ"]
    if strange:
        words = ", ".join(f"{AXIS_NAMES.get(a, a)} ({sized[a]})" for a in strange)
        raise UnsupportedFormatError(
            f"{path}: its planes run over {words}; channels and z planes only can be read. Export one of them."
        )
    channels = sized.get("C", 1) if not in_page else 1
    return Axes(
        leading=leading,
        channel_pages=channels * sized.get("I", 1) * sized.get("Q", 1),
        depth=sized.get("Z", 1),
        times=sized.get("T", 1),
        channel_in_page=in_page,
        warnings=warnings,
    )


def _unnamed(path: str, pages: int, sized: dict[str, int]) -> str:
    others = [axis for axis in sized if axis not in ("I", "Q")]
    if pages > MOST_UNNAMED_PAGES or others or len(sized) > 1:
        raise UnsupportedFormatError(
            f"{path}: {pages} pages without an axis name: they may be channels, z planes or times. Save it as "
            "OME-TIFF or ImageJ hyperstack, which name the axis."
        )
    return f"its {pages} pages have no axis name and were taken for channels"
