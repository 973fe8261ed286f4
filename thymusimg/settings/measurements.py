from __future__ import annotations

from thymusimg.settings.base import Frozen


class MeasurementSettings(Frozen):
    """Scales and cuts of the measurements."""
