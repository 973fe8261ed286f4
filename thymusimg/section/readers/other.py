"""Formats that only the optional library openreadout reads (VSI, OIR …); without it they are refused by name."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from thymusimg.errors import UnsupportedFormatError
from thymusimg.section.readers.sniff import format_name, read_head

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.section.readers.base import LazyImage


def open_other(path: Path, scene: str | int | None) -> LazyImage:
    """Open a file through openreadout, or refuse it by the name of its format.

    Raises
    ------
    UnsupportedFormatError
    """
    name = format_name(path, read_head(path))
    if find_spec("openreadout") is None:
        raise UnsupportedFormatError(
            f"{path}: is {name}, which is not read here. Export it as OME-TIFF (QuPath, bfconvert or the "
            "microscope's own program), or try the optional reader: pip install openreadout"
        )
    from thymusimg.section.readers.openreadout import open_openreadout

    return open_openreadout(path, scene, name)
