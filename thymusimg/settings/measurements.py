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

    depth_bin_um: float = Field(25.0, ge=2, le=500)
    """Width of a bin of the cell density profile under the capsule, in µm (P4)."""

    cma_spacing_um: float = Field(10.0, ge=2, le=100)
    """Spacing of the hexagonal grid of the corticomedullary axis, in µm (P4); 15 as published for human thymus."""

    cma_neighbours: int = Field(10, ge=1, le=50)
    """How many nearest grid points of a structure give the distance to it (P4; K of Yayon et al. 2024)."""

    cma_capsule_um: float = Field(20.0, ge=2, le=100)
    """The outermost tissue, in µm, that stands for the capsule on the corticomedullary axis (P4)."""

    cma_bin: float = Field(0.1, ge=0.01, le=0.5)
    """Width of a bin of the profile along CMA₃ (P4)."""

    peripheral_um: float = Field(50.0, ge=5, le=300)
    """Cells within this distance of the capsule or a septum, in µm, are peripheral (P8)."""

    peripheral_share: float = Field(0.6, gt=0, lt=1)
    """Cells are peripheral as a whole from this share on, if the density farther in is low (P8)."""

    infiltrated_per_mm2: float = Field(500.0, ge=0)
    """Below this many cells per mm² farther in, a section is not infiltrated there (P8)."""

    restricted_share: float = Field(0.95, gt=0.5, lt=1)
    """Cells are restricted to a compartment from this share of the two compartments' densities on (P8)."""

    full_empty_share: float = Field(0.2, gt=0, lt=1)
    """Infiltration is full with less than this share of the tissue in empty 100 µm tiles (P8)."""

    clump_min_singles: int = Field(20, ge=1)
    """With fewer single cells than this, clumps are not turned into estimated cells (P10)."""

    epithelium_tile_um: float = Field(50.0, ge=10, le=500)
    """Side of the squares on which epithelium without thymocytes is sought, in µm (P11)."""

    epithelium_dense_share: float = Field(0.6, gt=0, le=1)
    """A square is dense epithelium from this keratin-positive share of its parenchyma on (P11)."""

    epithelium_empty_fraction: float = Field(0.01, gt=0, lt=1)
    """A square is free of human cells below this CD45-positive area fraction (P11)."""

    pattern_simulations: int = Field(199, ge=19, le=9999)
    """How often the cells are drawn anew to see what chance would give (P6, P7)."""

    pattern_seed: int = Field(1, ge=0)
    """Seed of these draws (P6, P7)."""

    pattern_null: str = Field("compartments", pattern=r"^(compartments|uniform)$")
    """How cells are drawn anew: as many within every compartment, or all of them anywhere (P6)."""

    pattern_reach_um: float = Field(100.0, ge=15, le=1000)
    """Largest distance between two cells that is looked at, in µm (P6). The work grows with its square."""

    pattern_core_um: float = Field(10.0, ge=0, le=50)
    """Pairs of cells no farther apart than this, in µm, are left out of L: cells cannot overlap (P6)."""

    pattern_min_cells: int = Field(10, ge=2)
    """With fewer cells in the parenchyma than this, their pattern is undefined (P6, P7)."""

    pattern_max_cells: int = Field(200_000, ge=2)
    """With more cells than this, their pattern is not measured, and says so; they are never thinned (P6, P7)."""

    stain_seed: int = Field(1, ge=0)
    """Seed of what is drawn at random about the keratins (R6, R7, R8, R11)."""

    coexpression_scrambles: int = Field(200, ge=19, le=9999)
    """How often blocks of K14 are scrambled to see what co-localisation chance gives (R6)."""

    tile_permutations: int = Field(999, ge=19, le=99999)
    """How often tiles are dealt anew to see how alike neighbours are by chance (R7)."""

    spot_relabellings: int = Field(199, ge=39, le=9999)
    """How often it is dealt anew which bright spot shows which keratin (R8)."""

    network: bool = True
    """Trace the keratin network at full resolution: strands, meshes and the cells at them (R9, R10, P9)."""
