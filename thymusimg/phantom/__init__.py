"""Synthetic sections with a known answer. They prove code, not biology."""

from __future__ import annotations

from thymusimg.phantom.generate import GENERATORS, make_phantom
from thymusimg.phantom.model import Phantom, Truth
from thymusimg.phantom.presets import PRESETS
from thymusimg.phantom.spec import CameraSpec, OpticsSpec, PhantomSpec
from thymusimg.phantom.write import write_ome_tiff

__all__ = [
    "GENERATORS",
    "PRESETS",
    "CameraSpec",
    "OpticsSpec",
    "Phantom",
    "PhantomSpec",
    "Truth",
    "make_phantom",
    "write_ome_tiff",
]
