"""Patches of sections, spoiled anew every time: what a compartment network is fitted on.

Each keratin has faults of its own: a slow drift of the stain by up to a factor of three, steps between camera
tiles, another gain, noise, eight bits; both have missing tiles, blur, gamma, and light of one stain in the other.
Patches are flipped, turned and scaled by up to a fifth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.compartments.distance import distance_px
from thymusimg.compartments.network import CLASSES, PIXEL_UM, network_inputs
from thymusimg.train.compartment_sections import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, LabelPlane
    from thymusimg.train.compartment_sections import TrainingSection

    Rng = np.random.Generator

_BORDER_UM = 8.0  # true borders are blurred; pixels so near them teach little
_ON_BORDER = 0.3
_NOT_JUDGED = 0.3  # what the frame sets apart in any case
_SPOILED = 0.75
_TURNED = 0.5


def make_patch(section: TrainingSection, side_px: int, rng: Rng) -> tuple[FloatPlane, FloatPlane]:
    """Draw a patch around a judged pixel: inputs (2, side, side), and classes with weights (2, side, side)."""
    rows, columns = np.nonzero(section.where == 2)
    k = int(rng.integers(len(rows)))
    shift = rng.integers(-side_px // 4, side_px // 4 + 1, 2)
    centre = (float(rows[k] + shift[0]), float(columns[k] + shift[1]))
    if rng.random() < _TURNED:
        cut = _turned(section, centre, side_px, rng)
    else:
        cut = _flipped(section, centre, side_px, rng)
    k14, k8, where, wanted = cut
    weight = weights(where, wanted)
    if rng.random() < _SPOILED:
        k14, k8, where = spoil(k14, k8, where, rng)
        weight[where == 0] = 0
    target = np.stack([np.where(wanted == UNKNOWN, 0, wanted).astype(np.float32), weight])
    return network_inputs(k14, k8, where), target


def weights(where: LabelPlane, wanted: LabelPlane) -> FloatPlane:
    """Return what each pixel counts: nothing off the tissue and where nothing is known, less along borders."""
    known = (where > 0) & (wanted != UNKNOWN)
    weight = np.where(where == 2, np.float32(1), np.float32(_NOT_JUDGED)) * known
    border = np.zeros(where.shape, bool)
    for number in range(len(CLASSES) - 1):
        own = (wanted == number).astype(np.uint8)
        border |= cv2.dilate(own, np.ones((3, 3), np.uint8)).astype(bool) & known & (wanted != number)
    if border.any():
        near = np.exp(-((distance_px(~border) * np.float32(PIXEL_UM / _BORDER_UM)) ** 2))
        weight *= 1 - (1 - _ON_BORDER) * near
    return np.asarray(weight, np.float32)


def _flipped(
    section: TrainingSection, centre: tuple[float, float], side: int, rng: Rng
) -> tuple[FloatPlane, FloatPlane, LabelPlane, LabelPlane]:
    y, x = (round(c) - side // 2 for c in centre)
    turns, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)

    def cut(plane: npt.NDArray[np.generic], empty: int) -> npt.NDArray[np.generic]:
        out = np.full((side, side), empty, plane.dtype)
        y0, x0 = max(y, 0), max(x, 0)
        part = plane[y0 : max(y + side, 0), x0 : max(x + side, 0)]
        out[y0 - y :, x0 - x :][: part.shape[0], : part.shape[1]] = part
        out = np.rot90(out, turns)
        return np.ascontiguousarray(out[:, ::-1] if mirrored else out)

    return (
        cut(section.k14, 0).astype(np.float32),
        cut(section.k8, 0).astype(np.float32),
        cut(section.where, 0).astype(np.uint8),
        cut(section.wanted, UNKNOWN).astype(np.uint8),
    )


def _turned(
    section: TrainingSection, centre: tuple[float, float], side: int, rng: Rng
) -> tuple[FloatPlane, FloatPlane, LabelPlane, LabelPlane]:
    """Turn by any angle and scale by up to a fifth."""
    scale, angle = float(rng.uniform(0.8, 1.2)), float(rng.uniform(0, 2 * np.pi))
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    c, s = np.cos(angle) / scale, np.sin(angle) / scale
    matrix = np.array([[c, -s * mirror], [s, c * mirror]])  # from the patch to the section, (x, y)
    middle = (side - 1) / 2
    offset = np.array([centre[1], centre[0]]) - matrix @ np.array([middle, middle])
    affine = np.concatenate([matrix, offset[:, None]], 1)

    def warp(plane: npt.NDArray[np.generic], how: int, empty: int) -> npt.NDArray[np.generic]:
        return np.asarray(
            cv2.warpAffine(
                plane, affine, (side, side), flags=how | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT,
                borderValue=empty,
            )
        )  # fmt: skip

    return (
        warp(section.k14.astype(np.float32), cv2.INTER_LINEAR, 0).astype(np.float32),
        warp(section.k8.astype(np.float32), cv2.INTER_LINEAR, 0).astype(np.float32),
        warp(section.where, cv2.INTER_NEAREST, 0).astype(np.uint8),
        warp(section.wanted, cv2.INTER_NEAREST, UNKNOWN).astype(np.uint8),
    )


def spoil(
    k14: FloatPlane, k8: FloatPlane, where: LabelPlane, rng: Rng
) -> tuple[FloatPlane, FloatPlane, LabelPlane]:
    """Return levelled stains with the faults of this module, and the tissue without its missing tiles."""
    shape = (where.shape[0], where.shape[1])
    planes = [k14, k8]
    if rng.random() < 0.3:
        share = rng.uniform(0, 0.15, 2)
        planes = [k14 + np.float32(share[0]) * k8, k8 + np.float32(share[1]) * k14]
    if rng.random() < 0.3:
        sigma = float(rng.uniform(0.4, 1.5))
        planes = [cv2.GaussianBlur(p, (0, 0), sigma) for p in planes]
    tiles = _Tiles(shape, rng)
    common = tiles.gains(float(rng.choice((0, 0.05, 0.15))), rng)
    gamma = float(np.exp(rng.uniform(-0.2, 0.2))) if rng.random() < 0.3 else 1.0
    spoiled = []
    for plane in planes:
        gain = common * tiles.gains(float(rng.choice((0, 0.05, 0.15))), rng)
        if rng.random() < 0.6:
            gain = gain * _drift(shape, rng)
        gain = gain * np.float32(np.exp(0.25 * rng.standard_normal()))  # the level of other sections
        spoiled.append(_exposed(np.asarray(plane * gain, np.float32), gamma, rng))
    if rng.random() < 0.08:
        missing = tiles.some(rng)
        spoiled = [np.where(missing, np.float32(0), p) for p in spoiled]
        where = np.where(missing, 0, where).astype(np.uint8)
    return spoiled[0], spoiled[1], where


def _exposed(plane: FloatPlane, gamma: float, rng: Rng) -> FloatPlane:
    """Return a levelled stain through another camera: gamma, noise as of photons and of reading, eight bits."""
    if gamma != 1.0:
        plane = np.asarray(np.sign(plane) * np.abs(plane) ** np.float32(gamma), np.float32)
    if rng.random() < 0.5:
        shot, read = np.exp(rng.uniform(np.log(0.02), np.log(0.5), 2))
        noise = rng.standard_normal(plane.shape, np.float32)
        plane = plane + noise * np.sqrt(shot**2 * np.maximum(plane, 0) + (0.5 * read) ** 2).astype(np.float32)
    if rng.random() < 0.2:
        step = np.float32(rng.uniform(0.03, 0.3))
        plane = np.round(plane / step) * step
    return np.asarray(plane, np.float32)


def _drift(shape: tuple[int, int], rng: Rng) -> FloatPlane:
    """Return a slow factor of up to √3 to either side: at most three between two places."""
    coarse = rng.standard_normal((int(rng.integers(2, 5)), int(rng.integers(2, 5)))).astype(np.float32)
    field = np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC))
    field = (field - field.mean()) / max(float(np.abs(field - field.mean()).max()), 1e-6)
    return np.asarray(np.exp(np.float32(rng.uniform(0, np.log(3) / 2)) * field), np.float32)


class _Tiles:
    """The camera tiles of a patch, of a size and place of their own."""

    def __init__(self, shape: tuple[int, int], rng: Rng) -> None:
        side = int(rng.integers(100, 400))
        self._rows, self._columns = ((np.arange(n) + int(rng.integers(side))) // side for n in shape)

    def _spread(self, values: FloatPlane) -> FloatPlane:
        return values[np.ix_(self._rows, self._columns)]

    def gains(self, sd: float, rng: Rng) -> FloatPlane:
        """Return a gain a tile."""
        count = (int(self._rows.max()) + 1, int(self._columns.max()) + 1)
        return self._spread(np.exp(sd * rng.standard_normal(count)).astype(np.float32))

    def some(self, rng: Rng) -> npt.NDArray[np.bool_]:
        """Return where one tile lies."""
        row, column = rng.choice(np.unique(self._rows)), rng.choice(np.unique(self._columns))
        return np.asarray((self._rows == row)[:, None] & (self._columns == column)[None, :])


def draw_batch(
    sections: Sequence[TrainingSection], count: int, side_px: int, seed: int, epoch: int, step: int
) -> tuple[FloatPlane, FloatPlane]:
    """Return inputs (count, 2, side, side) and targets (count, 2, side, side); the same whenever it is asked."""
    rng = np.random.default_rng([seed, epoch, step])
    chosen = rng.integers(len(sections), size=count)
    patches = [make_patch(sections[k], side_px, rng) for k in chosen]
    return np.stack([p[0] for p in patches]), np.stack([p[1] for p in patches])
