"""Bodies in a slab: spheres and shells, cut by both faces of the section, projected onto the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane


@dataclass(frozen=True)
class Bodies:
    """Spherical shells in µm: centre, outer radius, thickness of the shell (the radius itself: a solid sphere).

    ``strength`` is the signal of a shell at its brightest place, the rim.
    """

    y: np.ndarray
    x: np.ndarray
    z: np.ndarray
    radius: np.ndarray
    shell: np.ndarray
    strength: float = 1.0

    def __len__(self) -> int:
        return len(self.y)

    def take(self, which: np.ndarray) -> Bodies:
        """Return some of the bodies."""
        return Bodies(
            self.y[which], self.x[which], self.z[which], self.radius[which], self.shell[which], self.strength
        )


@njit(inline="always")
def _overlap(half, z, thickness):  # type: ignore[no-untyped-def]
    return max(0.0, min(z + half, thickness) - max(z - half, 0.0))


@njit(cache=True, nogil=True)
def _project(ys, xs, zs, radii, shells, levels, thickness, pixel, origin, out):  # type: ignore[no-untyped-def]
    top, left = origin
    height, width = out.shape
    for n in range(len(ys)):
        if levels[n] <= 0.0:
            continue
        outer = radii[n]
        inner = max(0.0, outer - shells[n])
        squared, hollow = outer * outer, inner * inner
        # light along the rim: the longest path through the shell
        scale = levels[n] / (2.0 * np.sqrt(max(squared - hollow, 1e-6)))
        y0 = max(top, int(np.floor((ys[n] - outer) / pixel)))
        y1 = min(top + height, int(np.ceil((ys[n] + outer) / pixel)) + 1)
        x0 = max(left, int(np.floor((xs[n] - outer) / pixel)))
        x1 = min(left + width, int(np.ceil((xs[n] + outer) / pixel)) + 1)
        for i in range(y0, y1):
            for j in range(x0, x1):
                path = 0.0
                for sub in range(4):
                    dy = (i + (sub // 2) * 0.5 - 0.25) * pixel - ys[n]
                    dx = (j + (sub % 2) * 0.5 - 0.25) * pixel - xs[n]
                    r = dy * dy + dx * dx
                    if r < squared:
                        path += _overlap(np.sqrt(squared - r), zs[n], thickness)
                        if r < hollow:
                            path -= _overlap(np.sqrt(hollow - r), zs[n], thickness)
                if path > 0.0:
                    out[i - top, j - left] += np.float32(0.25 * path * scale)


def draw_bodies(
    bodies: Bodies,
    levels: np.ndarray,
    section_um: float,
    pixel_um: float,
    out: FloatPlane,
    origin: tuple[int, int] = (0, 0),
) -> None:
    """Add to ``out`` the light of every body: the length of its shell along z between the faces of the section.

    ``out`` is a window of the slide whose first pixel is ``origin``.
    """
    _project(
        bodies.y.astype(np.float64), bodies.x.astype(np.float64), bodies.z.astype(np.float64),
        bodies.radius.astype(np.float64), bodies.shell.astype(np.float64),
        np.asarray(levels, np.float64) * bodies.strength, float(section_um), float(pixel_um), origin,
        out,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _label(ys, xs, radii, numbers, pixel, origin, labels, power):  # type: ignore[no-untyped-def]
    top, left = origin
    height, width = labels.shape
    for n in range(len(ys)):
        squared = radii[n] * radii[n]
        y0 = max(top, int(np.floor((ys[n] - radii[n]) / pixel)))
        y1 = min(top + height, int(np.ceil((ys[n] + radii[n]) / pixel)) + 1)
        x0 = max(left, int(np.floor((xs[n] - radii[n]) / pixel)))
        x1 = min(left + width, int(np.ceil((xs[n] + radii[n]) / pixel)) + 1)
        for i in range(y0, y1):
            for j in range(x0, x1):
                p = (i * pixel - ys[n]) ** 2 + (j * pixel - xs[n]) ** 2 - squared
                if p < power[i - top, j - left]:
                    power[i - top, j - left] = p
                    labels[i - top, j - left] = numbers[n]


def label_profiles(
    y_um: np.ndarray,
    x_um: np.ndarray,
    radius_um: np.ndarray,
    pixel_um: float,
    shape: tuple[int, int],
    *,
    numbers: np.ndarray | None = None,
    origin: tuple[int, int] = (0, 0),
) -> npt.NDArray[np.uint32]:
    """Return the label image of discs, 1 … N in order; overlaps are divided by the power diagram.

    A window of a slide begins at ``origin``; ``numbers`` are then the labels of the discs that touch it, rising.
    """
    labels = np.zeros(shape, np.uint32)
    power = np.zeros(shape, np.float32)
    if numbers is None:
        numbers = np.arange(1, len(y_um) + 1)
    _label(
        y_um.astype(np.float64), x_um.astype(np.float64), radius_um.astype(np.float64), numbers.astype(np.uint32),
        float(pixel_um), origin, labels, power,
    )  # fmt: skip
    return labels


def profile_radius(z: np.ndarray, radius: np.ndarray, section_um: float) -> np.ndarray:
    """Return the largest in-plane radius of spheres between the faces at 0 and ``section_um``."""
    beyond = np.maximum(np.maximum(-z, z - section_um), 0.0)
    visible: np.ndarray = np.sqrt(np.maximum(radius**2 - beyond**2, 0.0))
    return visible
