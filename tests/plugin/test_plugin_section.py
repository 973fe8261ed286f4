"""The Section widget in a real window: a slide, a study, stains by hand, flags, cancel, errors in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from thymusimg.phantom import make_phantom, write_ome_tiff

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def unnamed_slide(lobe_spec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide whose channels have no names and whose pixel size is not recorded."""
    import tifffile

    phantom = make_phantom(lobe_spec, 5, pixel_size_um=0.65)
    path = tmp_path_factory.mktemp("unnamed") / "unnamed.tif"
    tifffile.imwrite(path, phantom.pixels, photometric="minisblack")
    return path


@pytest.fixture(scope="session")
def glaring_slide(lobe_spec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of which one tile is saturated in K8."""
    phantom = make_phantom(lobe_spec.model_copy(update={"area_mm2": 0.8}), 5, pixel_size_um=0.65)
    phantom.pixels[2, 560:1000, 560:1000] = 2**phantom.spec.camera.bit_depth - 1
    path = tmp_path_factory.mktemp("glaring") / "glaring.ome.tif"
    write_ome_tiff(phantom, path)
    return path


def test_a_slide_is_looked_at_opened_and_checked(window, slide):
    widget = window.dock("Section")
    assert not widget.open.isEnabled()
    window.type(widget.slide.line, str(slide))
    window.idle()
    assert widget.roles["k14"].currentText().endswith("KRT14")
    assert "says K14" in widget.whys["k14"].text()
    assert "OME-TIFF" in widget.facts.text()
    assert widget.pixel_size.value() == pytest.approx(0.65)
    window.click(widget.open)
    window.idle()
    session = widget.session
    assert session.section_id == "lobe_e_1"
    assert session.prepared is not None
    by_role = {layer.metadata["thymusimg"]["role"]: layer for layer in window.viewer.layers}
    assert [by_role[r].colormap.name for r in ("cd45", "k14", "k8")] == ["CD45 red", "K14 blue", "K8 green"]
    for role, layer in by_role.items():
        assert tuple(map(str, layer.units)) == ("micrometer", "micrometer")
        np.testing.assert_allclose(layer.scale, 0.65)
        assert tuple(layer.contrast_limits) == pytest.approx(session.prepared.survey.limits[role])
    assert widget.quality.table.rowCount() == len(session.prepared.quality)
    window.picture("section_opened")
    assert not window.said


def test_what_is_not_known_must_be_said(window, unnamed_slide):
    widget = window.dock("Section")
    window.type(widget.slide.line, str(unnamed_slide))
    window.idle()
    assert "K14, K8, the pixel size" in widget.missing.text()
    assert not widget.open.isEnabled()
    window.picture("section_undecided")
    for role, channel in (("cd45", "0 "), ("k14", "1 "), ("k8", "2 ")):
        window.choose(widget.roles[role], channel)
    window.type(widget.pixel_size.lineEdit(), "0.65")
    assert widget.missing.text() == ""
    window.click(widget.open)
    window.idle()
    assert widget.session.section.roles == {"cd45": 0, "k14": 1, "k8": 2}
    assert widget.session.section.pixel_size_um == 0.65


def test_one_channel_for_two_stains_is_refused_in_plain_words(window, slide):
    widget = window.dock("Section")
    window.type(widget.slide.line, str(slide))
    window.idle()
    window.choose(widget.roles["k8"], "KRT14")
    window.choose(widget.roles["k14"], "hCD45")
    window.choose(widget.roles["k14"], "KRT14")
    window.click(widget.open)
    window.idle()
    assert widget.session.section is None
    assert "one channel plays one role" in window.said[-1]
    assert "Traceback" not in window.said[-1]


@pytest.mark.parametrize("text", ["not an image", ""])
def test_a_stray_file_is_said_and_nothing_breaks(window, tmp_path, slide, text):
    stray = tmp_path / "notes.tif"
    stray.write_text(text)
    widget = window.dock("Section")
    window.type(widget.slide.line, str(stray))
    window.idle()
    assert "notes.tif" in window.said[-1]
    window.type(widget.slide.line, str(slide))
    window.idle()
    assert widget.open.isEnabled()


def test_a_flag_leads_to_its_tile(window, glaring_slide):
    widget = window.open_section(glaring_slide)
    places = [i for i, row in enumerate(widget.quality.checks) if "," in str(row["where"])]
    assert places, "no check names a tile"
    table = widget.quality.table
    row = next(r for r in range(table.rowCount()) if table.number(r) == places[0])
    table.selectRow(row)
    window.settle()
    window.click(widget.quality.go)
    y, x = map(int, widget.quality.checks[places[0]]["where"].split(","))
    section = widget.session.section
    frame = window.viewer.layers["flagged tile"]
    corners = np.asarray(frame.data[0])
    np.testing.assert_allclose(corners.min(0), (np.array([y, x]) - 0.5) * section.pixel_size_um)
    np.testing.assert_allclose(window.viewer.camera.center[-2:], corners.mean(0))
    window.picture("section_flag")


def test_cancel_stops_the_check(window, slide, monkeypatch):
    from thymusimg_napari import openings

    def slow(_section, _settings, progress, _bundle):
        import time

        for step in range(1000):
            progress("survey", step / 1000)
            time.sleep(0.01)

    monkeypatch.setattr(openings, "check", slow)
    widget = window.dock("Section")
    window.type(widget.slide.line, str(slide))
    window.idle()
    window.click(widget.open)
    window.wait(lambda: "survey" in widget.job_bar.stage.text())
    assert widget.job_bar.isVisible()
    assert 0 < widget.job_bar.bar.value() < 1000
    window.picture("section_busy")
    window.click(widget.job_bar.cancel)
    window.idle(10)
    assert not widget.job_bar.isVisible()
    assert widget.session.prepared is None
    assert not window.said


def test_a_section_is_picked_from_a_study(window, slide, untreated_slide, tmp_path):
    table = tmp_path / "study.csv"
    table.write_text(f"section_id,path,animal,group\na1,{slide},m1,CD34\nb1,{untreated_slide},m2,NSG\n")
    widget = window.dock("Section")
    window.type(widget.study.line, str(table))
    window.idle()
    assert widget.pick.count() == 3
    for name, text in (("a1", "a1"), ("b1", "b1")):
        widget.pick.setCurrentIndex(widget.pick.findText(text))
        widget.pick.activated.emit(widget.pick.currentIndex())
        window.idle()
        window.click(widget.open)
        window.idle()
        assert widget.session.section_id == name
    assert widget.session.section.subject.group == "NSG"
    ids = {layer.metadata["thymusimg"]["section_id"] for layer in window.viewer.layers}
    assert ids == {"b1"}


def test_the_theme_colours_the_icons(window):
    widget = window.dock("Section")

    def ink():
        picture = widget.open.icon().pixmap(48, 48).toImage()
        return picture.pixelColor(20, 24).lightness()

    window.viewer.theme = "dark"
    window.settle()
    dark = ink()
    window.viewer.theme = "light"
    window.settle()
    assert dark > ink() + 60
