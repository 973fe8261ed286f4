"""The generator "drawn": everything is drawn in the plane of the section, stroke by stroke and cell by cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from thymusimg.compartments.model import Compartment
from thymusimg.errors import SettingsError
from thymusimg.phantom.drawn.damage import Damage, draw_damage
from thymusimg.phantom.drawn.epithelium import draw_epithelium
from thymusimg.phantom.drawn.granules import draw_granules
from thymusimg.phantom.drawn.light import (
    MOFFAT_BETA,
    blur,
    channel_shifts,
    drift_stain,
    focus_share,
    glass_glow,
    illumination,
    mixing_matrix,
    tissue_glow,
)
from thymusimg.phantom.drawn.mosaic import block_mean, upsample
from thymusimg.phantom.drawn.profiles import draw_outlines, place_profiles
from thymusimg.phantom.drawn.rings import Drawing, draw_cells
from thymusimg.phantom.drawn.scene import Scene, draw_scene
from thymusimg.phantom.drawn.sensor import expose
from thymusimg.phantom.drawn.strands import draw_reticulum
from thymusimg.phantom.model import Phantom, Truth
from thymusimg.phantom.streams import stream
from thymusimg.phantom.values import measure_truth

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane

CHANNELS = {"cd45": "hCD45", "k14": "KRT14", "k8": "KRT8", "dapi": "DAPI"}
"""Channel names of a synthetic slide, by role."""
LARGEST_PX = 64_000_000
"""Larger slides are refused: whole planes of every stain take about 60 bytes a pixel."""


def make_drawn(spec: PhantomSpec, seed: int, *, pixel_size_um: float, size_mm: float | None) -> Phantom:
    """Make a synthetic section and its truth; what :func:`thymusimg.phantom.make_phantom` calls ``drawn``.

    Parameters
    ----------
    spec : PhantomSpec
        What the section is made of; every field means what it means to the other generator.
    seed : int
        Same spec, seed and pixel size, same bytes.
    pixel_size_um : float
        Side of a pixel in µm.
    size_mm : float or None
        Side of a square slide; the lobe is shrunk where it would not fit, and then holds fewer islets of the same
        size. Without it the slide is the lobe's box.

    Raises
    ------
    SettingsError
        If the slide does not fit in memory.

    Examples
    --------
    >>> from thymusimg.phantom import PhantomSpec
    >>> phantom = make_drawn(PhantomSpec(area_mm2=0.02), 1, pixel_size_um=0.5, size_mm=0.2)
    >>> phantom.pixels.shape, phantom.truth.parameters["generator"]
    ((3, 400, 400), 'drawn')
    """
    _check_memory(spec, pixel_size_um, size_mm)
    scene = draw_scene(spec, seed, pixel_size_um, size_mm)
    damage = draw_damage(spec, seed, scene)
    cells = place_profiles(spec, seed, scene)
    if damage.torn.any():
        at = scene.at(cells[["y_um", "x_um"]].to_numpy(float))
        cells = cells.loc[~damage.torn[at]].reset_index(drop=True)
    drawing = draw_cells(
        cells,
        draw_outlines(seed, cells, spec.section_um),
        stream(seed, "drawn", "chromocentres"),
        strength=spec.cd45_strength,
        membrane_um=spec.membrane_um,
        pixel_um=pixel_size_um,
        shape=scene.grid.slide_shape,
        dapi=spec.dapi,
    )
    clean = _stains(spec, seed, scene, drawing)
    roles = ["cd45", "k14", "k8", *(["dapi"] if spec.dapi else [])]
    mixing = mixing_matrix(spec.optics, seed, len(roles))
    shifts = channel_shifts(spec.optics, seed, len(roles))
    pixels, macrophages = _photograph(spec, seed, scene, damage, clean, mixing, shifts)
    truth = _truth(spec, seed, scene, damage, cells, macrophages, drawing.instances, clean, mixing, shifts)
    return Phantom(
        pixels,
        tuple(CHANNELS[r] for r in roles),
        {role: index for index, role in enumerate(roles)},
        pixel_size_um,
        spec,
        seed,
        truth,
    )


def _check_memory(spec: PhantomSpec, pixel_size_um: float, size_mm: float | None) -> None:
    side_um = size_mm * 1e3 if size_mm else 1.6 * math.sqrt(spec.area_mm2 * 1e6)
    if (side_um / pixel_size_um) ** 2 > LARGEST_PX:
        raise SettingsError(
            f"phantom: a slide of {side_um / 1e3:.1f} mm at {pixel_size_um:g} µm/px does not fit in memory "
            f"({LARGEST_PX / 1e6:.0f} Mpx at most); give a smaller size_mm or a larger pixel size"
        )


def _stains(spec: PhantomSpec, seed: int, scene: Scene, drawing: Drawing) -> npt.NDArray[np.float32]:
    """Return the clean stains, (C, Y, X)."""
    k8, k14 = draw_reticulum(spec, seed, scene, draw_epithelium(spec, seed, scene))
    planes = [drawing.cd45, k14 * drawing.keratin, k8 * drawing.keratin]
    if drawing.dapi is not None:
        planes.append(drawing.dapi)
    return np.stack(planes)


def _photograph(
    spec: PhantomSpec,
    seed: int,
    scene: Scene,
    damage: Damage,
    clean: npt.NDArray[np.float32],
    mixing: np.ndarray,
    shifts: np.ndarray,
) -> tuple[npt.NDArray[np.uint16] | npt.NDArray[np.uint8], pd.DataFrame]:
    """Send the clean stains through the microscope and the camera."""
    grid, optics = scene.grid, spec.optics
    stains: list[FloatPlane] = [plane.copy() for plane in clean]
    drift_stain(stains, optics, seed, scene)
    lit = tissue_glow(optics, seed, scene, len(stains))
    for plane, row in zip(lit, mixing, strict=True):
        for part, stain in zip(row, stains, strict=True):
            if part:
                cv2.scaleAdd(stain, float(part), plane, plane)
    del stains
    macrophages = draw_granules(spec, seed, scene, lit)
    share = upsample(focus_share(optics, seed, scene), grid) if optics.defocus_share > 0 else None
    out = np.empty(clean.shape, np.uint8 if spec.camera.bit_depth == 8 else np.uint16)
    for channel, plane in enumerate(lit):
        damage.spoil(plane, grid)
        seen = blur(plane, optics, share, shifts[channel], grid.slide_pixel_um)
        if optics.glass > 0:
            seen += upsample(glass_glow(optics, seed, channel, grid.shape), grid)
        shade = illumination(optics, seed, channel, grid.slide_shape)
        if shade is not None:
            seen *= shade
        out[channel] = expose(seen, spec.camera, seed, channel, optics.tile_px)
    return out, macrophages


def _truth(
    spec: PhantomSpec,
    seed: int,
    scene: Scene,
    damage: Damage,
    cells: pd.DataFrame,
    macrophages: pd.DataFrame,
    instances: npt.NDArray[np.uint32],
    clean: npt.NDArray[np.float32],
    mixing: np.ndarray,
    shifts: np.ndarray,
) -> Truth:
    artefact = damage.artefact(scene)
    tissue = scene.tissue & ~damage.torn
    labels = scene.labels.copy()
    labels[artefact & tissue] = Compartment.ARTEFACT
    labels[~tissue] = Compartment.BACKGROUND
    human = int((cells["type"] == "human").sum())
    table = pd.concat([cells, macrophages], ignore_index=True) if len(macrophages) else cells.copy()
    areas = np.bincount(instances.ravel(), minlength=human + 1)[1:] * scene.grid.slide_pixel_um**2
    table.insert(0, "instance", np.where(np.arange(len(table)) < human, np.arange(len(table)) + 1, 0))
    table["visible_area_um2"] = np.nan
    table.loc[: human - 1, "visible_area_um2"] = areas[:human]
    psf = {
        "core_um": spec.optics.psf_um,
        "defocus_um": spec.optics.defocus_um,
        "defocus_share": spec.optics.defocus_share,
        "shift_um": shifts.tolist(),
        "core_shape": f"Moffat, beta {MOFFAT_BETA:g}",
        "defocus_shape": "disc, its share uneven over the section",
    }
    parameters = {
        "generator": "drawn",
        "seed": seed,
        "spec": spec.model_dump(mode="json"),
        "shape": list(scene.grid.slide_shape),
    }
    coarse = {role: block_mean(plane, scene.grid) for role, plane in zip(CHANNELS, clean, strict=False)}
    covered = block_mean((instances > 0).astype(np.float32), scene.grid)
    values = measure_truth(scene.grid, labels, tissue, table[:human], covered, coarse, spec)
    return Truth(scene.grid, labels, tissue, artefact, table, instances, clean, psf, mixing, parameters, values)
