"""The keratins' own planes: co-expression, sorting, direction, topology, wavelengths (R6-R8, R11, R14, R16)."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.analytic.case import Case
from thymusimg.measurements.pattern.cross import measure_cross_pattern
from thymusimg.measurements.pattern.window import Window
from thymusimg.measurements.smoothing import smooth_to
from thymusimg.measurements.stains.anisotropy import measure_anisotropy
from thymusimg.measurements.stains.autocorrelation import autocorrelation_length_um
from thymusimg.measurements.stains.blobs import cross_ratio, find_blobs
from thymusimg.measurements.stains.euler import density_euler_curve, dilation_euler_curve, euler_numbers
from thymusimg.measurements.stains.manders import colocalise
from thymusimg.measurements.stains.moran import tile_autocorrelation, tile_maps
from thymusimg.measurements.stains.scramble import scramble_null
from thymusimg.measurements.stains.segregation import segregation_curve
from thymusimg.measurements.stains.spectrum import multitaper_spectrum

PIXEL_UM = 2.0
FULL = np.ones((400, 400), bool)
Y, X = np.mgrid[:400, :400] - 199.5
DISC = np.hypot(Y, X) < 190


def _stripes(width_px: int) -> np.ndarray:
    return (np.arange(400) // width_px % 2 * np.ones((400, 1))).astype(np.float32)


def _checkerboard(block_px: int) -> np.ndarray:
    y, x = np.mgrid[:400, :400]
    return ((y // block_px + x // block_px) % 2).astype(np.float32)


def _noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 0.3, FULL.shape).astype(np.float32)


def _sorted_at(k14: np.ndarray, tile: int) -> float:
    return segregation_curve(1 - k14, k14, FULL, PIXEL_UM)[(25, 50, 100, 200).index(tile)].sorting


def _salt_and_pepper() -> np.ndarray:
    # grains of 10 µm: what is finer is smoothed away at σ = 5 µm
    return np.kron(np.random.default_rng(0).random((80, 80)) < 0.5, np.ones((5, 5))).astype(np.float32)


def _third_with_other() -> float:
    # K8 on columns 0-299, K14 on 200-399: a third of the K8 signal
    k8, k14 = (
        np.float32(np.arange(400) < 300) * np.ones((400, 1)),
        np.float32(np.arange(400) >= 200) * np.ones((400, 1)),
    )
    return colocalise(k8.astype(np.float32), k14.astype(np.float32), FULL, 0.5, 0.5).m1


def _scrambled() -> float:
    k8, k14 = (_salt_and_pepper() for _ in range(2))
    return scramble_null(k8, k14, FULL, 0.5, 0.5, PIXEL_UM, block_um=50, scrambles=40).mean("m1")


def _correlated_over() -> float:
    return autocorrelation_length_um(smooth_to(_noise() - 1, 20.0, PIXEL_UM), DISC, PIXEL_UM)


def _moran_of_chessboard() -> float:
    return tile_autocorrelation(np.indices((20, 20)).sum(axis=0) % 2.0, permutations=19).moran_i


def _geary_of_noise() -> float:
    return tile_autocorrelation(np.random.default_rng(0).normal(size=(60, 60)), permutations=19).geary_c


def _divergence(k14: np.ndarray) -> float:
    maps = tile_maps(1 - k14, k14, FULL, PIXEL_UM)
    return math.nan if maps is None else maps.divergence


def _spots(mixed: bool) -> float:
    rng = np.random.default_rng(1)
    at = rng.uniform(0, 798, (1000, 2))
    kind = rng.random(1000) < 0.5 if mixed else at[:, 0] < 399
    window = Window.of(FULL.view(np.uint8), PIXEL_UM)
    return cross_ratio(measure_cross_pattern(at[kind], at[~kind], window, [50.0], simulations=39), 50.0)


def _bodies() -> float:
    plane = np.zeros(FULL.shape, np.float32)
    plane[20:390:15, 20:390:15] = 1000
    return float(len(find_blobs(smooth_to(plane, 5.0, PIXEL_UM), FULL, 0.5, PIXEL_UM)))


def _wave(wavelength_um: float, angle: float) -> np.ndarray:
    along = (X * math.cos(angle) + Y * math.sin(angle)) * PIXEL_UM
    return (2 + np.sin(2 * math.pi * along / wavelength_um)).astype(np.float32)


def _rings(plane: np.ndarray) -> float:
    depth = (380 - np.hypot(Y, X) * PIXEL_UM).astype(np.float32)
    return measure_anisotropy(plane, DISC & (np.hypot(Y, X) > 60), PIXEL_UM, depth_um=depth).radial


def _annulus() -> float:
    ring = (np.hypot(Y, X) < 100) & (np.hypot(Y, X) > 50)
    return float(euler_numbers(ring.astype(float), [0.5])[0])


def _islands() -> float:
    k14 = sum(np.hypot(Y - cy, X - cx) < 30 for cy in (-80, 80) for cx in (-80, 80))
    return float(density_euler_curve(np.asarray(k14, np.float32) + _noise() * 0, DISC, PIXEL_UM, levels=[0.5])[0])


def _merged(radius_um: float) -> float:
    two = (np.hypot(Y, X - 80) < 40) | (np.hypot(Y, X + 80) < 40)  # a gap of 160 µm
    return float(dilation_euler_curve(two, PIXEL_UM, radii_um=[radius_um])[0])


CASES: tuple[Case, ...] = (
    Case(
        "R6 Manders", "manders_k8_in_k14", "K14 covers a third of an even K8", 1 / 3, 1e-6, "fraction", _third_with_other
    ),
    Case(
        "R6 scramble null", "manders_k8_in_k14_null", "one salt and pepper twice, blocks of 50 µm shuffled", 0.5, 0.03,
        "fraction", _scrambled, "40 scrambles of 256 blocks",
    ),
    Case(
        "R6 autocorrelation length", "coexpression_block_um", "white noise smoothed at σ = 20 µm: 2σ", 40.0, 4.0, "µm",
        _correlated_over, "one draw",
    ),
    Case(
        "R7 segregation", "segregation_index_50um", "checkerboard of 100 µm, tiles of 50 µm inside it", 1.0, 1e-9,
        "fraction", lambda: _sorted_at(_checkerboard(50), 50),
    ),
    Case(
        "R7 segregation", "segregation_index_100um", "stripes of 50 µm, one of each in a tile", 0.0, 1e-6, "fraction",
        lambda: _sorted_at(_stripes(25), 100),
    ),
    Case(
        "R7 segregation", "segregation_index_100um", "salt and pepper, grains of 10 µm", 0.0, 0.03, "fraction",
        lambda: _sorted_at(_salt_and_pepper(), 100), "100 grains a tile: 1/(2 · 100 · ln 2) = 0.007",
    ),
    Case(
        "R7 Moran's I", "k14_share_moran_i", "chessboard of 20 × 20 tiles: (722 − 760) / 1482", -38 / 1482, 1e-9,
        "correlation", _moran_of_chessboard,
    ),
    Case(
        "R7 Geary's c", "k14_share_geary_c", "white noise on 60 × 60 tiles", 1.0, 0.05, "ratio", _geary_of_noise,
        "one draw",
    ),
    Case(
        "R7 divergence", "stain_divergence", "stripes of 100 µm: no tile holds both", 1.0, 1e-9, "fraction",
        lambda: _divergence(_stripes(50)),
    ),
    Case(
        "R7 divergence", "stain_divergence", "the same map twice", 0.0, 1e-9, "fraction",
        lambda: _divergence(0.5 * np.ones_like(_noise())),
    ),
    Case(
        "R8 cross-K of spots", "keratin_cross_ratio_50um", "random places, random kinds", 1.0, 0.06, "ratio",
        lambda: _spots(True), "one draw of 1,000 spots",
    ),
    Case(
        "R8 cross-K of spots", "keratin_cross_ratio_50um",
        "two kinds in two halves of 800 µm: (4/3π) · 50/800 cross the seam, over ½", 8 / (3 * math.pi) * 50 / 800, 0.03,
        "ratio", lambda: _spots(False), "one draw of 1,000 spots",
    ),
    Case("R8 spots", "k14_blob_count", "bodies 30 µm apart on a square lattice: 25²", 625.0, 0.0, "count", _bodies),
    Case(
        "R11 anisotropy", "k8_anisotropy_cortex", "stripes 40 µm apart at 23°", 1.0, 0.02, "fraction",
        lambda: measure_anisotropy(_wave(40, 0.4), DISC, PIXEL_UM).coherence,
    ),
    Case(
        "R11 anisotropy", "k8_anisotropy_cortex", "isotropic grain of σ = 6 µm", 0.0, 0.03, "fraction",
        lambda: measure_anisotropy(1 + smooth_to(_noise() - 1, 6.0, PIXEL_UM), DISC, PIXEL_UM).coherence, "one draw",
    ),
    Case(
        "R11 alignment", "k8_radial_alignment_cortex", "rings 40 µm apart, parallel to the capsule", -1.0, 0.03, "fraction",
        lambda: _rings((2 + np.sin(2 * math.pi * np.hypot(Y, X) / 20)).astype(np.float32)),
    ),
    Case(
        "R11 alignment", "k8_radial_alignment_cortex", "36 spokes", 1.0, 0.03, "fraction",
        lambda: _rings((2 + np.sin(36 * np.arctan2(Y, X))).astype(np.float32)),
    ),
    Case("R14 Euler number", "medulla_euler_number", "annulus: one piece less one hole", 0.0, 0.0, "count", _annulus),
    Case("R14 Euler curve", "k14_euler", "four islands at half their height", 4.0, 0.0, "count", _islands),
    Case(
        "R14 dilation", "medulla_dilation_euler", "two discs 160 µm apart, grown by 75 µm", 2.0, 0.0, "count",
        lambda: _merged(75.0),
    ),
    Case(
        "R14 dilation", "medulla_dilation_euler", "two discs 160 µm apart, grown by 85 µm", 1.0, 0.0, "count",
        lambda: _merged(85.0),
    ),
    Case(
        "R16 wavelength", "k14_dominant_wavelength_um", "a wave of 80 µm in a disc of 760 µm", 80.0, 3.0, "µm",
        lambda: multitaper_spectrum(_wave(80, 0.6), DISC, PIXEL_UM).dominant_wavelength_um, "bands of a quarter octave",
    ),
    Case(
        "R16 coarse share", "k14_coarse_share", "white noise: (73⁻² − 247⁻²) / (18⁻² − 247⁻²)", 0.0567, 0.015, "fraction",
        lambda: multitaper_spectrum(_noise(), DISC, PIXEL_UM).coarse_share, "one draw",
    ),
    Case(
        "R16 spectrum", "k14_spectrum", "white noise of SD 0.3 on pixels of 2 µm: 0.09 · 4 µm², in bands to 80 µm", 0.36, 0.03,
        "µm²", lambda: float(multitaper_spectrum(_noise(), DISC, PIXEL_UM).power_um2[:9].mean()), "one draw",
    ),
)  # fmt: skip
