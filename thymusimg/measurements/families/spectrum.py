"""At which wavelengths the keratins vary, and in which direction their strands run (R11, R16)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thymusimg.measurements.families.declare import BY_PARENCHYMA, declare
from thymusimg.measurements.schema import Curve, WeightedMean
from thymusimg.measurements.stains.anisotropy import measure_anisotropy
from thymusimg.measurements.stains.spectrum import multitaper_spectrum
from thymusimg.measurements.view import NO_CORTEX, NO_MEDULLA, NO_PARENCHYMA, no_stain

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView

_MICASA = "R16; Sornborger 2017 (Nat Commun 8:15619)"
_TENSOR = "R11; Bigün 1987; Weickert 1999 (Int J Comput Vis 31:111)"


class _Texture(NamedTuple):
    """A keratin in the compartment that it marks, and the direction that its strands are compared with."""

    role: str
    compartment: str
    normal: str


_TEXTURES = (_Texture("k8", "cortex", "capsule"), _Texture("k14", "medulla", "corticomedullary junction"))

COLUMNS = (
    *(
        declare(
            f"{role}_dominant_wavelength_um",
            "µm",
            f"Wavelength of at least 57 µm at which the variance of {role.upper()} per octave is largest "
            "(multitaper, circularly averaged spectrum inside the parenchyma); undefined without a peak between 57 "
            "µm and half the section's diameter, as for a stain that lies in both compartments alike",
            _MICASA,
            BY_PARENCHYMA,
            "log",
        )
        for role in ("k14", "k8")
    ),
    *(
        declare(
            f"{role}_coarse_share",
            "fraction",
            f"Share of the variance of {role.upper()} at wavelengths of 18-247 µm that lies at 73 µm and above: "
            "0.06 where neighbouring pixels are unlike, towards 1 the coarser the pattern",
            _MICASA,
            BY_PARENCHYMA,
            "logit",
            "0-1",
        )
        for role in ("k14", "k8")
    ),
    *(
        column
        for texture in _TEXTURES
        for column in (
            declare(
                f"{texture.role}_anisotropy_{texture.compartment}",
                "fraction",
                f"Energy-weighted structure-tensor coherence of {texture.role.upper()} in the "
                f"{texture.compartment} (gradient at 4 µm, tensor at 20 µm) beyond that of isotropic noise with "
                "the same spectrum: 0 no common direction, 1 parallel strands; chance leaves it a little on either "
                "side of 0",
                _TENSOR,
                WeightedMean(f"{texture.compartment}_area_mm2"),
                "identity",
                "≤ 1",
            ),
            declare(
                f"{texture.role}_radial_alignment_{texture.compartment}",
                "fraction",
                f"Mean cos 2θ of {texture.role.upper()} strands in the {texture.compartment} with the normal of "
                f"the {texture.normal}, weighted by energy: 1 along the normal, -1 parallel to the "
                f"{texture.normal}, 0 no preference",
                _TENSOR,
                WeightedMean(f"{texture.compartment}_area_mm2"),
                "identity",
                "-1 to 1",
            ),
        )
    ),
)

CURVES = tuple(
    Curve(
        f"{role}_spectrum",
        "wavelength",
        "µm",
        "µm²",
        f"Power spectral density of {role.upper()} over its mean inside the parenchyma: four sine tapers times the "
        "mask, averaged over directions in quarter octaves; ∫ 2πf power df is the squared coefficient of variation",
        _MICASA,
    )
    for role in ("k14", "k8")
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns and curves of this family."""
    for role in ("k14", "k8"):
        _spectrum(row, view, role)
    for texture in _TEXTURES:
        _direction(row, view, texture)


def _spectrum(row: Row, view: SectionView, role: str) -> None:
    plane = view.planes.get(role)
    why = no_stain(role) if plane is None else NO_PARENCHYMA
    if plane is not None and view.parenchyma_mm2 > 0:
        found = multitaper_spectrum(plane, view.parenchyma, view.pixel_um)
        no_peak = f"{role.upper()} has no dominant wavelength between 57 µm and half the section's diameter"
        row.put(f"{role}_dominant_wavelength_um", found.dominant_wavelength_um, no_peak)
        narrow = "the section is narrower than twice 247 µm, or the stain is empty"
        row.put(f"{role}_coarse_share", found.coarse_share, narrow)
        small = "the section is too small for this wavelength, or the stain is empty"
        weight = np.where(np.isfinite(found.power_um2), view.parenchyma_mm2, np.nan)
        row.curve(f"{role}_spectrum", found.wavelength_um, found.power_um2, weight=weight, why=small)
        return
    names = (f"{role}_dominant_wavelength_um", f"{role}_coarse_share")
    row.put_all(dict.fromkeys(names, math.nan), why)
    row.no_curve(f"{role}_spectrum", why)


def _direction(row: Row, view: SectionView, texture: _Texture) -> None:
    names = (
        f"{texture.role}_anisotropy_{texture.compartment}",
        f"{texture.role}_radial_alignment_{texture.compartment}",
    )
    plane = view.planes.get(texture.role)
    mask = view.cortex if texture.compartment == "cortex" else view.medulla
    why = no_stain(texture.role) if plane is None else NO_CORTEX if texture.compartment == "cortex" else NO_MEDULLA
    if plane is None or not mask.any():
        row.put_all(dict.fromkeys(names, math.nan), why)
        return
    maps = view.compartments
    depth = maps.depth_from_capsule_um if texture.compartment == "cortex" else maps.distance_to_cmj_um
    found = measure_anisotropy(plane, mask, view.pixel_um, depth_um=depth, seed=view.settings.stain_seed)
    small = f"less than 0.01 mm² of {texture.compartment} lies off its edge, or {texture.role.upper()} is empty"
    row.put(names[0], found.coherence, small)
    unknown = f"the distance to the {texture.normal} is not known in the {texture.compartment}"
    row.put(names[1], found.radial, small if math.isnan(found.coherence) else unknown)
