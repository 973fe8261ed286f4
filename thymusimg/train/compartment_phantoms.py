"""Synthetic sections for a compartment network: both generators, all presets, optics from good to very bad."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.channels.correct import estimate_correction
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.tissue import find_tissue
from thymusimg.errors import TissueError
from thymusimg.phantom import GENERATORS, PRESETS, CameraSpec, OpticsSpec, make_phantom
from thymusimg.phantom.section import as_section
from thymusimg.phantom.spec import spec_from
from thymusimg.progress import silent
from thymusimg.section.survey import survey_section
from thymusimg.settings import Settings
from thymusimg.train.compartment_sections import TrainingSection, as_training_section

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.phantom import PhantomSpec
    from thymusimg.progress import Progress

FIRST_SEED = 10_000_000
"""Seeds of the phantoms that are trained on begin here, far above those of validation and tests."""
SEEDS_A_RUN = 100_000
_PRESETS = {
    "wild_type": 0.20, "progenitor_10wk": 0.23, "cd34_10wk": 0.27, "untreated_nsg": 0.18, "no_architecture": 0.12,
}  # fmt: skip
_PIXELS_UM = {1.0: 0.6, 0.8: 0.2, 0.5: 0.2}
_LARGEST_MM2 = {1.0: 2.5, 0.8: 1.6, 0.5: 0.6}
_SEVEREST = 1.4
"""Of a fault, against what is called hard."""
_COUNTS = ("folds", "tears", "debris", "bubbles")


def draw_sections(
    count: int, seed: int, *, cache: Path | None = None, workers: int = 1, progress: Progress = silent
) -> list[TrainingSection]:
    """Draw sections, and do with them what an analysis does before it divides the tissue.

    Parameters
    ----------
    count : int
        The first sections are the same whatever the count. Those without tissue are left out.
    seed : int
    cache : Path, optional
        Folder that keeps every section as a file.
    workers : int
        Processes; results do not depend on it.
    progress : callable
    """
    seeds = [FIRST_SEED + seed * SEEDS_A_RUN + place for place in range(count)]
    found: list[TrainingSection | None] = []
    if workers <= 1:
        for done, one in enumerate(seeds, start=1):
            found.append(_kept(one, cache))
            progress("drawing sections", done / count)
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            for done, section in enumerate(pool.map(_kept, seeds, [cache] * count), start=1):
                found.append(section)
                progress("drawing sections", done / count)
    return [section for section in found if section is not None]


def _kept(seed: int, cache: Path | None) -> TrainingSection | None:
    if cache is None:
        return draw_section(seed)
    path = cache / f"{seed}.npz"
    if path.exists():
        return TrainingSection.load(path)
    section = draw_section(seed)
    if section is not None:
        cache.mkdir(parents=True, exist_ok=True)
        section.save(path)
    return section


def draw_section(seed: int) -> TrainingSection | None:
    """Draw the section of a seed; None if no tissue is found on it."""
    rng = np.random.default_rng(seed)
    generator = str(rng.choice(tuple(GENERATORS)))
    preset = str(rng.choice(tuple(_PRESETS), p=tuple(_PRESETS.values())))
    pixel_um = float(rng.choice(tuple(_PIXELS_UM), p=tuple(_PIXELS_UM.values())))
    spec = _spoiled(PRESETS[preset].draw(seed), pixel_um, rng)
    phantom = make_phantom(spec, seed, pixel_size_um=pixel_um, generator=generator)
    name = f"{generator} {preset} {seed}"
    survey = survey_section(as_section(phantom, name), threads=1)
    settings = Settings()
    try:
        tissue = find_tissue(survey, settings.tissue)
    except TissueError:
        return None
    correction = estimate_correction(survey, tissue.mask, tissue.background, settings.correction)
    planes = correction.apply_coarse(survey.planes)
    labels = np.where(phantom.truth.tissue, phantom.truth.labels, Compartment.BACKGROUND).astype(np.uint8)
    return as_training_section(name, name, planes, tissue, survey.grid, labels, settings.compartments)


def _spoiled(spec: PhantomSpec, pixel_um: float, rng: np.random.Generator) -> PhantomSpec:
    """Return the spec with its own faults, each of a strength of its own, other stain strengths, another camera."""
    values: dict[str, Any] = spec.model_dump()
    values["area_mm2"] = float(min(values["area_mm2"], rng.uniform(0.3, 1.0) * _LARGEST_MM2[pixel_um]))
    values["optics"] |= _optics(values["optics"], pixel_um, rng)
    if rng.random() < 0.4:
        values["k14_strength"] = float(np.exp(rng.uniform(np.log(0.2), np.log(1.5))))
    if rng.random() < 0.4:
        values["k8_strength"] = float(np.exp(rng.uniform(np.log(0.3), np.log(1.5))))
    values["k8_in_medulla"] = float(np.clip(values["k8_in_medulla"] + rng.uniform(-0.15, 0.25), 0.1, 0.95))
    for mesh in ("mesh_cortex_um", "mesh_medulla_um"):  # real meshes are known to a factor, not to a µm
        values[mesh] = float(np.clip(values[mesh] * np.exp(rng.uniform(-0.25, 0.25)), 4, 18))
    if rng.random() < 0.5:
        eight = rng.random() < 0.4
        values["camera"] = CameraSpec(
            peak_electrons=float(np.exp(rng.uniform(np.log(20), np.log(600)))),
            bit_depth=8 if eight else 16,
            gain_dn_per_e=4.0 if eight else 2.0,
        ).model_dump()
    return spec_from(values)


def _optics(nominal: dict[str, Any], pixel_um: float, rng: np.random.Generator) -> dict[str, Any]:
    """Return faults: none but the preset's in a fifth, the hard ones in a quarter, random ones elsewhere."""
    hard = OpticsSpec.hard().model_dump()
    kind = rng.random()
    if kind < 0.2:
        return {}
    if kind < 0.45:
        return hard
    found: dict[str, Any] = {}
    for name, worst in hard.items():
        share = rng.uniform(0, _SEVEREST)
        if name in ("tile_px", "fat"):
            continue
        value = nominal[name] + share * (worst - nominal[name])
        found[name] = round(value) if name in _COUNTS else value
    found["stain_drift"] = float(rng.uniform(0.05, 0.6))
    found["seam"] = float(rng.choice((0.01, 0.05, 0.1)))
    found["bleed"] = float(rng.uniform(0, 0.12))
    found["fat"] = bool(rng.random() < 0.5)
    found["tile_px"] = max(64, round(rng.uniform(200, 700) / pixel_um))
    if rng.random() < 0.25:
        found["psf_um"] = float(rng.uniform(0.5, 2.0))
    return found
