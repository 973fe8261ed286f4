"""Batches for a cell network: crops of examples, degraded at random, a function of seed, epoch and step alone."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from thymusimg.cells.normalise import compress
from thymusimg.train.cell_targets import cell_targets
from thymusimg.train.degrade import SCALES, degrade_cd45, degrade_dapi, stretched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from thymusimg.train.cell_examples import CellExample

    Batch = tuple[torch.Tensor, torch.Tensor]

MARGIN_PX = 16
"""Targets are made with so much around a crop, so that a cell at its edge keeps its true centre."""
ON_A_CELL = 0.75
"""Share of the crops that are centred near a cell, where the example has one."""
RESCALED = 0.4
"""Share of the crops that are shown at another size."""
DAPI_KEPT = 0.65
"""Share of the crops that keep their DAPI, where the example has it: with those that have none, fewer than half."""


@dataclass(frozen=True)
class Crops:
    """Random crops of examples.

    Attributes
    ----------
    examples : sequence of CellExample
    shares : sequence of float
        How often each example is taken, relative to the others.
    side : int
        Height and width of a crop in pixels.
    size : int
        Crops in a batch.
    """

    examples: Sequence[CellExample]
    shares: Sequence[float]
    side: int
    size: int
    seed: int
    _cells: list[npt.NDArray[np.intp]] = field(init=False, repr=False)
    _chance: npt.NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Find where the cells of each example lie."""
        cells = [np.flatnonzero(e.labels.ravel()[::29] > 0) * 29 for e in self.examples]
        object.__setattr__(self, "_cells", cells)
        shares = np.asarray(self.shares, np.float64)
        object.__setattr__(self, "_chance", shares / shares.sum())

    def batch(self, epoch: int, step: int) -> Batch:
        """Return inputs ``(N, 2, Y, X)`` and targets with weights ``(N, 5, Y, X)``; the same whenever asked."""
        rng = np.random.default_rng([self.seed, epoch, step])
        made = [self._crop(rng) for _ in range(self.size)]
        return tuple(torch.from_numpy(np.stack(part)) for part in zip(*made, strict=True))

    def _crop(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        which = int(rng.choice(len(self.examples), p=self._chance))
        example = self.examples[which]
        wide = self.side + 2 * MARGIN_PX
        scale = float(np.exp(rng.uniform(*np.log(SCALES)))) if rng.random() < RESCALED else 1.0
        window = self._place(example, self._cells[which], int(np.ceil(wide / scale)) + 2, rng)
        dapi = example.dapi if example.dapi is not None and rng.random() < DAPI_KEPT else None
        labels = _cut(example.labels, *window, beyond=-1).astype(np.int32)
        given = [_cut(p, *window).astype(np.float32) for p in (example.cd45, dapi) if p is not None]
        planes, labels = stretched(given, labels, wide, rng, scale)
        cd45 = degrade_cd45(planes[0], labels, rng)
        nuclei = degrade_dapi(planes[1], rng) if dapi is not None else None
        inner = slice(MARGIN_PX, -MARGIN_PX)
        targets = cell_targets(np.maximum(labels, 0))
        targets[4, labels < 0] = 0
        return compress(cd45, nuclei)[:, inner, inner], targets[:, inner, inner]

    @staticmethod
    def _place(
        example: CellExample, cells: npt.NDArray[np.intp], edge: int, rng: np.random.Generator
    ) -> tuple[int, int, int]:
        height, width = example.shape
        if len(cells) and rng.random() < ON_A_CELL:
            y, x = divmod(int(cells[int(rng.integers(len(cells)))]), width)
            y, x = (int(v + rng.integers(-edge // 3, edge // 3 + 1)) for v in (y, x))
        else:
            y, x = int(rng.integers(height)), int(rng.integers(width))
        first = [min(max(v - edge // 2, 0), max(0, n - edge)) for v, n in ((y, height), (x, width))]
        return first[0], first[1], edge


def _cut(plane: npt.NDArray, y: int, x: int, edge: int, beyond: int | None = None) -> npt.NDArray:  # type: ignore[type-arg]  # any pixel type
    """Return a square of ``edge`` px; past the plane it is mirrored, or ``beyond`` stands there."""
    part = plane[y : y + edge, x : x + edge]
    missing = [(0, edge - n) for n in part.shape]
    if not any(m for _, m in missing):
        return part
    if beyond is None:
        return np.pad(part, missing, mode="symmetric")
    return np.pad(part, missing, constant_values=beyond)


class Ahead:
    """Make the next batches in a thread while the network works on this one; they are the same."""

    def __init__(self, batch: Callable[[int, int], Batch], steps: int, *, depth: int = 2) -> None:
        self._batch, self._steps, self._depth = batch, steps, depth
        self._pool = ThreadPoolExecutor(1, "batches")
        self._coming: dict[tuple[int, int], Future[Batch]] = {}

    def __call__(self, epoch: int, step: int) -> Batch:
        """Return a batch, and begin those after it."""
        place = (epoch, step)
        wanted = [place]
        for _ in range(self._depth):
            epoch, step = (epoch, step + 1) if step + 1 < self._steps else (epoch + 1, 0)
            wanted.append((epoch, step))
        for one in wanted:
            if one not in self._coming:
                self._coming[one] = self._pool.submit(self._batch, *one)
        for stale in [one for one in self._coming if one not in wanted]:
            self._coming.pop(stale).cancel()
        return self._coming.pop(place).result()

    def close(self) -> None:
        """Wait for nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
