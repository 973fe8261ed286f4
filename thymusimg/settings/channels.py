from __future__ import annotations

from thymusimg.settings.base import Frozen


class QualitySettings(Frozen):
    """Limits of the quality checks."""


class CorrectionSettings(Frozen):
    """Background, illumination and unmixing."""
