from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from thymusimg.channels.correct import estimate_correction
from thymusimg.channels.quality import COLUMNS, assess_quality
from thymusimg.channels.stain_checks import lower_envelope_slope
from thymusimg.section.model import Subject
from thymusimg.settings import CorrectionSettings, QualitySettings

if TYPE_CHECKING:
    import pandas as pd


@pytest.fixture
def assess(make_section, make_survey):
    def run(stains: dict[str, np.ndarray], tissue: np.ndarray, **options: object) -> pd.DataFrame:
        section = make_section(stains, **options)
        survey = make_survey(section)
        background = dict.fromkeys(stains, 100.0)
        correction = estimate_correction(survey, tissue, background, CorrectionSettings())
        return assess_quality(section, survey, tissue, correction, QualitySettings())

    return run


def row(table: pd.DataFrame, check: str, channel: str = "") -> pd.Series:
    found = table[(table["check"] == check) & (table["channel"] == channel)]
    assert len(found) == 1, (check, channel)
    return found.iloc[0]


def test_a_good_section_passes(assess, make_lobe):
    lobe = make_lobe()
    table = assess(lobe.stains, lobe.tissue)
    assert tuple(table.columns) == COLUMNS
    assert set(table["status"]) <= {"pass", "warn", "fail"}
    assert (table["reason"] != "").all()
    assert not (table["status"] == "fail").any(), table[table["status"] == "fail"].to_string()
    undefined = table[table["value"].isna()]
    assert undefined["reason"].str.startswith("not measured: ").all()
    assert row(table, "tissue_area")["value"] == pytest.approx(lobe.tissue.sum() * 4e-6)
    for role in lobe.stains:
        assert row(table, "focus", role)["status"] == "pass"
        assert row(table, "saturation", role)["value"] == 0


def test_saturation(assess, make_lobe):
    lobe = make_lobe()
    k8 = lobe.stains["k8"].copy()
    k8[300:400, 300:400] = 65535
    found = row(assess({**lobe.stains, "k8": k8}, lobe.tissue), "saturation", "k8")
    assert found["status"] == "fail"
    assert found["value"] == pytest.approx(1e4 / lobe.tissue.sum(), rel=0.01)
    assert found["where"] == "256,256"


def test_a_camera_of_fewer_bits_than_its_file(assess, make_lobe):
    lobe = make_lobe()
    k8 = np.minimum(lobe.stains["k8"], 500)
    found = row(assess({**lobe.stains, "k8": k8}, lobe.tissue), "saturation", "k8")
    assert found["status"] == "fail"
    assert "500" in found["reason"]


def test_blurred_tiles_are_found_and_sparse_ones_are_not(assess, make_lobe):
    lobe = make_lobe()
    k8 = lobe.stains["k8"].copy()
    k8[256:384, 128:640] = cv2.GaussianBlur(k8[256:384, 128:640], (0, 0), 3)
    blurred = assess({**lobe.stains, "k8": k8}, lobe.tissue)
    found = row(blurred, "focus", "k8")
    assert found["status"] != "pass"
    assert found["where"].startswith("256,")
    assert row(blurred, "usable_tissue")["value"] < 1
    # K14 fills a fifth of the lobe and is next to absent elsewhere
    assert row(blurred, "focus", "k14")["status"] == "pass"


def test_residual_vignetting_is_seen_where_it_is_not_flattened(make_lobe, make_section, make_survey):
    axis = ((np.arange(768) / 96 % 1) - 0.5) * 2
    light = np.exp(-0.5 * (axis[:, None] ** 2 + axis[None, :] ** 2))
    lobe = make_lobe(light=light)
    section = make_section(lobe.stains)
    survey = make_survey(section)
    background = dict.fromkeys(lobe.stains, 100.0)
    spread = {}
    for gain in (0.0, 0.99):
        settings = CorrectionSettings(minimum_gain=gain)
        correction = estimate_correction(survey, lobe.tissue, background, settings)
        table = assess_quality(section, survey, lobe.tissue, correction, QualitySettings())
        spread[gain] = row(table, "illumination", "k8")["value"]
    assert spread[0.99] > 0.1
    assert spread[0.0] < 0.4 * spread[0.99]


def test_an_empty_cd45_is_not_called_a_failure(assess, make_lobe):
    lobe = make_lobe()
    empty = np.random.default_rng(1).poisson(100, lobe.tissue.shape).astype(np.uint16)
    stains = {**lobe.stains, "cd45": empty}
    found = row(assess(stains, lobe.tissue), "signal", "cd45")
    assert found["status"] == "warn"
    assert "check the slide" in found["reason"]
    control = assess(stains, lobe.tissue, subject=Subject("s1", negative_control=True))
    assert row(control, "signal", "cd45")["status"] == "pass"


def test_empty_keratins_fail(assess, make_lobe):
    lobe = make_lobe()
    rng = np.random.default_rng(1)
    empty = {role: rng.poisson(100, lobe.tissue.shape).astype(np.uint16) for role in ("k14", "k8")}
    table = assess({**lobe.stains, **empty}, lobe.tissue)
    assert row(table, "signal", "k14")["status"] == "fail"
    assert row(table, "signal", "k8")["status"] == "fail"
    only_k14 = assess({**lobe.stains, "k14": empty["k14"]}, lobe.tissue)
    assert row(only_k14, "signal", "k14")["status"] == "warn"


def test_a_constant_channel_fails(assess, make_lobe):
    lobe = make_lobe()
    table = assess({**lobe.stains, "cd45": np.full(lobe.tissue.shape, 7, np.uint16)}, lobe.tissue)
    assert row(table, "signal", "cd45")["status"] == "fail"
    assert "constant" in row(table, "signal", "cd45")["reason"]


def test_bleed_through(assess, make_lobe):
    lobe = make_lobe()
    assert row(assess(lobe.stains, lobe.tissue), "bleed_through", "cd45")["status"] == "pass"
    cd45 = (lobe.stains["cd45"] + 0.2 * (lobe.stains["k14"] - 100.0)).clip(0).astype(np.uint16)
    found = row(assess({**lobe.stains, "cd45": cd45}, lobe.tissue), "bleed_through", "cd45")
    assert found["status"] == "fail"
    assert found["where"] == "from k14"
    assert found["value"] == pytest.approx(0.2, abs=0.06)
    assert "co-expression" in found["reason"]


def test_bleed_of_too_little_is_undefined():
    assert math.isnan(lower_envelope_slope(np.zeros(10), np.zeros(10)))
    assert math.isnan(lower_envelope_slope(np.zeros(5000), np.zeros(5000)))


def test_autofluorescence(assess, make_lobe):
    lobe = make_lobe()
    stains = {role: plane.copy() for role, plane in lobe.stains.items()}
    for plane in stains.values():
        plane[350:450, 500:640] = 9000
    found = row(assess(stains, lobe.tissue), "autofluorescence")
    assert found["value"] == pytest.approx(14000 / lobe.tissue.sum(), rel=0.3)
    assert found["status"] != "pass"


def test_registration_is_read_only_where_the_keratins_agree(assess, make_lobe):
    lobe = make_lobe()
    assert math.isnan(row(assess(lobe.stains, lobe.tissue), "registration", "k14")["value"])
    shifted = {"k8": lobe.stains["k8"], "k14": np.roll(lobe.stains["k8"], 3, axis=1)}
    # strands shifted by more than their width no longer look alike; a wide pattern still does
    wide = {role: cv2.GaussianBlur(plane, (0, 0), 3) for role, plane in shifted.items()}
    found = row(assess(wide, lobe.tissue), "registration", "k14")
    assert found["value"] == pytest.approx(3, abs=0.3)


def test_format_and_calibration(assess, make_lobe):
    lobe = make_lobe(size=256)
    stains = {role: (plane // 8).clip(0, 255).astype(np.uint8) for role, plane in lobe.stains.items()}
    table = assess(stains, lobe.tissue, semi_quantitative=True, lossy="JPEG")
    assert row(table, "format")["status"] == "warn"
    assert "JPEG" in row(table, "format")["reason"]
    assert row(table, "calibration")["status"] == "pass"


def test_tiny_and_absent_tissue_never_crash(assess, make_lobe):
    lobe = make_lobe(size=96)
    for tissue in (np.zeros((96, 96), bool), np.ones((96, 96), bool), np.eye(96, dtype=bool)):
        table = assess(lobe.stains, tissue)
        assert (table.loc[table["value"].isna(), "reason"] != "").all()
    assert row(assess(lobe.stains, np.zeros((96, 96), bool)), "tissue_area")["status"] == "fail"


def test_gain_and_offset_leave_the_verdicts(assess, make_lobe):
    lobe = make_lobe()
    plain = assess(lobe.stains, lobe.tissue)
    scaled = assess({role: (2 * plane).astype(np.uint16) for role, plane in lobe.stains.items()}, lobe.tissue)
    for check in ("focus", "bleed_through"):
        for role in lobe.stains:
            assert row(scaled, check, role)["status"] == row(plain, check, role)["status"]
