"""Write a synthetic section as microscopes do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.phantom.model import Phantom

TILE_PX = 512


def write_ome_tiff(phantom: Phantom, path: str | Path, *, pyramid: bool = False) -> None:
    """Write the pixels as a tiled, deflated OME-TIFF with channel names and pixel size.

    With ``pyramid`` the halved resolutions follow as SubIFDs, as slide scanners leave them. The file carries no
    date, so that the same phantom is the same file.
    """
    levels = [phantom.pixels]
    while pyramid and min(levels[-1].shape[1:]) > 2 * TILE_PX:
        levels.append(_halved(levels[-1]))
    pixel = phantom.pixel_size_um
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": list(phantom.channel_names)},
        "PhysicalSizeX": pixel,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": pixel,
        "PhysicalSizeYUnit": "µm",
        "SignificantBits": phantom.spec.camera.bit_depth,
        "UUID": "urn:uuid:00000000-0000-0000-0000-000000000000",
    }
    options = {
        "photometric": "minisblack",
        "tile": (TILE_PX, TILE_PX),
        "compression": "zlib",
        "compressionargs": {"level": 1},
    }
    with tifffile.TiffWriter(path, ome=True, byteorder="<") as tif:
        tif.write(
            levels[0],
            subifds=len(levels) - 1,
            metadata=metadata,
            datetime=None,
            software="thymusimg phantom",
            **options,
        )
        for level in levels[1:]:
            tif.write(level, subfiletype=1, **options)


def _halved(pixels: np.ndarray) -> np.ndarray:
    height, width = (s // 2 for s in pixels.shape[1:])
    return np.stack(
        [cv2.resize(p[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA) for p in pixels]
    )
