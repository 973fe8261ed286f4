"""What a cell network is fitted to: foreground, centres and offsets, each pixel by its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    import torch

CENTRE_SHARE, OFFSET_SHARE = 3.0, 1.5
"""Shares of centres and offsets in the loss, beside 1 for the foreground."""
AT_CENTRES = 12.0
"""Weight that a centre's pixel has more than others: centres fill a hundredth of the picture."""


def cell_loss(out: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the loss of outputs ``(N, 4, Y, X)`` on targets with weights ``(N, 5, Y, X)``.

    Cross-entropy of foreground and centres (against the soft bump, centres weighted up), and the smooth absolute
    error (Girshick 2015) of the offsets on the cells.
    """
    weight = wanted[:, 4]
    total = weight.sum().clamp_min(1.0)
    foreground = functional.binary_cross_entropy_with_logits(out[:, 0], wanted[:, 0], reduction="none")
    bump = wanted[:, 1]
    centre = functional.binary_cross_entropy_with_logits(out[:, 1], bump, reduction="none") * (
        1 + AT_CENTRES * bump
    )
    off = functional.smooth_l1_loss(out[:, 2:4], wanted[:, 2:4], beta=0.1, reduction="none").sum(1)
    on_cells = weight * wanted[:, 0]
    return (
        (foreground * weight).sum() / total
        + CENTRE_SHARE * (centre * (weight > 0)).sum() / total
        + OFFSET_SHARE * (off * on_cells).sum() / on_cells.sum().clamp_min(1.0)
    )
