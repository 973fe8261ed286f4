"""What a cell network learns from labels, and that degraded crops keep truth and picture together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thymusimg.cells.decode import Decoding, decode
from thymusimg.evaluate.instances import f1_at_iou, measure_overlaps
from thymusimg.train.cell_loss import cell_loss
from thymusimg.train.cell_targets import BORDER_WEIGHT, CLASSES, OFFSET_PX, cell_targets
from thymusimg.train.degrade import stretched


def discs(places: list[tuple[float, float, float]], side: int = 96) -> np.ndarray:
    """Discs divided by their power diagram, as the truth of packed cells is."""
    y, x = np.mgrid[:side, :side]
    power = np.stack([(y - a) ** 2 + (x - b) ** 2 - r**2 for a, b, r in places])
    return np.where(power.min(0) < 0, power.argmin(0) + 1, 0).astype(np.int32)


PACKED = [(30.0, 30.0, 7.0), (30.0, 41.0, 6.5), (40.0, 35.0, 7.0), (70.0, 70.0, 5.0), (52.0, 60.0, 8.0)]


def as_outputs(targets: np.ndarray) -> np.ndarray:
    """Turn targets into what a perfect network would say."""
    logits = np.log((targets[:2] + 1e-4) / (1 - targets[:2] + 1e-4))
    return np.concatenate([logits, targets[2:4]]).astype(np.float32)


def test_a_perfect_network_gives_the_labels_back() -> None:
    labels = discs(PACKED)
    found, _ = decode(as_outputs(cell_targets(labels)), Decoding())
    assert f1_at_iou(measure_overlaps(found, labels), [0.9])[0.9] == 1.0


def test_offsets_point_at_the_centroid() -> None:
    labels = discs(PACKED)
    targets = cell_targets(labels)
    y, x = np.nonzero(labels == 3)
    to = np.stack([y + OFFSET_PX * targets[2, y, x], x + OFFSET_PX * targets[3, y, x]])
    assert np.allclose(to, [[y.mean()], [x.mean()]], atol=1e-4)
    assert len(CLASSES) == len(targets) - 1
    assert not targets[2:4][:, labels == 0].any()


def test_pixels_between_cells_weigh_more() -> None:
    weight = cell_targets(discs(PACKED))[4]
    labels = discs(PACKED)
    assert weight[30, 35] == BORDER_WEIGHT  # between the first two
    assert weight[70, 70] == 1.0
    assert weight[5, 5] == 1.0
    alone = cell_targets(discs([(40.0, 40.0, 7.0)]))[4]
    assert (alone == 1.0).all()
    assert (cell_targets(np.zeros_like(labels))[4] == 1.0).all()


def test_remains_of_hidden_cells_teach_nothing() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[4, 4:8] = 1
    targets = cell_targets(labels)
    assert not targets[4, 4, 4:8].any()
    assert not targets[1].any()


@pytest.mark.parametrize("scale", [0.87, 1.0, 1.13])
def test_turning_and_scaling_moves_labels_with_the_picture(scale: float) -> None:
    labels = discs(PACKED, 128)
    plane = labels.astype(np.float32)
    rng = np.random.default_rng(3)
    for _ in range(4):
        (seen,), named = stretched([plane], labels, 96, rng, scale)
        assert seen.shape == named.shape == (96, 96)
        inside = np.abs(seen - np.rint(seen)) < 1e-6  # off the interpolated edges
        assert (seen[inside] == named[inside]).mean() > 0.999


def test_the_loss_is_least_at_the_truth_and_blind_where_nothing_is_known() -> None:
    targets = cell_targets(discs(PACKED))
    wanted = torch.from_numpy(targets)[None]
    right = torch.from_numpy(as_outputs(targets))[None]
    good, bad = float(cell_loss(right, wanted)), float(cell_loss(-right, wanted))
    assert good < 0.3 < bad
    unknown = wanted.clone()
    unknown[:, 4, :48] = 0
    changed = right.clone()
    changed[:, :, :48] = 5.0
    assert float(cell_loss(changed, unknown)) == pytest.approx(float(cell_loss(right, unknown)))
