"""What a synthetic section is made of: tissue, cells, optics and camera, each with its unit and bounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, model_validator

from thymusimg.errors import SettingsError
from thymusimg.settings.base import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PACKING = 0.36
"""Random sequential addition of spheres jams at a volume fraction of about 0.38; denser cannot be drawn."""


class OpticsSpec(Frozen):
    """How stain becomes light, and what spoils it on the way. Every fault is switched off by 0."""

    psf_um: float = Field(0.35, ge=0, le=3)
    """SD of the in-focus point spread function, in µm (0.21 λ/NA plus aberration)."""
    defocus_um: float = Field(1.2, ge=0, le=10)
    """SD of the out-of-focus part, in µm: a 7 µm section is thicker than the depth of field."""
    defocus_share: float = Field(0.2, ge=0, le=1)
    """Share of the light that is out of focus."""
    shift_um: float = Field(0.15, ge=0, le=3)
    """SD of the shift between channels, in µm; the first channel stays."""
    autofluorescence: float = Field(0.04, ge=0, le=0.5)
    """Autofluorescence of tissue, as a share of a typical stain signal."""
    autofluorescence_texture: float = Field(0.25, ge=0, le=1)
    """Relative SD of its texture."""
    glass: float = Field(0.008, ge=0, le=0.2)
    """Background of the empty slide, as a share of a typical stain signal."""
    bleed: float = Field(0.015, ge=0, le=0.3)
    """Largest off-diagonal element of the mixing matrix."""
    vignetting: float = Field(0.06, ge=0, le=0.6)
    """Loss of light at the corner of a camera tile, as a share of its centre."""
    seam: float = Field(0.01, ge=0, le=0.2)
    """SD of the gain from camera tile to camera tile."""
    tile_px: int = Field(1024, ge=64, le=8192)
    """Side of a camera tile, in full-resolution pixels."""
    stain_drift: float = Field(0.05, ge=0, le=0.9)
    """SD of the slow change of stain strength over the section."""
    capsule_glow: float = Field(0.1, ge=0, le=2)
    """Extra signal of capsule and septa in every channel, as a share of a typical stain signal."""
    edge_rim: float = Field(0.0, ge=0, le=2)
    """Extra signal in a rim of 20-50 µm along the edge (edge effect), as a share of a typical stain signal."""
    macrophages_per_mm2: float = Field(6.0, ge=0, le=200)
    """Autofluorescent macrophages, bright in all channels."""
    lipofuscin_per_mm2: float = Field(20.0, ge=0, le=1000)
    """Lipofuscin specks of 1-2.5 µm, bright in all channels."""
    folds: int = Field(0, ge=0, le=5)
    """Folds: bands where the tissue lies double and every channel is 1.6-2.2 times as bright."""
    tears: int = Field(0, ge=0, le=10)
    """Tears: cracks from the edge inwards, empty."""
    debris: int = Field(0, ge=0, le=100)
    """Saturated flecks of 5-50 µm, on and off the tissue."""
    bubbles: int = Field(0, ge=0, le=20)
    """Air bubbles of 80-320 µm under the cover slip: dim inside, with a bright line around them."""
    fat: bool = False
    """A patch of bright adipocytes lies against the capsule."""

    @classmethod
    def none(cls) -> OpticsSpec:
        """Return a perfect microscope: no blur, no background, no fault."""
        names = cls.model_fields
        clean: dict[str, Any] = {n: 0 for n in names if n not in ("tile_px", "fat")}
        return cls(**clean)

    @classmethod
    def hard(cls) -> OpticsSpec:
        """Return optics with every fault switched on, as bad as real slides get."""
        return cls(
            psf_um=0.45, defocus_um=1.8, defocus_share=0.35, shift_um=0.35, autofluorescence=0.12,
            autofluorescence_texture=0.4, glass=0.02, bleed=0.07, vignetting=0.28, seam=0.05, tile_px=512,
            stain_drift=0.3, capsule_glow=0.9, edge_rim=0.4, macrophages_per_mm2=40, lipofuscin_per_mm2=120,
            folds=1, tears=2, debris=12, fat=True,
        )  # fmt: skip


class CameraSpec(Frozen):
    """How light becomes numbers."""

    peak_electrons: float = Field(400.0, ge=5, le=50_000)
    """Photo-electrons of a typical stain signal (50-2000 in practice)."""
    read_noise_e: float = Field(2.0, ge=0, le=50)
    """Read noise, in electrons (1.5-3 for sCMOS)."""
    gain_dn_per_e: float = Field(2.0, gt=0, le=200)
    """Grey levels an electron."""
    offset_dn: float = Field(100.0, ge=0, le=10_000)
    """Grey level of darkness."""
    bit_depth: Literal[8, 12, 16] = 16
    """Where the numbers are clipped; 8 bit is a 12-bit signal divided by 16, stored as uint8."""
    jpeg_quality: int = Field(0, ge=0, le=100)
    """Quality of the JPEG that an 8-bit picture goes through, 1-100; 0: no JPEG."""

    @model_validator(mode="after")
    def _jpeg_is_eight_bit(self) -> CameraSpec:
        if self.jpeg_quality and self.bit_depth != 8:
            raise ValueError(f"jpeg_quality {self.jpeg_quality} needs bit_depth 8, found {self.bit_depth}")
        return self


class PhantomSpec(Frozen):
    """A synthetic section. Lengths in µm, densities in visible profiles per mm², fractions of 1."""

    area_mm2: float = Field(0.6, ge=0.01, le=30)
    """Area of the tissue."""
    lobules: int = Field(2, ge=1, le=4)
    """Perturbed ellipses whose union is the outline."""
    outline_roughness: float = Field(0.06, ge=0, le=0.2)
    """Relative SD of the radius (Fourier)."""
    capsule_um: float = Field(9.0, ge=0, le=30)
    """Thickness of the capsule."""
    septa: int = Field(3, ge=0, le=20)
    """Septa that cut in from the capsule."""
    medulla_fraction: float = Field(0.28, ge=0, le=1)
    """Medulla as a share of the parenchyma (cortex, medulla and indeterminate)."""
    indeterminate_fraction: float = Field(0.12, ge=0, le=1)
    """Indeterminate tissue as a share of the parenchyma; cortex is the rest."""
    poor_share: float = Field(0.8, ge=0, le=1)
    """Share of the indeterminate tissue that is poor in epithelium; in the rest K8 and K14 are mixed."""
    islets: int = Field(5, ge=1, le=60)
    """Wished number of medullary islets; sets the scale of the random field, the outcome scatters."""
    boundary_fuzz_um: float = Field(12.0, ge=0, le=100)
    """SD of the error function by which the medulla ends."""
    order: float = Field(0.85, ge=0, le=1)
    """Order λ: 1 keeps every epithelial cell to its compartment; below, K8 and K14 mix at the scale of a cell."""
    double_positive: float = Field(0.12, ge=0, le=1)
    """Share of epithelial cells that are K8⁺K14⁺."""
    cyst_fraction: float = Field(0.01, ge=0, le=0.4)
    """Area of cysts (lining and lumen) as a share of the tissue."""
    vessels: int = Field(3, ge=0, le=40)
    """Blood vessels, most of them at the corticomedullary junction."""
    mesh_cortex_um: float = Field(10.0, ge=3, le=30)
    """Mesh of the cortical keratin network."""
    mesh_medulla_um: float = Field(7.0, ge=3, le=30)
    """Mesh of the medullary keratin network."""
    strand_um: float = Field(1.4, ge=0.4, le=4)
    """Width of a keratin strand (full width at half maximum)."""
    k8_in_medulla: float = Field(0.45, ge=0, le=1)
    """K8 of medullary epithelium as a share of the cortical K8."""
    k8_strength: float = Field(1.0, gt=0, le=5)
    """Strength of the K8 stain; 1 is typical."""
    k14_strength: float = Field(1.0, gt=0, le=5)
    """Strength of the K14 stain."""
    cd45_strength: float = Field(1.0, gt=0, le=5)
    """Strength of the human CD45 stain."""
    cd45_cortex_per_mm2: float = Field(6000.0, ge=0)
    """Human cells in cortex."""
    cd45_medulla_per_mm2: float = Field(2500.0, ge=0)
    """Human cells in medulla."""
    patchiness: float = Field(0.3, ge=0, le=1.5)
    """SD of the logarithm of the random field that modulates the density (Cox process)."""
    patch_um: float = Field(70.0, ge=5, le=1000)
    """Correlation length of that field."""
    clustered: float = Field(0.15, ge=0, le=1)
    """Share of the human cells that come in clusters (Thomas process: 8 cells, SD 9 µm)."""
    mouse_per_mm2: float = Field(6000.0, ge=0)
    """CD45-negative mouse nuclei (drawn with ``dapi`` only)."""
    cell_diameter_um: float = Field(6.5, ge=5, le=11)
    """Mean diameter of a thymocyte (log-normal, cut to 5-11 µm)."""
    cell_diameter_sd_um: float = Field(0.8, ge=0, le=2)
    """Its SD."""
    section_um: float = Field(7.0, ge=2, le=20)
    """Thickness of the section; bodies are cut by both faces."""
    lost_cap_um: float = Field(1.0, ge=0, le=2.4)
    """Bodies of which less than this is left between the faces are lost (no profile, no truth)."""
    membrane_um: float = Field(0.4, ge=0.1, le=1.5)
    """Thickness of the CD45 membrane."""
    cd45_cv: float = Field(0.4, ge=0, le=1)
    """Coefficient of variation of the CD45 brightness from cell to cell."""
    dapi: bool = False
    """Whether there is a DAPI channel."""
    optics: OpticsSpec = OpticsSpec()
    camera: CameraSpec = CameraSpec()

    @property
    def cortex_fraction(self) -> float:
        """Cortex as a share of the parenchyma."""
        return 1.0 - self.medulla_fraction - self.indeterminate_fraction

    def packing(self, per_mm2: float) -> float:
        """Return the volume fraction that ``per_mm2`` profiles mean in this section.

        A body shows when its centre lies in a layer of t + D − 2h (t section, D diameter, h lost cap).
        """
        d, s = self.cell_diameter_um, self.cell_diameter_sd_um
        layer = self.section_um + d - 2 * self.lost_cap_um
        volume = math.pi / 6 * d**3 * (1 + 3 * (s / d) ** 2)
        return per_mm2 * 1e-6 / layer * volume

    @model_validator(mode="after")
    def _possible(self) -> PhantomSpec:
        if self.cortex_fraction < -1e-9:
            raise ValueError(
                f"medulla_fraction {self.medulla_fraction:g} + indeterminate_fraction "
                f"{self.indeterminate_fraction:g} is above 1; cortex would be negative"
            )
        highest = MAX_PACKING / self.packing(1.0)
        for name in ("cd45_cortex_per_mm2", "cd45_medulla_per_mm2"):
            if getattr(self, name) > highest:
                raise ValueError(
                    f"{name} {getattr(self, name):g} is above packing: bodies of {self.cell_diameter_um:g} µm in a "
                    f"section of {self.section_um:g} µm hold at most {highest:.0f} profiles/mm²"
                )
        densest = max(self.cd45_cortex_per_mm2, self.cd45_medulla_per_mm2)
        if self.dapi and self.mouse_per_mm2 > highest - densest:
            raise ValueError(
                f"mouse_per_mm2 {self.mouse_per_mm2:g} is above packing: beside {densest:g} human profiles/mm² "
                f"there is room for at most {highest - densest:.0f}"
            )
        return self

    def hard(self) -> PhantomSpec:
        """Return the same tissue under hard optics."""
        return self.model_copy(update={"optics": OpticsSpec.hard()})


def spec_from(values: Mapping[str, Any]) -> PhantomSpec:
    """Return the spec that ``values`` describe.

    Raises
    ------
    SettingsError
        If a name is unknown or a value impossible; every one is named with its bound.
    """
    try:
        return PhantomSpec.model_validate(dict(values))
    except ValidationError as error:
        faults = [f"{'.'.join(str(p) for p in e['loc']) or 'phantom'}: {e['msg']}, found {e['input']!r}"
                  if e["loc"] else str(e["msg"]) for e in error.errors()]  # fmt: skip
        raise SettingsError("phantom: " + "; ".join(faults)) from error
