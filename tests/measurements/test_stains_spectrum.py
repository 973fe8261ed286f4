from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import structure_tensor, structure_tensor_eigenvalues

from thymusimg.measurements.stains.anisotropy import measure_anisotropy
from thymusimg.measurements.stains.spectrum import Spectrum, multitaper_spectrum

SIZE = 500
Y, X = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
ROUND = np.hypot(Y, X) < 240
HOLED = ROUND & (np.hypot(Y - 60, X + 40) > 50) & (X < 150)


def wave(wavelength_um: float, angle: float, pixel_um: float = 2.0) -> np.ndarray:
    along = (X * math.cos(angle) + Y * math.sin(angle)) * pixel_um
    return (2 + np.sin(2 * math.pi * along / wavelength_um)).astype(np.float32)


def grain(seed: int, down: float, across: float | None = None) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(SIZE, SIZE))
    field = ndimage.gaussian_filter(noise, (down, down if across is None else across), mode="wrap")
    return np.exp(0.5 * field / field.std()).astype(np.float32)


# --- the spectrum (R16)


@pytest.mark.parametrize("wavelength_um", [70.0, 90.0, 120.0, 200.0])
@pytest.mark.parametrize("mask", [ROUND, HOLED], ids=["disc", "disc with a hole and a cut"])
def test_a_wave_peaks_at_its_wavelength(wavelength_um: float, mask: np.ndarray) -> None:
    for angle in (0.0, 0.6):
        found = multitaper_spectrum(wave(wavelength_um, angle), mask, 2.0)
        assert found.dominant_wavelength_um == pytest.approx(
            wavelength_um, rel=0.03 if wavelength_um <= 120 else 0.12
        )


@pytest.mark.parametrize("mask", [ROUND, HOLED], ids=["disc", "disc with a hole and a cut"])
def test_white_noise_is_flat_at_its_power(mask: np.ndarray) -> None:
    # SD 0.4 of the mean on pixels of 2 µm: 0.16 · 4 µm²
    noise = [np.random.default_rng(s).normal(5, 2, (SIZE, SIZE)).astype(np.float32) for s in range(8)]
    power = np.mean([multitaper_spectrum(n, mask, 2.0).power_um2 for n in noise], axis=0)
    np.testing.assert_allclose(power[:8] / 0.64, 1, atol=0.1)
    np.testing.assert_allclose(power[np.isfinite(power)] / 0.64, 1, atol=0.3)


def test_the_power_adds_up_to_the_variance() -> None:
    plane = grain(0, 8)
    found = multitaper_spectrum(plane, np.ones_like(ROUND), 2.0)
    known = np.isfinite(found.power_um2)
    f = 1 / found.wavelength_um[known]
    variance = (2 * math.pi * f**2 * found.power_um2[known]).sum() * math.log(2) / 4
    assert variance == pytest.approx(float(plane.var() / plane.mean() ** 2), rel=0.1)


def test_the_mask_s_edge_has_no_power_of_its_own() -> None:
    """A bright even disc on a dark ground: whatever is left is far below 1 % of a grain's power."""
    even = np.where(ROUND, np.float32(100), np.float32(0))
    assert np.nanmax(multitaper_spectrum(even, ROUND, 2.0).power_um2) < 1e-6


def test_coarse_share_of_white_noise() -> None:
    # ∝ f²: (73.4⁻² − 246.8⁻²) / (18.3⁻² − 246.8⁻²)
    noise = np.random.default_rng(0).normal(5, 2, (SIZE, SIZE)).astype(np.float32)
    assert multitaper_spectrum(noise, ROUND, 2.0).coarse_share == pytest.approx(0.0567, abs=0.006)
    assert multitaper_spectrum(wave(150, 0.3), ROUND, 2.0).coarse_share > 0.98
    assert multitaper_spectrum(wave(40, 0.3), ROUND, 2.0).coarse_share < 0.02


def test_the_spectrum_follows_neither_gain_nor_lie_nor_pixel_size() -> None:
    plane = grain(1, 6)
    one = multitaper_spectrum(plane, HOLED, 2.0)
    changed = [
        (plane * 3, HOLED, 2.0),
        (np.rot90(plane), np.rot90(HOLED), 2.0),
        (np.pad(plane, ((0, 9), (4, 0))), np.pad(HOLED, ((0, 9), (4, 0))), 2.0),
        (plane[:, ::-1].repeat(2, 0).repeat(2, 1), HOLED[:, ::-1].repeat(2, 0).repeat(2, 1), 1.0),
    ]
    for i, (p, m, pixel_um) in enumerate(changed):
        two = multitaper_spectrum(np.ascontiguousarray(p), np.ascontiguousarray(m), pixel_um)
        np.testing.assert_allclose(two.power_um2, one.power_um2, rtol=1e-6 if i < 3 else 0.02)
        assert two.coarse_share == pytest.approx(one.coarse_share, rel=1e-6 if i < 3 else 0.02)


def test_small_sections_have_only_short_wavelengths() -> None:
    found = multitaper_spectrum(wave(40, 0), np.hypot(Y, X) < 60, 2.0)
    known = np.isfinite(found.power_um2)
    assert known[0]
    assert found.wavelength_um[known].max() <= 120
    assert math.isnan(found.coarse_share)


def test_no_stain_no_peak_no_spectrum() -> None:
    assert np.isnan(multitaper_spectrum(wave(40, 0), ROUND & False, 2.0).power_um2).all()
    assert np.isnan(multitaper_spectrum(ROUND * np.float32(0), ROUND, 2.0).power_um2).all()
    rising = Spectrum(np.array([60.0, 80.0, 100.0]), np.array([1.0, 10.0, 100.0]))
    assert math.isnan(rising.dominant_wavelength_um)


# --- direction (R11)


def test_isotropic_texture_has_no_direction() -> None:
    found = [measure_anisotropy(grain(s, g), ROUND, 2.0) for s, g in ((0, 2), (1, 3), (2, 5))]
    assert [f.coherence for f in found] == pytest.approx([0, 0, 0], abs=0.02)
    assert all(f.floor > 0.1 for f in found)


def test_a_narrow_compartment_has_a_higher_floor_and_still_no_direction() -> None:
    narrow = ROUND & (np.hypot(Y, X) > 200)  # 80 µm wide
    found = [measure_anisotropy(grain(s, 3), narrow, 2.0) for s in range(6)]
    whole = measure_anisotropy(grain(0, 3), ROUND, 2.0)
    assert np.mean([f.floor for f in found]) > whole.floor + 0.02
    assert np.mean([f.coherence for f in found]) == pytest.approx(0, abs=0.02)


def test_the_more_drawn_out_the_grain_the_more_coherent() -> None:
    found = [measure_anisotropy(grain(0, 3, 3 * stretch), ROUND, 2.0).coherence for stretch in (1, 1.5, 2, 4)]
    assert found == sorted(found)
    assert found[-1] > 0.6


def test_stripes_are_parallel_in_every_direction() -> None:
    for angle in (0.0, 0.4, math.pi / 4):
        assert measure_anisotropy(wave(40, angle), ROUND, 2.0).coherence == pytest.approx(1, abs=0.02)


def test_rings_run_across_the_depth_and_spokes_along_it() -> None:
    r, angle = np.hypot(Y, X) * 2.0, np.arctan2(Y, X)
    depth = (480 - r).astype(np.float32)
    away = ROUND & (r > 150)
    rings = (2 + np.sin(2 * math.pi * r / 40)).astype(np.float32)
    spokes = (2 + np.sin(40 * angle)).astype(np.float32)
    assert measure_anisotropy(rings, away, 2.0, depth_um=depth).radial == pytest.approx(-1, abs=0.03)
    assert measure_anisotropy(spokes, away, 2.0, depth_um=depth).radial == pytest.approx(1, abs=0.03)
    none = [measure_anisotropy(grain(seed, 3), away, 2.0, depth_um=depth).radial for seed in range(6)]
    assert np.mean(none) == pytest.approx(0, abs=0.03)
    # unknown depths have no direction
    assert math.isnan(measure_anisotropy(rings, away, 2.0, depth_um=depth * np.float32(np.nan)).radial)


def test_raw_coherence_agrees_with_scikit_image() -> None:
    texture = grain(4, 3, 5)
    tensor = structure_tensor(ndimage.gaussian_filter(texture / texture.mean(), 2), sigma=10)
    large, small = structure_tensor_eigenvalues(tensor)[:, 40:-40, 40:-40]
    wanted = (large - small).sum() / (large + small).sum()
    found = measure_anisotropy(texture, np.ones_like(ROUND), 2.0)
    # it takes off the local mean, which scikit-image does not
    assert found.raw == pytest.approx(wanted, abs=0.05)


def test_direction_follows_neither_gain_nor_lie_nor_pixel_size() -> None:
    plane, depth = grain(5, 3, 6), np.hypot(Y, X).astype(np.float32)
    one = measure_anisotropy(plane, HOLED, 2.0, depth_um=depth)
    for turn in (np.rot90, np.fliplr, lambda v: np.pad(v, ((0, 9), (4, 0)), mode="edge")):
        p, m, d = (np.ascontiguousarray(turn(v)) for v in (plane * 2, HOLED, depth))
        two = measure_anisotropy(p, m, 2.0, depth_um=d)
        assert two == pytest.approx(one, abs=2e-3)
    p, m, d = (v.repeat(2, 0).repeat(2, 1) for v in (plane, HOLED, depth))
    assert measure_anisotropy(p, m, 1.0, depth_um=d) == pytest.approx(one, abs=0.01)


def test_too_little_tissue_is_undefined() -> None:
    assert all(math.isnan(v) for v in measure_anisotropy(grain(0, 3), np.hypot(Y, X) < 20, 2.0))
    assert all(math.isnan(v) for v in measure_anisotropy(grain(0, 3), ROUND & False, 2.0))
    assert all(math.isnan(v) for v in measure_anisotropy(ROUND * np.float32(0), ROUND, 2.0))
