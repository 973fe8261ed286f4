"""At which wavelengths a stain varies: the multitaper, circularly averaged spectrum (R16)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from thymusimg.measurements.smoothing import depth_px
from thymusimg.measurements.stains.binned import lay_bins

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

WAVELENGTHS_UM = tuple(round(20.0 * 2 ** (i / 4), 3) for i in range(22))
"""Middles of the bands: quarter octaves from 20 to 761 µm."""
_BIN_UM = 3.0
_TAPERS = 2  # a side; with more, the longest waves are taken for shorter ones
_RAMP_UM = 40.0  # the mask's edge is softened over this depth, for a sharp edge has power at every wavelength
_MESHES_UM = 55.0
_COARSE_UM = (73.4, 246.8)  # edges of bands
_MIN_COEFFICIENTS = 8
_HALF_BAND = 0.125  # octaves


class Spectrum(NamedTuple):
    """The spectrum of a stain (R16).

    Attributes
    ----------
    wavelength_um : (N,) float64
        Middles of the bands, log-spaced, rising.
    power_um2 : (N,) float64
        Power spectral density of the stain relative to its mean; NaN where the tissue is too small for the band.
        ∫ 2πf power df is the variance of stain / mean; white noise of SD s on pixels of side a has s² a²
        throughout.
    """

    wavelength_um: Values
    power_um2: Values

    @property
    def dominant_wavelength_um(self) -> float:
        """Wavelength at which the variance per octave, f² · power, is largest; NaN without a peak inside the bands.

        Of the bands from 57 µm on: finer variation is that of the network's own meshes. A parabola through the
        highest band and its neighbours (in log f² · power over log wavelength) places it between bands. A spectrum
        that rises or falls to its last band has no peak.
        """
        known = np.isfinite(self.power_um2) & (self.power_um2 > 0) & (self.wavelength_um > _MESHES_UM)
        if np.count_nonzero(known) < 3:
            return math.nan
        x = np.log(self.wavelength_um[known])
        y = np.log(self.power_um2[known]) - 2 * x
        top = int(y.argmax())
        if top in (0, len(y) - 1):
            return math.nan
        before, here, after = y[top - 1 : top + 2]
        shift = 0.5 * (before - after) / (before - 2 * here + after)
        return float(np.exp(x[top] + shift * (x[top + 1] - x[top - 1]) / 2))

    @property
    def coarse_share(self) -> float:
        """Share of the variance between 18 and 247 µm that lies at 73 µm and above; NaN in too small a section.

        The variance in a band is π (f₁² − f₀²) · power: white noise (salt and pepper) has 0.057 here, and the
        coarser the pattern, the nearer to 1.
        """
        chosen = self.wavelength_um < _COARSE_UM[1]
        f = 1 / self.wavelength_um[chosen]
        variance = self.power_um2[chosen] * f**2  # bands are equally wide in octaves
        total = float(variance.sum())
        return float(variance[self.wavelength_um[chosen] > _COARSE_UM[0]].sum()) / total if total > 0 else math.nan


def multitaper_spectrum(
    plane: FloatPlane, mask: Mask, pixel_um: float, *, wavelengths_um: npt.ArrayLike = WAVELENGTHS_UM
) -> Spectrum:
    """Estimate the circularly averaged power spectrum of a stain inside a mask (R16; Sornborger 2017).

    MiCASA (Nat Commun 8:15619) in an irregular window. On bins of 3 µm over the mask's bounding box, z is the
    stain over its mean in the mask, less 1. It is multiplied by the mask, softened over 40 µm by sin², and by each
    of 2 × 2 sine tapers of the bounding box, v_k(n) ∝ sin[πk(n + ½)/N] (Riedel and Sidorenko 1995, IEEE Trans
    Signal Process 43:188: nearly as concentrated as Slepian's, without their eigenproblem). Each product's weighted
    mean is taken off, so that the window's own shape does not leak. Then S(f) = a² Σ_k |F_k(f)|² / Σ_k Σ w_k², with
    w_k taper times mask: the tapers' energy inside the mask, so that white noise comes out flat and right whatever
    the mask's shape. S is averaged over all directions in bands of a quarter octave and corrected for the averaging
    over bins, sinc² in either direction (which lifts noise that pixels do not share by up to 8 % at 20 µm).

    A wave's peak is found to 3 % up to an eighth of the section's width and to 12 % up to a fifth. A band counts
    where its wavelength is at most half the equivalent diameter of the mask (beyond, two periods do not fit) and at
    least 8 Fourier coefficients fall into it.

    Parameters
    ----------
    plane : (Y, X) float32
        Background-subtracted; its gain cancels.
    mask : (Y, X) bool
    pixel_um : float
    wavelengths_um : (N,) float
        Middles of quarter-octave bands, in µm.

    Returns
    -------
    Spectrum

    Examples
    --------
    A wave of 100 µm; white noise of SD 0.5 on pixels of 2 µm (a² s² = 1), in the shorter bands.

    >>> import numpy as np
    >>> x = np.arange(500) * 2.0
    >>> wave = (2 + np.sin(2 * np.pi * x / 100) * np.ones((500, 1))).astype(np.float32)
    >>> round(multitaper_spectrum(wave, np.ones((500, 500), bool), 2.0).dominant_wavelength_um, -1)
    100.0
    >>> noise = np.random.default_rng(0).normal(1, 0.5, (500, 500)).astype(np.float32)
    >>> power = multitaper_spectrum(noise, np.ones((500, 500), bool), 2.0).power_um2[:8]
    >>> bool(abs(power.mean() - 1) < 0.05)
    True
    """
    middles = np.asarray(wavelengths_um, np.float64)
    undefined = Spectrum(middles, np.full(middles.shape, np.nan))
    if not mask.any():
        return undefined
    bins = lay_bins(mask, _BIN_UM, pixel_um)
    window = _soft(bins.share())
    z = bins.mean(plane)
    mean = float((z * window).sum() / window.sum()) if window.any() else 0.0
    if not mean > 0:
        return undefined
    z /= mean
    z -= 1
    sides = [fft.next_fast_len(n + n // 4, real=True) for n in z.shape]
    fy, fx = fft.fftfreq(sides[0], _BIN_UM), fft.rfftfreq(sides[1], _BIN_UM)
    finest = 2**_HALF_BAND / middles.min() * (1 + 1e-9)
    down_to, across_to = np.abs(fy) <= finest, fx <= finest  # the rest lies in no band
    total, energy = np.zeros((np.count_nonzero(down_to), np.count_nonzero(across_to))), 0.0
    tapers = [_sine_tapers(n) for n in z.shape]
    for down in tapers[0]:
        for across in tapers[1]:
            tapered, used = _tapered(z, window * down[:, None] * across[None])
            # along either axis in turn, and across only what is wanted: that is all of rfft2 that is looked at
            columns = fft.rfft(tapered, sides[1], axis=1)[:, across_to]
            transform = fft.fft(columns, sides[0], axis=0)[down_to]
            total += transform.real**2 + transform.imag**2
            energy += used
    twice = _mirrored(sides[1])[across_to]
    fy, fx = fy[down_to], fx[across_to]
    total /= energy * (np.sinc(fy * _BIN_UM) ** 2)[:, None] * (np.sinc(fx * _BIN_UM) ** 2)[None]
    diameter = 2 * math.sqrt(float(bins.share().sum()) * _BIN_UM**2 / math.pi)
    return Spectrum(middles, _circular(total * _BIN_UM**2, fy, fx, twice, middles, diameter / 2))


def _soft(share: Values) -> Values:
    """Return the mask with an edge that rises over the ramp as sin²."""
    depth = depth_px(share >= 0.5) * _BIN_UM
    return np.asarray(np.sin(np.minimum(depth / _RAMP_UM, 1) * (math.pi / 2)) ** 2 * share, np.float64)


def _sine_tapers(length: int) -> list[Values]:
    place = (np.arange(length) + 0.5) / length
    return [np.sin(math.pi * k * place) for k in range(1, _TAPERS + 1)]


def _tapered(z: Values, weight: Values) -> tuple[Values, float]:
    """Turn a window into (plane − its mean under the window's square) · window; return it and Σ of the square."""
    squares = weight**2
    energy = float(squares.sum())
    mean = float(np.multiply(z, squares, out=squares).sum()) / energy if energy > 0 else 0.0
    weight *= np.subtract(z, mean, out=squares)
    return weight, energy


def _mirrored(width: int) -> Values:
    """Return how often every column of a real transform counts: the half plane that it leaves out mirrors it."""
    twice = np.full(width // 2 + 1, 2.0)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    return twice


def _circular(power: Values, fy: Values, fx: Values, twice: Values, middles: Values, longest_um: float) -> Values:
    """Average over all directions in quarter-octave bands around the given wavelengths."""
    frequency = np.hypot(fy[:, None], fx[None]).ravel()
    weight = np.broadcast_to(twice, power.shape).ravel()
    octave = np.full(frequency.shape, np.nan)
    positive = frequency > 0
    octave[positive] = -np.log2(frequency[positive])
    order = np.argsort(middles, kind="stable")
    at = np.log2(middles[order])
    low, high = at - _HALF_BAND, at + _HALF_BAND
    found = np.full(middles.shape, np.nan)
    for i, (first, last) in enumerate(zip(low, high, strict=True)):
        chosen = (octave > first) & (octave <= last)
        count = float(weight[chosen].sum())
        # from here on the bands are too narrow or the waves too long, even where the lattice of frequencies lets
        # one more pass
        if count < _MIN_COEFFICIENTS or middles[order][i] > longest_um:
            break
        found[order[i]] = float((power.ravel()[chosen] * weight[chosen]).sum() / count)
    return found
