from __future__ import annotations

from pydantic import Field

from thymusimg.settings.base import Frozen


class TissueSettings(Frozen):
    """How tissue is told from background, debris and fat."""

    smoothing_um: float = Field(4.0, gt=0, le=20)
    """Gaussian sigma in µm that closes the mesh of the network before tissue is told from glass."""

    threshold: float = Field(0.12, gt=0, lt=1)
    """Brightness of tissue against glass, as a fraction of the typical tissue (the median) above glass."""

    noise_sd: float = Field(5.0, gt=0)
    """Tissue is at least so many SD of the smoothed glass above its level."""

    min_area_um2: float = Field(20_000.0, ge=0)
    """Detached pieces below this area in µm² are debris, not a lobe."""

    min_share: float = Field(0.02, ge=0, lt=1)
    """Detached pieces below this share of the largest piece are debris, not a lobe."""

    max_pinhole_um2: float = Field(1_500.0, ge=0)
    """Holes up to this area in µm² (capillaries, lost cells) are filled; larger ones are tears or vessels."""

    parenchyma_width_um: float = Field(50.0, gt=0)
    """Nothing thinner than this, in µm, is parenchyma: strands, walls of fat cells, a loose capsule."""

    fold_gain: float = Field(1.5, gt=1)
    """A fold is at least so many times brighter than its surroundings, in every keratin channel together."""

    fold_width_um: float = Field(120.0, gt=0)
    """Largest width of a fold in µm."""


class CompartmentSettings(Frozen):
    """How cortex and medulla are told apart."""

    method: str = "keratin"
    """``keratin`` (no training), ``forest``, ``network``, or a model's name or folder."""

    density_um: float = Field(20.0, gt=0, le=50)
    """Gaussian sigma in µm over which the K14 share is taken: some twenty epithelial cells."""

    fine_um: float = Field(12.0, gt=0, le=50)
    """Least Gaussian sigma in µm over which strands are counted; used where K14 / K8 differs sixfold or more."""

    strand_um: float = Field(4.0, gt=0, le=20)
    """Gaussian sigma in µm within which a strand's own K14 / K8 is read: less than one epithelial cell."""

    presence_um: float = Field(12.0, gt=0, le=50)
    """Gaussian sigma in µm over which a keratin's density is taken to say that it is there: a few meshes."""

    medulla_cut: float = Field(0.5, gt=0, lt=1)
    """Share of medulla in a mixture with cortex, read from K14 / K8, above which tissue is medulla."""

    k14_cut: float = Field(0.4, gt=0, lt=1)
    """K14 is present where its density passes this fraction of the way from its cortical to its medullary level."""

    k8_cut: float = Field(0.4, gt=0, lt=1)
    """K8 is present where its density passes this fraction of the way from its lowest to its cortical level."""

    mixed_share: float = Field(0.4, ge=0, lt=1)
    """Tissue whose medullary share lies within half of this around 0.5 is mixed, where it is wide enough."""

    mixed_width_um: float = Field(80.0, gt=0)
    """Width in µm from which mixed tissue is indeterminate; below it, it is the border of the compartments."""

    min_contrast: float = Field(1.7, gt=1)
    """K14 / K8 must differ by this factor between two populations, or the section has one population only."""

    mosaic_um: float = Field(45.0, gt=0, le=150)
    """Gaussian sigma in µm over which a random mosaic of epithelial cells of both kinds averages out."""

    single_ratio: float = Field(3.0, gt=1)
    """In a section of one population, a keratin is absent when the other is this many times brighter."""

    min_islet_um2: float = Field(1_500.0, ge=0)
    """Patches below this area in µm² are absorbed by what surrounds them (catalogue R2)."""

    capsule_um: float = Field(30.0, ge=0)
    """Greatest thickness in µm of a bright capsule or septum."""

    capsule_gain: float = Field(1.6, gt=1)
    """A capsule is so many times brighter than the tissue under it."""

    junction_smoothing_um: float = Field(10.0, gt=0)
    """Gaussian sigma in µm before the junction's contour is drawn; its length depends on it (catalogue R3)."""
