"""The generator "slab": bodies in a slab of tissue, Voronoi keratin nets, level sets of random fields."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from thymusimg.compartments.model import Compartment
from thymusimg.errors import SettingsError
from thymusimg.phantom.anatomy import Anatomy, draw_anatomy
from thymusimg.phantom.bodies import Bodies, draw_bodies, label_profiles
from thymusimg.phantom.camera import expose
from thymusimg.phantom.faults import Faults, draw_faults, draw_macrophages, fat_patch
from thymusimg.phantom.keratin import draw_keratin
from thymusimg.phantom.model import CHANNELS, Phantom, Truth
from thymusimg.phantom.optics import blur, channel_shifts, drift_stain, illumination, mixing_matrix, tissue_glow
from thymusimg.phantom.streams import key, upsample
from thymusimg.phantom.thymocytes import place_cells
from thymusimg.phantom.values import true_values

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane

LARGEST_PX = 64_000_000
"""Larger slides are refused: whole planes of every stain take about 75 bytes a pixel."""


def make_slab(spec: PhantomSpec, seed: int, *, pixel_size_um: float, size_mm: float | None) -> Phantom:
    """Make a synthetic section and its truth; what :func:`thymusimg.phantom.make_phantom` calls ``slab``."""
    _check_memory(spec, pixel_size_um, size_mm)
    anatomy = draw_anatomy(spec, seed, pixel_size_um, size_mm)
    faults = draw_faults(spec, seed, anatomy)
    cells = place_cells(spec, seed, anatomy)
    if faults.tear.any():
        cells = _without_torn(cells, faults, anatomy)
    human = cells[cells["type"] == "human"]
    shape = anatomy.grid.slide_shape
    instances = label_profiles(
        human["y_um"].to_numpy(float),
        human["x_um"].to_numpy(float),
        human["radius_um"].to_numpy(float),
        pixel_size_um,
        shape,
    )
    clean = _stain(spec, seed, anatomy, cells, instances)
    roles = ["cd45", "k14", "k8", *(["dapi"] if spec.dapi else [])]
    mixing = mixing_matrix(spec.optics, seed, len(roles))
    shifts = channel_shifts(spec.optics, seed, len(roles))
    pixels, macrophages = _photograph(spec, seed, anatomy, faults, clean, mixing, shifts)
    truth = _truth(spec, seed, anatomy, faults, cells, macrophages, instances, clean, mixing, shifts)
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


def _without_torn(cells: pd.DataFrame, faults: Faults, anatomy: Anatomy) -> pd.DataFrame:
    at = np.round(anatomy.grid.to_index(cells[["y_um", "x_um"]].to_numpy(float))).astype(int)
    at = np.clip(at, 0, np.array(anatomy.grid.shape) - 1)
    whole: pd.DataFrame = cells.loc[~faults.tear[at[:, 0], at[:, 1]]].reset_index(drop=True)
    return whole


def _stain(
    spec: PhantomSpec, seed: int, anatomy: Anatomy, cells: pd.DataFrame, instances: npt.NDArray[np.uint32]
) -> npt.NDArray[np.float32]:
    """Return the clean stains, (C, Y, X)."""
    pixel = anatomy.grid.slide_pixel_um
    planes = np.zeros((4 if spec.dapi else 3, *anatomy.grid.slide_shape), np.float32)
    k8, k14 = draw_keratin(spec, seed, anatomy)
    # thymocytes fill the holes of the network: keratin runs around them
    around = cv2.GaussianBlur((instances > 0).astype(np.float32), (0, 0), 0.6 / pixel)
    around *= -0.45
    around += 1
    planes[1], planes[2] = k14 * around, k8 * around
    human = cells[cells["type"] == "human"]
    shells = _bodies(human, np.full(len(human), spec.membrane_um))
    draw_bodies(shells, spec.cd45_strength * human["brightness"].to_numpy(float), spec.section_um, pixel, planes[0])
    if spec.dapi:
        nuclei = _bodies(cells, cells["body_radius_um"].to_numpy(float), shrink=0.74)
        level = 0.6 + 0.25 * cells["brightness"].to_numpy(float)
        draw_bodies(nuclei, level, spec.section_um, pixel, planes[3])
    return planes


def _bodies(cells: pd.DataFrame, shell: np.ndarray, shrink: float = 1.0) -> Bodies:
    y, x, z, r = (cells[c].to_numpy(float) for c in ("y_um", "x_um", "z_um", "body_radius_um"))
    return Bodies(y, x, z, r * shrink, shell)


def _photograph(
    spec: PhantomSpec,
    seed: int,
    anatomy: Anatomy,
    faults: Faults,
    clean: npt.NDArray[np.float32],
    mixing: np.ndarray,
    shifts: np.ndarray,
) -> tuple[npt.NDArray[np.uint16] | npt.NDArray[np.uint8], pd.DataFrame]:
    """Send the clean stains through the microscope and the camera."""
    grid, optics = anatomy.grid, spec.optics
    stains: list[FloatPlane] = [plane.copy() for plane in clean]
    drift_stain(stains, optics, seed, anatomy)
    lit = [_mix(stains, row) for row in mixing]
    for plane, glow in zip(lit, tissue_glow(optics, seed, anatomy, len(lit)), strict=True):
        plane += glow
    macrophages = draw_macrophages(spec, seed, anatomy, lit)
    out = np.empty(clean.shape, np.uint8 if spec.camera.bit_depth == 8 else np.uint16)
    gain = upsample(faults.gain, grid) if spec.optics.folds or spec.optics.tears else None
    dirt = 4 * faults.debris + 0.9 * faults.fat if optics.debris or optics.fat else None
    for channel, plane in enumerate(lit):
        if gain is not None:
            plane *= gain
        if dirt is not None:
            plane += upsample(dirt, grid)
        seen = blur(plane, optics, shifts[channel], grid.slide_pixel_um)
        seen += np.float32(optics.glass)
        shade = illumination(optics, seed, channel, grid.slide_shape)
        if shade is not None:
            seen *= shade
        out[channel] = expose(seen, spec.camera, key(seed, "camera", channel))
    return out, macrophages


def _mix(stains: list[FloatPlane], row: np.ndarray) -> FloatPlane:
    total = np.zeros_like(stains[0])
    for share, stain in zip(row, stains, strict=True):
        if share:
            cv2.scaleAdd(stain, float(share), total, total)
    return total


def _truth(
    spec: PhantomSpec,
    seed: int,
    anatomy: Anatomy,
    faults: Faults,
    cells: pd.DataFrame,
    macrophages: pd.DataFrame,
    instances: npt.NDArray[np.uint32],
    clean: npt.NDArray[np.float32],
    mixing: np.ndarray,
    shifts: np.ndarray,
) -> Truth:
    artefact = faults.artefact | fat_patch(faults, anatomy)
    tissue = anatomy.tissue & ~faults.tear
    labels = anatomy.labels.copy()
    labels[artefact & tissue] = Compartment.ARTEFACT
    labels[~tissue] = Compartment.BACKGROUND
    human = int((cells["type"] == "human").sum())
    table = pd.concat([cells, macrophages], ignore_index=True) if len(macrophages) else cells.copy()
    areas = np.bincount(instances.ravel(), minlength=human + 1)[1:] * anatomy.grid.slide_pixel_um**2
    table.insert(0, "instance", np.where(np.arange(len(table)) < human, np.arange(len(table)) + 1, 0))
    table["visible_area_um2"] = np.nan
    table.loc[: human - 1, "visible_area_um2"] = areas[:human]
    psf = {
        "core_um": spec.optics.psf_um,
        "defocus_um": spec.optics.defocus_um,
        "defocus_share": spec.optics.defocus_share,
        "shift_um": shifts.tolist(),
    }
    parameters = {
        "generator": "slab",
        "seed": seed,
        "spec": spec.model_dump(mode="json"),
        "shape": list(anatomy.grid.slide_shape),
    }
    values = true_values(anatomy.grid, labels, tissue, table[:human], instances, spec)
    return Truth(anatomy.grid, labels, tissue, artefact, table, instances, clean, psf, mixing, parameters, values)
