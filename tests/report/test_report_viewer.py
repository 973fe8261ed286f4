from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from thymusimg.compartments.model import Compartment
from thymusimg.figures.palettes import PALETTES, other_marker
from thymusimg.report.finished_run import FinishedRun
from thymusimg.report.overlays import COMPARTMENT_COLOURS, STAIN_COLOURS
from thymusimg.report.viewer import LayerLimits, layer_limits, viewer_colours, viewer_data
from thymusimg.report.words import stands_in

ALL = LayerLimits(10_000_000, 100_000)


def test_the_viewer_has_the_colours_of_pictures_and_figures() -> None:
    colours = json.loads(viewer_colours())
    for role, colour in PALETTES["safe"].items():
        assert tuple(colours["safe"][role]) == colour
        assert tuple(colours["field"][role]) == STAIN_COLOURS[role]
    assert (
        tuple(colours["compartments"][str(int(Compartment.ARTEFACT))]) == COMPARTMENT_COLOURS[Compartment.ARTEFACT]
    )


@pytest.mark.parametrize("name", ["T1", "Ch2-T1", "Track 3", "Red", "channel 2"])
def test_what_a_microscope_calls_a_channel_stands_in_for_nothing(name) -> None:
    assert not stands_in("cd45", name)
    assert other_marker("cd45", name) == ""


@pytest.mark.parametrize(("role", "marker"), [("k8", "CD205"), ("k14", "AIRE"), ("cd45", "CD3")])
def test_another_marker_is_said(role, marker) -> None:
    assert stands_in(role, marker)


def test_a_channels_number_is_not_shown_as_a_stain(run_dir) -> None:
    file = run_dir / "sections" / "u01_s1.zarr" / "pictures" / "layers.json"
    index = json.loads(file.read_text())
    index["stains"][0]["marker"] = "T1"
    file.write_text(json.dumps(index))
    data = viewer_data(FinishedRun.read(run_dir), "u01_s1", ALL)
    assert data["stains"][0]["label"] == "CD45"


def test_cells_are_thinned_evenly_and_said_to_be(run_dir) -> None:
    run = FinishedRun.read(run_dir)
    whole = viewer_data(run, "u01_s1", ALL)["cells"]
    thin = viewer_data(run, "u01_s1", LayerLimits(10_000_000, 500))["cells"]

    def places(cells):
        return np.frombuffer(base64.b64decode(cells["xy"]), "<u2").reshape(-1, 2)

    assert thin["total"] == whole["total"]
    assert len(places(thin)) <= 500
    assert np.array_equal(places(thin), places(whole)[:: thin["step"]])
    assert len(base64.b64decode(thin["distance"])) == 2 * len(places(thin))


def test_the_drawn_junction_leaves_the_true_one_by_no_visible_amount(run_dir) -> None:
    true = json.loads((run_dir / "sections" / "u01_s1.zarr" / "pictures" / "layers.json").read_text())["junction"]
    drawn = viewer_data(FinishedRun.read(run_dir), "u01_s1", ALL)["junction"]
    for line, short in zip(true, drawn, strict=True):
        points, kept = np.reshape(line, (-1, 2)), np.reshape(short, (-1, 2))
        assert len(kept) < len(points)
        start, step = kept[:-1, None], np.diff(kept, axis=0)[:, None]
        along = ((points - start) * step).sum(-1) / np.maximum((step**2).sum(-1), 1e-9)
        off = points - (start + np.clip(along, 0, 1)[..., None] * step)
        assert np.hypot(*np.moveaxis(off, -1, 0)).min(axis=0).max() < 0.5


def test_many_sections_share_what_a_report_may_hold() -> None:
    one, many = layer_limits(1), layer_limits(36)
    assert one.stain_bytes > many.stain_bytes
    assert 36 * (many.stain_bytes + 6 * many.cells) * 4 / 3 < 7_000_000


@pytest.mark.parametrize("broken", ["{}", "[]", "{", '{"width": 3, "height": 2, "stains": [], "cells": 4}'])
def test_a_broken_index_costs_the_viewer_and_not_the_report(run_dir, broken) -> None:
    (run_dir / "sections" / "u01_s1.zarr" / "pictures" / "layers.json").write_text(broken)
    assert viewer_data(FinishedRun.read(run_dir), "u01_s1", ALL) is None
