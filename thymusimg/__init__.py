"""Measure the thymus: cortex, medulla and human CD45+ cells, from sections to groups.

Only names are bound here; the modules behind them load when a name is first used, so that
``import thymusimg`` stays fast and pulls in no torch, Qt, napari or cellpose.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from thymusimg._version import __version__

if TYPE_CHECKING:
    from thymusimg.channels.open import open_section
    from thymusimg.pipeline import SectionResult, analyse_section
    from thymusimg.section.model import Section
    from thymusimg.settings import Settings

_HOMES = {
    "Section": "thymusimg.section.model",
    "SectionResult": "thymusimg.pipeline",
    "Settings": "thymusimg.settings",
    "analyse_section": "thymusimg.pipeline",
    "open_section": "thymusimg.channels.open",
}

__all__ = ["Section", "SectionResult", "Settings", "__version__", "analyse_section", "open_section"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'thymusimg' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
