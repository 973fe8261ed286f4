"""Results of stages as bytes and back, to the last bit: no code is ever read, only numbers, words and tables.

A ZIP file (whose checksums tell damage) of ``record.json`` and the arrays in blocks of rows.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import fields, is_dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import imagecodecs
import numpy as np
import pandas as pd

from thymusimg.cells.model import CellMasks, Gate
from thymusimg.channels.correct import Correction
from thymusimg.channels.gain import Gain
from thymusimg.compartments.model import Tissue
from thymusimg.errors import UnreadableError
from thymusimg.section.model import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import IO

    import numpy.typing as npt

T = TypeVar("T")
_CLASSES: dict[str, type] = {c.__name__: c for c in (CellMasks, Correction, Gain, Gate, Grid, Tissue)}
"""What may stand in an archive beside numbers, words, arrays and tables."""
_BLOCK = 1 << 26
"""Arrays are packed so many bytes at a time."""
_MOST_BYTES = 1 << 36
_RECORD = "record.json"


def pack(values: Mapping[str, Any]) -> bytes:
    """Return values as an archive.

    Raises
    ------
    TypeError
        If a value is of a kind that no archive holds.
    """
    buffer = io.BytesIO()
    write_archive(buffer, values)
    return buffer.getvalue()


def write_archive(handle: IO[bytes], values: Mapping[str, Any]) -> None:
    """Write values as an archive; as :func:`pack`."""
    with zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        writer = _Writer(archive)
        record = {name: writer.encode(value) for name, value in values.items()}
        archive.writestr(zipfile.ZipInfo(_RECORD), json.dumps(record))


def unpack(file: Path | IO[bytes]) -> dict[str, Any]:
    """Return what :func:`pack` was given.

    Raises
    ------
    UnreadableError
        If the archive is away or damaged, or of a version that packed something else.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            record = json.loads(archive.read(_RECORD))
            return {name: _decode(archive, value) for name, value in record.items()}
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, imagecodecs.BloscError) as error:
        raise UnreadableError(f"what a stage kept cannot be read ({error})") from None


class _Writer:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive, self._count = archive, 0

    def encode(self, value: Any) -> Any:
        """Return a value as JSON holds it; arrays and tables become files of the archive."""
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, np.generic):
            return {"scalar": value.dtype.str, "value": value.item()}
        if isinstance(value, float):
            return value  # JSON as Python writes it gives every float back, NaN too
        if isinstance(value, np.ndarray):
            return {"array": self._put_array(value), "dtype": value.dtype.str, "shape": list(value.shape)}
        if isinstance(value, pd.DataFrame):
            return {"table": self._put(_parquet(value))}
        if isinstance(value, tuple):
            return {"tuple": [self.encode(part) for part in value]}
        if hasattr(value, "items"):
            return {"map": {str(name): self.encode(part) for name, part in value.items()}}
        if is_dataclass(value) and _CLASSES.get(type(value).__name__) is type(value):
            parts = {field.name: self.encode(getattr(value, field.name)) for field in fields(value)}
            return {"class": type(value).__name__, "fields": parts}
        raise TypeError(f"an archive holds no {type(value).__name__}")

    def _put_array(self, array: npt.NDArray[Any]) -> list[str]:
        flat = np.ascontiguousarray(array).reshape(-1)
        step = max(1, _BLOCK // max(1, flat.itemsize))
        return [self._put(_squeeze(flat[i : i + step])) for i in range(0, flat.size, step)]

    def _put(self, data: bytes) -> str:
        name = str(self._count)
        self._count += 1
        self._archive.writestr(zipfile.ZipInfo(name), data)
        return name


def _squeeze(part: npt.NDArray[Any]) -> bytes:
    return bytes(
        imagecodecs.blosc_encode(
            part.tobytes(), level=1, compressor="zstd", shuffle="bitshuffle", typesize=part.itemsize, numthreads=1
        )
    )


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


def _decode(archive: zipfile.ZipFile, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "scalar" in value:
        return np.dtype(value["scalar"]).type(value["value"])
    if "array" in value:
        return _array(archive, value)
    if "table" in value:
        return pd.read_parquet(io.BytesIO(archive.read(value["table"])))
    if "tuple" in value:
        return tuple(_decode(archive, part) for part in value["tuple"])
    if "map" in value:
        return {name: _decode(archive, part) for name, part in value["map"].items()}
    known: Callable[..., Any] = _CLASSES[value["class"]]
    return known(**{name: _decode(archive, part) for name, part in value["fields"].items()})


def _array(archive: zipfile.ZipFile, value: Mapping[str, Any]) -> npt.NDArray[Any]:
    dtype, shape = np.dtype(value["dtype"]), tuple(int(n) for n in value["shape"])
    if dtype.hasobject or min(shape, default=0) < 0 or prod(shape) * dtype.itemsize > _MOST_BYTES:
        raise ValueError(f"an array of {shape} {dtype} is not possible")
    flat = np.empty(prod(shape), dtype)
    start = 0
    for name in value["array"]:
        part = np.frombuffer(imagecodecs.blosc_decode(archive.read(name)), dtype)
        flat[start : start + part.size] = part
        start += part.size
    if start != flat.size:
        raise ValueError("an array is short")
    return flat.reshape(shape)
