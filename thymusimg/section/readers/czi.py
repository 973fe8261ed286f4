"""Zeiss CZI, through pylibCZIrw."""

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
    check_size,
    choose_scene,
)
from thymusimg.section.readers.extras import need
from thymusimg.section.readers.ome_xml import check_xml, number

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.section.model import Window

DTYPES = {"Gray8": "u1", "Gray16": "u2", "Gray32Float": "f4", "Bgr24": "u1", "Bgr48": "u2"}
LOSSY = {1: "JPEG"}
JPEG_XR = 4
OTHER_DIMENSIONS = {"H": "phases", "I": "illuminations", "R": "rotations", "V": "views", "B": "blocks"}
SUBBLOCK_CACHE_BYTES = 128 * 2**20


def open_czi(path: Path, scene: str | int | None) -> LazyImage:
    """Open one scene of a CZI.

    Raises
    ------
    MissingExtraError, UnreadableError, UnsupportedFormatError, SceneError
    """
    library = need("pylibCZIrw.czi", path, "CZI")
    name = str(path)
    try:
        document = _open(library, name)
    except DECODING_ERRORS as error:
        raise UnreadableError(f"{name}: is a broken or incomplete CZI ({_short(error)}). Copy it again.") from error
    try:
        return _describe(library, document, path, scene)
    except ThymusimgError:
        document.close()
        raise
    except DECODING_ERRORS as error:
        document.close()
        raise UnreadableError(f"{name}: its CZI metadata are broken ({_short(error)}). Copy it again.") from error


def _open(library: Any, name: str) -> Any:
    cache = library.CacheOptions(
        type=library.CacheType.Standard, max_memory_usage=SUBBLOCK_CACHE_BYTES, max_sub_block_count=1024
    )
    return library.CziReader(name, cache_options=cache)


def _describe(library: Any, document: Any, path: Path, scene: str | int | None) -> LazyImage:
    name = str(path)
    check_xml(name, document.raw_metadata)
    said = _at(document.metadata, "ImageDocument", "Metadata") or {}
    box = document.total_bounding_box
    for axis, words in OTHER_DIMENSIONS.items():
        if _size(box, axis) > 1:
            raise UnsupportedFormatError(f"{name}: holds {_size(box, axis)} {words}; export one of them.")
    rectangles = document.scenes_bounding_rectangle_no_pyramid or {0: document.total_bounding_rectangle_no_pyramid}
    names = _scene_names(said)
    scenes = [Scene(i, names.get(i, ""), (r.h, r.w)) for i, r in sorted(rectangles.items())]
    chosen = choose_scene(name, scenes, scene)
    types = [document.pixel_types[i] for i in range(_size(box, "C"))]
    if len(set(types)) != 1 or types[0] not in DTYPES:
        raise UnsupportedFormatError(
            f"{name}: channels of pixel types {', '.join(sorted(set(types)))} are not read."
        )
    colour = types[0].startswith("Bgr")
    dtype = np.dtype(DTYPES[types[0]])
    check_size(name, chosen.shape, dtype.itemsize, path.stat().st_size)
    number_of_scene = chosen.index if document.scenes_bounding_rectangle else None
    zooms, tile, lossy = _blocks(document, rectangles[chosen.index])
    levels = [Level((chosen.shape[0] // d, chosen.shape[1] // d), float(d)) for d in zooms]
    levels = [level for level in levels if min(level.shape) > 0]
    channels = _as_list(_at(said, "Information", "Image", "Dimensions", "Channels", "Channel"))
    count = 3 * len(types) if colour else len(types)
    source = _CziPixels(library, name, document, number_of_scene, rectangles[chosen.index], levels, colour)
    return LazyImage(
        path=name,
        format="CZI",
        channel_names=RGB_NAMES * len(types) if colour else _names(channels, count),
        emission_nm=(None,) * count if colour else _emission(channels, count),
        dtype=dtype,
        bit_limit=_limit(said, channels, dtype),
        levels=tuple(levels),
        tile_shape=tile,
        source=source,
        pixel_size_um=_pixel_size(said),
        semi_quantitative=colour,
        lossy=lossy or _lossy_metadata(said),
        depth=_size(box, "Z"),
        times=_size(box, "T"),
        scene=chosen.name or str(chosen.index),
    )


def _blocks(document: Any, rectangle: Any) -> tuple[list[int], tuple[int, int], str]:
    """Return the downsamplings that are stored, the block at full resolution, and the lossy compression."""
    zooms: set[int] = {1}
    sizes: list[tuple[int, int]] = []
    modes: set[int] = set()

    def look(index: int, info: Any) -> bool:
        logical, physical = info.logicalRect, info.physicalSize
        if physical.w and physical.h:
            ratio = round(max(logical.w / physical.w, logical.h / physical.h))
            inside = logical.x < rectangle.x + rectangle.w and logical.x + logical.w > rectangle.x
            if ratio <= 1:
                sizes.append((physical.h, physical.w))
            elif inside:
                zooms.add(ratio)
        modes.add(int(info.compressionModeRaw))
        return True

    document.enumerate_subblocks(look)
    tile = max(sizes, key=lambda s: s[0] * s[1], default=(rectangle.h, rectangle.w))
    lossy = next((LOSSY[mode] for mode in sorted(modes) if mode in LOSSY), "")
    return sorted(zooms), (min(tile[0], rectangle.h), min(tile[1], rectangle.w)), lossy


class _CziPixels:
    """A CZI that every thread opens for itself: libCZI makes no promise for one reader in several threads."""

    def __init__(
        self,
        library: Any,
        name: str,
        document: Any,
        scene: int | None,
        rectangle: Any,
        levels: list[Level],
        colour: bool,
    ) -> None:
        self._library, self._name, self._scene = library, name, scene
        self._origin = rectangle.x, rectangle.y
        self._levels, self._colour = levels, colour
        self._local = threading.local()
        self._local.document = document
        self._open = [document]
        self._lock = threading.Lock()

    def read(self, level: int, channel: int, z: int, window: Window) -> npt.NDArray[np.generic]:
        page, sample = divmod(channel, 3) if self._colour else (channel, 0)
        step = int(self._levels[level].downsample)
        height, width = window.shape
        roi = (self._origin[0] + window.x0 * step, self._origin[1] + window.y0 * step, width * step, height * step)
        pixels = self._document().read(
            roi=roi, plane={"C": page, "Z": z, "T": 0}, scene=self._scene, zoom=1.0 / step
        )
        plane = pixels[:, :, 2 - sample if self._colour else 0]  # colours are stored blue first
        if plane.shape != (height, width):
            raise UnreadableError(f"{self._name}: {plane.shape} pixels came for a window of {(height, width)}.")
        return np.array(plane, order="C")

    def close(self) -> None:
        with self._lock:
            for document in self._open:
                document.close()
            self._open.clear()

    def _document(self) -> Any:
        document = getattr(self._local, "document", None)
        if document is None:
            document = _open(self._library, self._name)
            self._local.document = document
            with self._lock:
                self._open.append(document)
        return document


def _names(channels: list[Any], count: int) -> tuple[str, ...]:
    names = [str(c.get("@Name") or c.get("Fluor") or "") for c in channels]
    return tuple(names) if len(names) == count else ("",) * count


def _emission(channels: list[Any], count: int) -> tuple[float | None, ...]:
    found = [number(str(c.get("EmissionWavelength"))) for c in channels]
    return tuple(found) if len(found) == count else (None,) * count


def _limit(said: Any, channels: list[Any], dtype: np.dtype[Any]) -> float | None:
    if dtype.kind == "f":
        return None
    bits = [number(str(c.get("ComponentBitCount"))) for c in channels]
    bits += [number(str(_at(said, "Information", "Image", "ComponentBitCount")))]
    known = [b for b in bits if b and 8 <= b <= 8 * dtype.itemsize]
    return 2.0 ** (max(known) if known else 8 * dtype.itemsize) - 1


def _pixel_size(said: Any) -> tuple[float, float] | None:
    sides = {
        item.get("@Id"): to_um(number(str(item.get("Value"))) or 0.0, "m")  # always stored in metres
        for item in _as_list(_at(said, "Scaling", "Items", "Distance"))
    }
    y, x = sides.get("Y"), sides.get("X")
    return (round(y, 9), round(x, 9)) if y and x else None


def _scene_names(said: Any) -> dict[int, str]:
    scenes = _as_list(_at(said, "Information", "Image", "Dimensions", "S", "Scenes", "Scene"))
    return {int(s["@Index"]): str(s.get("@Name") or s.get("ArrayName") or "") for s in scenes if "@Index" in s}


def _lossy_metadata(said: Any) -> str:
    now = str(_at(said, "Information", "Image", "CurrentCompressionParameters") or "")
    before = str(_at(said, "Information", "Image", "OriginalCompressionParameters") or "")
    if "lossless: false" in f"{now} {before}".lower():
        method = _at(said, "Information", "Image", "OriginalCompressionMethod")
        return str(method or "JPEG XR")
    return ""


def _size(box: Any, axis: str) -> int:
    low, high = box.get(axis, (0, 1))
    return max(1, int(high - low))


def _at(tree: Any, *keys: str) -> Any:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _as_list(item: Any) -> list[Any]:
    items = item if isinstance(item, list) else [item]
    return [entry for entry in items if isinstance(entry, dict)]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
