"""What goes wrong on a slide: macrophages, lipofuscin, folds, tears, debris and fat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from thymusimg.phantom.bodies import Bodies, draw_bodies
from thymusimg.phantom.streams import random_field, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.phantom.anatomy import Anatomy
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Mask


@dataclass(frozen=True)
class Faults:
    """Where the slide is damaged, on the coarse grid.

    ``gain`` multiplies the tissue's light (folds above 1, tears 0), ``debris`` and ``fat`` add light.
    """

    gain: FloatPlane
    fold: Mask
    tear: Mask
    debris: FloatPlane
    fat: FloatPlane

    @property
    def artefact(self) -> Mask:
        """Folds, debris and fat."""
        return self.fold | (self.debris > 0.25) | (self.fat > 0.25)


def draw_faults(spec: PhantomSpec, seed: int, anatomy: Anatomy) -> Faults:
    """Draw folds, tears, debris and fat."""
    grid = anatomy.grid
    gain = np.ones(grid.shape, np.float32)
    fold = np.zeros(grid.shape, bool)
    rng = stream(seed, "folds")
    for _ in range(spec.optics.folds):
        band = _crease(rng, anatomy, rng.uniform(18, 45))
        gain *= 1 + np.float32(rng.uniform(0.7, 1.2)) * band
        fold |= (band > 0.3) & anatomy.tissue
    tear = np.zeros(grid.shape, bool)
    rng = stream(seed, "tears")
    for _ in range(spec.optics.tears):
        tear |= _crack(rng, anatomy)
    tear &= anatomy.tissue
    gain *= 1 - cv2.GaussianBlur(tear.astype(np.float32), (0, 0), 0.7)
    return Faults(gain, fold & ~tear, tear, _flecks(spec, seed, anatomy), _adipocytes(spec, seed, anatomy))


def _crease(rng: np.random.Generator, anatomy: Anatomy, width_um: float) -> FloatPlane:
    """Return a soft-edged wavy band across the tissue."""
    grid = anatomy.grid
    places = np.argwhere(anatomy.tissue)
    cy, cx = places[rng.integers(len(places))]
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[: grid.shape[0], : grid.shape[1]].astype(np.float32)
    across = (np.cos(angle) * (y - cy) + np.sin(angle) * (x - cx)) * grid.pixel_um
    along = (-np.sin(angle) * (y - cy) + np.cos(angle) * (x - cx)) * grid.pixel_um
    across += 18 * random_field(rng, grid.shape, 60 / grid.pixel_um)
    half = 0.5 * width_um * np.clip(1 - (along / rng.uniform(250, 600)) ** 2, 0, None)
    band: FloatPlane = np.clip((half - np.abs(across)) / 3 + 0.5, 0, 1) * (half > 1.5)
    return band.astype(np.float32)


def _crack(rng: np.random.Generator, anatomy: Anatomy) -> Mask:
    grid = anatomy.grid
    canvas = np.zeros(grid.shape, np.uint8)
    edge = np.argwhere(np.abs(anatomy.depth_um) < 2 * grid.pixel_um)
    places = np.argwhere(anatomy.tissue)
    at = edge[rng.integers(len(edge))].astype(float)
    goal = places[rng.integers(len(places))]
    heading = np.arctan2(goal[0] - at[0], goal[1] - at[1])
    width = rng.uniform(6, 16) / grid.pixel_um
    steps = int(rng.uniform(80, 260) / grid.pixel_um / 3)
    for k in range(steps):
        new = at + 3 * np.array([np.sin(heading), np.cos(heading)])
        thick = max(1, round(width * (1 - k / steps)))
        cv2.line(canvas, (round(at[1]), round(at[0])), (round(new[1]), round(new[0])), 1, thick)
        at = new
        heading += rng.normal(0, 0.25)
    return canvas.astype(bool)


def _flecks(spec: PhantomSpec, seed: int, anatomy: Anatomy) -> FloatPlane:
    grid = anatomy.grid
    rng = stream(seed, "debris")
    out = np.zeros(grid.shape, np.float32)
    for _ in range(spec.optics.debris):
        centre = rng.uniform(0, 1, 2) * grid.shape
        size = np.exp(rng.uniform(np.log(3), np.log(25))) / grid.pixel_um
        theta = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radius = size * np.maximum(0.3, 1 + 0.3 * rng.standard_normal(24))
        shape = np.stack([centre[1] + radius * np.cos(theta), centre[0] + 0.6 * radius * np.sin(theta)], 1)
        cv2.fillPoly(out, [np.round(shape * 16).astype(np.int32)], 1.0, shift=4)
    return cv2.GaussianBlur(out, (0, 0), 0.6)  # type: ignore[no-any-return]  # OpenCV is untyped


def _adipocytes(spec: PhantomSpec, seed: int, anatomy: Anatomy) -> FloatPlane:
    """Return a patch of fat against the outside of the capsule: bright rims of round, empty cells."""
    grid = anatomy.grid
    out = np.zeros(grid.shape, np.float32)
    if not spec.optics.fat:
        return out
    rng = stream(seed, "fat")
    outside = (anatomy.depth_um < -8) & (anatomy.depth_um > -60)
    places = np.argwhere(outside)
    if len(places) == 0:
        return out
    seat = places[rng.integers(len(places))]
    near = places[np.hypot(*(places - seat).T) * grid.pixel_um < 190]
    taken: list[tuple[float, float, float]] = []
    for y, x in near[rng.permutation(len(near))[:1500]]:
        radius = rng.uniform(11, 21) / grid.pixel_um
        if all(np.hypot(y - b, x - a) > 0.9 * (radius + r) for b, a, r in taken):
            taken.append((float(y), float(x), radius))
    for y, x, radius in taken:
        cv2.circle(
            out, (round(x * 16), round(y * 16)), round(radius * 16), 1.0, max(1, round(3 / grid.pixel_um)), shift=4
        )
    out[anatomy.depth_um > -2] = 0
    return cv2.GaussianBlur(out, (0, 0), 0.8)  # type: ignore[no-any-return]  # OpenCV is untyped


def fat_patch(faults: Faults, anatomy: Anatomy) -> Mask:
    """Return the whole patch of fat, the empty insides of its cells included."""
    rims = (faults.fat > 0.25).astype(np.uint8)
    side = max(3, round(44 / anatomy.grid.pixel_um) | 1)
    closed = cv2.morphologyEx(rims, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    patch: Mask = closed.astype(bool) & ~anatomy.tissue
    return patch


def draw_macrophages(spec: PhantomSpec, seed: int, anatomy: Anatomy, planes: Sequence[FloatPlane]) -> pd.DataFrame:
    """Add macrophages and lipofuscin to every channel, in place, and return the macrophages as bodies."""
    rng = stream(seed, "macrophages")
    places = np.argwhere(anatomy.parenchyma)
    area = len(places) * anatomy.grid.pixel_area_mm2
    big = int(rng.poisson(spec.optics.macrophages_per_mm2 * area))
    small = int(rng.poisson(spec.optics.lipofuscin_per_mm2 * area))
    if big + small == 0:
        return pd.DataFrame()
    at = places[rng.integers(len(places), size=big + small)] + rng.random((big + small, 2)) - 0.5
    centre = anatomy.grid.to_um(at)
    radius = np.concatenate([rng.uniform(5, 9, big), rng.uniform(0.6, 1.3, small)])
    level = np.concatenate([rng.uniform(0.8, 2.2, big), rng.uniform(0.8, 2.5, small)])
    # a macrophage is a bag of granules, not a disc: each one is drawn as its inclusions
    granules = np.concatenate([rng.integers(6, 14, big), np.ones(small, int)])
    owner = np.repeat(np.arange(big + small), granules)
    single = owner >= big
    offset = np.where(single[:, None], 0.0, rng.normal(0, 0.42, (len(owner), 2)) * radius[owner, None])
    size = np.where(single, radius[owner], radius[owner] * rng.uniform(0.25, 0.5, len(owner)))
    y, x = centre[owner, 0] + offset[:, 0], centre[owner, 1] + offset[:, 1]
    z = rng.uniform(0.3, 0.7, len(owner)) * spec.section_um
    bodies = Bodies(y, x, z, size, size)
    for channel, plane in enumerate(planes):
        tint = stream(seed, "tint", channel).uniform(0.5, 1.2, big + small)
        draw_bodies(bodies, (level * tint)[owner], spec.section_um, anatomy.grid.slide_pixel_um, plane)
    index = np.clip(np.round(at).astype(int), 0, np.array(anatomy.grid.shape) - 1)[:big]
    return pd.DataFrame(
        {
            "y_um": centre[:big, 0],
            "x_um": centre[:big, 1],
            "z_um": 0.5 * spec.section_um,
            "radius_um": radius[:big],
            "body_radius_um": radius[:big],
            "type": "macrophage",
            "compartment": anatomy.labels[index[:, 0], index[:, 1]].astype(np.int64),
            "brightness": level[:big],
        }
    ).sort_values(["y_um", "x_um"], kind="stable")
