"""What is looked at before a gate is set, and cells of a part of a section."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import thymusimg as ti
from thymusimg.cells.gating import sample_gate
from thymusimg.cells.methods import find_detector
from thymusimg.cells.part import detect_part
from thymusimg.errors import CellsError
from thymusimg.pipeline import control_evidence, prepare_section
from thymusimg.progress import silent
from thymusimg.section.model import Window
from thymusimg.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from thymusimg.pipeline import Prepared


@pytest.fixture(scope="module")
def prepared(slide: Path) -> Iterator[Prepared]:
    section = ti.open_section(slide)
    yield prepare_section(section, Settings())
    section.image.close()


def sample(prepared: Prepared, **options: object):  # type: ignore[no-untyped-def]
    return sample_gate(
        prepared.section, prepared.correction, prepared.compartments, prepared.settings.gate, **options
    )


def test_lines_on_the_histogram_are_the_gates(prepared: Prepared) -> None:
    found = sample(prepared)
    assert found.by_controls is None
    assert found.threshold(prepared.settings.gate.deviations) == found.gate.threshold
    assert found.deviations(found.threshold(5.5)) == pytest.approx(5.5)
    share = found.positive_share(found.gate.threshold)
    assert share == pytest.approx((found.pixels >= found.gate.threshold).mean())
    assert 0.02 < share < 0.9
    assert found.positive_share(found.threshold(10.0)) < share
    counts, edges = found.histogram()
    assert counts.sum() == len(found.pixels)
    assert len(edges) == len(counts) + 1


def test_the_controls_have_a_line_of_their_own(prepared: Prepared, untreated_slide: Path) -> None:
    from dataclasses import replace

    section = ti.open_section(untreated_slide)
    marked = replace(section, subject=replace(section.subject, negative_control=True))
    evidence = control_evidence(prepare_section(marked, Settings()))
    section.image.close()
    found = sample(prepared, controls=[evidence])
    assert found.by_controls is not None
    assert found.by_controls.controls == (evidence.section_id,)
    assert found.by_controls.threshold > found.gate.background


def test_cells_of_a_window_are_those_of_the_section_there(prepared: Prepared) -> None:
    detect = find_detector("classical")
    gate = sample(prepared).gate
    given = (prepared.section, prepared.correction, prepared.compartments, gate, prepared.settings.cells)
    every = detect(*given, planes=prepared.planes, progress=silent)
    height, width = prepared.section.shape
    factor = prepared.section.grid.factor
    y0, x0 = height // 4 // factor * factor, width // 3 // factor * factor
    window = Window(y0, y0 + 100 * factor // 2 * 2, x0, x0 + 60 * factor)
    part = detect_part(detect, *given, window, planes=prepared.planes, progress=silent)
    assert 0 < len(part.table) < len(every.table)
    known = every.table.merge(part.table, on=["y_um", "x_um", "area_um2"], how="inner")
    # outlines at the window's rim may be dropped or kept by neighbours that are not looked for
    assert len(known) >= 0.9 * len(part.table)
    pixel = prepared.section.pixel_size_um
    margin = 30
    y, x = every.table["y_um"] / pixel, every.table["x_um"] / pixel
    deep = every.table[
        y.between(window.y0 + margin, window.y1 - margin) & x.between(window.x0 + margin, window.x1 - margin)
    ]
    places = pd.MultiIndex.from_frame(part.table[["y_um", "x_um"]])
    assert pd.MultiIndex.from_frame(deep[["y_um", "x_um"]]).isin(places).all()


def test_a_view_off_the_tissue_says_so(prepared: Prepared) -> None:
    gate = sample(prepared).gate
    given = (prepared.section, prepared.correction, prepared.compartments, gate, prepared.settings.cells)
    assert not prepared.compartments.analysable[:2, :2].any()
    with pytest.raises(CellsError, match="no tissue in the view"):
        detect_part(find_detector("classical"), *given, Window(0, 4, 0, 4), planes=prepared.planes, progress=silent)
    assert np.isfinite(gate.threshold)
