"""How many bytes are stored behind an address, from the sizes of some of its pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thymusimg.errors import UnreadableError
from thymusimg.remote.fingerprint import MOST_PIECES, images_of, levels_of, number_of_pieces, piece_keys
from thymusimg.remote.patience import all_of
from thymusimg.remote.store import open_store

if TYPE_CHECKING:
    from thymusimg.remote.address import Address
    from thymusimg.remote.store import RemoteStore

ASKED = 48
"""So many pieces of an image are asked for their size."""


def stored_bytes(address: Address) -> int:
    """Return about how many bytes the largest image behind an address has at full resolution.

    Evenly chosen pieces are asked for their sizes; pieces that are not there are empty glass.

    Raises
    ------
    UnreadableError, MissingExtraError
    """
    import zarr
    from zarr.core.sync import sync

    store = open_store(address, alone=True)
    try:
        first = [next(levels_of(group)) for group in images_of(zarr.open_group(store, mode="r"))]
        return max((sync(_bytes_of(store, array)) for array in first), default=0)
    except (FileNotFoundError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise UnreadableError(f"{address}: there is no OME-Zarr at this address.") from error
    finally:
        sync(store.hang_up())


async def _bytes_of(store: RemoteStore, array: Any) -> int:
    number = number_of_pieces(array)
    if number > MOST_PIECES:
        raise UnreadableError(f"{store.address}: declares {number:,} pieces. The header is damaged.")
    keys = list(piece_keys(array, max(1, -(-number // ASKED))))
    sizes = await all_of(store.size(key) for key in keys)
    return round(sum(sizes) / len(sizes) * number) if sizes else 0
