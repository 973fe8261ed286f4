"""Leica LIF (and LOF, XLIF), through liffile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import ThymusimgError, UnreadableError, UnsupportedFormatError
from thymusimg.section.model import Level
from thymusimg.section.pixel_size import to_um
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
from thymusimg.section.readers.ome_xml import check_entities
from thymusimg.section.readers.planes import PlaneSource

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

HEAD_BYTES = 65_536
"""Entities must be declared before the first element: they stand at the text's beginning."""

AXIS_NAMES = {"M": "mosaic tile", "N": "tile", "A": "rotation", "L": "lambda", "H": "lifetime", "E": "excitation"}


def open_lif(path: Path, scene: str | int | None) -> LazyImage:
    """Open one image of a LIF.

    Raises
    ------
    MissingExtraError, UnreadableError, UnsupportedFormatError, SceneError
    """
    library = need("liffile", path, "LIF")
    name = str(path)
    broken = (AttributeError, library.LifFileError, *DECODING_ERRORS)
    with path.open("rb") as head:
        check_entities(name, head.read(HEAD_BYTES).decode("utf-16-le", errors="ignore"))
        head.seek(1)  # the text may begin at an odd byte
        check_entities(name, head.read(HEAD_BYTES).decode("utf-16-le", errors="ignore"))
    try:
        file = library.LifFile(path, squeeze=True)
    except broken as error:
        raise UnreadableError(f"{name}: is a broken or incomplete LIF ({_short(error)}). Copy it again.") from error
    try:
        return _describe(file, path, scene)
    except ThymusimgError:
        file.close()
        raise
    except broken as error:
        file.close()
        raise UnreadableError(f"{name}: its LIF metadata are broken ({_short(error)}). Copy it again.") from error


def _describe(file: Any, path: Path, scene: str | int | None) -> LazyImage:
    name = str(path)
    images = [image for image in file.images if {"Y", "X"} <= set(image.dims)]
    if not images:
        raise UnreadableError(f"{name}: holds no image with rows and columns.")
    scenes = [Scene(i, str(m.name), (m.sizes["Y"], m.sizes["X"])) for i, m in enumerate(images)]
    chosen = choose_scene(name, scenes, scene)
    image = images[chosen.index]
    sizes = {axis: int(n) for axis, n in image.sizes.items()}
    strange = {axis: n for axis, n in sizes.items() if axis not in "TZCYXS" and n > 1}
    if strange:
        words = ", ".join(f"{AXIS_NAMES.get(axis, axis)} ({n})" for axis, n in strange.items())
        hint = " Merge the mosaic in LAS X first." if "M" in strange else ""
        raise UnsupportedFormatError(f"{name}, scene {chosen}: its planes run over {words}.{hint}")
    dtype = np.dtype(image.dtype).newbyteorder("=")
    check_dtype(name, dtype)
    samples = sizes.get("S", 1)
    pages = sizes.get("C", 1)
    count = samples * pages
    check_size(name, chosen.shape, dtype.itemsize * count, path.stat().st_size)
    names = RGB_NAMES * pages if samples == 3 else _names(image, count)
    return LazyImage(
        path=name,
        format="LIF",
        channel_names=names,
        emission_nm=(None,) * count,
        dtype=dtype,
        bit_limit=_limit(image, dtype),
        levels=(Level(chosen.shape, 1.0),),
        tile_shape=chosen.shape,
        source=_source(file, image, samples, dtype),
        pixel_size_um=_pixel_size(image),
        semi_quantitative=samples == 3,
        depth=sizes.get("Z", 1),
        times=sizes.get("T", 1),
        scene=chosen.name or str(chosen.index),
    )


def _source(file: Any, image: Any, samples: int, dtype: np.dtype[np.generic]) -> PlaneSource:
    axes = tuple(image.dims)
    lock = threading.Lock()
    mapped: list[npt.NDArray[np.generic]] = []

    def plane(channel: int, z: int) -> npt.NDArray[np.generic]:
        with lock:
            if not mapped:
                mapped.append(image.asarray(out="memmap"))
        page, sample = divmod(channel, samples)
        at = {"C": page, "S": sample, "Z": z, "T": 0}
        taken = mapped[0][tuple(slice(None) if axis in "YX" else at.get(axis, 0) for axis in axes)]
        left = [axis for axis in axes if axis in "YX"]
        return (taken if left == ["Y", "X"] else taken.T).astype(dtype, copy=False)

    return PlaneSource(plane, file.close, cached=False)


def _descriptions(image: Any) -> list[Any]:
    return list(image.xml_element.findall("./Data/Image/ImageDescription/Channels/ChannelDescription"))


def _names(image: Any, count: int) -> tuple[str, ...]:
    """Name channels by dye if the file has one, else by the colour of their look-up table."""
    names = []
    for channel in _descriptions(image):
        said = {p.findtext("Key", ""): p.findtext("Value", "") for p in channel.findall("ChannelProperty")}
        names.append(said.get("DyeName") or channel.get("NameOfMeasuredQuantity") or channel.get("LUTName") or "")
    return tuple(names) if len(names) == count else ("",) * count


def _limit(image: Any, dtype: np.dtype[np.generic]) -> float | None:
    if dtype.kind == "f":
        return None
    bits = [int(channel.get("Resolution", 0)) for channel in _descriptions(image)]
    known = [b for b in bits if 8 <= b <= 8 * dtype.itemsize]
    return 2.0 ** (max(known) if known else 8 * dtype.itemsize) - 1


def _pixel_size(image: Any) -> tuple[float, float] | None:
    sides = []
    for dim_id in ("2", "1"):  # 1 is X, 2 is Y
        dimension = image.xml_element.find(
            f"./Data/Image/ImageDescription/Dimensions/DimensionDescription[@DimID='{dim_id}']"
        )
        if dimension is None:
            return None
        count = int(dimension.get("NumberOfElements", 1))
        length = abs(float(dimension.get("Length", 0)))
        # Leica's length runs from the centre of the first pixel to that of the last.
        side = to_um(length / (count - 1), dimension.get("Unit") or "m") if count > 1 else None
        if side is None:
            return None
        sides.append(round(side, 9))
    return sides[0], sides[1]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
