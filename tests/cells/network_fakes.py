"""A network without training: it sees round bright bodies, and gives what a trained one gives."""

from __future__ import annotations

import numpy as np
import torch

from thymusimg.models.card import ModelCard
from thymusimg.models.find import InstalledModel
from thymusimg.networks.engine import Network

SPREAD_PX = 2.5
VARIANCE = 30.0
"""Of a body of 6 px and the blur, in px²."""
REACH = 16


class RoundBodies(torch.nn.Module):
    """Foreground where the blurred signal is high; the way to the centre is that up a Gaussian: s² ∇ log."""

    def forward(self, x):
        light = torch.relu(x[:, :1] - 0.5)
        near, far = blurred(light, 1.5, REACH), blurred(light, SPREAD_PX, REACH)
        log = torch.log(far + 0.03)
        dy = torch.nn.functional.pad((log[:, :, 2:] - log[:, :, :-2]) / 2, (0, 0, 1, 1))
        dx = torch.nn.functional.pad((log[:, :, :, 2:] - log[:, :, :, :-2]) / 2, (1, 1, 0, 0))
        there = 6 * (near - 1.9)
        return torch.cat([there, 6 * (far - 0.8), dy * VARIANCE / 8, dx * VARIANCE / 8], 1)


def blurred(plane, sd, radius):
    at = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at / sd) ** 2)
    kernel /= kernel.sum()
    down = torch.nn.functional.conv2d(plane, kernel[None, None, :, None], padding=(radius, 0))
    return torch.nn.functional.conv2d(down, kernel[None, None, None, :], padding=(0, radius))


def pretended(stride=16):
    return Network(RoundBodies(), "cpu", stride=stride, reach_px=REACH + 1)


def model(folder="pretended", **changes):
    card = {
        "name": "pretended", "task": "cells", "kind": "unet", "channels": ("cd45", "dapi"),
        "optional_channels": ("dapi",), "classes": ("foreground", "centre", "offset_y", "offset_x"),
        "pixel_size_um": 0.5, "finest_pixel_um": 0.1, "coarsest_pixel_um": 1.0, "weights": "weights.pt",
        "sha256": "0" * 64, "size_bytes": 1, "licence": "CC0-1.0",
    }  # fmt: skip
    return InstalledModel(folder, ModelCard(**(card | changes)))


def perfect_outputs(labels, sharp=6.0):
    """Return what a network that knows the labels would give."""
    outputs = np.full((4, *labels.shape), -sharp, np.float32)
    outputs[2:] = 0
    for label in np.unique(labels[labels > 0]):
        y, x = np.nonzero(labels == label)
        cy, cx = y.mean(), x.mean()
        outputs[0, y, x] = sharp
        bump = np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / 1.5**2).clip(1e-3, 1 - 1e-3)
        outputs[1, y, x] = np.log(bump / (1 - bump))
        outputs[2, y, x], outputs[3, y, x] = (cy - y) / 8, (cx - x) / 8
    return outputs
