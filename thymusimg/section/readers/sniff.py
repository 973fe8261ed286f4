"""What a file is, by its first bytes and then by its name."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from thymusimg.errors import UnreadableError, UnsupportedFormatError

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 512

TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

BY_NAME = {
    ".vsi": "Olympus VSI",
    ".oir": "Olympus OIR",
    ".oib": "Olympus OIB",
    ".oif": "Olympus OIF",
    ".ets": "Olympus ETS",
    ".mrxs": "3DHISTECH MRXS",
    ".zvi": "Zeiss ZVI",
    ".ims": "Imaris IMS",
    ".dcm": "DICOM",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WebP",
    ".jp2": "JPEG 2000",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".xlef": "Leica XLEF",
    ".dv": "DeltaVision",
    ".nrrd": "NRRD",
    ".mvd2": "Volocity",
}
"""Formats that no reader of ours takes, by extension. VSI and MRXS wear the head of a TIFF or JPEG."""

BY_HEAD = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"\x89HDF", "HDF5"),
    (b"OLYMPUSRAWFORMAT", "Olympus OIR"),
    (b"\xd0\xcf\x11\xe0", "an OLE file (ZVI, OIB or Office)"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
)


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file.

    Raises
    ------
    UnreadableError
        If the file is missing, empty, a folder, or may not be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError(f"{path}: is no file (a device, socket or pipe).")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except UnreadableError:
        raise
    except FileNotFoundError:
        raise UnreadableError(f"{path}: there is no such file.") from None
    except PermissionError:
        raise UnreadableError(f"{path}: no permission to read it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableError(f"{path}: cannot be read ({reason}).") from error
    if not head:
        raise UnreadableError(f"{path}: the file is empty (0 bytes).")
    return head


def recognise(path: Path, head: bytes) -> str:
    """Return the key of the reader for a file: ``tiff``, ``czi``, ``nd2``, ``lif``, ``rgb``, or ``other``.

    Raises
    ------
    UnreadableError
        If the bytes are those of no image; the message shows them.
    UnsupportedFormatError
        If the file is an archive or a document.
    """
    suffix = path.suffix.lower()
    if suffix in BY_NAME:
        return "other"
    if head[:4] in TIFF_HEADS:
        return "tiff"
    if head.startswith(b"ZISRAWFILE"):
        return "czi"
    if head.startswith(b"\xda\xce\xbe\x0a") or (suffix == ".nd2" and head[4:8] == b"jP  "):
        return "nd2"
    if head.startswith(b"\x70\0\0\0") and suffix in (".lif", ".lof", ".xlif"):
        return "lif"
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return "rgb"
    for start, name in BY_HEAD:
        if head.startswith(start):
            if name.startswith("a"):
                raise UnsupportedFormatError(f"{path}: is {name}, not an image. Unpack or export it first.")
            return "other"
    raise UnreadableError(f"{path}: {_evidence(head, suffix)}")


def format_name(path: Path, head: bytes) -> str:
    """Name a format that no reader of ours takes."""
    by_head = next((name for start, name in BY_HEAD if head.startswith(start)), "")
    return BY_NAME.get(path.suffix.lower()) or by_head or "an unknown format"


def _evidence(head: bytes, suffix: str) -> str:
    shown = head[:16]
    if not any(head):
        return "begins with zeros only: the file is damaged or was not copied to its end."
    if _is_text(head):
        named = f" in spite of its name ({suffix})" if suffix else ""
        return f"is text, not an image{named}; it begins with {shown!r}."
    return f"is no image format that is known here; its first bytes are {shown.hex(' ')} ({shown!r})."


def _is_text(head: bytes) -> bool:
    try:
        text = head[:-3].decode("utf-8") if len(head) == HEAD_BYTES else head.decode("utf-8")
    except UnicodeDecodeError:
        # Latin-1 takes any byte; text in it is mostly plain letters, and noise is not.
        text = head.decode("latin-1") if sum(byte < 128 for byte in head) > 0.8 * len(head) else "\0"
    return all(c in "\t\r\n" or (ord(c) >= 32 and not 127 <= ord(c) < 160) for c in text)
