"""A compact U-Net that works at half the resolution of what it is given.

After Ronneberger et al. 2015, with a space-to-depth stem and head (Shi et al. 2016), so that no convolution runs at
full resolution: on a CPU those few layers would cost more than all the others.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Block(nn.Module):
    """Two 3 × 3 convolutions with batch normalisation, which folds into them for inference."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(taken, given, 3, padding=1, bias=False), nn.BatchNorm2d(given), nn.ReLU(inplace=True),
            nn.Conv2d(given, given, 3, padding=1, bias=False), nn.BatchNorm2d(given), nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(x)
        return found


class UNet(nn.Module):
    """Map ``(N, channels, Y, X)`` to ``(N, outputs, Y, X)``.

    Parameters
    ----------
    channels, outputs : int
    widths : sequence of int
        Feature maps at each scale, the finest first; every further one halves the resolution.
    stem : int
        Side of the blocks that the stem folds into channels: 2 works at half resolution, 1 at full.
    """

    def __init__(
        self, channels: int, outputs: int, widths: Sequence[int] = (24, 32, 48, 64), stem: int = 2
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stride = stem * 2 ** (len(widths) - 1)
        """Height and width must be multiples of this."""
        self.down = nn.ModuleList(
            _Block(taken, given) for taken, given in zip((channels * stem**2, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(_Block(low + high, low) for low, high in pairwise(widths))
        self.head = nn.Conv2d(widths[0], outputs * stem**2, 1)

    @property
    def reach_px(self) -> int:
        """Input pixels, at most, on which an output pixel depends to either side."""
        depth = len(self.down)
        cells = sum(4 * 2**i for i in range(depth - 1)) + 2 * 2 ** (
            depth - 1
        )  # two blocks a scale, one at the last
        return int(self.stem * (cells + 2 ** (depth - 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the network."""
        x = functional.pixel_unshuffle(x, self.stem) if self.stem > 1 else x
        kept: list[torch.Tensor] = []
        for scale, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if scale else x)
            kept.append(x)
        for scale in reversed(range(len(self.up))):
            wide = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.up[scale](torch.cat([wide, kept[scale]], 1))
        out: torch.Tensor = self.head(x)
        return functional.pixel_shuffle(out, self.stem) if self.stem > 1 else out
