"""Small sections with drawn cells, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from thymusimg.channels.correct import Correction
from thymusimg.compartments.model import Compartments
from thymusimg.section.model import Grid, Level, Section, Subject, Window

OFFSET = 100.0
ROLES = {"cd45": 0, "k14": 1, "k8": 2}


@dataclass
class FakeImage:
    planes: np.ndarray
    semi_quantitative: bool = False

    @property
    def dtype(self):
        return self.planes.dtype

    @property
    def max_value(self):
        return 65535.0

    @property
    def levels(self):
        return (Level(self.planes.shape[1:], 1.0),)

    def read(self, level, channel, window: Window):
        assert level == 0
        return self.planes[channel][window.slices]


@dataclass
class Scene:
    """Stains without offset, as light; ``expose`` makes a section of them."""

    stains: np.ndarray
    pixel_um: float
    centres: np.ndarray
    radii: np.ndarray
    labels: np.ndarray

    def expose(self, *, gain=1.0, seed=0, noise=True, turns=0, **subject) -> Section:
        light = np.maximum(self.stains, 0)
        rng = np.random.default_rng(seed)
        if noise:
            light = rng.poisson(light / 2) * 2.0 + rng.normal(0, 3, light.shape)
        raw = np.clip(np.rint(light * gain + OFFSET), 0, 65535).astype(np.uint16)
        raw = np.ascontiguousarray(np.rot90(raw, turns, axes=(1, 2)))
        return Section(Subject(**({"section_id": "s1"} | subject)), FakeImage(raw), ROLES, {}, self.pixel_um)


def scene(centres, radii, size_um=100.0, pixel_um=0.5, **appearance) -> Scene:
    """Draw a scene; pixels above 0.5 µm are the means of finer ones, as a camera's are."""
    if pixel_um <= 0.5:
        return draw(centres, radii, size_um, pixel_um, **appearance)
    fine = draw(centres, radii, size_um, pixel_um / 3, **appearance)
    side = round(size_um / pixel_um)
    stains = fine.stains[:, : 3 * side, : 3 * side].reshape(3, side, 3, side, 3).mean(axis=(2, 4))
    centres = fine.centres - pixel_um / 3  # the first coarse pixel's centre is the second fine pixel's
    return Scene(stains, pixel_um, centres, fine.radii, fine.labels[1 : 3 * side : 3, 1 : 3 * side : 3])


def draw(centres, radii, size_um, pixel_um, *, background=40.0, height=800.0, texture=0.0, seed=0) -> Scene:
    """Draw membranes 0.7 µm wide just inside the radii; cells (y, x, in µm) are drawn one over another."""
    side = round(size_um / pixel_um)
    at = np.arange(side) * pixel_um
    y, x = np.meshgrid(at, at, indexing="ij")
    cd45 = np.full((side, side), background)
    if texture:
        field = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=cd45.shape), (0, 0), 2.0 / pixel_um)
        cd45 *= np.clip(1 + texture * field / field.std(), 0.1, None)
    labels = np.zeros((side, side), int)
    for index, ((cy, cx), radius) in enumerate(zip(centres, radii, strict=True), start=1):
        distance = np.hypot(y - cy, x - cx)
        rim = np.exp(-0.5 * ((distance - (radius - 0.35)) / 0.35) ** 2)
        body = 0.35 / (1 + np.exp(np.minimum((distance - radius + 0.2) / 0.15, 50)))
        cd45 += height * (rim + body)
        labels[distance <= radius] = index
    keratin = np.full((side, side), 30.0)
    stains = np.stack([cd45, keratin, keratin])
    return Scene(stains, pixel_um, np.asarray(centres, float).reshape(-1, 2), np.asarray(radii, float), labels)


def scattered(count, size_um=100.0, apart_um=9.0, seed=1, edge_um=6.0):
    """Return places and radii of cells that do not touch."""
    rng = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    while len(places) < count:
        place = rng.uniform(edge_um, size_um - edge_um, 2)
        if all(np.hypot(*(place - other)) > apart_um for other in places):
            places.append(place)
    return np.array(places).reshape(-1, 2), rng.uniform(2.7, 3.8, count)


def surroundings(section: Section, labels: np.ndarray | None = None) -> tuple[Correction, Compartments]:
    """Return a correction that subtracts the offset, and compartments that are cortex where no labels are given."""
    grid = Grid.of(section.shape, section.pixel_size_um)
    labels = np.ones(grid.shape, np.uint8) if labels is None else labels
    plane = np.zeros(grid.shape, np.float32)
    compartments = Compartments(grid, labels, labels > 0, plane + 1, plane, plane, plane, ())
    roles = tuple(section.roles)
    return Correction(grid, dict.fromkeys(roles, OFFSET), {}, None, roles), compartments


def with_batch(section: Section, batch: str) -> Section:
    return replace(section, subject=replace(section.subject, batch=batch))


def matched(truth: np.ndarray, found: np.ndarray) -> tuple[int, int, int]:
    """Return how many cells match at IoU ≥ 0.5, how many there are and how many were found."""
    t, f = int(truth.max()), int(found.max())
    pairs = np.bincount((truth.astype(int) * (f + 1) + found).ravel(), minlength=(t + 1) * (f + 1)).reshape(
        t + 1, f + 1
    )
    union = pairs.sum(1)[:, None] + pairs.sum(0)[None] - pairs
    return int((pairs[1:, 1:] / np.maximum(union[1:, 1:], 1) >= 0.5).sum()), t, f
