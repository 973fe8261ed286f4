"""What tells the content of a store behind an address from any other, without fetching its pixels.

The fingerprint is the SHA-256 of the store's metadata (its bytes) and of one line for every stored piece of its
images: the key, the size, and the server's ``ETag``; without one, ``Last-Modified``; where there is neither, the
SHA-256 of the bytes. A missing piece is written down as missing. It is sound as far as the server keeps RFC 9110,
by which another content has another ETag; it differs from the hash of a copy on disk.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from thymusimg.errors import UnreadableError
from thymusimg.remote.patience import all_of, patiently
from thymusimg.remote.store import METADATA, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thymusimg.remote.address import Address
    from thymusimg.remote.store import RemoteStore

AT_ONCE = 32
"""Requests under way at one time."""

MOST_PIECES = 4_000_000
"""More pieces than this is a broken header: the largest slides have 10⁶ chunks."""


def fingerprint(address: Address) -> str:
    """Return the fingerprint of the OME-Zarr behind an address.

    Raises
    ------
    UnreadableError
        If it is no zarr group, or the server does not answer.
    MissingExtraError
    """
    from zarr.core.sync import sync

    store = open_store(address)
    found: list[str] = sync(_of_listing(store)) if address.scheme == "s3" else _of_keys(store)
    digest = hashlib.sha256(b"thymusimg remote 1\0")
    digest.update("\n".join(sorted(found)).encode())
    return digest.hexdigest()


async def _of_listing(store: RemoteStore) -> list[str]:
    """Return a line for every object of a bucket's folder: one request for a thousand of them."""
    try:
        listed = await patiently(store.listed, store.address, store.patience)
    except FileNotFoundError:
        listed = {}
    if not listed:
        raise UnreadableError(f"{store.address}: there is nothing at this address.")
    lines = []
    for name, said in listed.items():
        key = name[len(store.base) :].lstrip("/")
        tag = said.get("ETag") or said.get("LastModified")
        lines.append(f"{key} {said.get('size')} {tag}" if tag else await _line_of_bytes(store, key))
    return lines


def _of_keys(store: RemoteStore) -> list[str]:
    """Return a line for every piece that the metadata tell of; a plain server lists nothing."""
    import zarr
    from zarr.core.sync import sync

    try:
        root = zarr.open_group(store, mode="r")
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise UnreadableError(f"{store.address}: there is no OME-Zarr at this address.") from error
    arrays = [array for group in images_of(root) for array in levels_of(group)]
    number = sum(number_of_pieces(array) for array in arrays)
    if number > MOST_PIECES:
        raise UnreadableError(f"{store.address}: declares {number:,} pieces. The header is damaged.")
    keys = [key for array in arrays for key in piece_keys(array)]
    lines: list[str] = sync(_ask_all(store, keys, set(_folders(root, arrays))))
    return lines


def _ome(group: Any) -> dict[str, Any]:
    attributes = dict(group.attrs)
    inner = attributes.get("ome")
    return dict(inner) if isinstance(inner, dict) else attributes


def images_of(root: Any) -> Iterator[Any]:
    """Yield the groups of a store that are images."""
    if "multiscales" in _ome(root):
        yield root
        return
    index = 0
    while str(index) in root:
        yield root[str(index)]
        index += 1


def levels_of(group: Any) -> Iterator[Any]:
    """Yield the arrays of an image, full resolution first."""
    for multiscale in _ome(group).get("multiscales") or ():
        for dataset in multiscale["datasets"]:
            yield group[str(dataset["path"])]


def _stored_grid(array: Any) -> tuple[int, ...]:
    """Return how many stored pieces (chunks, or shards where chunks are packed) lie along each axis."""
    stored = getattr(array, "shards", None) or array.chunks
    return tuple(-(-side // piece) for side, piece in zip(array.shape, stored, strict=True))


def number_of_pieces(array: Any) -> int:
    """Return how many pieces an array may have in a store."""
    number = 1
    for side in _stored_grid(array):
        number *= side
    return number


def piece_keys(array: Any, step: int = 1) -> Iterator[str]:
    """Yield the key of every piece of an array, or of every ``step``-th."""
    import numpy as np

    grid = _stored_grid(array)
    for index in range(0, number_of_pieces(array), step):
        place = tuple(int(i) for i in np.unravel_index(index, grid))
        yield f"{array.path}/{array.metadata.encode_chunk_key(place)}".lstrip("/")


def _folders(root: Any, arrays: list[Any]) -> Iterator[str]:
    """Return every folder from the root to the arrays: their metadata are part of the fingerprint."""
    yield ""
    for array in arrays:
        parts = array.path.split("/")
        yield from ("/".join(parts[:i]) for i in range(1, len(parts) + 1))
    yield "OME"


async def _ask_all(store: RemoteStore, keys: list[str], folders: set[str]) -> list[str]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def piece(key: str) -> str:
        async with gate:
            return await _line_of_piece(store, key)

    async def metadata(key: str) -> str:
        async with gate:
            return await _line_of_bytes(store, key)

    named = [f"{folder}/{name}".lstrip("/") for folder in sorted(folders) for name in METADATA]
    lines = await all_of(map(metadata, named))
    # in parts, so that a million pieces are not a million tasks at once
    for start in range(0, len(keys), 64 * AT_ONCE):
        lines += await all_of(map(piece, keys[start : start + 64 * AT_ONCE]))
    return lines


async def _line_of_bytes(store: RemoteStore, key: str) -> str:
    from zarr.core.buffer import default_buffer_prototype

    found = await store.get(key, default_buffer_prototype())
    if found is None:
        return f"{key} missing"
    content = found.to_bytes()
    return f"{key} {len(content)} sha256:{hashlib.sha256(content).hexdigest()}"


async def _line_of_piece(store: RemoteStore, key: str) -> str:
    url = f"{store.base}/{key}"

    async def ask() -> tuple[int, str, str]:
        session = await store.files.set_session()
        async with session.head(store.files.encode_url(url), allow_redirects=True) as answer:
            if answer.status not in (404, 405, 410, 501):
                answer.raise_for_status()
            tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            return answer.status, answer.headers.get("Content-Length", ""), tag

    status, size, tag = await patiently(ask, url, store.patience)
    if status in (404, 410):
        return f"{key} missing"
    if status in (405, 501) or not tag:  # a server that does not answer HEAD, or does not say what it holds
        return await _line_of_bytes(store, key)
    return f"{key} {size} {tag}"
