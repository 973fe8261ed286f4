"""Where points may lie: an irregular window of pixels, in parts, turned into one orientation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numba
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.model import lies_in
from thymusimg.measurements.smoothing import bounding_box

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.section.model import LabelPlane, Mask

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

_SPARSE = 0.02
SUBPIXEL = 1024
"""Points lie on this part of a pixel (a power of two): their differences are exact in every orientation."""


@dataclass(frozen=True)
class Window:
    """The union of square pixels in which points may lie, in parts such as cortex and medulla.

    The window is cut to its bounding box and turned or flipped into one of its eight orientations, always the
    same. So what is drawn in it does not change when the image is padded, turned or flipped.

    Attributes
    ----------
    parts : (Y, X) uint8
        0 outside, else the code of the part. Pixel ``i`` reaches from ``i`` to ``i + 1``.
    pixel_um : float
        Side of a pixel in µm.
    corner : (2,) int
        First row and column of the bounding box in the image.
    orientation : int
        Which of the eight: bit 0 flips the rows, bit 1 the columns, bit 2 then swaps them.

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.zeros((6, 8), np.uint8)
    >>> mask[2:4, 1:6] = 1
    >>> window = Window.of(mask, 2.0)
    >>> window.area_um2, window.width_um
    (40.0, 4.0)
    >>> window.part(window.place([[4.0, 2.0], [0.0, 0.0]]))  # the centres of pixels (2, 1) and (0, 0)
    array([1, 0], dtype=uint8)
    """

    parts: LabelPlane
    pixel_um: float
    corner: tuple[int, int]
    orientation: int
    box: tuple[int, int]

    @classmethod
    def of(cls, labels: LabelPlane | Mask, pixel_um: float) -> Window:
        """Make a window of all pixels that are not 0.

        Raises
        ------
        ValueError
            If there is no such pixel.
        """
        plane = np.asarray(labels).astype(np.uint8, copy=False)
        if not plane.any():
            raise ValueError("the window is empty: no pixel of its labels is above 0")
        rows, cols = bounding_box(plane > 0)
        cut = plane[rows, cols]
        rank = [_rank(_turn(cut, which)) for which in range(8)]
        first = [which for which in range(8) if rank[which] == min(rank)]
        least = min(first, key=lambda which: _turn(cut, which).tobytes()) if len(first) > 1 else first[0]
        height, width = cut.shape
        return cls(
            np.ascontiguousarray(_turn(cut, least)), pixel_um, (rows.start, cols.start), least, (height, width)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of ``parts``."""
        return self.parts.shape[0], self.parts.shape[1]

    @cached_property
    def mask(self) -> Mask:
        """Which pixels belong to the window."""
        return np.asarray(self.parts > 0)

    @cached_property
    def area_um2(self) -> float:
        """Area of the window."""
        return float(np.count_nonzero(self.mask)) * self.pixel_um**2

    @cached_property
    def width_um(self) -> float:
        """Least width: the smallest distance of two parallel lines that hold the largest connected part.

        Functions of the distance are trusted up to a quarter of it.
        """
        count, labels, stats, _ = cv2.connectedComponentsWithStats(self.mask.view(np.uint8), connectivity=8)
        largest = max(range(1, count), key=lambda i: int(stats[i, cv2.CC_STAT_AREA]))
        y, x = np.nonzero(_outline(labels == largest))
        corners = np.concatenate([np.stack([x + dx, y + dy], axis=1) for dx in (0, 1) for dy in (0, 1)])
        hull = cv2.convexHull(corners.astype(np.float32)).reshape(-1, 2).astype(np.float64)
        return _least_width(hull) * self.pixel_um

    def place(self, points_um: npt.ArrayLike) -> Values:
        """Turn points of the image into points of the window.

        Parameters
        ----------
        points_um : (N, 2) array
            (y, x) in µm; the centre of the image's first pixel is at 0.

        Returns
        -------
        (N, 2) float64
            (y, x) in pixels of ``parts`` (pixel ``i`` reaches from ``i`` to ``i + 1``), to 1/1024 of a pixel.
        """
        points = np.asarray(points_um, np.float64).reshape(-1, 2) / self.pixel_um + 0.5
        points = np.round((points - self.corner) * SUBPIXEL) / SUBPIXEL
        for axis in (0, 1):
            if self.orientation >> axis & 1:
                points[:, axis] = self.box[axis] - points[:, axis]
        return np.ascontiguousarray(points[:, ::-1] if self.orientation & 4 else points)

    def to_image_um(self, points: Values) -> Values:
        """Turn placed points back into points of the image, (y, x) in µm: what :meth:`place` undoes."""
        points = points[:, ::-1].copy() if self.orientation & 4 else points.copy()
        for axis in (0, 1):
            if self.orientation >> axis & 1:
                points[:, axis] = self.box[axis] - points[:, axis]
        return np.asarray((points + self.corner - 0.5) * self.pixel_um)

    def part(self, points: Values) -> Codes:
        """Return the part in which placed points lie, 0 for those outside; one on an edge has the higher code."""
        code = np.zeros(len(points), np.uint8)
        for y in (np.floor(points[:, 0]), np.ceil(points[:, 0]) - 1):
            for x in (np.floor(points[:, 1]), np.ceil(points[:, 1]) - 1):
                inside = (y >= 0) & (y < self.shape[0]) & (x >= 0) & (x < self.shape[1])
                found = self.parts[y[inside].astype(np.intp), x[inside].astype(np.intp)]
                code[inside] = np.maximum(code[inside], found)
        return code

    def sampler(self, *codes: int) -> Callable[[int, np.random.Generator], Values]:
        """Return a function that draws ``n`` points uniformly in the parts ``codes`` (in all of them without any).

        Every place of 1/1024 pixel is equally likely: exactly uniform over the union of pixels. Points are drawn in
        the parts' bounding box until enough lie in a part; so the same seed gives the same places in µm when the
        same window comes in finer pixels. Parts that fill little of their box are drawn pixel by pixel instead.

        Raises
        ------
        ValueError
            If the window has no such part.
        """
        wanted = lies_in(self.parts, codes) if codes else self.mask
        if not wanted.any():
            raise ValueError(f"no pixel of the window lies in part {codes}")
        rows, cols = bounding_box(wanted)
        box = wanted[rows, cols]
        share = np.count_nonzero(box) / box.size
        if share < _SPARSE:
            return _pixel_sampler(wanted)
        corner = (rows.start, cols.start)

        def draw(n: int, rng: np.random.Generator) -> Values:
            found, missing = [np.zeros((0, 2))], n
            while missing > 0:
                # how many are drawn at a time does not change which are kept
                kept = _keep(rng.random((int(missing / share * 1.05) + 8, 2)), box, *box.shape, *corner)
                found.append(kept)
                missing -= len(kept)
            return np.concatenate(found)[:n]

        return draw


@numba.njit(cache=True, nogil=True)
def _keep(drawn, box, height, width, top, left):  # type: ignore[no-untyped-def]  # compiled
    """Put drawn numbers (N, 2), 0 … 1, on the box's subpixels, and return those that lie in the mask."""
    out, n = np.empty_like(drawn), 0
    for i in range(len(drawn)):
        y, x = int(drawn[i, 0] * (height * SUBPIXEL)), int(drawn[i, 1] * (width * SUBPIXEL))
        out[n, 0], out[n, 1] = (y + 0.5) / SUBPIXEL + top, (x + 0.5) / SUBPIXEL + left
        n += box[y // SUBPIXEL, x // SUBPIXEL]
    return out[:n]


def _pixel_sampler(wanted: Mask) -> Callable[[int, np.random.Generator], Values]:
    pixels = np.argwhere(wanted)

    def draw(n: int, rng: np.random.Generator) -> Values:
        which = rng.integers(0, len(pixels), n)
        return np.asarray(pixels[which] + (rng.integers(0, SUBPIXEL, (n, 2)) + 0.5) / SUBPIXEL)

    return draw


def _turn(plane: LabelPlane, which: int) -> LabelPlane:
    plane = plane[::-1] if which & 1 else plane
    plane = plane[:, ::-1] if which & 2 else plane
    return plane.T if which & 4 else plane


def _rank(plane: LabelPlane) -> tuple[int, int, int, int]:
    """Return what orientations are ordered by: lying, with most of the window below and to the right of the middle.

    Only where that is a tie do single pixels decide; so a finer image of the same window is turned the same way.
    """
    height, width = plane.shape
    rows, cols = (np.count_nonzero(plane, axis=axis).astype(np.int64) for axis in (1, 0))
    down = int(rows @ (2 * np.arange(height) + 1 - height))
    right = int(cols @ (2 * np.arange(width) + 1 - width))
    return height, width, -down, -right


def _outline(mask: Mask) -> Mask:
    """Return the first and last pixel of every row: all that a convex hull needs."""
    rows = np.flatnonzero(mask.any(axis=1))
    out = np.zeros_like(mask)
    out[rows, mask[rows].argmax(axis=1)] = True
    out[rows, mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)] = True
    return out


def _least_width(hull: Values) -> float:
    """Return the least width of a convex polygon (N, 2): it is taken across one of its edges."""
    edges = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
    length = np.hypot(edges[:, 0], edges[:, 1])
    across = np.abs(normals @ hull.T - (normals * hull).sum(axis=1)[:, None]).max(axis=1)
    return float(min((a / s for a, s in zip(across, length, strict=True) if s > 0), default=math.nan))
