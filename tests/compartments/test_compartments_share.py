from __future__ import annotations

import numpy as np
import pytest

from thymusimg.compartments.levels import Levels
from thymusimg.compartments.share import local_densities, share_width_um, voted_share
from thymusimg.settings.compartments import CompartmentSettings

SETTINGS = CompartmentSettings()
PX = 2.0


def levels(contrast: float) -> Levels:
    return Levels(
        k14_cortex=1.0,
        k14_medulla=contrast / 2,
        k8_cortex=2.0,
        k8_medulla=1.0,
        k14_present=1.0,
        k8_present=1.0,
    )


def halves(contrast: float, size: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cortex on the left, medulla on the right, both without any structure."""
    right = np.arange(size) >= size // 2
    known = levels(contrast)
    k14 = np.broadcast_to(np.where(right, known.k14_medulla, known.k14_cortex), (size, size))
    k8 = np.broadcast_to(np.where(right, known.k8_medulla, known.k8_cortex), (size, size))
    return k14.astype(np.float32), k8.astype(np.float32), right


def shares(k14: np.ndarray, k8: np.ndarray, known: Levels) -> np.ndarray:
    judged = np.ones(k14.shape, bool)
    wide = local_densities(k14, k8, judged, SETTINGS.density_um / PX)
    return voted_share((k14, k8), judged, wide, known, PX, SETTINGS)


def test_the_neighbourhood_narrows_with_the_contrast() -> None:
    assert levels(8).contrast == pytest.approx(8)
    assert share_width_um(levels(2), SETTINGS) == SETTINGS.density_um
    assert share_width_um(levels(5), SETTINGS) == pytest.approx(20 * np.log(3) / np.log(5))
    assert share_width_um(levels(50), SETTINGS) == SETTINGS.fine_um


def test_typical_tissue_has_the_shares_0_and_1_and_a_straight_border_one_half() -> None:
    k14, k8, right = halves(6)
    share = shares(k14, k8, levels(6))
    assert np.median(share[:, ~right]) == pytest.approx(0, abs=0.02)
    assert np.median(share[:, right]) == pytest.approx(1, abs=0.02)
    crossing = int(np.argmax(share[120] > 0.5))
    assert abs(crossing - 120) * PX <= 4


def test_a_common_factor_cancels() -> None:
    k14, k8, _ = halves(6)
    dim = (1 - 0.4 * np.indices(k14.shape)[0] / k14.shape[0]).astype(np.float32)
    assert np.abs(shares(k14 * dim, k8 * dim, levels(6)) - shares(k14, k8, levels(6))).max() < 0.1


def test_a_glaring_speck_has_one_vote() -> None:
    k14, k8, _ = halves(6)
    plain = shares(k14, k8, levels(6))
    k14 = k14.copy()
    k14[118:122, 40:44] = 2000
    assert shares(k14, k8, levels(6))[:, :80].max() < plain[:, :80].max() + 0.35
