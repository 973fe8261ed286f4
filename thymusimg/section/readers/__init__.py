"""Opening an image, whatever its format: the reader is chosen by looking at the file."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from thymusimg.errors import ProjectionError, UnreadableError
from thymusimg.remote.address import Address, located
from thymusimg.remote.mounted import patiently_read
from thymusimg.section.readers.composite import compose
from thymusimg.section.readers.projection import project
from thymusimg.section.readers.sniff import read_head, recognise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from pathlib import Path

    from thymusimg.section.model import Image
    from thymusimg.section.readers.base import LazyImage

__all__ = ["open_composite", "open_image"]

READERS = {
    "tiff": "thymusimg.section.readers.tiff:open_tiff",
    "zarr": "thymusimg.section.readers.zarr:open_zarr",
    "czi": "thymusimg.section.readers.czi:open_czi",
    "nd2": "thymusimg.section.readers.nd2:open_nd2",
    "lif": "thymusimg.section.readers.lif:open_lif",
    "rgb": "thymusimg.section.readers.rgb:open_rgb",
    "other": "thymusimg.section.readers.other:open_other",
}
"""``open(path, scene) -> LazyImage`` of every format, imported when a file needs it."""


def open_image(
    path: str | PathLike[str], *, scene: str | int | None = None, projection: str | None = None
) -> Image:
    """Open a slide; its pixels stay in the file until they are asked for.

    Parameters
    ----------
    path : path
        A file, the folder of an OME-Zarr, or the address of one (``s3://``, ``http://``, ``https://``).
    scene : str or int, optional
        Name or index of the scene, where the file holds several.
    projection : {"max", "mean"}, optional
        How the planes of a z-stack become one.

    Returns
    -------
    Image

    Raises
    ------
    UnreadableError
        If the file is missing, empty, damaged, forbidden or no image, or its storage fails again and again.
    UnsupportedFormatError
        If nothing here reads the format, or its pixels are no intensities.
    SceneError
        If there are several scenes and none is chosen.
    ProjectionError
        If there are several z planes and no projection is chosen, or several time points.
    MissingExtraError
        If the format needs a library that is not installed.
    """
    file = located(path)
    image = patiently_read(lambda: _reader(file)(file, scene), str(file))
    try:
        projected = project(image, projection)
    except ProjectionError:
        image.close()
        raise
    return replace(projected, identity=_identity(file, image.scene, projection))


def open_composite(
    paths: Mapping[str, str | PathLike[str]], *, scene: str | int | None = None, projection: str | None = None
) -> Image:
    """Open a section of which each stain is a file of its own.

    Parameters
    ----------
    paths : mapping of str to path
        File of every role, ``{"cd45": "a.tif", "k14": "b.tif"}``; each must hold one channel. The channels of the
        image are called by their roles, in the order of the mapping.

    Raises
    ------
    UnreadableError
        If sizes or pixel sizes do not agree, or a file holds more than one channel; or as :func:`open_image`.
    """
    return compose({role: open_image(path, scene=scene, projection=projection) for role, path in paths.items()})


def _reader(path: Path) -> Callable[[Path, str | int | None], LazyImage]:
    try:
        is_folder = isinstance(path, Address) or path.is_dir()
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path}: cannot be read ({error}).") from error
    key = "zarr" if is_folder else recognise(path, read_head(path))
    module, function = READERS[key].split(":")
    reader: Callable[[Path, str | int | None], LazyImage] = getattr(import_module(module), function)
    return reader


def _identity(path: Path, scene: str, projection: str | None) -> str:
    """Name these pixels, so that what was derived from them can be kept and found again."""
    if isinstance(path, Address):
        return ""  # a server may change them under the same name; only the fingerprint would tell
    stamp = path / "zarr.json" if (path / "zarr.json").is_file() else path / ".zattrs" if path.is_dir() else path
    state = stamp.stat() if stamp.exists() else path.stat()
    text = f"{path.resolve()}|{scene}|{projection}|{state.st_size}|{state.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()
