"""Write a synthetic section as microscopes do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from thymusimg.phantom.tiff_stream import SlideFormat, SlideWriter

if TYPE_CHECKING:
    from thymusimg.phantom.model import Phantom


def write_ome_tiff(phantom: Phantom, path: str | Path, *, pyramid: bool = False) -> None:
    """Write the pixels as a tiled, deflated OME-TIFF with channel names and pixel size.

    With ``pyramid`` the halved resolutions follow as SubIFDs, as slide scanners leave them. The file carries no
    date, so that the same phantom is the same file.
    """
    pixels = phantom.pixels
    channels, height, width = pixels.shape
    form = SlideFormat(
        (channels, height, width), str(pixels.dtype), phantom.pixel_size_um, phantom.channel_names,
        phantom.spec.camera.bit_depth, pyramid,
    )  # fmt: skip
    writer = SlideWriter(Path(path), form)
    writer.put(pixels)
    writer.close()
