from __future__ import annotations

from thymusimg.settings.base import Frozen


class TissueSettings(Frozen):
    """How tissue is told from background, debris and fat."""


class CompartmentSettings(Frozen):
    """How cortex and medulla are told apart."""

    method: str = "keratin"
    """``keratin`` (no training), ``forest``, ``network``, or a model's name or folder."""
