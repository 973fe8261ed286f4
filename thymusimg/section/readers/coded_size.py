"""How large a compressed picture becomes, by its own header: asked before it is decoded.

A TIFF's tile may be a JPEG or JPEG 2000 file of any size, whatever the TIFF says of its tiles; their decoders make
room for what that header declares. Decoders of plain bytes (deflate, LZW, zstd …) are given the room they may fill.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from thymusimg.errors import UnsupportedFormatError

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES = (1, 5, 8, 32773, 32946, 34925, 34926, 50000)
"""None, LZW, deflate, PackBits, LZMA, zstd: decoded into room of a known size."""

JPEG = (6, 7, 33007, 34892)
JPEG_2000 = (33003, 33004, 33005, 34712)
PNG, WEBP = 34933, 50001
CCITT = (2, 3, 4)
"""Of 1-bit masks, which are refused for what they are."""

TOLERANCE = 2
"""A last strip may be coded at the full height of the others."""

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def check_compression(path: str, compression: int, name: str) -> None:
    """Refuse compressions of which nobody can say beforehand how large a block becomes.

    Raises
    ------
    UnsupportedFormatError
    """
    if compression not in (*BYTES, *JPEG, *JPEG_2000, *CCITT, PNG, WEBP):
        raise UnsupportedFormatError(
            f"{path}: its pixels are compressed as {name or compression}, which is not read. Save it with deflate, "
            "LZW, zstd, JPEG or JPEG 2000."
        )


def check_coded_size(compression: int, data: bytes, block: tuple[int, int]) -> None:
    """Refuse a coded block that declares more pixels than the file says of its blocks.

    Parameters
    ----------
    compression : int
        Value of the TIFF's tag.
    data : bytes
        The block, with the header that it shares with others.
    block : (int, int)
        Height and width that the TIFF declares.

    Raises
    ------
    ValueError
        If it declares more, or its header cannot be read.
    """
    reader = _READERS.get(compression)
    if reader is None:
        return
    try:
        height, width = reader(data)
    except (struct.error, IndexError) as error:
        raise ValueError("a block ends within its header") from error
    if height * width > TOLERANCE * block[0] * block[1]:
        raise ValueError(
            f"a block declares {width} × {height} px where the file has blocks of {block[1]} × {block[0]} px"
        )


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1  # as decoders do, look for the next marker
            continue
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if marker in _FRAMES:
            _, height, width = struct.unpack(">BHH", data[at + 4 : at + 9])
            return height, width
        at += 2 + length
    return 0, 0  # no frame: nothing that could be decoded


def _jpeg2000(data: bytes) -> tuple[int, int]:
    at = 0
    if not data.startswith(b"\xff\x4f"):  # boxes, of which one holds the code
        while data[at + 4 : at + 8] != b"jp2c":
            (size,) = struct.unpack(">I", data[at : at + 4])
            if size == 1:
                (size,) = struct.unpack(">Q", data[at + 8 : at + 16])
            at += max(size, 8) if size else len(data)
            if at >= len(data):
                return 0, 0
        at += 16 if data[at : at + 4] == b"\0\0\0\1" else 8
    right, bottom, left, top = struct.unpack(">IIII", data[at + 8 : at + 24])
    return max(0, bottom - top), max(0, right - left)


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", data[16:24])
    return height, width


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", data[26:30]))
    return height, width


_READERS: dict[int, Callable[[bytes], tuple[int, int]]] = {
    **dict.fromkeys(JPEG, _jpeg),
    **dict.fromkeys(JPEG_2000, _jpeg2000),
    PNG: _png,
    WEBP: _webp,
}
