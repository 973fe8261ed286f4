"""What goes wrong on a slide: folds, tears, debris, air bubbles and fat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.phantom.anatomy import nearest_pixel, pick_places, thrown_at_um
from thymusimg.phantom.patch import Patch
from thymusimg.phantom.streams import key, smooth_noise, stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.anatomy import Anatomy
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid, Mask

DEBRIS_LIGHT = 4.0
FAT_LIGHT = 0.9


@dataclass(frozen=True)
class Faults:
    """Where the slide is damaged, on the coarse grid.

    ``gain`` multiplies the tissue's light (folds above 1, tears 0, bubbles below 1), ``dirt`` adds light (debris,
    fat and the rims of bubbles); None where there is neither. Both are float16, which is plenty.
    """

    gain: npt.NDArray[np.float16] | None
    dirt: npt.NDArray[np.float16] | None
    tear: Mask | None
    artefact: Mask
    """Folds, debris, bubbles and fat with the empty insides of its cells."""


def draw_faults(spec: PhantomSpec, seed: int, anatomy: Anatomy) -> Faults:
    """Draw folds, tears, debris, bubbles and fat."""
    grid, optics = anatomy.grid, spec.optics
    artefact = np.zeros(grid.shape, bool)
    gain = dirt = tear = None
    if optics.folds or optics.tears or optics.bubbles:
        gain = np.ones(grid.shape, np.float32)
        rng = stream(seed, "folds")
        for number in range(optics.folds):
            strength = np.float32(rng.uniform(0.7, 1.2))
            band = _crease(rng, key(seed, "fold", number), anatomy, rng.uniform(18, 45))
            gain *= 1 + strength * band
            artefact |= (band > 0.3) & anatomy.tissue
    if optics.debris or optics.fat or optics.bubbles:
        dirt = np.zeros(grid.shape, np.float32)
    if gain is not None and optics.tears:
        rng = stream(seed, "tears")
        tear = np.zeros(grid.shape, bool)
        for _ in range(optics.tears):
            tear |= _crack(rng, anatomy)
        tear &= anatomy.tissue
        gain *= 1 - cv2.GaussianBlur(tear.astype(np.float32), (0, 0), 0.7)
        artefact &= ~tear
    if dirt is not None and optics.debris:
        flecks = _flecks(stream(seed, "debris"), optics.debris, grid)
        artefact |= flecks > 0.25
        dirt += DEBRIS_LIGHT * flecks
    if dirt is not None and optics.fat:
        fat = _adipocytes(stream(seed, "fat"), anatomy)
        artefact |= (fat > 0.25) | _patch(fat, anatomy)
        dirt += FAT_LIGHT * fat
    if gain is not None and dirt is not None and optics.bubbles:
        inside, rim = _bubbles(stream(seed, "bubbles"), optics.bubbles, grid)
        gain *= 1 - np.float32(0.75) * inside
        dirt += np.float32(0.5) * rim
        artefact |= inside > 0.5
    return Faults(_half(gain), _half(dirt), tear, artefact)


def _half(plane: FloatPlane | None) -> npt.NDArray[np.float16] | None:
    return None if plane is None else plane.astype(np.float16)


def _crease(rng: np.random.Generator, noise: int, anatomy: Anatomy, width_um: float) -> FloatPlane:
    """Return a soft-edged wavy band across the tissue."""
    patch = Patch.coarse(anatomy.grid)
    cy, cx = pick_places(rng, anatomy.tissue, anatomy.grid, 1)[0]
    angle = rng.uniform(0, np.pi)
    y = (patch.rows_um - cy).astype(np.float32)[:, None]
    x = (patch.columns_um - cx).astype(np.float32)[None, :]
    across = np.float32(18) * smooth_noise(noise, 60.0, patch)
    across += np.float32(np.cos(angle)) * y + np.float32(np.sin(angle)) * x
    along = np.float32(np.cos(angle)) * x - np.float32(np.sin(angle)) * y
    along /= np.float32(rng.uniform(250, 600))
    half = np.float32(0.5 * width_um) * np.clip(1 - along * along, 0, None)
    band: FloatPlane = np.clip((half - np.abs(across)) / 3 + np.float32(0.5), 0, 1) * (half > 1.5)
    return band


def _crack(rng: np.random.Generator, anatomy: Anatomy) -> Mask:
    grid = anatomy.grid
    canvas = np.zeros(grid.shape, np.uint8)
    edge = np.abs(anatomy.depth_um) < 5
    at = pick_places(rng, edge, grid, 1)[0]
    goal = pick_places(rng, anatomy.tissue, grid, 1)[0]
    heading = np.arctan2(*(goal - at))
    width = rng.uniform(6, 16) / grid.pixel_um
    steps = int(rng.uniform(80, 260) / 6)
    for k in range(steps):
        new = at + 6 * np.array([np.sin(heading), np.cos(heading)])
        thick = max(1, round(width * (1 - k / steps)))
        (y0, x0), (y1, x1) = (np.round(grid.to_index(p)).astype(int) for p in (at, new))
        cv2.line(canvas, (int(x0), int(y0)), (int(x1), int(y1)), 1, thick)
        at = new
        heading += rng.normal(0, 0.25)
    return canvas.astype(bool)


def _flecks(rng: np.random.Generator, count: int, grid: Grid) -> FloatPlane:
    out = np.zeros(grid.shape, np.float32)
    theta = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for _ in range(count):
        centre = rng.uniform(0, 1, 2) * thrown_at_um(grid)
        radius = np.exp(rng.uniform(np.log(3), np.log(25))) * np.maximum(0.3, 1 + 0.3 * rng.standard_normal(24))
        _fill(out, centre + np.stack([0.6 * radius * np.sin(theta), radius * np.cos(theta)], 1), grid)
    return cv2.GaussianBlur(out, (0, 0), 0.6)  # type: ignore[no-any-return]  # OpenCV is untyped


def _fill(out: FloatPlane, outline_um: np.ndarray, grid: Grid, value: float = 1.0) -> None:
    corners = np.round(grid.to_index(outline_um)[:, ::-1] * 16).astype(np.int32)
    cv2.fillPoly(out, [corners], value, shift=4)


def _bubbles(rng: np.random.Generator, count: int, grid: Grid) -> tuple[FloatPlane, FloatPlane]:
    """Return air under the cover slip: dim round areas, and the bright line where the mounting medium ends."""
    inside, rim = (np.zeros(grid.shape, np.float32) for _ in range(2))
    theta = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    for _ in range(count):
        centre = rng.uniform(0, 1, 2) * thrown_at_um(grid)
        radius = np.exp(rng.uniform(np.log(40), np.log(160))) * (1 + 0.06 * np.cos(2 * theta + rng.uniform(0, 6)))
        circle = np.stack([np.sin(theta), np.cos(theta)], 1) * radius[:, None]
        _fill(inside, centre + circle, grid)
        ring = np.zeros(grid.shape, np.float32)
        _fill(ring, centre + circle, grid)
        _fill(ring, centre + circle * (1 - 4 / radius[:, None]), grid, 0.0)
        np.maximum(rim, ring, out=rim)
    return cv2.GaussianBlur(inside, (0, 0), 1.5), cv2.GaussianBlur(rim, (0, 0), 0.8)


def _adipocytes(rng: np.random.Generator, anatomy: Anatomy) -> FloatPlane:
    """Return a patch of fat against the outside of the capsule: bright rims of round, empty cells."""
    grid = anatomy.grid
    out = np.zeros(grid.shape, np.float32)
    outside = (anatomy.depth_um < -8) & (anatomy.depth_um > -60)
    seats = pick_places(rng, outside, grid, 1)
    if len(seats) == 0:
        return out
    taken: list[tuple[float, float, float]] = []
    around = seats[0] + rng.uniform(-190, 190, (6000, 2))
    at = nearest_pixel(around, grid)
    near = around[outside[at[:, 0], at[:, 1]] & (np.hypot(*(around - seats[0]).T) < 190)]
    for y, x in near[:1500]:
        radius = rng.uniform(11, 21)
        if all(np.hypot(y - b, x - a) > 0.9 * (radius + r) for b, a, r in taken):
            taken.append((float(y), float(x), radius))
    for y, x, radius in taken:
        row, column = grid.to_index([y, x])
        cv2.circle(
            out, (round(column * 16), round(row * 16)), round(radius / grid.pixel_um * 16), 1.0,
            max(1, round(3 / grid.pixel_um)), shift=4,
        )  # fmt: skip
    out[anatomy.depth_um > -2] = 0
    return cv2.GaussianBlur(out, (0, 0), 0.8)  # type: ignore[no-any-return]  # OpenCV is untyped


def _patch(fat: FloatPlane, anatomy: Anatomy) -> Mask:
    """Return the whole patch of fat, the empty insides of its cells included."""
    rims = (fat > 0.25).astype(np.uint8)
    side = max(3, round(44 / anatomy.grid.pixel_um) | 1)
    closed = cv2.morphologyEx(rims, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    patch: Mask = closed.astype(bool) & ~anatomy.tissue
    return patch
