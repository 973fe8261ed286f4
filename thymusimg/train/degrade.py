"""Cheap changes of a crop, other ones every time it is seen: what staining, optics, camera and scanner do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane

    Labels = npt.NDArray[np.int32]

SCALES = (0.85, 1.0 / 0.85)
"""Range of the change of size."""


def stretched(
    planes: list[FloatPlane], labels: Labels, side: int, rng: np.random.Generator, scale: float
) -> tuple[list[FloatPlane], Labels]:
    """Return the middle ``side`` × ``side`` pixels at another scale, turned and flipped at random.

    Parameters
    ----------
    planes : list of (Y, X) float32
        Square, at least ``side / scale`` px wide.
    labels : (Y, X) int32
    """
    if scale != 1.0:
        edge = round(side / scale)
        first = (labels.shape[0] - edge) // 2
        cut = slice(first, first + edge)
        size = (side, side)
        planes = [cv2.resize(p[cut, cut], size, interpolation=cv2.INTER_LINEAR) for p in planes]
        named = cv2.resize(labels[cut, cut].astype(np.float32), size, interpolation=cv2.INTER_NEAREST_EXACT)
        labels = np.rint(named).astype(np.int32)  # labels of a section are far below 2**24
    else:
        first = (labels.shape[0] - side) // 2
        cut = slice(first, first + side)
        planes, labels = [p[cut, cut] for p in planes], labels[cut, cut]
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    return [_turned(p, turns, flip) for p in planes], _turned(labels, turns, flip)


def _turned(plane: npt.NDArray, turns: int, flip: bool) -> npt.NDArray:  # type: ignore[type-arg]  # any pixel type
    turned = np.rot90(plane, turns)
    return np.ascontiguousarray(turned[:, ::-1] if flip else turned)


def degrade_cd45(plane: FloatPlane, labels: Labels, rng: np.random.Generator) -> FloatPlane:
    """Return CD45 (in SDs above the background) of another staining, focus, exposure and gate.

    The background may be misjudged by half an SD and the SD by a factor of 1.5: no section's is exact.
    """
    if rng.random() < 0.08:
        plane = fill_rings(plane, labels, rng)
    if rng.random() < 0.3:
        plane = cv2.GaussianBlur(plane, (0, 0), float(rng.uniform(0.35, 1.6)))
    if rng.random() < 0.2:
        plane = _gamma(plane, float(np.exp(rng.normal(0, 0.2))))
    if rng.random() < 0.15:
        plane = plane * _slope(plane.shape, rng, 0.4)
    if rng.random() < 0.15:
        plane = plane + float(rng.uniform(0, 3)) * _slope(plane.shape, rng, 1.0)
    if rng.random() < 0.35:
        noise = rng.standard_normal(plane.shape, dtype=np.float32)
        amount = float(rng.uniform(0, 1.2)), float(rng.uniform(0, 0.6))
        plane = plane + noise * np.sqrt(amount[0] ** 2 + amount[1] ** 2 * np.maximum(plane, 0))
    if rng.random() < 0.06:
        plane = np.minimum(plane, max(4.0, float(np.quantile(plane, rng.uniform(0.93, 0.999)))))
    gain, offset = float(np.exp(rng.normal(0, 0.3))), float(rng.normal(0, 0.35))
    return np.asarray(plane * np.float32(gain) + np.float32(offset), np.float32)


def degrade_dapi(plane: FloatPlane, rng: np.random.Generator) -> FloatPlane:
    """Return DAPI of another staining, focus, exposure, and a little off its place."""
    if rng.random() < 0.4:
        plane = cv2.GaussianBlur(plane, (0, 0), float(rng.uniform(0.4, 2.2)))
    if rng.random() < 0.3:
        plane = np.roll(plane, (int(rng.integers(-1, 2)), int(rng.integers(-1, 2))), (0, 1))
    if rng.random() < 0.4:
        plane = plane + rng.standard_normal(plane.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.2))
    gain, offset = float(np.exp(rng.normal(0, 0.35))), float(rng.normal(0, 0.12))
    return np.asarray(plane * np.float32(gain) + np.float32(offset), np.float32)


def fill_rings(plane: FloatPlane, labels: Labels, rng: np.random.Generator) -> FloatPlane:
    """Return cells as blobs: thick sections and permeabilised cells shine from inside, not from the rim alone."""
    names = np.maximum(labels, 0).ravel()
    light = np.bincount(names, plane.ravel(), minlength=1) / np.maximum(np.bincount(names, minlength=1), 1)
    light[0] = 0
    blobs = cv2.GaussianBlur(light[names].astype(np.float32).reshape(plane.shape), (0, 0), 1.0)
    rest = float(rng.uniform(0.0, 0.6))
    around = cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), 0.8)
    filled: FloatPlane = plane * (1 - (1 - np.float32(rest)) * around) + np.float32(rng.uniform(0.8, 1.6)) * blobs
    return filled


def _gamma(plane: FloatPlane, power: float) -> FloatPlane:
    bright = max(1.0, float(np.quantile(plane, 0.98)))
    above = np.maximum(plane, 0)
    bent = np.minimum(plane, 0) + np.float32(bright) * (above / np.float32(bright)) ** np.float32(power)
    return np.asarray(bent, np.float32)


def _slope(shape: tuple[int, ...], rng: np.random.Generator, amount: float) -> FloatPlane:
    """Return a plane that changes evenly by ``amount`` of 1 across the crop, in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in shape)
    return np.asarray(
        1 + np.float32(amount) * (np.sin(angle) * y[:, None] + np.cos(angle) * x[None, :]), np.float32
    )
