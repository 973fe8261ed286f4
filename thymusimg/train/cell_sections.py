"""Synthetic sections for the training of cell networks: as different from each other as slides are, and worse.

A section is a function of one number: its seed says generator, tissue, density, optics, camera and pixel size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import SettingsError
from thymusimg.phantom import GENERATORS, PRESETS, OpticsSpec, make_phantom
from thymusimg.phantom.spec import MAX_PACKING, PhantomSpec, spec_from

if TYPE_CHECKING:
    from thymusimg.phantom import Phantom

SIZE_MM = 0.48
"""Side of a synthetic slide: small, for many different ones teach more than few large ones."""
DENSITIES: tuple[tuple[float, float, float], ...] = (
    (0.10, 0.0, 0.0), (0.10, 5.0, 200.0), (0.16, 200.0, 2_500.0), (0.24, 2_500.0, 9_000.0),
    (0.40, 9_000.0, 20_000.0),
)  # fmt: skip
"""Share of the sections, and the range of their profiles per mm² of cortex (drawn on a logarithmic scale)."""
WITH_DAPI = 0.6
AS_WORKING = 0.45
"""Share of the sections whose pixels are already those of the network; the others get 0.2-0.7 µm."""
_FLECKS = ("folds", "tears", "debris", "fat")


@dataclass(frozen=True)
class Drawn:
    """What a synthetic section is drawn from."""

    spec: PhantomSpec
    seed: int
    generator: str
    pixel_size_um: float

    def draw(self) -> Phantom:
        """Draw it."""
        return make_phantom(
            self.spec, self.seed, pixel_size_um=self.pixel_size_um, size_mm=SIZE_MM, generator=self.generator
        )


def any_section(seed: int, *, pixel_um: float = 0.5) -> Drawn:
    """Return a section of random tissue, density, optics and camera; the same for the same seed.

    Parameters
    ----------
    seed : int
    pixel_um : float
        The network's pixel size.
    """
    rng = np.random.default_rng([0xCE11, seed])
    generator = tuple(GENERATORS)[int(rng.integers(len(GENERATORS)))]
    pixel = pixel_um if rng.random() < AS_WORKING else float(np.exp(rng.uniform(math.log(0.2), math.log(0.7))))
    while True:
        try:
            return Drawn(_spec(rng, seed), seed, generator, pixel)
        except SettingsError:  # bodies that large, in a section that thick, cannot be packed that densely
            continue


def _spec(rng: np.random.Generator, seed: int) -> PhantomSpec:
    preset = PRESETS[str(rng.choice(["untreated_nsg", "cd34_10wk", "progenitor_10wk", "wild_type"]))]
    values: dict[str, Any] = preset.draw(seed).model_dump()
    values |= {
        "area_mm2": rng.uniform(0.12, 0.2), "patchiness": rng.choice([0.0, rng.uniform(0, 1.1)]),
        "clustered": rng.choice([0.0, rng.uniform(0, 0.5)]), "capsule_um": rng.uniform(4, 10),
        "membrane_um": rng.uniform(0.25, 0.95), "cd45_cv": rng.uniform(0.2, 0.7),
        "cd45_strength": float(np.exp(rng.normal(0, 0.45))), "cell_diameter_um": rng.uniform(5.6, 7.6),
        "cell_diameter_sd_um": rng.uniform(0.3, 1.3), "section_um": rng.uniform(4, 10),
    }  # fmt: skip
    cortex = _density(rng)
    medulla = cortex * (1.0 if rng.random() < 0.4 else rng.uniform(0.1, 1.1))
    values |= {"cd45_cortex_per_mm2": cortex, "cd45_medulla_per_mm2": medulla}
    values["dapi"] = bool(rng.random() < WITH_DAPI)
    bare = {"dapi": False, "cd45_cortex_per_mm2": 0.0, "cd45_medulla_per_mm2": 0.0}
    highest = 0.97 * MAX_PACKING / spec_from(values | bare).packing(1.0)
    values["mouse_per_mm2"] = min(rng.uniform(300, 9_000), max(0.0, highest - max(cortex, medulla)))
    values["optics"], values["camera"] = _optics(rng), _camera(rng)
    return spec_from(values)


def _density(rng: np.random.Generator) -> float:
    shares = [share for share, _, _ in DENSITIES]
    _, low, high = DENSITIES[int(rng.choice(len(shares), p=shares))]
    return float(np.exp(rng.uniform(math.log(low), math.log(high)))) if low else 0.0


def _optics(rng: np.random.Generator) -> dict[str, Any]:
    """Return faults between none and a fifth above the worst; damage now and then."""
    usual, worst = OpticsSpec().model_dump(), OpticsSpec.hard().model_dump()
    kind = rng.random()
    badness = 0.0 if kind < 0.2 else 1.0 if kind < 0.4 else rng.uniform(0, 1.2)
    free = 0.2 if kind < 0.4 else 1.0
    values = dict(usual)
    for name, value in usual.items():
        if name in _FLECKS or name == "tile_px":
            continue
        part = badness * (1 + free * rng.uniform(-0.8, 0.3))
        values[name] = max(0.0, value + max(0.0, part) * (worst[name] - value))
    if rng.random() < 0.15:
        values["psf_um"] = rng.uniform(0.5, 1.2)
    damaged = rng.random() < 0.35
    values |= {
        "tile_px": int(rng.choice([256, 512, 1024])), "folds": int(damaged and rng.random() < 0.3),
        "tears": int(damaged and rng.random() < 0.5), "debris": int(rng.integers(0, 6)) if damaged else 0,
        "macrophages_per_mm2": min(200.0, values["macrophages_per_mm2"] * (3 if rng.random() < 0.15 else 1)),
    }  # fmt: skip
    return values


def _camera(rng: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {
        "peak_electrons": float(np.exp(rng.uniform(math.log(12), math.log(1500)))),
        "read_noise_e": rng.uniform(0.5, 5),
    }
    if rng.random() < 0.25:
        values["peak_electrons"] = 400.0
    fullness = float(np.exp(rng.uniform(math.log(0.02), math.log(0.9))))  # of the range, at a typical signal
    kind = rng.random()
    if kind < 0.2:  # eight bits, often through a JPEG
        values |= {"bit_depth": 8, "offset_dn": rng.uniform(0, 200), "jpeg_quality": int(rng.integers(50, 98))}
        values["gain_dn_per_e"] = max(0.08, fullness) * 4095 / values["peak_electrons"]
        if rng.random() < 0.3:
            values["jpeg_quality"] = 0
    elif kind < 0.4:
        values |= {"bit_depth": 12, "gain_dn_per_e": fullness * 4095 / values["peak_electrons"]}
    else:
        values["gain_dn_per_e"] = rng.uniform(0.5, 8)
    values["gain_dn_per_e"] = float(np.clip(values.get("gain_dn_per_e", 2.0), 0.05, 200))
    return values
