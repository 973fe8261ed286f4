"""A source whose file gives whole planes: they are decoded once and kept, on disk if they are large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.section.readers.blocks import BlockCache

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from thymusimg.section.model import Window


class PlaneSource:
    """Pixel source over ``plane(channel, z) -> (Y, X) array``, for formats that cannot be read in parts.

    Parameters
    ----------
    plane : callable
        Decodes one plane. Called once a plane, for several planes perhaps from several threads.
    close : callable
        Releases the file.
    cached : bool
        False for planes that are mapped from the file and cost nothing to make again.
    """

    def __init__(
        self,
        plane: Callable[[int, int], npt.NDArray[np.generic]],
        close: Callable[[], None],
        *,
        cached: bool = True,
    ) -> None:
        self._plane, self._close, self._cached = plane, close, cached
        self._cache = BlockCache()

    def read(self, level: int, channel: int, z: int, window: Window) -> npt.NDArray[np.generic]:
        """Return a fresh array of one channel, z plane and window."""
        if self._cached:
            plane = self._cache.get((channel, z), lambda: self._plane(channel, z))
        else:
            plane = self._plane(channel, z)
        return np.array(plane[window.slices], order="C")

    def close(self) -> None:
        """Forget the planes and release the file."""
        self._cache.clear()
        self._close()

    def __del__(self) -> None:
        self.close()
