from __future__ import annotations

from pydantic import Field

from thymusimg.settings.base import Frozen


class ComputeSettings(Frozen):
    """How the work is cut up; no result depends on it."""

    tile_px: int = Field(1024, ge=64, le=16384)
    """Side of a processing tile, in full-resolution pixels."""

    threads: int = Field(2, ge=1, le=256)
    """Threads of one worker."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """Where networks run. The classical methods run on the CPU."""
