from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from thymusimg.channels.correct import Correction, estimate_correction
from thymusimg.channels.gain import Gain
from thymusimg.channels.unmix import inverse_mixing
from thymusimg.errors import SettingsError
from thymusimg.section.model import Grid, Window
from thymusimg.settings import CorrectionSettings

BACKGROUND = {"k14": 100.0, "k8": 100.0, "cd45": 100.0}


def vignette(size: int, period: float, depth: float, origin: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Light of square camera tiles, ``depth`` dimmer at the middle of an edge than in the centre."""
    axis = [((np.arange(size) + start) / period % 1 - 0.5) * 2 for start in origin]
    return np.exp(np.log(1 - depth) * (axis[0][:, None] ** 2 + axis[1][None, :] ** 2))


def test_without_vignetting_only_the_background_goes(make_lobe, make_section, make_survey):
    lobe = make_lobe()
    survey = make_survey(make_section(lobe.stains))
    correction = estimate_correction(survey, lobe.tissue, BACKGROUND, CorrectionSettings())
    assert correction.gains == {}
    assert correction.unmixing is None
    for role, plane in correction.apply_coarse(survey.planes).items():
        np.testing.assert_array_equal(plane, survey.planes[role] - np.float32(100))
    assert any("off" in note for note in correction.notes)


@pytest.mark.parametrize(("period", "origin"), [(96, (0, 0)), (110.5, (31, 77))])
def test_the_gain_of_tiles_is_recovered(make_lobe, make_section, make_survey, period, origin):
    light = vignette(768, period, 0.2, origin)
    lobe = make_lobe(light=light)
    survey = make_survey(make_section(lobe.stains))
    correction = estimate_correction(survey, lobe.tissue, BACKGROUND, CorrectionSettings())
    assert "k8" in correction.gains
    assert correction.periods == pytest.approx((period, period), rel=0.01)
    gain = correction.gains["k8"]
    ratio = np.outer(gain.rows, gain.columns) / (light / light.mean())
    before, after = np.std(light[lobe.tissue]) / light.mean(), np.std(ratio[lobe.tissue])
    assert after < 0.5 * before
    assert any("flattened" in note for note in correction.notes)


def test_a_given_tile_size_is_used(make_lobe, make_section, make_survey):
    lobe = make_lobe(light=vignette(768, 128, 0.15))
    survey = make_survey(make_section(lobe.stains))
    correction = estimate_correction(survey, lobe.tissue, BACKGROUND, CorrectionSettings(tile_px=128))
    assert correction.periods == pytest.approx((128, 128), rel=0.03)


def test_illumination_can_be_switched_off(make_lobe, make_section, make_survey):
    lobe = make_lobe(light=vignette(768, 96, 0.2))
    survey = make_survey(make_section(lobe.stains))
    correction = estimate_correction(survey, lobe.tissue, BACKGROUND, CorrectionSettings(illumination="off"))
    assert correction.gains == {}


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_tiles_never_show(factor):
    grid = Grid((101, 203), 2.0 / factor, factor)
    rng = np.random.default_rng(0)
    gain = Gain(*(rng.uniform(0.5, 1.5, length).astype(np.float32) for length in grid.shape))
    correction = Correction(grid, {"k8": 10.0}, {"k8": gain}, None, ("k8",))
    raw = rng.integers(0, 4096, grid.slide_shape).astype(np.uint16)
    whole = correction.apply({"k8": raw}, Window(0, 101, 0, 203))["k8"]
    for window in (Window(0, 1, 0, 1), Window(3, 57, 120, 203), Window(100, 101, 5, 6), Window(40, 90, 0, 77)):
        part = correction.apply({"k8": raw[window.slices]}, window)["k8"]
        np.testing.assert_array_equal(part, whole[window.slices])


def test_between_coarse_pixels_a_gain_is_linear_along_either_axis():
    factor = 4
    gain = Gain(*(1 + slope * np.arange(n, dtype=np.float32) for slope, n in ((0.02, 10), (0.03, 12))))
    found = gain.sampled(factor, Window(6, 30, 6, 40))
    np.testing.assert_allclose(found.rows, 1 + 0.02 * ((np.arange(6, 30) + 0.5) / factor - 0.5), rtol=1e-6)
    np.testing.assert_allclose(found.columns, 1 + 0.03 * ((np.arange(6, 40) + 0.5) / factor - 0.5), rtol=1e-6)


def test_beyond_the_middle_of_the_outermost_coarse_pixels_a_gain_is_theirs():
    gain = Gain(np.float32([1, 2]), np.float32([3, 4]))
    found = gain.sampled(4, Window(0, 8, 0, 8))
    assert (found.rows[0], found.rows[-1], found.columns[0], found.columns[-1]) == (1, 2, 3, 4)


def test_a_plane_that_light_alone_has_made_becomes_even():
    gain = Gain(np.float32([0.8, 1.0, 1.25]), np.float32([0.5, 2.0]))
    light = 100 * np.outer(gain.rows, gain.columns).astype(np.float32)
    gain.flatten(light)
    np.testing.assert_allclose(light, 100, rtol=1e-6)


def test_an_input_is_never_changed():
    grid = Grid((8, 8), 2.0, 1)
    raw = np.full((8, 8), 50, np.float32)
    gain = Gain(np.full(8, 2, np.float32), np.ones(8, np.float32))
    Correction(grid, {"k8": 10.0}, {"k8": gain}, None, ("k8",)).apply_coarse({"k8": raw})
    assert np.all(raw == 50)


def test_a_given_mixture_is_undone():
    grid = Grid((4, 5), 2.0, 1)
    rng = np.random.default_rng(0)
    true = {role: rng.uniform(0, 100, (4, 5)).astype(np.float32) for role in ("k14", "k8")}
    mixed = {"k14": true["k14"] + 5, "k8": true["k8"] + 0.1 * true["k14"] + 7}
    inverse = inverse_mixing({"k8": {"k14": 0.1}}, ("k14", "k8"))
    correction = Correction(grid, {"k14": 5.0, "k8": 7.0}, {}, inverse, ("k14", "k8"))
    for role, plane in correction.apply_coarse(mixed).items():
        np.testing.assert_allclose(plane, true[role], atol=1e-4)
    with pytest.raises(ValueError, match="missing: k14"):
        correction.apply_coarse({"k8": mixed["k8"]})


@pytest.mark.parametrize(
    "mixing", [{"k8": {"k14": -0.1}}, {"k8": {"k8": 0.9}}, {"k8": {"k14": 0.99}, "k14": {"k8": 0.99}}]
)
def test_an_impossible_mixture_is_refused(mixing):
    with pytest.raises(SettingsError, match=r"correction\.unmixing"):
        inverse_mixing(mixing, ("k14", "k8"))


def test_a_section_of_next_to_no_tissue(make_lobe, make_section, make_survey):
    lobe = make_lobe(size=96)
    survey = make_survey(make_section(lobe.stains))
    tissue = np.zeros_like(lobe.tissue)
    tissue[40:44, 40:44] = True
    assert estimate_correction(survey, tissue, BACKGROUND, CorrectionSettings()).gains == {}
    assert estimate_correction(survey, tissue & False, BACKGROUND, CorrectionSettings()).gains == {}


REAL = Path(__file__).parents[3] / "shared" / "data" / "thymus_wildtype"


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the wild-type section is not part of the project")
def test_the_bands_of_a_real_section_are_found(make_section, make_survey):
    pixels = tifffile.imread(next(REAL.glob("*CD205.ome.tif")))
    tissue = tifffile.imread(REAL / "section1_compartments.tif") > 0
    section = make_section({"k14": pixels[0], "k8": pixels[2]}, 1.29)
    survey = make_survey(section, valid=pixels.max(axis=0) > 0, tile_px=512)
    correction = estimate_correction(survey, tissue, {"k14": 14.0, "k8": 12.0}, CorrectionSettings())
    # tiles of 195.5 px high, shifted sideways from row to row: the rows repeat, the columns do not
    assert correction.periods[0] == pytest.approx(195.4, abs=1)
    assert correction.periods[1] is None
    assert set(correction.gains) == {"k14", "k8"}
    assert 0.05 < np.ptp(correction.gains["k8"].rows) < 0.3
    assert np.all(correction.gains["k8"].columns == 1)
