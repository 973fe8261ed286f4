"""Do the strands of a keratin network run in a common direction: structure-tensor coherence (R11)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numba
import numpy as np
import numpy.typing as npt
from scipy import fft

from thymusimg.measurements.smoothing import depth_px
from thymusimg.measurements.stains.binned import lay_bins
from thymusimg.measurements.tiling import lay_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.measurements.stains.binned import Bins
    from thymusimg.measurements.tiling import Tiles
    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

GRADIENT_SIGMA_UM = 4.0
COHERENCE_SIGMA_UM = 20.0
_EDGE_UM = 12.0
_LEVEL_SIGMA_UM = 20.0  # what is coarser than this is the compartment's own outline, no network
_BIN_UM = 2.0
_TENSOR_UM = 8.0
_FLOOR_SIDE = 512  # bins
_FLOOR_DRAWS = 2
_FLOOR_PAD = 12
_MIN_AREA_UM2 = 10_000.0
_ROWS = 256  # worked on at a time, where what lies between would take as much memory as many planes


class Anisotropy(NamedTuple):
    """How strands are aligned in a compartment (R11).

    ``coherence`` is what exceeds ``floor``, (raw − floor) / (1 − floor): 0 no common direction … 1 parallel.
    ``raw`` is the energy-weighted coherence, ``floor`` that of an isotropic texture with the same spectrum.
    ``radial`` is in [-1, 1]: positive where strands run along the gradient of the given depth, negative where they
    run across it.
    """

    coherence: float
    raw: float
    floor: float
    radial: float


_UNDEFINED = Anisotropy(math.nan, math.nan, math.nan, math.nan)


def measure_anisotropy(
    plane: FloatPlane, compartment: Mask, pixel_um: float, *, depth_um: FloatPlane | None = None, seed: int = 0
) -> Anisotropy:
    """Measure the common direction of a stain's texture inside a compartment (R11).

    On bins of 2 µm the stain is divided by its local mean inside the compartment (Gaussian of 20 µm), so that
    neither gain nor the step at the compartment's edge counts, and its gradient g is taken at σ = 4 µm. The tensor
    J is the Gaussian mean of g gᵀ at 20 µm; with its eigenvalues λ₁ ≥ λ₂ the coherence weighted by energy is Σ(λ₁ −
    λ₂) / Σ(λ₁ + λ₂) (Bigün 1987; Weickert 1999). Pixels nearer than 12 µm to the compartment's edge take no part.

    Any texture of finite grain is a little coherent by chance. The floor is the same number for isotropic Gaussian
    noise with the circularly averaged spectrum of this texture, simulated (``seed``) in a compartment of the same
    shape; it is taken off. Where chance alone is larger the result is a little below 0; a net of strands without
    any common direction keeps about 0.05, for a strand is straighter than noise.

    With φ the direction of the gradient of ``depth_um``, radial = −Σ[(J_xx − J_yy) cos 2φ + 2 J_xy sin 2φ] /
    Σ(λ₁ + λ₂): it needs no floor, for in an isotropic texture its mean is 0. Strands are told apart only where they
    are wider apart than about 8 µm; single filaments need the network's metrics (R9).

    Parameters
    ----------
    plane : (Y, X) float32
        Background-subtracted.
    compartment : (Y, X) bool
    pixel_um : float
    depth_um : (Y, X) float32, optional
        A distance map, whose gradient is the direction that strands are compared with; NaN where unknown.
    seed : int

    Returns
    -------
    Anisotropy
        NaN where less than 0.01 mm² is left of the compartment, or without stain; ``radial`` also without depths.

    Examples
    --------
    Stripes 40 µm apart, across a depth that grows along x.

    >>> import numpy as np
    >>> x = np.arange(300) * 2.0
    >>> stripes = (1.5 + np.sin(2 * np.pi * x / 40) * np.ones((300, 1))).astype(np.float32)
    >>> found = measure_anisotropy(stripes, np.ones((300, 300), bool), 2.0, depth_um=stripes * 0 + np.float32(x))
    >>> round(found.coherence, 2), round(found.radial, 2)
    (1.0, -1.0)
    """
    if not compartment.any():
        return _UNDEFINED
    bins = lay_bins(compartment, _BIN_UM, pixel_um)
    inside = bins.share() >= 0.5
    texture = _texture(_inside(bins, plane, inside), inside)
    core = depth_px(inside) > _EDGE_UM / _BIN_UM
    if texture is None or np.count_nonzero(core) * _BIN_UM**2 < _MIN_AREA_UM2:
        return _UNDEFINED
    tiles = lay_tiles(core, _TENSOR_UM / _BIN_UM)
    directions = None
    if depth_um is not None:
        directions = [_inside(bins, v, inside) for v in _directions(depth_um, pixel_um)]
    above, below, radial = _aligned(texture, core, tiles, directions)
    del directions
    if not below > 0:
        return _UNDEFINED
    raw, floor = above / below, _noise_floor(texture, tiles.area, seed)
    return Anisotropy((raw - floor) / (1 - floor), raw, floor, radial)


def _inside(bins: Bins, plane: FloatPlane, inside: Mask) -> FloatPlane:
    """Return a plane on bins; 0 beside the mask."""
    found = bins.mean(plane).astype(np.float32)
    found[~inside] = 0
    return found


def _aligned(
    texture: FloatPlane, core: Mask, tiles: Tiles, directions: Sequence[FloatPlane] | None
) -> tuple[float, float, float]:
    """Return Σ(λ₁ − λ₂), Σ(λ₁ + λ₂) and the alignment with given directions, cos 2φ and sin 2φ (0: not known)."""
    products = _gradient_products(texture, cv2.BORDER_CONSTANT)
    for product in products:
        product[~core] = 0
    above, below = _coherence(*(tiles.sum(v) for v in products))
    return above, below, math.nan if directions is None else _along(products, core, *directions)


def _along(products: Sequence[FloatPlane], core: Mask, cosine: FloatPlane, sine: FloatPlane) -> float:
    known = core & ((cosine != 0) | (sine != 0))
    xx, yy, xy = (v[known] for v in products)
    energy = float((xx + yy).sum(dtype=np.float64))
    xx -= yy
    xx *= cosine[known]
    xy *= sine[known]
    xy *= 2
    xx += xy
    return -float(xx.sum(dtype=np.float64)) / energy if energy > 0 else math.nan


def _directions(depth_um: FloatPlane, pixel_um: float) -> tuple[FloatPlane, FloatPlane]:
    """Return cos 2φ and sin 2φ of the depth's gradient; 0 where it is not known."""
    known = np.isfinite(depth_um)
    filled = np.where(known, depth_um, np.float32(0))
    smooth = _smooth(filled, GRADIENT_SIGMA_UM / pixel_um, cv2.BORDER_REPLICATE)
    del filled
    dx, dy = (cv2.Scharr(smooth, cv2.CV_32F, a, 1 - a, borderType=cv2.BORDER_REPLICATE) for a in (1, 0))
    # the edge of what is known is no direction
    around = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=math.ceil(16 / pixel_um))
    for start in range(0, len(dx), _ROWS):  # in place, some rows at a time
        rows = slice(start, start + _ROWS)
        x, y = dx[rows], dy[rows]
        size = x * x + y * y
        used = (around[rows] > 0) & (size > 0)
        size[~used] = 1
        dx[rows], dy[rows] = np.where(used, (x * x - y * y) / size, 0), np.where(used, 2 * x * y / size, 0)
    return dx, dy


def _texture(plane: FloatPlane, inside: Mask) -> FloatPlane | None:
    """Return the plane over its local mean inside the mask, less 1; 0 beside it."""
    sigma = _LEVEL_SIGMA_UM / _BIN_UM
    level, share = (_smooth(v, sigma, cv2.BORDER_CONSTANT) for v in (plane, inside.astype(np.float32)))
    level = np.divide(level, share, out=np.zeros_like(level), where=inside)
    typical = float(level[inside].mean(dtype=np.float64))
    if not typical > 0:
        return None
    # where a stain is all but absent its quotient would be noise over noise
    level = np.maximum(level, np.float32(0.1 * typical))
    return np.where(inside, plane / level - 1, np.float32(0))


def _smooth(plane: FloatPlane, sigma_px: float, border: int) -> FloatPlane:
    size = 2 * math.ceil(4 * sigma_px) + 1
    return np.asarray(cv2.GaussianBlur(plane, (size, size), sigma_px, borderType=border), np.float32)


def _gradient_products(texture: FloatPlane, border: int) -> tuple[FloatPlane, FloatPlane, FloatPlane]:
    """Return g_x², g_y² and g_x g_y of the Gaussian gradient."""
    smooth = _smooth(texture, GRADIENT_SIGMA_UM / _BIN_UM, border)
    # Scharr's derivative, weighed 3:10:3, has the least preference for an axis
    gx, gy = (cv2.Scharr(smooth, cv2.CV_32F, dx, 1 - dx, borderType=border) for dx in (1, 0))
    return gx * gx, gy * gy, gx * gy


def _coherence(xx: Values, yy: Values, xy: Values) -> tuple[float, float]:
    """Return Σ(λ₁ − λ₂) and Σ(λ₁ + λ₂) of the Gaussian mean of a tensor on tiles of 8 µm."""
    sigma = COHERENCE_SIGMA_UM / _TENSOR_UM
    jxx, jyy, jxy = (_smooth(v.astype(np.float32), sigma, cv2.BORDER_CONSTANT) for v in (xx, yy, xy))
    difference = np.sqrt((jxx - jyy) ** 2 + 4 * jxy**2)
    return float(difference.sum(dtype=np.float64)), float((jxx + jyy).sum(dtype=np.float64))


def _noise_floor(texture: FloatPlane, share: Values, seed: int) -> float:
    """Return the coherence of isotropic Gaussian noise with the texture's circularly averaged spectrum.

    ``share`` says how much of every tile of 8 µm takes part: a narrow compartment is more coherent by chance. It is
    laid over the noise in all eight ways of turning and flipping, so that the floor is the same for a turned
    section.
    """
    amplitude = np.sqrt(_isotropic_power(texture)).astype(np.float32)
    rng = np.random.default_rng(seed)
    step = round(_TENSOR_UM / _BIN_UM)
    count = _FLOOR_SIDE // step
    turned = [np.rot90(v, k) for v in (share, share.T) for k in range(4)]
    above, below = 0.0, 0.0
    for _ in range(_FLOOR_DRAWS):
        noise = fft.rfft2(rng.standard_normal((_FLOOR_SIDE, _FLOOR_SIDE), dtype=np.float32))
        field = np.asarray(fft.irfft2(noise * amplitude, (_FLOOR_SIDE, _FLOOR_SIDE)), np.float32)
        around = np.pad(field, _FLOOR_PAD, mode="wrap")
        within = (slice(_FLOOR_PAD, -_FLOOR_PAD), slice(_FLOOR_PAD, -_FLOOR_PAD))
        tiles = [
            v[within].reshape(count, step, count, step).mean(axis=(1, 3), dtype=np.float64)
            for v in _gradient_products(around, cv2.BORDER_REFLECT)
        ]
        for weight in turned:
            # the noise has no border: it goes on where it began
            repeats = [-(-n // count) for n in weight.shape]
            laid = (np.tile(v, repeats)[: weight.shape[0], : weight.shape[1]] * weight for v in tiles)
            one, all_of_it = _coherence(*laid)
            above, below = above + one, below + all_of_it
    return above / below if below > 0 else math.nan


def _isotropic_power(texture: FloatPlane) -> Values:
    """Return the texture's power by frequency only, on the half plane of the floor's transform."""
    sides = [fft.next_fast_len(n, real=True) for n in texture.shape]
    transform = fft.rfft2(texture, sides)
    step = 1 / min(*sides, _FLOOR_SIDE)
    down, across = fft.fftfreq(sides[0])[:, None], fft.rfftfreq(sides[1])[None]
    # the half plane that is left out mirrors every column but the first (and the last, if even)
    times = np.full(transform.shape[1], 2.0)
    times[0] = 1.0
    times[-1] = 1.0 if sides[1] % 2 == 0 else 2.0
    count, total = np.zeros((2, math.ceil(1 / step) + 1))
    for start in range(0, len(down), _ROWS):
        rows = slice(start, start + _ROWS)
        ring = np.rint(np.hypot(down[rows], across) / step).astype(np.intp)
        _add_rings(transform[rows], ring, times, count, total)
    profile = total / np.maximum(count, 1)
    wanted = np.hypot(fft.fftfreq(_FLOOR_SIDE)[:, None], fft.rfftfreq(_FLOOR_SIDE)[None])
    known = np.flatnonzero(count)
    return np.asarray(np.interp(wanted / step, known, profile[known]))


@numba.njit(cache=True, nogil=True)
def _add_rings(transform, ring, times, count, total):  # type: ignore[no-untyped-def]  # compiled
    """Add how many coefficients lie in every ring, and their power."""
    for y in range(ring.shape[0]):
        for x in range(ring.shape[1]):
            real, imag = transform[y, x].real, transform[y, x].imag
            count[ring[y, x]] += times[x]
            total[ring[y, x]] += (real * real + imag * imag) * times[x]
