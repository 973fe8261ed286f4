"""The set covariance of a window: how much of it stays inside itself when it is shifted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import fft

if TYPE_CHECKING:
    from thymusimg.section.model import Mask

Values = npt.NDArray[np.float64]

_BLOCK_PX = 1024  # bounds the memory whatever the size of the window


@dataclass(frozen=True)
class SetCovariance:
    """γ(d) = |W ∩ (W + d)| of a window W of square pixels, for shifts up to a reach (Stoyan & Stoyan 1994).

    At whole pixels γ is a count. Between them it is bilinear, exactly, because the overlap of two unit squares is
    the product of two triangles: no error of interpolation remains.

    Attributes
    ----------
    table : (2R + 1, 2R + 1) float64
        γ at whole pixels (counts), shift 0 in the middle.
    pixel_um : float
    """

    table: Values
    pixel_um: float

    @property
    def reach_px(self) -> int:
        """Largest shift in either direction."""
        return len(self.table) // 2

    @property
    def area_px(self) -> float:
        """Area of the window, γ(0)."""
        return float(self.table[self.reach_px, self.reach_px])

    def at_um2(self, dy_um: npt.ArrayLike, dx_um: npt.ArrayLike) -> Values:
        """Return γ at shifts (µm), in µm²."""
        place = [np.asarray(d, np.float64) / self.pixel_um + self.reach_px for d in (dy_um, dx_um)]
        y, x = (np.clip(np.floor(p), 0, 2 * self.reach_px - 1).astype(np.intp) for p in place)
        v, u = place[0] - y, place[1] - x
        top = self.table[y, x] * (1 - u) + self.table[y, x + 1] * u
        low = self.table[y + 1, x] * (1 - u) + self.table[y + 1, x + 1] * u
        return np.asarray((top * (1 - v) + low * v) * self.pixel_um**2)

    def isotropised_um2(self, r_um: npt.ArrayLike, angles: int = 720) -> Values:
        """Return γ̄(r), the mean of γ over all directions, in µm² (the rigid-motion correction of Ohser 1983).

        Examples
        --------
        A square of side a: γ̄(r) = a² − 4ar/π + r²/π.

        >>> square = set_covariance(np.ones((100, 100), bool), 1.0, 20.0)
        >>> exact = 100**2 - 400 * 20 / np.pi + 20**2 / np.pi
        >>> round(float(square.isotropised_um2(20.0)) / exact, 4)
        1.0
        """
        angle = (np.arange(angles) + 0.5) * 2 * np.pi / angles
        r = np.asarray(r_um, np.float64)[..., None]
        return np.asarray(self.at_um2(r * np.sin(angle), r * np.cos(angle)).mean(axis=-1))


def set_covariance(mask: Mask, pixel_um: float, reach_um: float) -> SetCovariance:
    """Compute the set covariance of a mask by FFT, exactly, for all shifts up to ``reach_um``.

    The mask is cut into blocks; each is correlated with its surroundings, and the spectra are summed. What comes
    out are counts, so rounding to whole numbers takes the FFT's own error away.

    Parameters
    ----------
    mask : (Y, X) bool
    pixel_um, reach_um : float

    Examples
    --------
    A rectangle a × b: γ(y, x) = (a − |y|)(b − |x|).

    >>> rectangle = set_covariance(np.ones((40, 30), bool), 1.0, 10.0)
    >>> float(rectangle.at_um2(4.5, -7.25))
    807.625
    >>> (40 - 4.5) * (30 - 7.25)
    807.625
    """
    reach = math.ceil(reach_um / pixel_um) + 1
    side = fft.next_fast_len(min(_BLOCK_PX, max(mask.shape)) + 2 * reach, real=True)
    block = side - 2 * reach
    total = np.zeros((side, side // 2 + 1), np.complex128)
    padded = np.pad(mask, reach)
    for top in range(0, mask.shape[0], block):
        for left in range(0, mask.shape[1], block):
            inner = mask[top : top + block, left : left + block]
            if inner.any():
                around = padded[top : top + side, left : left + side]
                one = fft.rfft2(inner.astype(np.float64), (side, side))
                total += np.conj(one) * fft.rfft2(around.astype(np.float64), (side, side))
    # `around` begins `reach` before `inner`: shift 0 stands at (reach, reach), none wraps
    counts = np.rint(fft.irfft2(total, (side, side)))[: 2 * reach + 1, : 2 * reach + 1]
    return SetCovariance(counts, pixel_um)
