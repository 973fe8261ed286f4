"""Small model folders: real weights of a real network, in a second's hundredth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thymusimg.models.card import Metric, ModelCard, write_card
from thymusimg.networks.unet import UNet
from thymusimg.networks.weights import save_weights

if TYPE_CHECKING:
    from pathlib import Path

ARCHITECTURE: dict[str, Any] = {"widths": [4, 4], "stem": 2}
CLASSES = ("foreground", "centre", "offset_y", "offset_x")


def small_model(folder: Path, **changes: Any) -> ModelCard:
    """Write a cell network of a few hundred weights and its card."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    digest, size = save_weights(folder / "weights.pt", UNet(2, 4, **ARCHITECTURE).state_dict())
    values: dict[str, Any] = {
        "name": folder.name,
        "task": "cells",
        "kind": "unet",
        "summary": "A test's network.",
        "channels": ("cd45", "dapi"),
        "optional_channels": ("dapi",),
        "classes": CLASSES,
        "pixel_size_um": 0.5,
        "architecture": ARCHITECTURE,
        "weights": "weights.pt",
        "sha256": digest,
        "size_bytes": size,
        "licence": "BSD-3-Clause",
        "metrics": (Metric(name="F1 at IoU 0.5", value=0.9, before=0.7, on="nobody"),),
    }
    card = ModelCard.model_validate(values | changes)
    write_card(folder, card)
    return card


def with_right_hash(folder: Path, content: bytes) -> None:
    """Replace the weights and say so in the card: only loading can tell what they are."""
    import hashlib

    from thymusimg.models.card import read_card

    path = folder / "weights.pt"
    path.write_bytes(content)
    changes = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    write_card(folder, read_card(folder).model_copy(update=changes))
