"""A zarr store behind an address: read only, in parts, asked again when the network fails."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zarr.abc.store import RangeByteRequest, Store, SuffixByteRequest
from zarr.storage import FsspecStore, WrapperStore

from thymusimg.errors import MissingExtraError, UnreadableError
from thymusimg.remote.patience import Patience, is_forbidden, passing_errors, patiently

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from thymusimg.remote.address import Address

NEEDED = {"s3": "s3fs", "http": "aiohttp", "https": "aiohttp"}
METADATA = ("zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata")
MAX_METADATA_BYTES = 50 * 2**20


def open_store(address: Address, patience: Patience | None = None, *, alone: bool = False) -> RemoteStore:
    """Return the store behind an address; nothing is asked of the server yet.

    Parameters
    ----------
    address : Address
    patience : Patience, optional
        Of the environment when left out.
    alone : bool
        Shares its connections with no other store: who opens it ends them by :meth:`RemoteStore.hang_up`.

    Raises
    ------
    MissingExtraError
        If the library for the scheme is not installed.
    """
    patience = patience or Patience.of_environment()
    library = NEEDED[address.scheme]
    try:
        import_module(library)
    except ImportError as error:
        raise MissingExtraError(
            f"{address}: reading from an address needs the library '{library}' ({error}). "
            "Type: pip install 'thymusimg[remote]'"
        ) from error
    # the environment's proxies and ~/.netrc; a listing is never cached, a store may grow
    options: dict[str, Any] = {"client_kwargs": {"trust_env": True}}
    if address.scheme == "s3":
        options = {"anon": not _has_keys(), "use_listings_cache": False}
    options["skip_instance_cache"] = alone
    inner = FsspecStore.from_url(str(address), storage_options=options, read_only=True)
    return RemoteStore(inner, str(address), patience)


def _has_keys() -> bool:
    """Tell whether the environment or the usual files hold keys; a public bucket is read without."""
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        return Session().get_credentials() is not None
    except BotoCoreError:
        return False


class RemoteStore(WrapperStore[FsspecStore]):
    """A store of which every request is made with patience.

    Parameters
    ----------
    store : zarr.storage.FsspecStore
    address : str
        For messages.
    patience : Patience
    """

    def __init__(self, store: FsspecStore, address: str = "", patience: Patience | None = None) -> None:
        super().__init__(store)
        self.address = address
        self.patience = patience or Patience()
        self.forbidden: set[str] = set()

    @property
    def files(self) -> Any:
        """The fsspec file system."""
        return self._store.fs

    @property
    def base(self) -> str:
        """Where the store lies in it."""
        return str(self._store.path)

    def _with_store(self, store: FsspecStore) -> RemoteStore:
        return RemoteStore(store, self.address, self.patience)

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Return the bytes of a key, None where there is none."""
        is_metadata = key.rsplit("/", 1)[-1] in METADATA

        async def ask() -> Any:
            try:
                return await self._store.get(key, prototype, byte_range)
            except passing_errors() as error:
                # A bucket that may not be listed says "forbidden" where a file is missing. Metadata is looked for
                # under several names; of pixels, a forbidden chunk is not an empty one.
                if is_metadata and is_forbidden(error):
                    self.forbidden.add(key)
                    return None
                raise

        found = await patiently(ask, f"{self.address}/{key}", self.patience)
        if found is None:
            return None
        if is_metadata and len(found) > MAX_METADATA_BYTES:
            raise UnreadableError(f"{self.address}/{key}: has {len(found):,} bytes, more than any slide needs.")
        return self._part(key, found, byte_range)

    def _part(self, key: str, found: Any, byte_range: Any) -> Any:
        """Cut out what was asked for, where a server sent the whole file for a part of it."""
        if isinstance(byte_range, SuffixByteRequest):
            return found[-byte_range.suffix :]
        if not isinstance(byte_range, RangeByteRequest):
            return found
        wanted = byte_range.end - byte_range.start
        if len(found) > wanted:
            found = found[byte_range.start : byte_range.end]
        if len(found) < wanted:
            raise UnreadableError(
                f"{self.address}/{key}: ends {wanted - len(found):,} bytes too early. It is truncated: "
                "upload it again."
            )
        return found

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
        """Return the bytes of several parts."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def _get_many(self, requests: Iterable[tuple[str, Any, Any]]) -> AsyncGenerator[tuple[str, Any], None]:
        async for found in Store._get_many(self, requests):  # noqa: SLF001  the wrapper's own goes past us
            yield found

    async def hang_up(self) -> None:
        """End the connections of a store that was opened alone; nothing can be asked of it any more."""
        session = getattr(self.files, "_session", None)
        if session is not None:  # of a web server; those of buckets end by themselves
            await session.close()

    async def size(self, key: str) -> int:
        """Return how many bytes a key has, 0 where there is none."""
        try:
            return int(await patiently(lambda: self._store.getsize(key), f"{self.address}/{key}", self.patience))
        except FileNotFoundError:
            return 0

    async def listed(self) -> dict[str, dict[str, Any]]:
        """Return what a bucket says of every object below the address."""
        found: dict[str, dict[str, Any]] = await self._store.fs._find(self.base, detail=True)  # noqa: SLF001
        return found

    async def exists(self, key: str) -> bool:
        """Tell whether a key is there."""
        try:
            return bool(await patiently(lambda: self._store.exists(key), f"{self.address}/{key}", self.patience))
        except FileNotFoundError:
            return False
