"""Chunks of zarr arrays that may not swell: a decoder gets the room that the declared chunk fills, and no more.

A few kilobytes of deflate or zstd can hold gigabytes, and zarr's own codecs make them before they look at the
shape. The arrays are given codecs here that stop at the chunk's declared size.
"""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import math
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import imagecodecs
from numcodecs.abc import Codec
from zarr import Array, AsyncArray
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, GzipCodec, ShardingCodec, ZstdCodec

from thymusimg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

SPARE_BYTES = 2**16
"""Room beyond the declared chunk: checksums, and what another codec put around it."""


def _zstd(data: bytes, limit: int) -> bytes:
    try:
        return bytes(imagecodecs.zstd_decode(data, out=limit))
    except imagecodecs.ZstdError as error:
        if "too small" in str(error):
            raise _Swollen from None
        raise


def _gzip(data: bytes, limit: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        return file.read(limit + 1)


def _declared(at: int) -> Callable[[bytes], int]:
    """Read the decoded size from the head of a format that has it there, in four bytes."""
    return lambda data: int.from_bytes(data[at : at + 4], "little")


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "zstd": _zstd,
    "gzip": _gzip,
    "zlib": lambda data, limit: zlib.decompressobj().decompress(data, limit + 1),
    "bz2": lambda data, limit: bz2.BZ2Decompressor().decompress(data, limit + 1),
    "lzma": lambda data, limit: lzma.LZMADecompressor().decompress(data, limit + 1),
}
_HEADERS = {"blosc": _declared(4), "lz4": _declared(0)}
"""Codecs that decode no more than their head declares: only that is looked at."""
_V3 = {ZstdCodec: "zstd", GzipCodec: "gzip", BloscCodec: "blosc"}


class _Swollen(Exception):
    """A chunk decodes to more than was declared."""


def bounded(array: Any, path: str) -> Array[Any]:
    """Return the array with codecs that decode no more than a declared chunk.

    Parameters
    ----------
    path : str
        The store, for messages.
    """
    if not isinstance(array, Array):
        raise UnreadableError(f"{path}: a level that its metadata name is a group, not an array.")
    inner = array.async_array
    metadata = inner.metadata
    if metadata.zarr_format == 3:
        changed = replace(metadata, codecs=tuple(_bounded_v3(codec, path) for codec in metadata.codecs))
    else:
        room = math.prod(metadata.chunks) * array.dtype.itemsize + SPARE_BYTES
        filters = metadata.filters and tuple(_bounded_v2(codec, path, room) for codec in metadata.filters)
        changed = replace(metadata, compressor=_bounded_v2(metadata.compressor, path, room), filters=filters)
    return Array(AsyncArray(metadata=changed, store_path=inner.store_path, config=inner.config))


def decode(name: str, data: bytes, limit: int, path: str, otherwise: Callable[[bytes], Any]) -> Any:
    """Decode a chunk's bytes with the codec of that name into at most ``limit`` bytes.

    Raises
    ------
    UnreadableError
        If there are more.
    """
    found: Any = None
    try:
        if name in _HEADERS and _HEADERS[name](data) > limit:
            raise _Swollen
        found = _DECODERS[name](data, limit) if name in _DECODERS else otherwise(data)
        if len(found) > limit:
            raise _Swollen
    except _Swollen:
        raise UnreadableError(
            f"{path}: a chunk of {len(data):,} bytes ({name}) decodes to more than the {limit - SPARE_BYTES:,} "
            "bytes that its array declares. It is damaged or hostile; refused."
        ) from None
    return found


def _bounded_v3(codec: Any, path: str) -> Any:
    if isinstance(codec, ShardingCodec):
        return ShardingCodec(
            chunk_shape=codec.chunk_shape,
            codecs=tuple(_bounded_v3(part, path) for part in codec.codecs),
            index_codecs=tuple(_bounded_v3(part, path) for part in codec.index_codecs),
            index_location=codec.index_location,
        )
    if not isinstance(codec, BytesBytesCodec):
        return codec
    name = _V3.get(type(codec)) or str(getattr(codec, "codec_name", "")).removeprefix("numcodecs.")
    return _BoundedV3(codec, name, path) if name in _DECODERS or name in _HEADERS else codec


def _bounded_v2(codec: Any, path: str, limit: int) -> Any:
    name = str(getattr(codec, "codec_id", ""))
    return _BoundedV2(codec, name, path, limit) if name in _DECODERS or name in _HEADERS else codec


@dataclass(frozen=True)
class _BoundedV3(BytesBytesCodec):
    """A codec of zarr 3, of which only decoding is ever asked."""

    codec: BytesBytesCodec
    name: str
    path: str
    is_fixed_size = False

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        limit = math.prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize + SPARE_BYTES
        data = chunk_bytes.to_bytes()
        if self.name in _HEADERS:
            decode(self.name, data, limit, self.path, lambda data: b"")
            return (await self.codec.decode([(chunk_bytes, chunk_spec)]))[0]
        found = await asyncio.to_thread(decode, self.name, data, limit, self.path, bytes)
        return chunk_spec.prototype.buffer.from_bytes(found)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError


class _BoundedV2(Codec):
    """A codec of zarr 2, of which only decoding is ever asked."""

    codec_id = "thymusimg.bounded"  # zarr takes what has one for a codec

    def __init__(self, codec: Any, name: str, path: str, limit: int) -> None:
        self._codec, self._name, self._path, self._limit = codec, name, path, limit

    def encode(self, buf: Any) -> Any:
        raise NotImplementedError

    def decode(self, buf: Any, out: Any = None) -> Any:
        return decode(self._name, bytes(buf), self._limit, self._path, self._codec.decode)
