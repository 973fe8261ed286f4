from __future__ import annotations

from pydantic import Field

from thymusimg.settings.base import Frozen


class CellSettings(Frozen):
    """How human CD45+ cells are found."""

    method: str = "classical"
    """``classical`` (no training), ``network``, ``cellpose``, a model's name or folder, or ``none``."""

    minimum_score: float = Field(0.5, ge=0, le=1)
    """Detections with a lower ``score`` are dropped; 0.5 is the balance of missed and false cells."""

    minimum_area_um2: float = Field(10.0, gt=0)
    """Smallest cell profile, in µm²; smaller ones are the caps of cells that lie above or below the section."""

    maximum_overlap: float = Field(0.6, gt=0, le=1)
    """Of two outlines that share more than this part of the smaller one, the weaker is dropped."""

    coarsest_pixel_um: float = Field(1.0, gt=0, le=2)
    """Coarser sections get no cells: a cell would be fewer than 6 pixels wide."""


class GateSettings(Frozen):
    """How the CD45 threshold is set."""

    deviations: float = Field(3.0, ge=2, le=50)
    """Without controls: the gate lies this many SDs above the background of CD45-negative tissue."""

    control_quantile: float = Field(0.995, gt=0.5, lt=1)
    """Quantile of the controls' tissue pixels that becomes the gate (catalogue Q: 99.5 %)."""

    sample_tiles: int = Field(40, ge=4, le=400)
    """At most so many full-resolution tiles are read to measure the background."""

    sample_tile_px: int = Field(256, ge=64, le=2048)
    """Side of such a tile, in full-resolution pixels."""
