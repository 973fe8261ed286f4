from __future__ import annotations

from typing import Literal

from pydantic import Field

from thymusimg.settings.base import Frozen


class QualitySettings(Frozen):
    """Limits of the quality checks; between the two limits of a pair the answer is *warn*."""

    saturation_pass: float = Field(0.001, ge=0, le=1)
    """Share of the tissue's pixels at the detector's maximum, up to which all is well (catalogue Q: 0.1 %)."""

    saturation_fail: float = Field(0.01, ge=0, le=1)
    """Share of the tissue's pixels at the maximum above which a channel's intensities are not to be used."""

    focus_pass: float = Field(0.9, ge=0, le=1)
    """Share of the tissue's tiles that must be in focus (catalogue Q: 90 %)."""

    focus_fail: float = Field(0.7, ge=0, le=1)
    """Share of tiles in focus below which the section fails."""

    focus_ratio: float = Field(0.2, gt=0, lt=1)
    """A tile is blurred when its sharpness is below this share of that of tiles of like brightness and texture."""

    illumination_pass: float = Field(0.10, ge=0)
    """Residual low-order or per-tile brightness variation (CV) up to which all is well."""

    illumination_fail: float = Field(0.20, ge=0)
    """Residual variation (CV) above which the channel fails."""

    seam_pass: float = Field(0.05, ge=0)
    """Median brightness step across stitching seams (share of the level) up to which all is well."""

    seam_fail: float = Field(0.20, ge=0)
    """Median step across seams above which the channel fails."""

    bleed_pass: float = Field(0.02, ge=0)
    """Lower-envelope slope of one channel on another up to which no bleed-through is suspected."""

    bleed_fail: float = Field(0.05, ge=0)
    """Slope above which bleed-through is likely enough to fail where co-expression is not expected."""

    autofluorescence_pass: float = Field(0.02, ge=0, le=1)
    """Share of the tissue that is bright in every channel, up to which all is well."""

    autofluorescence_fail: float = Field(0.05, ge=0, le=1)
    """Share of the tissue bright in every channel above which the section fails."""

    signal_pass: float = Field(5.0, ge=0)
    """Bright tissue (99th percentile) above background, in SDs of the background, from which a stain is there."""

    signal_fail: float = Field(2.0, ge=0)
    """Bright tissue above background, in SDs of the background, below which a stain is empty or failed."""

    registration_pass_px: float = Field(0.5, ge=0)
    """Shift between the keratin channels up to which all is well, in full-resolution pixels."""

    registration_fail_px: float = Field(4.0, ge=0)
    """Shift above which the channels do not belong on each other, in full-resolution pixels."""

    tissue_pass_mm2: float = Field(0.2, ge=0)
    """Tissue area from which a section represents a lobe, in mm²."""

    tissue_fail_mm2: float = Field(0.02, ge=0)
    """Tissue area below which nothing can be said, in mm²."""

    usable_pass: float = Field(0.8, ge=0, le=1)
    """Share of the tissue that must be usable (in focus, unsaturated)."""

    usable_fail: float = Field(0.5, ge=0, le=1)
    """Usable share below which the section fails."""


class CorrectionSettings(Frozen):
    """Background, illumination and unmixing."""

    illumination: Literal["auto", "off"] = "auto"
    """``auto`` flattens per-tile vignetting where it is found and flattening helps; ``off`` never does."""

    tile_px: float | None = Field(None, ge=32)
    """Period of the stitched camera tiles at full resolution, in px (tile side less overlap); None detects it."""

    minimum_repeat: float = Field(12.0, ge=1)
    """A tile period counts as found when what repeats has this many times the variance that chance leaves (an F
    ratio); a third of it where ``tile_px`` is given."""

    minimum_gain: float = Field(0.05, ge=0, lt=1)
    """A role is flattened only if the brightness varies by at least this share across a tile."""

    minimum_help: float = Field(0.67, ge=0, lt=1)
    """... and if at least this share of the pattern's variance is beyond chance (two halves of the tiles tell)."""

    unmixing: dict[str, dict[str, float]] | None = None
    """Mixing matrix from single-stain controls: ``unmixing[measured][source]`` is the share of the source's
    signal seen in the measured channel; the diagonal is 1. None: off. It is never learnt from the sample, where
    co-expression would be taken for bleed-through."""
