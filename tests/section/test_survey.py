"""The survey: block means, tile statistics, filling, ROI; the same however the file is stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import tifffile

from thymusimg.errors import CancelledError, PixelValueError, UnreadableError
from thymusimg.section import survey_cache
from thymusimg.section.coarse import block_mean, tile_statistics
from thymusimg.section.model import Grid, Section, Subject
from thymusimg.section.readers import open_image
from thymusimg.section.roi import read_roi, roi_mask
from thymusimg.section.survey import Survey, survey_section

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(3)
SHAPE = (1101, 1303)
DATA = RNG.poisson(300, (2, *SHAPE)).astype(np.uint16)


def section_of(path: Path, roles: tuple[str, ...] = ("k14", "k8"), roi: Any = (), pixel: float = 0.5) -> Section:
    image = open_image(path)
    return Section(Subject("s1"), image, {role: i for i, role in enumerate(roles)}, {}, pixel, tuple(roi))


def written(path: Path, data: Any, **options: Any) -> Path:
    tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": "CYX"}, **options)
    return path


def plain_block_mean(data: Any, factor: int) -> Any:
    height, width = data.shape
    return np.array(
        [
            [data[y : y + factor, x : x + factor].mean(dtype=np.float64) for x in range(0, width, factor)]
            for y in range(0, height, factor)
        ]
    )


def same(a: Survey, b: Survey) -> None:
    for role in a.planes:
        np.testing.assert_array_equal(a.planes[role], b.planes[role])
    np.testing.assert_array_equal(a.valid, b.valid)
    pd.testing.assert_frame_equal(a.tiles, b.tiles)
    assert a.limits == b.limits


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize("factor", [1, 2, 4, 32])
def test_block_means_are_exact(dtype: Any, factor: int) -> None:
    data = RNG.integers(0, 127, (70, 45)).astype(dtype)
    np.testing.assert_array_equal(block_mean(data, factor), plain_block_mean(data, factor).astype(np.float32))


def test_block_means_of_bright_pixels_do_not_round() -> None:
    data = np.full((64, 64), 65535, dtype=np.uint16)
    assert (block_mean(data, 32) == 65535).all()
    assert (block_mean(np.full((64, 64), 2**32 - 1, dtype=np.uint32), 32) == np.float32(2**32)).all()


def test_tile_statistics_of_a_known_tile() -> None:
    noise = RNG.normal(1000, 20, (512, 512)).astype(np.float32)
    found = tile_statistics(noise, 65535)
    assert found.mean == pytest.approx(noise.mean(), rel=1e-6)
    assert found.sd == pytest.approx(noise.std(), rel=1e-3)
    assert found.noise_sd == pytest.approx(20, rel=0.03)
    assert found.laplacian_variance == pytest.approx(20 * 20**2, rel=0.03)
    assert found.saturated_fraction == 0
    clipped = noise.astype(np.uint16)
    clipped[:51] = 4095
    assert tile_statistics(clipped, 4095).saturated_fraction == pytest.approx(51 / 512)
    flat = tile_statistics(np.full((512, 512), 7, dtype=np.uint8), 255)
    assert (flat.sd, flat.laplacian_variance, flat.noise_sd) == (0, 0, 0)
    assert np.isnan(tile_statistics(np.full((1, 5), 7, dtype=np.uint8), 255).noise_sd)


def test_the_survey_does_not_depend_on_storage_threads_or_order(tmp_path: Path) -> None:
    surveys = []
    for number, options in enumerate(
        [{}, {"tile": (256, 256), "compression": "deflate"}, {"tile": (112, 400)}, {"rowsperstrip": 13}]
    ):
        section = section_of(written(tmp_path / f"{number}.tif", DATA, **options))
        surveys += [survey_section(section, threads=n) for n in (1, 3)]
        section.image.close()
    for other in surveys[1:]:
        same(surveys[0], other)
    first = surveys[0]
    assert first.grid.factor == 4
    expected = plain_block_mean(DATA[1], 4).astype(np.float32)
    np.testing.assert_array_equal(first.planes["k8"], expected)
    assert first.valid.all()
    assert len(first.tiles) == 2 * 3 * 3
    last = first.tiles[(first.tiles.role == "k8") & (first.tiles.y0 == 1024) & (first.tiles.x0 == 512)].iloc[0]
    tile = DATA[1, 1024:1101, 512:1024]
    assert (last.y1, last.x1, last.maximum) == (1101, 1024, tile.max())
    assert last["mean"] == pytest.approx(tile.mean())
    low, high = np.percentile(expected, (0.1, 99.9))
    assert first.limits["k8"] == (pytest.approx(low), pytest.approx(high))


def test_a_pyramid_is_read_at_its_own_level(tmp_path: Path) -> None:
    path = tmp_path / "p.ome.tif"
    half = np.stack([block_mean(plane[:1100, :1302], 2) for plane in DATA])
    half = np.rint(half).astype(np.uint16)
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(DATA, subifds=1, tile=(256, 256), metadata={"axes": "CYX"})
        writer.write(half, subfiletype=1, tile=(256, 256))
    section = section_of(path)
    survey = survey_section(section)
    expected = plain_block_mean(DATA[0], 4)
    assert survey.planes["k14"].shape == section.grid.shape == expected.shape
    np.testing.assert_allclose(survey.planes["k14"], expected, atol=0.51)
    # the last row and column, which the level misses, come from full resolution
    np.testing.assert_allclose(survey.planes["k14"][-1], expected[-1], rtol=1e-6)
    np.testing.assert_allclose(survey.planes["k14"][:, -1], expected[:, -1], rtol=1e-6)
    assert 0 < len(survey.tiles) <= 2 * 64
    same(survey, survey_section(section, threads=3))


def test_filling_is_not_valid_but_clipped_background_is(tmp_path: Path) -> None:
    mosaic = DATA.copy()
    mosaic[:, :400, :500] = 0
    survey = survey_section(section_of(written(tmp_path / "m.tif", mosaic)))
    assert not survey.valid[:99, :124].any()
    assert survey.valid[101:, :].all()
    assert any("filling" in warning for warning in survey.warnings)
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    wobble = 40 * np.sin(np.arctan2(y - 550, x - 650) * 40)
    tissue = np.hypot(y - 550, x - 650) < 400 + wobble
    clipped = np.where(tissue, DATA, 0).astype(np.uint16)
    assert survey_section(section_of(written(tmp_path / "c.tif", clipped))).valid.all()


def test_roi_from_geojson(tmp_path: Path) -> None:
    outer = [[100, 200], [900, 200], [900, 1000], [100, 1000], [100, 200]]
    hole = [[300, 400], [500, 400], [500, 600], [300, 600], [300, 400]]
    feature = {
        "type": "Feature",
        "properties": {"name": "lobe"},
        "geometry": {"type": "Polygon", "coordinates": [outer, hole]},
    }
    path = tmp_path / "é roi.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    rings = read_roi(path, 0.5)
    assert [len(ring) for ring in rings] == [4, 4]
    assert rings[0].min(axis=0) == pytest.approx([199.5 * 0.5, 99.5 * 0.5])
    mask = roi_mask(rings, Grid.of(SHAPE, 0.5))
    assert mask.sum() * 16 == pytest.approx(800 * 800 - 200 * 200, rel=0.02)
    assert mask[75, 50]
    assert not mask[125, 100]
    survey = survey_section(section_of(written(tmp_path / "a.tif", DATA), roi=rings))
    np.testing.assert_array_equal(survey.valid, mask)
    for text in (
        "no json",
        '{"type": "FeatureCollection", "features": []}',
        '{"type":"Polygon","coordinates":[[[1]]]}',
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UnreadableError):
            read_roi(path, 0.5)
    with pytest.raises(UnreadableError, match="no such ROI file"):
        read_roi(tmp_path / "none.geojson", 0.5)


def test_an_roi_elsewhere_is_refused(tmp_path: Path) -> None:
    ring = np.array([[9000.0, 9000], [9000, 9100], [9100, 9100]])
    with pytest.raises(PixelValueError, match="region of interest"):
        survey_section(section_of(written(tmp_path / "a.tif", DATA), roi=[ring]))


def test_impossible_pixels_are_refused(tmp_path: Path) -> None:
    bad = DATA.astype(np.float32)
    bad[1, 700, 900] = np.nan
    with pytest.raises(PixelValueError, match=r"k8 channel.*NaN.*row 700, column 900"):
        survey_section(section_of(written(tmp_path / "n.tif", bad)))
    with pytest.raises(PixelValueError, match="every stain is constant"):
        survey_section(section_of(written(tmp_path / "c.tif", np.full_like(DATA, 5))))
    one = DATA.copy()
    one[0] = 12
    survey = survey_section(section_of(written(tmp_path / "o.tif", one)))
    assert any("k14 channel is constant (12)" in warning for warning in survey.warnings)
    assert survey.valid.all()


def test_one_pixel_is_surveyed(tmp_path: Path) -> None:
    path = tmp_path / "one.tif"
    tifffile.imwrite(path, np.array([[9]], dtype=np.uint16))
    survey = survey_section(section_of(path, ("k14",)))
    assert survey.planes["k14"].tolist() == [[9.0]]
    assert survey.valid.all()


def test_the_cache_spares_the_second_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.tif", DATA)
    cache = tmp_path / "cache"
    survey_section(section_of(path), cache=cache)
    assert not cache.exists()  # a small slide is streamed again
    monkeypatch.setattr(survey_cache, "KEPT_FROM_PX", DATA[0].size)
    first = survey_section(section_of(path), cache=cache)
    assert len(list(cache.iterdir())) == 2
    section = section_of(path)
    monkeypatch.setattr(type(section.image), "read", lambda *a: pytest.fail("the file was read again"))
    same(first, survey_section(section, cache=cache))
    monkeypatch.undo()
    monkeypatch.setattr(survey_cache, "KEPT_FROM_PX", DATA[0].size)
    for file in cache.iterdir():
        file.write_bytes(file.read_bytes()[:50])  # an interrupted copy
    same(first, survey_section(section_of(path), cache=cache))
    written(path, DATA[::-1])
    assert not np.array_equal(first.planes["k8"], survey_section(section_of(path), cache=cache).planes["k8"])


def test_a_cancel_from_progress_ends_the_survey(tmp_path: Path) -> None:
    def stop(stage: str, share: float) -> None:
        assert stage == "survey"
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        survey_section(section_of(written(tmp_path / "a.tif", DATA)), progress=stop)
