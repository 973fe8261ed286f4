"""Nikon ND2, through the nd2 library."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import ThymusimgError, UnreadableError, UnsupportedFormatError
from thymusimg.section.model import Level
from thymusimg.section.readers.base import (
    DECODING_ERRORS,
    RGB_NAMES,
    LazyImage,
    Scene,
    check_dtype,
    check_size,
    choose_scene,
)
from thymusimg.section.readers.extras import need
from thymusimg.section.readers.planes import PlaneSource

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def open_nd2(path: Path, scene: str | int | None) -> LazyImage:
    """Open one position of an ND2.

    Raises
    ------
    MissingExtraError, UnreadableError, UnsupportedFormatError, SceneError
    """
    library = need("nd2", path, "ND2")
    name = str(path)
    try:
        file = library.ND2File(path)
    except (AttributeError, *DECODING_ERRORS) as error:
        raise UnreadableError(f"{name}: is a broken or incomplete ND2 ({_short(error)}). Copy it again.") from error
    try:
        return _describe(file, path, scene)
    except ThymusimgError:
        file.close()
        raise
    except (AttributeError, *DECODING_ERRORS) as error:
        file.close()
        raise UnreadableError(f"{name}: its ND2 metadata are broken ({_short(error)}). Copy it again.") from error


def _describe(file: Any, path: Path, scene: str | int | None) -> LazyImage:
    name = str(path)
    sizes: dict[str, int] = dict(file.sizes)
    strange = {axis: n for axis, n in sizes.items() if axis not in "TPZCYXS" and n > 1}
    if strange:
        raise UnsupportedFormatError(f"{name}: its planes run over {strange}; export one of them.")
    shape = (sizes["Y"], sizes["X"])
    dtype = np.dtype(file.dtype)
    check_dtype(name, dtype)
    channels = list(file.metadata.channels or [])
    samples = sizes.get("S", 1)
    colour = bool(file.is_rgb) or samples == 3
    count = (samples if colour else 1) * sizes.get("C", 1)
    check_size(name, shape, dtype.itemsize * count, path.stat().st_size)
    scenes = [Scene(i, position, shape) for i, position in enumerate(_positions(file, sizes.get("P", 1)))]
    chosen = choose_scene(name, scenes, scene)
    names = RGB_NAMES * sizes.get("C", 1) if colour else tuple(str(c.channel.name or "") for c in channels)
    emission = tuple(c.channel.emissionLambdaNm for c in channels)
    bits = file.attributes.bitsPerComponentSignificant
    return LazyImage(
        path=name,
        format="ND2",
        channel_names=names if len(names) == count else ("",) * count,
        emission_nm=emission if len(emission) == count and not colour else (None,) * count,
        dtype=dtype,
        bit_limit=None if dtype.kind == "f" else 2.0 ** int(bits or 8 * dtype.itemsize) - 1,
        levels=(Level(shape, 1.0),),
        tile_shape=shape,
        source=_source(file, chosen.index, colour, samples),
        pixel_size_um=_pixel_size(file, channels),
        semi_quantitative=colour,
        lossy="JPEG 2000" if file.attributes.compressionType == "lossy" else "",
        depth=sizes.get("Z", 1),
        times=sizes.get("T", 1),
        scene=chosen.name or str(chosen.index),
    )


def _source(file: Any, position: int, colour: bool, samples: int) -> PlaneSource:
    frames = {
        (int(index.get("Z", 0)), int(index.get("C", 0))): frame
        for frame, index in enumerate(file.loop_indices)
        if int(index.get("P", 0)) == position and int(index.get("T", 0)) == 0
    }
    lock = threading.Lock()

    def plane(channel: int, z: int) -> npt.NDArray[np.generic]:
        page, sample = divmod(channel, samples) if colour else (channel, 0)
        frame = frames.get((z, page), frames.get((z, 0)))
        with lock:  # the library seeks in one handle
            pixels = np.asarray(file.read_frame(frame))
        if pixels.ndim == 3 and colour:
            return pixels[:, :, sample]
        return pixels[page] if pixels.ndim == 3 else pixels

    # Uncompressed frames are mapped: a view costs nothing, and only what is copied out of it is read.
    return PlaneSource(plane, file.close, cached=file.attributes.compressionType is not None)


def _positions(file: Any, count: int) -> list[str]:
    for loop in file.experiment or []:
        if loop.type == "XYPosLoop":
            names = [str(point.name or "") for point in loop.parameters.points]
            if len(names) == count:
                return names
    return [""] * count


def _pixel_size(file: Any, channels: list[Any]) -> tuple[float, float] | None:
    size = file.voxel_size()
    calibrated = [c.volume.axesCalibrated for c in channels if c.volume is not None]
    if calibrated and not all(calibrated[0][:2]):
        return None  # the library answers 1.0 where nothing was calibrated
    return (float(size.y), float(size.x)) if size.x > 0 and size.y > 0 else None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
