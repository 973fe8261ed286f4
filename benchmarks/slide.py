"""A big synthetic slide: phantom sections side by side, as a flat or a pyramidal OME-TIFF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tifffile

from thymusimg.phantom import PRESETS, make_phantom

if TYPE_CHECKING:
    from pathlib import Path

CHANNELS = ("hCD45", "KRT14", "KRT8", "DAPI")


def write_slide(path: Path, side: int, *, pyramid: bool, seed: int = 0, pixel_size_um: float = 0.5) -> None:
    """Write 4 × side² uint16, deflate, tiles of 512 px.

    A phantom of 2048 px is drawn once a quadrant kind and set out with flips: its texture is that of a section, and
    drawing costs seconds instead of minutes.
    """
    block = 2048
    spec = PRESETS["progenitor_10wk"].draw(seed).model_copy(update={"dapi": True, "area_mm2": 0.6})
    cell = make_phantom(spec, seed, pixel_size_um=pixel_size_um, size_mm=block * pixel_size_um * 1e-3).pixels
    slide = np.empty((len(CHANNELS), side, side), np.uint16)
    for row in range(0, side, block):
        for column in range(0, side, block):
            turned = cell[:, :: 1 - 2 * ((row // block) % 2), :: 1 - 2 * ((column // block) % 2)]
            height, width = min(block, side - row), min(block, side - column)
            slide[:, row : row + height, column : column + width] = turned[:, :height, :width]
    levels = 3 if pyramid else 0
    options = {"compression": "zlib", "tile": (512, 512), "photometric": "minisblack", "maxworkers": 2}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as writer:
        writer.write(
            slide,
            subifds=levels,
            metadata={
                "axes": "CYX",
                "Channel": {"Name": list(CHANNELS)},
                "PhysicalSizeX": pixel_size_um,
                "PhysicalSizeXUnit": "µm",
                "PhysicalSizeY": pixel_size_um,
                "PhysicalSizeYUnit": "µm",
            },
            **options,
        )
        small = slide
        for _ in range(levels):
            small = small.reshape(4, small.shape[1] // 2, 2, small.shape[2] // 2, 2).mean((2, 4)).astype(np.uint16)
            writer.write(small, subfiletype=1, **options)
