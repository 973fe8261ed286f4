"""PNG and JPEG: the red/green/blue composites that papers print, and single stains saved as pictures."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import imagecodecs
import numpy as np

from thymusimg.errors import UnreadableError, UnsupportedFormatError
from thymusimg.section.model import Level
from thymusimg.section.readers.base import RGB_NAMES, LazyImage, Scene, check_size, choose_scene
from thymusimg.section.readers.blocks import SPILL_BYTES, BlockCache

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.section.model import Window

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
"""Intensity channels of each PNG colour type: grey, RGB, palette, grey + alpha, RGB + alpha."""

PNG_PALETTE, PNG_WITH_ALPHA = 3, (4, 6)
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
LARGEST_PX = 2**29
"""A picture is decoded whole; beyond this (23,000 px a side) it must be saved in tiles."""


class Header(NamedTuple):
    """What a picture says of itself before it is decoded."""

    format: str
    shape: tuple[int, int]
    bits: int
    channels: int
    warnings: tuple[str, ...] = ()


def open_rgb(path: Path, scene: str | int | None) -> LazyImage:
    """Open a PNG or JPEG; it is decoded when its first pixel is read.

    Raises
    ------
    UnreadableError
        If the header is broken or declares an absurd size.
    UnsupportedFormatError
        If the pixels are no grey or RGB intensities, or the picture is too large to be decoded whole.
    """
    name = str(path)
    try:
        header = read_header(path)
    except (struct.error, IndexError) as error:
        raise UnreadableError(f"{name}: ends within its header. It is truncated: copy it again.") from error
    shape, wide = header.shape, header.bits > 8
    check_size(name, shape, header.channels * (2 if wide else 1), path.stat().st_size)
    if shape[0] * shape[1] > LARGEST_PX:
        raise UnsupportedFormatError(
            f"{name}: {shape[1]} × {shape[0]} px is too large for a PNG or JPEG. Export a tiled OME-TIFF."
        )
    choose_scene(name, [Scene(0, "", shape)], scene)
    warnings = list(header.warnings)
    if shape[0] * shape[1] * header.channels > SPILL_BYTES:
        warnings.append("is decoded whole, into a temporary file; tiled files need less memory")
    return LazyImage(
        path=name,
        format=header.format,
        channel_names=RGB_NAMES if header.channels == 3 else ("",),
        emission_nm=(None,) * header.channels,
        dtype=np.dtype(np.uint16 if wide else np.uint8),
        bit_limit=65535.0 if wide else 255.0,
        levels=(Level(shape, 1.0),),
        tile_shape=shape,
        source=_Picture(path, header),
        # Eight bits are made for the eye; a 16-bit grey PNG may hold what the camera saw.
        semi_quantitative=header.channels == 3 or not wide,
        lossy="JPEG" if header.format == "JPEG" else "",
        warnings=tuple(warnings),
        scene="0",
    )


def read_header(path: Path) -> Header:
    """Read size and colour of a PNG or JPEG.

    Raises
    ------
    UnreadableError, UnsupportedFormatError
    """
    data = path.read_bytes()[: 2**20]
    return _png(path, data) if data.startswith(PNG_HEAD) else _jpeg(path, data)


def _png(path: Path, data: bytes) -> Header:
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    if colour not in PNG_CHANNELS:
        raise UnreadableError(f"{path}: the PNG header is broken (colour type {colour}).")
    if bits == 1 and colour == 0:
        raise UnsupportedFormatError(f"{path}: the pixels are a 1-bit mask, not an intensity image.")
    warnings = []
    if colour == PNG_PALETTE:
        warnings.append("has indexed colours, which were turned into red, green and blue")
    if colour in PNG_WITH_ALPHA:
        warnings.append("an alpha channel was left out")
    return Header("PNG", (height, width), bits, PNG_CHANNELS[colour], tuple(warnings))


def _jpeg(path: Path, data: bytes) -> Header:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # fill bytes and markers without a body
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if marker in JPEG_FRAMES:
            bits, height, width, channels = struct.unpack(">BHHB", data[at + 4 : at + 10])
            if channels not in (1, 3):
                raise UnsupportedFormatError(
                    f"{path}: has {channels} colour components (CMYK?). Export RGB or grey."
                )
            return Header("JPEG", (height, width), bits, channels)
        at += 2 + length
    raise UnreadableError(f"{path}: is a JPEG without an image header. It is damaged or truncated: copy it again.")


class _Picture:
    """A source that decodes the whole picture once."""

    def __init__(self, path: Path, header: Header) -> None:
        self._path, self._header = path, header
        self._cache = BlockCache()

    def read(self, level: int, channel: int, z: int, window: Window) -> npt.NDArray[np.generic]:
        whole = self._cache.get("picture", self._decode)
        return np.array(whole[window.slices][:, :, channel], order="C")

    def close(self) -> None:
        self._cache.clear()

    def _decode(self) -> npt.NDArray[np.generic]:
        data = self._path.read_bytes()
        decode = imagecodecs.png_decode if self._header.format == "PNG" else imagecodecs.jpeg_decode
        pixels: npt.NDArray[np.generic] = np.atleast_3d(decode(data))
        if pixels.shape[:2] != self._header.shape or pixels.shape[2] < self._header.channels:
            raise UnreadableError(f"{self._path}: decodes to {pixels.shape}, not to what its header declares.")
        return pixels
