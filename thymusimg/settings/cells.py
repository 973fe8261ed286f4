from __future__ import annotations

from thymusimg.settings.base import Frozen


class CellSettings(Frozen):
    """How human CD45+ cells are found."""

    method: str = "classical"
    """``classical`` (no training), ``network``, ``cellpose``, a model's name or folder, or ``none``."""


class GateSettings(Frozen):
    """How the CD45 threshold is set."""
