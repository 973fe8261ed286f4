"""Ripley's K, Besag's L, the pair correlation g and cross-K, with translation correction (P6, R8).

Every pair counts 1 / γ(d), γ being the window's set covariance (Ohser & Stoyan 1981; Stoyan & Stoyan 1994). For
points scattered at random in *any* window the mean of K̂ then is πr², exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.pattern.covariance import SetCovariance, set_covariance
from thymusimg.measurements.pattern.pairs import Marks, cell_side, pair_weights, sort_points

if TYPE_CHECKING:
    from thymusimg.measurements.pattern.pairs import Sorted
    from thymusimg.measurements.pattern.window import Window

Values = npt.NDArray[np.float64]

BIN_UM = 0.25
"""Width of the bins of distance from which all functions are read."""


@dataclass(frozen=True)
class PairSums:
    """Pairs of points by distance, each weighted with 1 / γ.

    Attributes
    ----------
    weights : (M, M, B) float64
        Σ 1 / γ over ordered pairs of marks (a, b), in 1/µm²; bin ``k`` holds distances up to ``k · bin_um``.
    counts : (M,) int
        Points of every mark.
    area_um2 : float
    bin_um : float
    """

    weights: Values
    counts: tuple[int, ...]
    area_um2: float
    bin_um: float = BIN_UM

    def k_um2(self, radii_um: npt.ArrayLike, a: int = 0, b: int = 0, *, core_um: float = 0.0) -> Values:
        """Return K̂(r) = |W|² / (n_a n_b) Σ 1(d ≤ r) / γ(d), with n(n − 1) for a = b.

        Parameters
        ----------
        radii_um : (R,) array
            Multiples of the bin.
        core_um : float
            Pairs no farther apart than this are left out, and πr² put for them: K of random points stays πr².

        Returns
        -------
        (R,) float64
            µm²; NaN with too few points.
        """
        summed = np.cumsum(self.weights[a, b])
        at = np.rint(np.asarray(radii_um, np.float64) / self.bin_um).astype(np.intp)
        core = round(core_um / self.bin_um)
        near = summed[core] if core else 0.0
        k = self._scale(a, b) * (summed[at] - near) + math.pi * core_um**2
        return np.asarray(np.where(at >= core, k, np.nan), np.float64)

    def g(self, radii_um: npt.ArrayLike, bandwidth_um: float, a: int = 0, b: int = 0) -> Values:
        """Return ĝ(r) = |W|² / (n_a n_b) Σ κ(r − d) / (2π d γ(d)): 1 for random points.

        Above 1, distances are more common than by chance. κ is Epanechnikov's kernel of
        half-width ``bandwidth_um``, renormalised where distances below 0 cut it.
        """
        smooth = epanechnikov(np.asarray(radii_um, np.float64), self._middles(), bandwidth_um)
        # einsum and not a matrix product: the same bits whatever the number of threads
        return np.asarray(np.einsum("rb,b->r", smooth, self.weights[a, b, 1:] / self._rings()) * self._scale(a, b))

    def k_inhomogeneous_um2(self, radii_um: npt.ArrayLike, areas_um2: npt.ArrayLike) -> Values:
        """Return K̂_inhom(r) = Σ 1(d ≤ r) / (γ(d) λ_a λ_b) of points whose marks are parts of the window.

        With λ_a = n_a / A_a, the density of part a: πr² for points that are random within every part, however much
        the parts differ (Baddeley, Møller & Waagepetersen 2000). Parts without points contribute nothing, and a
        part with few makes it noisy. n_a (n_a − 1) stands for n_a² within a part.

        Parameters
        ----------
        radii_um : (R,) array
        areas_um2 : (M,) array
            Area of the part of every mark.
        """
        area, at = np.asarray(areas_um2, np.float64), np.rint(np.asarray(radii_um) / self.bin_um).astype(np.intp)
        n = np.asarray(self.counts, np.float64)
        pairs = np.outer(n, n) - np.diag(n)
        scale = np.divide(np.outer(area, area), pairs, out=np.zeros_like(pairs), where=pairs > 0)
        return np.asarray(np.cumsum((self.weights * scale[..., None]).sum(axis=(0, 1)))[at])

    def _scale(self, a: int, b: int) -> float:
        pairs = self.counts[a] * (self.counts[b] - (a == b))
        return self.area_um2**2 / pairs if pairs > 0 else math.nan

    def _middles(self) -> Values:
        return np.asarray((np.arange(1, self.weights.shape[-1]) - 0.5) * self.bin_um)

    def _rings(self) -> Values:
        """Area of the ring of every bin, over its width."""
        return np.asarray(2 * math.pi * self._middles() * self.bin_um)


def epanechnikov(radii: Values, places: Values, half_width: float) -> Values:
    """Return weights (R, N) that average over ``places`` around every radius; each row sums to 1."""
    kernel = np.clip(1 - ((radii[:, None] - places) / half_width) ** 2, 0, None)
    total = kernel.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(kernel, total, out=np.full_like(kernel, np.nan), where=total > 0), np.float64)


def stoyan_bandwidth_um(count: int, area_um2: float) -> float:
    """Return h = 0.15 / √λ (Stoyan & Stoyan 1994), and no less than two bins.

    >>> stoyan_bandwidth_um(100, 1e6)
    15.0
    """
    return max(0.15 * math.sqrt(area_um2 / max(count, 1)), 2 * BIN_UM)


def besag_l_um(k_um2: npt.ArrayLike) -> Values:
    """Return L = √(K / π): r for random points (Besag 1977)."""
    return np.sqrt(np.maximum(np.asarray(k_um2, np.float64), 0) / math.pi)


def sum_pairs(
    points: Sorted, covariance: SetCovariance, reach_um: float, marks: Marks | None = None, kinds: int = 1
) -> PairSums:
    """Sum over the pairs of sorted points; with ``marks`` (0 … ``kinds`` − 1), by the marks of both."""
    weights = pair_weights(points, covariance, reach_um, BIN_UM, marks, kinds)
    counts = (len(points.points),) if marks is None else tuple(np.bincount(marks, minlength=kinds).tolist())
    return PairSums(weights, counts, covariance.area_px * covariance.pixel_um**2)


def sums_in(window: Window, points_um: npt.ArrayLike, reach_um: float, marks: Marks | None = None) -> PairSums:
    """Sum over the pairs of points (y, x) in µm that lie in the window; those outside are left out."""
    placed = window.place(points_um)
    inside = window.part(placed) > 0
    kinds = 1 if marks is None else max(int(marks.max(initial=0)) + 1, 2)
    covariance = set_covariance(window.mask, window.pixel_um, reach_um)
    side = cell_side(reach_um / window.pixel_um)
    return sum_pairs(
        sort_points(placed[inside], side), covariance, reach_um, None if marks is None else marks[inside], kinds
    )


def ripley_k_um2(points_um: npt.ArrayLike, window: Window, radii_um: npt.ArrayLike) -> Values:
    """Return Ripley's K with translation correction, in µm² (P6; Ripley 1976).

    K̂(r) = |W| / (n (n − 1)) ΣΣ 1(d_ij ≤ r) e_ij with e_ij = |W| / |W ∩ (W + x_i − x_j)|. For random points in any
    window its mean is πr². Read it up to a quarter of ``window.width_um``.

    Parameters
    ----------
    points_um : (N, 2) array
        (y, x) in µm, the centre of the window's image's first pixel at 0. Those outside are left out.
    window : Window
    radii_um : (R,) array
        Multiples of 0.25 µm.

    Examples
    --------
    Two points 5 µm apart along a side of a square of 100 µm: |W|² / (2 · 1) · 2 / (95 · 100).

    >>> from thymusimg.measurements.pattern.window import Window
    >>> square = Window.of(np.ones((100, 100), np.uint8), 1.0)
    >>> [round(float(k), 3) for k in ripley_k_um2([[50, 50], [50, 55]], square, [4, 5])]
    [0.0, 10526.316]
    """
    return sums_in(window, points_um, float(np.max(radii_um))).k_um2(radii_um)


def pair_correlation(
    points_um: npt.ArrayLike, window: Window, radii_um: npt.ArrayLike, bandwidth_um: float | None = None
) -> Values:
    """Return the pair correlation g(r) with translation correction (P6): 1 for random points.

    Epanechnikov's kernel, of half-width 0.15 / √λ unless given; divided by 2πd, not 2πr, which is less biased
    near 0 (Guan 2007). See :meth:`PairSums.g`.
    """
    n = int(np.count_nonzero(window.part(window.place(points_um))))
    bandwidth = stoyan_bandwidth_um(n, window.area_um2) if bandwidth_um is None else bandwidth_um
    return sums_in(window, points_um, float(np.max(radii_um)) + bandwidth).g(radii_um, bandwidth)


def cross_k_um2(
    first_um: npt.ArrayLike, second_um: npt.ArrayLike, window: Window, radii_um: npt.ArrayLike
) -> Values:
    """Return the cross-K of two kinds of points with translation correction, in µm² (R8).

    πr² if they are independent. K̂₁₂(r) = |W| / (n₁ n₂) ΣΣ 1(d_ij ≤ r) e_ij over i of the first and
    j of the second kind.
    """
    points, marks = two_kinds(first_um, second_um)
    return sums_in(window, points, float(np.max(radii_um)), marks).k_um2(radii_um, 0, 1)


def two_kinds(first_um: npt.ArrayLike, second_um: npt.ArrayLike) -> tuple[Values, Marks]:
    """Return both kinds of points in one array (N, 2), with their marks 0 and 1."""
    first, second = (np.asarray(p, np.float64).reshape(-1, 2) for p in (first_um, second_um))
    marks = np.repeat(np.array([0, 1], np.uint8), [len(first), len(second)])
    return np.concatenate([first, second]), marks
