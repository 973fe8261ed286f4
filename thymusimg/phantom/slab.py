"""The generator "slab": bodies in a slab of tissue, Voronoi keratin nets, level sets of random fields.

What a section is made of at large (:func:`draw_scene`) lies on the coarse grid and in tables; its pixels are drawn
window by window (:func:`draw_block`), each pixel from its place alone, so that a section is the same to the last
bit however it is cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import SettingsError
from thymusimg.phantom.anatomy import Anatomy, draw_anatomy, nearest_pixel
from thymusimg.phantom.bodies import Bodies, draw_bodies, label_profiles
from thymusimg.phantom.camera import expose
from thymusimg.phantom.faults import Faults, draw_faults
from thymusimg.phantom.keratin import draw_keratin
from thymusimg.phantom.macrophages import Granules, draw_granules
from thymusimg.phantom.model import CHANNELS, Phantom, Truth
from thymusimg.phantom.optics import (
    Drift,
    Illumination,
    blur,
    blur_reach_um,
    channel_shifts,
    illumination,
    mixing_matrix,
    stain_drifts,
    tissue_glow,
)
from thymusimg.phantom.patch import Patch, coarse_patch, gauss, reach_px, upsample_patch
from thymusimg.phantom.streams import key
from thymusimg.phantom.thymocytes import place_cells
from thymusimg.phantom.truth import true_answer
from thymusimg.section.coarse import block_mean
from thymusimg.section.model import Window

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid

BLOCK_PX = 1024
"""Side of a window that is drawn at once; no byte depends on it."""
LARGEST_PX = 64_000_000
"""Larger slides do not fit in memory whole; they are written to disk window by window."""
LARGEST_BODY_UM = 6.0
"""No body reaches farther from its centre."""
_CROWDING_UM = 0.6


@dataclass(frozen=True)
class Scene:
    """Everything that a section's pixels are drawn from."""

    spec: PhantomSpec
    seed: int
    anatomy: Anatomy
    faults: Faults
    cells: pd.DataFrame
    granules: Granules
    mixing: np.ndarray
    shifts: np.ndarray
    drifts: list[Drift]
    lights: list[Illumination]

    @property
    def grid(self) -> Grid:
        """The section's coarse grid."""
        return self.anatomy.grid

    @property
    def roles(self) -> tuple[str, ...]:
        """The stains, in the order of the channels."""
        return tuple(CHANNELS) if self.spec.dapi else tuple(CHANNELS)[:3]

    @cached_property
    def human(self) -> Profiles:
        """The human cells, by y."""
        return Profiles.of(self.cells[self.cells["type"] == "human"])

    @cached_property
    def mouse(self) -> Profiles:
        """The mouse cells, by y."""
        return Profiles.of(self.cells[self.cells["type"] == "mouse"])


@dataclass(frozen=True)
class Profiles:
    """Cells as arrays, sorted by ``y``; ``number`` counts them from 1."""

    y: np.ndarray
    x: np.ndarray
    z: np.ndarray
    radius: np.ndarray
    body_radius: np.ndarray
    brightness: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, cells: pd.DataFrame) -> Profiles:
        """Return the rows of a table of cells."""
        names = ("y_um", "x_um", "z_um", "radius_um", "body_radius_um", "brightness")
        y, x, z, radius, body, brightness = (cells[n].to_numpy(np.float64) for n in names)
        return cls(y, x, z, radius, body, brightness, np.arange(1, len(cells) + 1))

    def near(self, patch: Patch) -> Profiles:
        """Return the cells that may touch a patch."""
        which = _near(self.y, self.x, patch, LARGEST_BODY_UM)
        return Profiles(
            self.y[which], self.x[which], self.z[which], self.radius[which], self.body_radius[which],
            self.brightness[which], self.number[which],
        )  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A window of the slide: ``pixels`` and ``clean`` stains (C, Y, X), ``instances`` (Y, X)."""

    window: Window
    pixels: npt.NDArray[Any]
    clean: npt.NDArray[np.float32]
    instances: npt.NDArray[np.uint32]


def make_slab(spec: PhantomSpec, seed: int, *, pixel_size_um: float, size_mm: float | None) -> Phantom:
    """Make a synthetic section and its truth; what :func:`thymusimg.phantom.make_phantom` calls ``slab``."""
    _check_memory(spec, pixel_size_um, size_mm)
    scene = draw_scene(spec, seed, pixel_size_um=pixel_size_um, size_mm=size_mm)
    shape, channels = scene.grid.slide_shape, len(scene.roles)
    pixels = np.empty((channels, *shape), np.uint8 if spec.camera.bit_depth == 8 else np.uint16)
    clean = np.empty((channels, *shape), np.float32)
    instances = np.empty(shape, np.uint32)
    for window in windows(shape):
        block = draw_block(scene, window)
        pixels[:, *window.slices] = block.pixels
        clean[:, *window.slices] = block.clean
        instances[window.slices] = block.instances
    visible = np.bincount(instances.ravel(), minlength=len(scene.human.number) + 1)[1:]
    coarse = {role: block_mean(plane, scene.grid.factor) for role, plane in zip(scene.roles, clean, strict=True)}
    covered = block_mean((instances > 0).astype(np.uint8), scene.grid.factor).astype(np.float16)
    truth = Truth(clean=clean, instances=instances, **true_answer(scene, visible, covered, coarse))
    return Phantom(
        pixels, tuple(CHANNELS[r] for r in scene.roles), {r: i for i, r in enumerate(scene.roles)}, pixel_size_um,
        spec, seed, truth,
    )  # fmt: skip


def windows(shape: tuple[int, int], block_px: int = BLOCK_PX) -> list[Window]:
    """Return the windows that cover a slide, row by row."""
    height, width = shape
    return [
        Window(y, min(y + block_px, height), x, min(x + block_px, width))
        for y in range(0, height, block_px)
        for x in range(0, width, block_px)
    ]


def _check_memory(spec: PhantomSpec, pixel_size_um: float, size_mm: float | None) -> None:
    side_um = size_mm * 1e3 if size_mm else 1.6 * math.sqrt(spec.area_mm2 * 1e6)
    if (side_um / pixel_size_um) ** 2 > LARGEST_PX:
        raise SettingsError(
            f"phantom: a slide of {side_um / 1e3:.1f} mm at {pixel_size_um:g} µm/px does not fit in memory "
            f"({LARGEST_PX / 1e6:.0f} Mpx at most); write it to disk (thymusimg phantom), give a smaller size_mm "
            "or a larger pixel size"
        )


def draw_scene(spec: PhantomSpec, seed: int, *, pixel_size_um: float, size_mm: float | None) -> Scene:
    """Draw what a section is made of at large."""
    anatomy = draw_anatomy(spec, seed, pixel_size_um, size_mm)
    faults = draw_faults(spec, seed, anatomy)
    cells = place_cells(spec, seed, anatomy)
    if faults.tear is not None:
        at = nearest_pixel(cells[["y_um", "x_um"]].to_numpy(float), anatomy.grid)
        cells = cells.loc[~faults.tear[at[:, 0], at[:, 1]]].reset_index(drop=True)
    channels = 4 if spec.dapi else 3
    return Scene(
        spec, seed, anatomy, faults, cells, draw_granules(spec, seed, anatomy, channels),
        mixing_matrix(spec.optics, seed, channels), channel_shifts(spec.optics, seed, channels),
        stain_drifts(spec.optics, seed, anatomy, channels),
        [illumination(spec.optics, seed, c, anatomy.grid.slide_shape) for c in range(channels)],
    )  # fmt: skip


def draw_block(scene: Scene, window: Window) -> Block:
    """Draw a window of the slide: stain it, send it through the microscope, expose it."""
    core = Patch.slide(scene.grid, window)
    spec, optics = scene.spec, scene.spec.optics
    patch = core.grown(blur_reach_um(optics, scene.shifts, core.pixel_um))
    stains, instances = _stain(scene, patch)
    clean = np.stack([core_of(patch, s, core) for s in stains])
    labels = np.ascontiguousarray(patch.cut(instances, core)).astype(np.uint32, copy=False)
    lit = _light(scene, stains, patch)
    pixels = []
    for channel, plane in enumerate(lit):
        seen = plane
        if plane.any():
            seen = core_of(patch, blur(plane, optics, scene.shifts[channel], core.pixel_um), core)
        else:
            seen = np.zeros(window.shape, np.float32)
        scene.lights[channel].shade(seen, core, optics.glass)
        pixels.append(
            expose(
                seen, spec.camera, key(scene.seed, "camera", channel), origin=(window.y0, window.x0),
                slide_width=scene.grid.slide_shape[1],
            )
        )  # fmt: skip
    return Block(window, np.stack(pixels), clean, labels)


def core_of(patch: Patch, plane: FloatPlane, core: Patch) -> FloatPlane:
    """Return the part of a patch's plane that lies in ``core``, contiguous."""
    return np.ascontiguousarray(patch.cut(plane, core), dtype=np.float32)


def _stain(scene: Scene, patch: Patch) -> tuple[list[FloatPlane], npt.NDArray[np.uint32]]:
    """Return the clean stains of a patch, and the labels of its human profiles."""
    spec, shape, pixel = scene.spec, patch.window.shape, patch.pixel_um
    wide = patch.grown(reach_px(_CROWDING_UM / pixel) * pixel)
    human = scene.human.near(wide)
    origin = (wide.window.y0, wide.window.x0)
    instances = label_profiles(
        human.y, human.x, human.radius, pixel, wide.window.shape, numbers=human.number, origin=origin
    )
    planes = [np.zeros(shape, np.float32) for _ in scene.roles]
    inner = np.asarray(wide.cut(instances, patch), np.uint32)
    # an epithelial body reaches 8 µm beyond its tissue
    around = coarse_patch(scene.grid, patch.grown(10.0)).window.slices
    if scene.anatomy.tissue[around].any():
        k8, k14 = draw_keratin(spec, scene.seed, scene.anatomy, patch)
        if len(human.y):
            # thymocytes fill the holes of the network: keratin runs around them
            room = core_of(wide, gauss((instances > 0).astype(np.float32), _CROWDING_UM / pixel), patch)
            room *= np.float32(-0.45)
            room += np.float32(1)
            k14 *= room
            k8 *= room
        planes[1], planes[2] = k14, k8
    origin = (patch.window.y0, patch.window.x0)
    shells = Bodies(human.y, human.x, human.z, human.body_radius, np.full(len(human.y), spec.membrane_um))
    draw_bodies(shells, spec.cd45_strength * human.brightness, spec.section_um, pixel, planes[0], origin)
    if spec.dapi:
        for cells in (human, scene.mouse.near(patch)):
            radius = 0.74 * cells.body_radius
            nuclei = Bodies(cells.y, cells.x, cells.z, radius, radius)
            draw_bodies(nuclei, 0.6 + 0.25 * cells.brightness, spec.section_um, pixel, planes[3], origin)
    return planes, inner


def _light(scene: Scene, stains: list[FloatPlane], patch: Patch) -> list[FloatPlane]:
    """Return the light of every channel before the lens: drifted and mixed stains, glow, granules, damage."""
    coarse = coarse_patch(scene.grid, patch)
    stained = [s.any() for s in stains]
    for number, drift in enumerate(scene.drifts):
        if stained[number]:
            stains[number] *= upsample_patch(drift.gain(coarse), coarse, patch)
    lit = []
    for row in scene.mixing:
        plane = np.zeros(patch.window.shape, np.float32)
        for number, share in enumerate(row):
            if share and stained[number]:
                plane += np.float32(share) * stains[number]
        lit.append(plane)
    for plane, glow in zip(
        lit, tissue_glow(scene.spec.optics, scene.seed, scene.anatomy, patch, len(lit)), strict=False
    ):
        plane += glow
    which = _near(scene.granules.bodies.y, scene.granules.bodies.x, patch, 2 * LARGEST_BODY_UM)
    granules = scene.granules.bodies.take(which)
    gain, dirt = (
        None if p is None else upsample_patch(p[coarse.window.slices].astype(np.float32), coarse, patch)
        for p in (scene.faults.gain, scene.faults.dirt)
    )
    origin = (patch.window.y0, patch.window.x0)
    for channel, plane in enumerate(lit):
        if len(which):
            levels = scene.granules.levels[channel][which]
            draw_bodies(granules, levels, scene.spec.section_um, patch.pixel_um, plane, origin)
        if gain is not None:
            plane *= gain
        if dirt is not None:
            plane += dirt
    return lit


def _near(y: np.ndarray, x: np.ndarray, patch: Patch, reach_um: float) -> npt.NDArray[np.int64]:
    """Return which of the places, sorted by y, lie in a patch or less than ``reach_um`` beside it."""
    (top, bottom), (left, right) = ((c[0] - reach_um, c[-1] + reach_um) for c in (patch.rows_um, patch.columns_um))
    first, last = np.searchsorted(y, (top, bottom))
    some = x[first:last]
    inside: npt.NDArray[np.int64] = first + np.flatnonzero((some >= left) & (some <= right))
    return inside
