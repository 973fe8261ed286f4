"""One OME-Zarr 0.5 bundle a section: coarse image, labels, tables, pictures, provenance.

A bundle is written into a hidden folder beside its place and renamed when it is whole, so that a bundle that is
there is complete. It knows arrays and tables only; what they mean is the pipeline's business.
"""

from __future__ import annotations

import io
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import zarr
from zarr.codecs import BloscCodec, ZstdCodec

from thymusimg.errors import OutputError, UnreadableError
from thymusimg.section.manifest import seal
from thymusimg.section.model import Grid, Window

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.section.model import Section

OME_VERSION = "0.5"
_CHUNK = 512
_LABEL_CHUNK = 1024
_FORMAT = 1
# Labels are long runs of one number: plain Zstandard takes a quarter of the time, and half the room.
_FOR_LABELS = ZstdCodec(level=1)
_FOR_PLANES = BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle")


@dataclass(frozen=True)
class LabelImage:
    """A label image to store: its shape, the size and place of its pixels, and where its pixels come from.

    ``paint`` returns the labels of a window; it is called once a chunk, so that no whole plane need exist, and only
    for chunks that touch ``extent`` (None: all): elsewhere there is no label.
    """

    shape: tuple[int, int]
    dtype: str
    pixel_um: float
    translation_um: float
    paint: Callable[[Window], npt.NDArray[np.generic]]
    extent: Window | None = None

    @classmethod
    def on_grid(cls, labels: npt.NDArray[np.generic], grid: Grid) -> LabelImage:
        """Return the label image of an array on the coarse grid; it is as large as the whole slide's grid."""
        place = grid.place

        def paint(window: Window) -> npt.NDArray[np.generic]:
            both = window.overlap(place)
            if both == window:
                return labels[window.moved(-place.y0, -place.x0).slices]
            out = np.zeros(window.shape, labels.dtype)
            out[both.moved(-window.y0, -window.x0).slices] = labels[both.moved(-place.y0, -place.x0).slices]
            return out

        whole = grid.whole
        return cls(whole.shape, str(labels.dtype), grid.pixel_um, grid.translation_um, paint, place)

    @classmethod
    def on_pixels(cls, section: Section, paint: Callable[[Window], npt.NDArray[np.generic]]) -> LabelImage:
        """Return the label image of a section's cells: every pixel of the slide."""
        return cls(section.slide_shape, "uint32", section.pixel_size_um, 0.0, paint, section.frame)


@dataclass(frozen=True)
class BundleContent:
    """Everything that goes into a bundle.

    Attributes
    ----------
    planes : mapping of str to (Y, X) float32
        Coarse planes by role.
    channel_names : mapping of str to str
        The marker that each plane shows.
    limits : mapping of str to (low, high)
        Display limits of each plane.
    attributes : mapping
        JSON-serialisable record under the key ``thymusimg`` of the root group.
    stages : mapping of str to bytes
        What a later run goes on from, by the stage that it stands behind.
    """

    grid: Grid
    planes: Mapping[str, npt.NDArray[np.float32]]
    channel_names: Mapping[str, str]
    limits: Mapping[str, tuple[float, float]]
    labels: Mapping[str, LabelImage]
    tables: Mapping[str, pd.DataFrame]
    pictures: Mapping[str, bytes]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, bytes] = field(default_factory=dict)


_COLOURS = {"cd45": "FF0000", "k14": "0000FF", "k8": "00FF00", "dapi": "808080"}


def write_bundle(path: Path, content: BundleContent, *, threads: int = 2) -> None:
    """Write a bundle, all or nothing, replacing what lies at ``path``.

    Raises
    ------
    OutputError
        If the disk is full, read-only, or may not be written.
    """
    with _whole(path) as partial:
        _write(partial, content, threads)
        seal(partial)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Hand out a hidden folder beside ``path`` and put it in its place when it is whole."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        yield partial
        _swap(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_labels(path: Path, labels: Mapping[str, LabelImage], *, threads: int = 2) -> None:
    """Write label images alone as OME-Zarr 0.5 (``path/labels/NAME``), all or nothing, replacing what lies there.

    This is how annotations are kept: ``thymusimg evaluate`` reads it, and so does any viewer of OME-Zarr.

    Raises
    ------
    OutputError
        If the disk is full, read-only, or may not be written.
    """
    with _whole(path) as partial:
        root = zarr.open_group(partial, mode="w", zarr_format=3)
        _write_labels(root, labels, threads)


def _swap(partial: Path, path: Path) -> None:
    if path.exists():
        old = path.with_name(f".{path.name}.old-{os.getpid()}")
        path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        partial.rename(path)


def _write(folder: Path, content: BundleContent, threads: int) -> None:
    root = zarr.open_group(folder, mode="w", zarr_format=3)
    roles = list(content.planes)
    grid = content.grid
    whole = (len(roles), *grid.whole.shape)
    image = _create(root, "0", whole, "float32", (1, _CHUNK, _CHUNK), ("c", "y", "x"))
    for index, role in enumerate(roles):
        image[(index, *grid.place.slices)] = content.planes[role]  # beyond a frame chunks are absent and read as 0
    root.attrs["ome"] = {
        "version": OME_VERSION,
        "multiscales": [_multiscales("coarse", ("c", "y", "x"), grid.pixel_um, grid.translation_um)],
        "omero": {
            "channels": [
                _omero(content.channel_names[r], _COLOURS.get(r, "FFFFFF"), content.limits[r]) for r in roles
            ]
        },
    }
    root.attrs["thymusimg"] = {
        "format": _FORMAT,
        "roles": roles,
        "tables": list(content.tables),
        **content.attributes,
    }
    _write_labels(root, content.labels, threads)
    _write_files(root.create_group("tables"), folder / "tables", {
        f"{name}.parquet": _parquet(table) for name, table in content.tables.items()
    })  # fmt: skip
    _write_files(root.create_group("pictures"), folder / "pictures", content.pictures)
    if content.stages:
        _write_files(root.create_group("stages"), folder / "stages", content.stages)


def _write_labels(root: zarr.Group, images: Mapping[str, LabelImage], threads: int) -> None:
    labels = root.create_group("labels")
    labels.attrs["ome"] = {"version": OME_VERSION, "labels": list(images)}
    for name, label in images.items():
        _write_label(labels, name, label, threads)


def _write_files(group: zarr.Group, folder: Path, files: Mapping[str, bytes]) -> None:
    group.attrs["files"] = list(files)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _create(
    group: zarr.Group,
    name: str,
    shape: Sequence[int],
    dtype: str,
    chunks: Sequence[int],
    axes: Sequence[str],
) -> zarr.Array[Any]:
    return group.create_array(
        name,
        shape=tuple(shape),
        dtype=dtype,
        chunks=tuple(min(c, max(1, s)) for c, s in zip(chunks, shape, strict=True)),
        compressors=_FOR_PLANES if np.dtype(dtype).kind == "f" else _FOR_LABELS,
        dimension_names=tuple(axes),
        fill_value=0,
        config={"write_empty_chunks": True},  # what is empty is not handed over: no second look
    )


def _multiscales(name: str, axes: Sequence[str], pixel_um: float, translation_um: float) -> dict[str, Any]:
    spatial = len(axes) - 2
    return {
        "name": name,
        "axes": [
            {"name": a, "type": "channel"} if a == "c" else {"name": a, "type": "space", "unit": "micrometer"}
            for a in axes
        ],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1.0] * spatial + [pixel_um] * 2},
                    {"type": "translation", "translation": [0.0] * spatial + [translation_um] * 2},
                ],
            }
        ],
    }


def _omero(label: str, colour: str, limits: tuple[float, float]) -> dict[str, Any]:
    low, high = limits
    return {
        "label": label,
        "color": colour,
        "active": True,
        "window": {"min": low, "start": low, "end": high, "max": high},
    }


def _write_label(labels: zarr.Group, name: str, label: LabelImage, threads: int) -> None:
    group = labels.create_group(name)
    array = _create(group, "0", label.shape, label.dtype, (_LABEL_CHUNK, _LABEL_CHUNK), ("y", "x"))
    height, width = label.shape
    windows = [
        Window(y, min(y + _LABEL_CHUNK, height), x, min(x + _LABEL_CHUNK, width))
        for y in range(0, height, _LABEL_CHUNK)
        for x in range(0, width, _LABEL_CHUNK)
    ]
    if label.extent is not None:
        windows = [window for window in windows if all(window.overlap(label.extent).shape)]

    def put(window: Window) -> None:
        pixels = label.paint(window)
        if pixels.any():  # an absent chunk reads as 0
            array[window.slices] = pixels

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, windows))
    group.attrs["ome"] = {
        "version": OME_VERSION,
        "multiscales": [_multiscales(name, ("y", "x"), label.pixel_um, label.translation_um)],
        "image-label": {"source": {"image": "../../"}},
    }


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, read lazily."""

    path: Path
    attributes: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Open a bundle.

        Raises
        ------
        UnreadableError
            If there is no whole bundle at ``path``.
        """
        try:
            group = zarr.open_group(path, mode="r", zarr_format=3)
            attributes = group.attrs["thymusimg"]
        except (OSError, KeyError, ValueError) as error:
            raise UnreadableError(f"{path}: not a result bundle of thymusimg ({error})") from None
        if not isinstance(attributes, dict):
            raise UnreadableError(f"{path}: not a result bundle of thymusimg (no record of the analysis)")
        return cls(path, attributes)

    @property
    def grid(self) -> Grid:
        """The coarse grid, on the frame of the slide that was analysed."""
        slide = self.attributes["slide"]
        frame = slide.get("frame")
        height, width = (int(side) for side in slide["shape"])
        return Grid.of((height, width), float(slide["pixel_size_um"]), None if frame is None else Window(*frame))

    @property
    def planes(self) -> dict[str, npt.NDArray[np.float32]]:
        """Coarse planes by role, background-subtracted, on the grid."""
        image = zarr.open_array(self.path / "0", mode="r")
        part = np.asarray(
            image[(slice(None), *self.grid.place.slices)] if self._framed else image, dtype=np.float32
        )
        return dict(zip(self.attributes["roles"], part, strict=True))

    def label(self, name: str) -> Any:
        """Return a label image by name: ``tissue``, ``compartments`` …, on the grid, or ``cells``, on the slide.

        It is sliced like an array, and read lazily; on the grid of a frame it is in memory.
        """
        array = zarr.open_array(self.path / "labels" / name / "0", mode="r")
        if self._framed and array.shape == self.grid.whole.shape:
            return np.asarray(array[self.grid.place.slices])
        return array

    @property
    def _framed(self) -> bool:
        return self.attributes.get("slide", {}).get("frame") is not None

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the bundle's tables."""
        return pd.read_parquet(self.path / "tables" / f"{name}.parquet")

    def picture(self, name: str) -> bytes | None:
        """Return a picture's JPEG bytes, or None where the bundle holds none of that name."""
        file = self.path / "pictures" / name
        return file.read_bytes() if file.exists() else None


def plain(value: Any) -> Any:
    """Turn numpy scalars, NaN and nested containers into what JSON can hold (NaN becomes None)."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
