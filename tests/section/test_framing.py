"""Where a section lies on a big slide: faint tissue is in, dust and the filling of mosaics are not."""

from __future__ import annotations

import numpy as np
import pytest

from thymusimg.section.framing import MARGIN_UM, frame_of_outlines, frame_of_signal, signal
from thymusimg.section.model import Level, Section, Subject, Window

PIXEL_UM2 = 32.0**2
TISSUE = (slice(40, 80), slice(100, 150))


class Slide:
    """A slide of which only the size and the tiles are asked for."""

    path = "slide"
    tile_shape = (512, 512)
    levels = (Level((19_200, 25_600), 1.0),)


def section(**options: object) -> Section:
    return Section(Subject("s"), Slide(), {"k14": 0}, {"k14": ""}, 0.5, **options)  # type: ignore[arg-type]


def glass(level: float = 100.0, noise: float = 0.3) -> np.ndarray:
    return np.random.default_rng(0).normal(level, noise, (300, 400)).astype(np.float32)


@pytest.mark.parametrize("above", [10.0, 100.0, 5000.0])
def test_tissue_is_found_however_bright(above: float) -> None:
    plane = glass()
    plane[TISSUE] += above
    seen = signal({"k14": plane}, PIXEL_UM2)
    assert seen[TISSUE].all()
    assert np.count_nonzero(seen) == 40 * 50


def test_tissue_of_one_stain_is_enough_and_cd45_is_not_asked() -> None:
    k8, cd45 = glass(), glass()
    k8[TISSUE] += 50
    cd45[200:240, 200:240] += 500
    seen = signal({"k14": glass(), "k8": k8, "cd45": cd45}, PIXEL_UM2)
    assert np.count_nonzero(seen) == 40 * 50


def test_dust_is_no_section() -> None:
    plane = glass()
    plane[TISSUE] += 50
    plane[290:292, 3:5] += 4000
    seen = signal({"k14": plane}, PIXEL_UM2)
    assert not seen[285:].any()
    assert seen[TISSUE].all()


def test_a_slow_gradient_of_the_glass_does_not_hide_tissue() -> None:
    plane = glass() + np.linspace(0, 20, 400, dtype=np.float32)
    plane[TISSUE] += 300
    assert signal({"k14": plane}, PIXEL_UM2)[TISSUE].all()


def test_the_filling_of_a_mosaic_is_no_glass() -> None:
    k14, k8 = glass(), glass()
    for plane in (k14, k8):
        plane[TISSUE] += 300
        plane[:30] = 0
        plane[:, 300:] = 0
    seen = signal({"k14": k14, "k8": k8}, PIXEL_UM2)
    assert np.count_nonzero(seen) == 40 * 50


def test_even_glass_that_was_clipped() -> None:
    """Black that was cut off is one number too, but its border is ragged."""
    plane = np.zeros((300, 400), np.float32)
    y, x = np.mgrid[:300, :400]
    disc = np.hypot(y - 150, x - 200) < 40
    plane[disc] = np.random.default_rng(0).uniform(5, 80, np.count_nonzero(disc))
    np.testing.assert_array_equal(signal({"k14": plane}, PIXEL_UM2), disc)


def test_the_frame_holds_glass_and_whole_tiles() -> None:
    plane = glass()
    plane[TISSUE] += 50
    frame = frame_of_signal(section(), {"k14": plane}).frame
    assert frame is not None
    assert all(edge % 512 == 0 for edge in frame)
    margin = MARGIN_UM / 0.5
    tissue = Window(40 * 64, 80 * 64, 100 * 64, 150 * 64)
    for ours, theirs, sign in zip(frame, tissue, (-1, 1, -1, 1), strict=True):
        assert margin <= sign * (ours - theirs) <= margin + 512


def test_a_slide_without_signal_has_no_frame() -> None:
    assert frame_of_signal(section(), {"k14": glass()}).frame is None


def test_outlines_beyond_the_slide_are_cut_to_it() -> None:
    ring = np.array([[-500.0, -500.0], [-500.0, 900.0], [1200.0, 900.0], [1200.0, -500.0]])
    frame = frame_of_outlines(section(roi=(ring,))).frame
    assert frame == Window(0, 3072, 0, 2048)


def test_outlines_off_the_slide_are_left_to_the_survey() -> None:
    ring = np.array([[1e6, 1e6], [1e6, 1.1e6], [1.1e6, 1.1e6]])
    assert frame_of_outlines(section(roi=(ring,))).frame is None
