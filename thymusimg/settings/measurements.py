from __future__ import annotations

from pydantic import Field

from thymusimg.settings.base import Frozen


class MeasurementSettings(Frozen):
    """Scales and cuts of the measurements.

    What a column's name or promise fixes (50 µm tiles of the segregation index, 100 µm tiles of evenness) is no
    setting.
    """

    islet_min_area_um2: float = Field(1500.0, ge=0, le=1e6)
    """Medullary islets smaller than this, in µm², are not counted (R2)."""

    islet_closing_um: float = Field(10.0, ge=0, le=100)
    """Gaps in the medulla up to this width, in µm, do not part an islet (R2)."""

    profile_half_length_um: float = Field(100.0, ge=20, le=500)
    """K14 profiles across the junction reach this far to either side, in µm (R5)."""

    profile_min_length_um: float = Field(200.0, ge=10, le=1e5)
    """With less junction than this, in µm, on which a profile fits, the width is undefined (R5)."""

    psf_sigma_um: float = Field(0.0, ge=0, le=10)
    """Sigma of the microscope's point spread, in µm, taken off the junction's width (R5); 0 takes nothing off."""

    coexpression_sigma_um: float = Field(2.0, ge=0, le=20)
    """Scale at which K8 and K14 count as being in the same place, in µm (R6)."""

    contour_sigma_um: float = Field(10.0, ge=1, le=50)
    """The capsule is measured on an outline smoothed at this sigma, in µm; lengths depend on it (R3, R12)."""

    capsule_depth_um: float = Field(60.0, ge=5, le=300)
    """Cortex counts as lying under the capsule if it begins within this depth, in µm (R12)."""

    tile_min_coverage: float = Field(0.5, gt=0, le=1)
    """Tiles with less parenchyma than this share of their area take no part (R7, P5)."""

    coverage_tile_um: float = Field(50.0, ge=10, le=500)
    """Side of the squares on which local CD45 coverage is computed, in µm."""

    coverage_limit: float = Field(0.6, gt=0, le=1)
    """Above this local CD45 coverage, cells in a section can no longer be told apart and counts are too low."""

    coverage_share: float = Field(0.05, ge=0, lt=1)
    """Counts are unreliable when more than this share of the CD45+ area lies in squares above the limit."""

    distance_bin_um: float = Field(25.0, ge=2, le=500)
    """Width of a bin of the cell density profile across the junction, in µm (P4)."""
