from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from cell_fakes import scattered, scene, surroundings

from thymusimg.cells.classical import detect_cells
from thymusimg.cells.gate import ControlEvidence, estimate_gate, gate_on_control, measure_control, with_false_cells
from thymusimg.errors import GateError
from thymusimg.settings import CellSettings, GateSettings

SETTINGS = GateSettings()


def gate_of(section, labels=None, **keywords):
    correction, compartments = surroundings(section, labels)
    return estimate_gate(section, correction, compartments, SETTINGS, **keywords)


def control_of(section):
    correction, compartments = surroundings(section)
    return measure_control(section, correction, compartments, SETTINGS)


@pytest.fixture(scope="module")
def control():
    section = scene([], [], size_um=150, texture=0.1).expose(
        section_id="c1", negative_control=True, batch="b1", seed=5
    )
    return control_of(section)


def packed_scene(size_um=120.0, empty_um=0.0):
    pitch = 6.4
    count = int((size_um - 16) / pitch)
    rows, columns = np.mgrid[0 : int(count / 0.87), 0:count]
    centres = np.stack([8 + rows * pitch * 0.866, 8 + columns * pitch + rows % 2 * pitch / 2], -1).reshape(-1, 2)
    centres = centres[centres[:, 1] > empty_um]
    return scene(centres, np.full(len(centres), 3.3), size_um=size_um)


def test_background_is_that_of_negative_tissue_whatever_the_cells_fill():
    empty = gate_of(scene([], []).expose())
    some = gate_of(scene(*scattered(45)).expose())
    packed = gate_of(packed_scene(empty_um=20).expose())
    assert empty.background == pytest.approx(40, abs=2)
    assert some.background == pytest.approx(40, abs=5)
    assert packed.background == pytest.approx(40, abs=12)
    assert packed.threshold < 300  # the membranes rise 800 above the background
    assert empty.source == "section"
    assert math.isnan(empty.false_cells_per_mm2)
    assert "negative_control" in empty.false_reason


def test_threshold_is_in_sds_of_the_background():
    gate = gate_of(scene([], []).expose())
    assert gate.threshold == pytest.approx(gate.background + SETTINGS.deviations * gate.background_sd)
    # Poisson noise of 20 photons at gain 2, and read noise of 3
    assert gate.background_sd == pytest.approx(np.hypot(2 * np.sqrt(20), 3), rel=0.15)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_gate_follows_the_gain(gain):
    plain = scene(*scattered(45))
    one, other = gate_of(plain.expose()), gate_of(plain.expose(gain=gain))
    assert other.threshold == pytest.approx(gain * one.threshold, rel=0.03)


def test_control_of_the_same_batch_carries_its_counts(control):
    gate = gate_of(scene(*scattered(45)).expose(batch="b1"), controls=[control])
    assert gate.source == "controls_absolute"
    assert gate.threshold == control.q995
    assert gate.controls == ("c1",)


def test_control_of_another_batch_carries_only_its_deviations(control):
    section = scene(*scattered(45)).expose(batch="b2", gain=2.0)
    gate = gate_of(section, controls=[control])
    assert gate.source == "controls_sd"
    assert gate.threshold == pytest.approx(gate.background + control.q995_sd * gate.background_sd)


@pytest.mark.parametrize("other", [{"batch": ""}, {"dtype": "uint8"}, {"semi_quantitative": True}, {"batch": "b9"}])
def test_counts_are_not_carried_between_unlike_exposures(control, other):
    gate = gate_of(
        scene(*scattered(45)).expose(batch=other.get("batch", "b1")),
        controls=[replace(control, **other)] if other != {"batch": "b9"} else [control],
    )
    assert gate.source == "controls_sd"


def test_several_controls_count_by_their_median(control):
    controls = [replace(control, section_id=f"c{i}", q995=q) for i, q in enumerate((100.0, 120.0, 900.0))]
    gate = gate_of(scene(*scattered(45)).expose(batch="b1"), controls=controls)
    assert gate.threshold == 120.0
    assert gate.controls == ("c0", "c1", "c2")


def test_unusable_controls_are_refused(control):
    with pytest.raises(GateError, match="c1"):
        gate_of(scene([], []).expose(), controls=[replace(control, background_sd=0.0, q995_sd=math.nan)])


def test_a_control_below_the_sections_background_is_refused(control):
    with pytest.raises(GateError, match="one exposure"):
        gate_of(scene([], [], background=600).expose(batch="b1"), controls=[control])


def test_a_name_makes_no_control():
    section = scene([], []).expose(section_id="negative_control_1", group="control")
    with pytest.raises(GateError, match="negative_control"):
        control_of(section)


def test_evidence_is_json(control):
    assert ControlEvidence(**json.loads(json.dumps(asdict(control)))) == control
    assert control.area_mm2 == pytest.approx(0.15**2, rel=0.02)
    assert control.q995_sd == pytest.approx((control.q995 - control.background) / control.background_sd)


def test_no_cd45_no_tissue_and_constant_planes_are_refused():
    section = scene([], []).expose()
    with pytest.raises(GateError, match="no CD45"):
        gate_of(replace(section, roles={"k14": 1}))
    with pytest.raises(GateError, match="too little"):
        gate_of(section, labels=np.zeros((50, 50), np.uint8))
    flat = replace(section, image=replace(section.image, planes=np.full((3, 200, 200), 0.5, np.float32)))
    with pytest.raises(GateError, match="constant"):
        gate_of(flat)


def test_false_cells_are_counted_on_the_controls(control):
    section = scene([], [], size_um=150, texture=0.1).expose(
        section_id="c1", negative_control=True, batch="b1", seed=5
    )
    for batch in ("b1", "b2"):
        gate = gate_of(scene(*scattered(45)).expose(batch=batch), controls=[control])
        correction, compartments = surroundings(section)
        own = gate_on_control(gate, control)
        assert own.background == control.background
        cells = detect_cells(section, correction, compartments, own, CellSettings())
        filled = with_false_cells(gate, [len(cells.table)], [control.area_mm2])
        assert filled.false_cells_per_mm2 == len(cells.table) / control.area_mm2 == 0
        assert filled.false_reason == ""
    assert with_false_cells(gate, [3, 1], [0.5, 1.5]).false_cells_per_mm2 == 2
    assert math.isnan(with_false_cells(gate, [], []).false_cells_per_mm2)
