"""OME-Zarr 0.4 and 0.5: the multiscales of a store on disk or on a server, read with zarr-python."""

from __future__ import annotations

import math
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import ThymusimgError, UnreadableError, UnsupportedFormatError
from thymusimg.remote.address import Address
from thymusimg.section.model import Level
from thymusimg.section.readers.base import (
    DECODING_ERRORS,
    LazyImage,
    Scene,
    check_block,
    check_dtype,
    check_size,
    choose_scene,
    downsample_of,
)
from thymusimg.section.readers.ome_xml import ome_images
from thymusimg.section.readers.zarr_metadata import check_inside, read_multiscale

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.section.model import Window

MOST_SERIES = 10_000
MARKERS = ("zarr.json", ".zgroup", ".zattrs", ".zarray")


def open_zarr(path: Path, scene: str | int | None) -> LazyImage:
    """Open one image of an OME-Zarr, in a folder or behind an address.

    Raises
    ------
    UnreadableError
        If there is no OME-Zarr, its metadata are broken, or the server does not answer.
    UnsupportedFormatError, SceneError, MissingExtraError
    """
    name = str(path)
    is_remote = isinstance(path, Address)
    if not is_remote and not any((path / marker).is_file() for marker in MARKERS):
        found = ", ".join(sorted(entry.name for entry in path.iterdir())[:4]) or "nothing"
        raise UnreadableError(
            f"{name}: is a folder and no OME-Zarr (no zarr.json, no .zgroup; it holds {found}). Name a file in it."
        )
    try:
        return _open(name, _root(path), scene)
    except ThymusimgError:
        raise
    except DECODING_ERRORS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnreadableError(f"{name}: its OME-Zarr metadata are broken ({reason}).") from error


def _root(path: Path) -> Any:
    """Open the group at a path or an address."""
    import zarr

    if not isinstance(path, Address):
        return zarr.open(str(path), mode="r")
    from thymusimg.remote.store import open_store

    store = open_store(path)
    try:
        return zarr.open(store, mode="r")
    except (FileNotFoundError, KeyError) as error:
        why = "the server forbids to read it" if store.forbidden else "there is no zarr.json and no .zgroup"
        raise UnreadableError(
            f"{path}: there is no OME-Zarr at this address ({why}). Check the address; other formats must be "
            "downloaded first."
        ) from error


def _open(name: str, root: Any, scene: str | int | None) -> LazyImage:
    import zarr

    if isinstance(root, zarr.Array):
        raise UnreadableError(f"{name}: is a bare zarr array without OME metadata. Open the folder of its image.")
    attributes = _ome(root)
    if "plate" in attributes or "well" in attributes:
        raise UnsupportedFormatError(f"{name}: is a plate of wells. Give the path of one field, as {name}/A/1/0.")
    if "multiscales" in attributes:
        return _image(name, root, scene, "")
    series = _series(name, root, attributes)
    if not series:
        raise UnreadableError(f"{name}: is a zarr group without 'multiscales', so it holds no image.")
    groups = {}
    scenes = []
    for index, (key, title) in enumerate(series):
        check_inside(name, key)
        groups[key] = root[key]
        found = read_multiscale(name, _ome(groups[key]), groups[key])
        scenes.append(Scene(index, title or key, found.shape))
    chosen = choose_scene(name, scenes, scene)
    return _image(name, groups[series[chosen.index][0]], None, chosen.name)


def _ome(group: Any) -> dict[str, Any]:
    """Return the OME attributes: under 'ome' since 0.5, at the top before."""
    attributes = dict(group.attrs)
    inner = attributes.get("ome")
    return dict(inner) if isinstance(inner, dict) else attributes


def _series(name: str, root: Any, attributes: dict[str, Any]) -> list[tuple[str, str]]:
    """Return path and name of every series of a bioformats2raw layout."""
    listed = attributes.get("series")
    if not listed and "OME" in root:
        listed = _ome(root["OME"]).get("series")
    if not listed:  # counted, not listed: a plain web server has no listing
        listed = list(takewhile(lambda key: key in root, map(str, range(MOST_SERIES))))
        listed = [key for key in listed if "multiscales" in _ome(root[key])]
    if not isinstance(listed, list) or len(listed) > MOST_SERIES:
        raise UnreadableError(f"{name}: its list of series is broken.")
    names = [""] * len(listed)
    xml = _text(root, "OME/METADATA.ome.xml")
    if xml:
        images = ome_images(name, xml)
        if len(images) == len(listed):
            names = [image.name for image in images]
    return [(str(key), title) for key, title in zip(listed, names, strict=True)]


def _text(root: Any, key: str) -> str:
    """Return a text file beside the arrays, "" where there is none."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    found = sync(root.store.get(f"{root.path}/{key}".lstrip("/"), default_buffer_prototype()))
    return "" if found is None else found.to_bytes().decode("utf-8", errors="replace")


def _image(name: str, group: Any, scene: str | int | None, title: str) -> LazyImage:
    said = read_multiscale(name, _ome(group), group)
    if scene not in (None, ""):
        choose_scene(name, [Scene(0, said.name, said.shape)], scene)
    first = said.arrays[0]
    dtype = np.dtype(first.dtype)
    check_dtype(name, dtype)
    chunk = getattr(first, "chunks", first.shape)
    sizes = dict(zip(said.axes, first.shape, strict=True))
    chunks = dict(zip(said.axes, chunk, strict=True))
    for array in said.arrays:
        check_block(name, math.prod(getattr(array, "chunks", array.shape)) * array.dtype.itemsize)
    if max(said.shape) > 0:
        check_size(name, said.shape, dtype.itemsize, 2**63)
    count = int(sizes.get("c", 1))
    return LazyImage(
        path=name,
        format=f"OME-Zarr {said.version}",
        channel_names=said.names if len(said.names) == count else ("",) * count,
        emission_nm=(None,) * count,
        dtype=dtype.newbyteorder("="),
        bit_limit=None if dtype.kind == "f" else _limit(dtype),
        levels=tuple(
            Level(shape, downsample_of(said.shape, shape))
            for shape in (_yx(said.axes, a.shape) for a in said.arrays)
        ),
        tile_shape=(min(int(chunks["y"]), said.shape[0]), min(int(chunks["x"]), said.shape[1])),
        source=_ZarrPixels(said.arrays, said.axes),
        pixel_size_um=said.pixel_size_um,
        warnings=said.warnings,
        depth=int(sizes.get("z", 1)),
        times=int(sizes.get("t", 1)),
        scene=title or said.name or "0",
    )


def _limit(dtype: np.dtype[Any]) -> float:
    return float(np.iinfo(dtype).max)


def _yx(axes: str, shape: Sequence[int]) -> tuple[int, int]:
    sizes = dict(zip(axes, shape, strict=True))
    return int(sizes["y"]), int(sizes["x"])


class _ZarrPixels:
    """Windows of zarr arrays; zarr-python reads from several threads at once."""

    def __init__(self, arrays: Sequence[Any], axes: str) -> None:
        self._arrays, self._axes = tuple(arrays), axes

    def read(self, level: int, channel: int, z: int, window: Window) -> npt.NDArray[np.generic]:
        y, x = window.slices
        at: dict[str, Any] = {"t": 0, "c": channel, "z": z, "y": y, "x": x}
        plane = np.asarray(self._arrays[level][tuple(at[axis] for axis in self._axes)])
        if self._axes.index("x") < self._axes.index("y"):
            plane = plane.T
        return np.array(plane, dtype=plane.dtype.newbyteorder("="), order="C")

    def close(self) -> None:
        """Nothing stays open between reads."""
