"""Z-stacks and time series: refused, or projected if the user says how."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.errors import ProjectionError

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import Window
    from thymusimg.section.readers.base import LazyImage, PixelSource

PROJECTIONS = ("max", "mean")


def project(image: LazyImage, projection: str | None) -> LazyImage:
    """Return the image with its z planes projected; an image of one plane as it is.

    Raises
    ------
    ProjectionError
        If the image has several time points, or several z planes and no projection, or the projection is unknown.
    """
    if projection is not None and projection not in PROJECTIONS:
        raise ProjectionError(f"'{projection}' is no projection; there are {' and '.join(PROJECTIONS)}.")
    if image.times > 1:
        raise ProjectionError(
            f"{image.path}: is a time series of {image.times} time points. Export the one that is to be measured."
        )
    if image.depth == 1:
        return image
    if projection is None:
        hint = ""
        if image.depth <= 5 and len(image.channel_names) == 1:
            hint = " If these planes are stains, save them as channels."
        raise ProjectionError(
            f"{image.path}: is a z-stack of {image.depth} planes. Choose how to flatten it: --projection max or "
            f"--projection mean, or export one plane.{hint}"
        )
    return replace(
        image,
        source=_Projected(image.source, image.depth, projection),
        depth=1,
        warnings=(*image.warnings, f"{image.depth} z planes were projected ({projection})"),
    )


class _Projected:
    """A source whose plane 0 is the projection of another's planes; two in memory, whatever the depth."""

    def __init__(self, source: PixelSource, depth: int, how: str) -> None:
        self._source, self._depth, self._how = source, depth, how

    def read(self, level: int, channel: int, z: int, window: Window) -> npt.NDArray[np.generic]:
        first = self._source.read(level, channel, 0, window)
        if self._how == "max":
            for plane in range(1, self._depth):
                np.maximum(first, self._source.read(level, channel, plane, window), out=first)
            return first
        total: npt.NDArray[np.float64] = first.astype(np.float64)
        for plane in range(1, self._depth):
            total += self._source.read(level, channel, plane, window).astype(np.float64)
        total /= self._depth
        return np.rint(total).astype(first.dtype) if first.dtype.kind in "ui" else total.astype(first.dtype)

    def close(self) -> None:
        self._source.close()
