"""Formats that only the optional library openreadout reads: Olympus VSI and OIR, Imaris and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import UnreadableError, UnsupportedFormatError
from thymusimg.section.model import Level
from thymusimg.section.readers.base import (
    DECODING_ERRORS,
    RGB_NAMES,
    LazyImage,
    Scene,
    check_dtype,
    check_size,
    choose_scene,
    downsample_of,
)
from thymusimg.section.readers.extras import need

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.section.model import Window


def open_openreadout(path: Path, scene: str | int | None, format_name: str) -> LazyImage:
    """Open one image of a file.

    Raises
    ------
    MissingExtraError, UnreadableError, UnsupportedFormatError, SceneError
    """
    library = need("openreadout", path, format_name, "pip install openreadout")
    name = str(path)
    try:
        file = library.File(name)
        images = list(file.info.get("images") or [])
    except (library.UnknownFormatError, library.UnsupportedFeatureError) as error:
        raise UnsupportedFormatError(
            f"{name}: is {format_name}, which openreadout cannot read ({error}). Export it as OME-TIFF."
        ) from error
    except DECODING_ERRORS as error:
        raise UnreadableError(f"{name}: is a broken or incomplete {format_name} file ({error}).") from error
    if not images:
        raise UnreadableError(f"{name}: is {format_name} without an image.")
    scenes = [
        Scene(i, str(image.get("name") or ""), (int(image["size_y"]), int(image["size_x"])))
        for i, image in enumerate(images)
    ]
    chosen = choose_scene(name, scenes, scene)
    return _describe(file, path, format_name, images[chosen.index], chosen)


def _describe(file: Any, path: Path, format_name: str, said: dict[str, Any], chosen: Scene) -> LazyImage:
    name = str(path)
    dtype = np.dtype(file.dtype(chosen.index) if callable(file.dtype) else said["pixel_type"])
    check_dtype(name, dtype)
    samples, pages = int(said.get("samples_per_pixel") or 1), int(said["size_c"])
    colour = samples >= 3
    count = 3 * pages if colour else pages
    check_size(name, chosen.shape, dtype.itemsize * count, 2**63)  # pixels often lie in other files
    channels = said.get("channels") or []
    names = RGB_NAMES * pages if colour else tuple(str(channel.get("name") or "") for channel in channels)
    emission = tuple(channel.get("emission_nm") for channel in channels)
    size = said.get("physical_size") or {}
    bits = (said.get("extra") or {}).get("component_bit_count") or 8 * dtype.itemsize
    shapes = [(int(level["size_y"]), int(level["size_x"])) for level in file.levels(chosen.index)] or [chosen.shape]
    return LazyImage(
        path=name,
        format=format_name,
        channel_names=names if len(names) == count else ("",) * count,
        emission_nm=emission if len(emission) == count and not colour else (None,) * count,
        dtype=dtype,
        bit_limit=None if dtype.kind == "f" else 2.0 ** int(bits) - 1,
        levels=tuple(Level(shape, downsample_of(chosen.shape, shape)) for shape in shapes),
        tile_shape=(min(512, chosen.shape[0]), min(512, chosen.shape[1])),
        source=_OpenReadoutPixels(file, chosen.index, 3 if colour else 1),
        pixel_size_um=(float(size["y"]), float(size["x"])) if size.get("x") and size.get("y") else None,
        semi_quantitative=colour,
        warnings=("was read by openreadout, a young library: compare a picture with the microscope's own program",),
        depth=int(said.get("size_z") or 1),
        times=int(said.get("size_t") or 1),
        scene=chosen.name or str(chosen.index),
    )


class _OpenReadoutPixels:
    """Windows through openreadout, which decodes only the tiles that a region touches and guards its threads."""

    def __init__(self, file: Any, image: int, samples: int) -> None:
        self._file, self._image, self._samples = file, image, samples

    def read(self, level: int, channel: int, z: int, window: Window) -> npt.NDArray[np.generic]:
        page, sample = divmod(channel, self._samples)
        height, width = window.shape
        region = (window.x0, window.y0, width, height)
        plane = self._file.read_plane(self._image, c=page, z=z, level=level, region=region)
        return np.array(plane[..., sample] if plane.ndim == 3 else plane, order="C")

    def close(self) -> None:
        self._file.close()
