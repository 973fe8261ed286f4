from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from thymusimg.compartments.edge import false_medulla
from thymusimg.compartments.fat import find_lace, lace_gaps
from thymusimg.compartments.model import Compartment

if TYPE_CHECKING:
    from collections.abc import Callable

C, M, OTHER = Compartment.CORTEX, Compartment.MEDULLA, Compartment.OTHER
PX = 2.0


def lobe(shape: tuple[int, int] = (300, 300)) -> np.ndarray:
    """A disc of cortex in a capsule with medulla in its middle."""
    y, x = np.indices(shape) - np.array(shape)[:, None, None] // 2
    r = np.hypot(y, x) * PX
    labels = np.zeros(shape, np.uint8)
    labels[r < 270] = OTHER
    labels[r < 250] = C
    labels[r < 120] = M
    return labels


def test_medulla_inside_a_lobe_stays() -> None:
    assert not false_medulla(lobe(), PX).any()


def test_a_sliver_in_the_capsule_is_no_medulla() -> None:
    labels = lobe()
    rim = np.zeros(labels.shape, bool)
    rim[60:240, 25:40] = True
    rim &= labels == C
    labels[rim] = M
    assert np.array_equal(false_medulla(labels, PX), rim)


def test_a_lobe_without_cortex_stays_medulla() -> None:
    labels = lobe()
    labels[labels == C] = M
    assert not false_medulla(labels, PX).any()


@pytest.mark.parametrize("turn", [np.rot90, np.flipud, np.transpose])
def test_the_edge_turns_with_the_section(turn: Callable[[np.ndarray], np.ndarray]) -> None:
    labels = lobe()
    labels[70:230, 25:32] = np.where(labels[70:230, 25:32] > 0, M, 0)
    assert false_medulla(labels, PX).any()
    assert np.array_equal(false_medulla(turn(labels), PX), turn(false_medulla(labels, PX)))


def fatty(gap_um: float) -> tuple[np.ndarray, np.ndarray]:
    """A square of tissue with a strip of round empty cells, 24 µm apart, at its left edge."""
    tissue = np.zeros((200, 300), bool)
    tissue[20:180, 20:280] = True
    plane = np.where(tissue, 100.0, 0).astype(np.float32)
    y, x = np.indices(plane.shape)
    for cy in range(26, 180, 12):
        for cx in range(26, 70, 12):
            plane[np.hypot(y - cy, x - cx) * PX < gap_um / 2] = 0
    return plane, tissue


def test_a_lace_of_small_cells_is_fat() -> None:
    plane, tissue = fatty(18)
    fat = find_lace(*lace_gaps(plane, plane, tissue, PX), PX)
    assert fat[24:176, 24:66].mean() > 0.95
    assert not fat[:, 90:].any()


def test_solid_tissue_and_a_net_with_small_meshes_are_no_fat() -> None:
    plane, tissue = fatty(6)
    assert not find_lace(*lace_gaps(plane, plane, tissue, PX), PX).any()
    assert not find_lace(*lace_gaps(np.where(tissue, plane + 50, 0), plane, tissue, PX), PX).any()
