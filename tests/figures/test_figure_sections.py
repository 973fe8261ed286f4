from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest
from figure_fixtures import CELLS_UM, OFFSET, PIXEL_UM, pixels, write_section
from PIL import Image

from thymusimg.errors import CallError, UnreadableError
from thymusimg.figures import Inset, Look, representative_figure, save, section_figure
from thymusimg.figures.detail import full_detail
from thymusimg.figures.frame import Frame
from thymusimg.figures.source import find_sections
from thymusimg.section.model import Subject, Window

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.patches import Rectangle

BOTH = ("a2_s1", "b2_s2")
PLAIN = Look(panels=("merge",), width_mm=85.0)


def bars(drawing) -> list[tuple[Rectangle, float]]:
    """Every scale bar with the side of its panel's pixel in µm."""
    found = []
    for axes in drawing.figure.axes:
        found += [patch for patch in axes.patches if patch.get_gid() == "scale-bar"]
    return found


@pytest.mark.parametrize(("width_mm", "dpi"), [(85.0, 300), (114.0, 300), (174.0, 300), (85.0, 600)])
def test_size_on_paper_and_pixels(figure_run: Path, tmp_path: Path, width_mm: float, dpi: int) -> None:
    look = Look(panels=("merge", "cd45"), width_mm=width_mm, dpi=dpi)
    drawing = section_figure(figure_run, ["a2_s1"], look)
    files = save(drawing, tmp_path / "f", ("png", "tiff", "svg"))
    for file in files[:2]:
        with Image.open(file) as picture:
            assert picture.info["dpi"] == pytest.approx((dpi, dpi), abs=0.1)
            assert picture.width == round(width_mm / 25.4 * dpi)
            assert picture.height == round(drawing.size_mm[1] / 25.4 * dpi)
    points = float(re.search(r'width="([0-9.]+)pt"', files[2].read_text(encoding="utf-8"))[1])
    assert points / 72 * 25.4 == pytest.approx(width_mm, abs=25.4 / dpi)


@pytest.mark.parametrize("asked", [None, 75.0])
def test_scale_bar_is_as_long_as_it_says(figure_run: Path, tmp_path: Path, asked: float | None) -> None:
    look = Look(panels=("cd45",), width_mm=85.0, scale_bar_um=asked)
    drawing = section_figure(figure_run, ["a2_s1"], look)
    bar_um, pitch_um = drawing.record["scale_bar_um"], drawing.record["panel_pixel_um"]
    assert bar_um == (asked or 100.0)
    (bar,) = bars(drawing)
    assert bar.get_width() * pitch_um == pytest.approx(bar_um)
    # and in the raster: a run of white as long as the bar, where the panel has no signal
    file = save(drawing, tmp_path / "f.png")[0]
    with Image.open(file) as picture:
        grey = np.asarray(picture.convert("L"))
    row = grey[round(len(grey) - 1.7 / 25.4 * 300)] > 250
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.view(np.int8), [0]])))
    assert np.diff(edges).max() == pytest.approx(bar_um / pitch_um, abs=1.5)


def test_the_panel_shows_places_where_they_are(figure_run: Path) -> None:
    """The brightest places of the CD45 panel are the cells, to a pixel of the coarse grid."""
    drawing = section_figure(figure_run, ["a2_s1"], Look(panels=("cd45",), width_mm=85.0))
    (image,) = drawing.figure.axes[0].images
    panel = np.asarray(image.get_array())[..., 0]
    (section,) = find_sections(figure_run, ["a2_s1"])
    frame = Frame.around(section.tissue, section.grid)
    pitch = drawing.record["panel_pixel_um"]
    for place in CELLS_UM:
        y, x = (frame.to_panel(place, pitch)).astype(int)
        assert panel[y - 2 : y + 3, x - 2 : x + 3].min() > 200
    assert panel.shape[1] * pitch == pytest.approx(frame.width_um, rel=1e-6)


def test_limits_are_the_same_in_all_panels(figure_run: Path) -> None:
    drawing = section_figure(figure_run, BOTH, PLAIN)
    first, second = (section["limits"] for section in drawing.record["sections"])
    assert first == second
    assert drawing.record["limits_shared"]
    alone = [section_figure(figure_run, [name], PLAIN).record["sections"][0]["limits"] for name in BOTH]
    for role, (low, high) in first.items():
        assert low == min(ends[role][0] for ends in alone)
        assert high == max(ends[role][1] for ends in alone)
    # so the section with 1.6 times the signal looks brighter
    means = [np.asarray(axes.images[0].get_array()).mean() for axes in drawing.figure.axes]
    assert means[1] > 1.3 * means[0]
    assert "the same in all panels" in drawing.caption


def test_own_limits_are_said(figure_run: Path) -> None:
    drawing = section_figure(figure_run, BOTH, Look(panels=("merge",), width_mm=85.0, auto_contrast=True))
    first, second = (section["limits"] for section in drawing.record["sections"])
    assert first != second
    assert "must not be compared" in drawing.caption


def test_given_limits_are_used(figure_run: Path) -> None:
    look = Look(panels=("cd45",), width_mm=85.0, limits={"cd45": (0.0, 1000.0)})
    drawing = section_figure(figure_run, BOTH, look)
    assert all(section["limits"]["cd45"] == [0.0, 1000.0] for section in drawing.record["sections"])
    assert "CD45 0 to 1,000" in drawing.caption
    with pytest.raises(CallError, match="no section of the figure has DAPI"):
        section_figure(figure_run, BOTH, Look(panels=("cd45",), limits={"dapi": (0.0, 1.0)}))


def test_text_and_outlines_are_vectors(figure_run: Path, tmp_path: Path) -> None:
    look = Look(panels=("merge", "cd45", "outlines"))
    drawing = section_figure(figure_run, ["a2_s1"], look, [Inset(250.0, 300.0, 60.0)])
    svg, pdf, *_ = save(drawing, tmp_path / "f", ("svg", "pdf"))
    tree = fromstring(svg.read_text(encoding="utf-8"))  # noqa: S314  our own
    texts = {"".join(node.itertext()).strip() for node in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert {"A", "B", "CD45", "K14", "K8", "100 µm", "Box 1", "cortex", "medulla"} <= texts
    images = list(tree.iter("{http://www.w3.org/2000/svg}image"))
    assert len(images) == 6
    paths = [node.get("d", "") for node in tree.iter("{http://www.w3.org/2000/svg}path")]
    assert sum(len(path) > 500 for path in paths) >= 2  # outlines of cortex, medulla
    sizes = {
        float(size) for size in re.findall(r"font(?:-size)?:[^;\"]*?([0-9.]+)px", svg.read_text(encoding="utf-8"))
    }
    assert min(sizes) >= 6
    assert b"/Type /Font" in pdf.read_bytes()
    assert b"/Subtype /Image" in pdf.read_bytes()


def test_an_inset_is_read_from_the_slide(figure_run: Path) -> None:
    (section,) = find_sections(figure_run, ["a2_s1"])
    frame = Frame.square(300.0, 250.0, 60.0)
    detail = full_detail(section, frame, PIXEL_UM, ["cd45"])
    assert "full resolution (1 µm/px)" in detail.source
    window = frame.window(section.shape, PIXEL_UM)
    raw = pixels(1.0)[0][window.slices].astype(np.float32) - OFFSET
    # the same grey levels as the planes: what the run subtracted is subtracted here too
    assert detail.planes["cd45"].max() == pytest.approx(raw.max(), rel=0.05)
    assert np.median(detail.planes["cd45"]) == pytest.approx(np.median(raw), abs=1.5)


def test_without_its_slide_an_inset_says_so(tmp_path: Path) -> None:
    write_section(tmp_path, Subject("s", "m", "g"), 1.0)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "sections.csv").write_text("section_id\ns\n")
    inset = [Inset(250.0, 300.0, 60.0)]
    slide = tmp_path / "slides" / "s.ome.tif"
    write_section(tmp_path / "other", Subject("s", "m", "g"), 1.0)
    slide.rename(tmp_path / "kept.tif")
    assert "the slide cannot be opened" in section_figure(tmp_path, ["s"], PLAIN, inset).caption
    # another slide of the same size is not shown in its place
    import tifffile

    with tifffile.TiffFile(tmp_path / "kept.tif") as file:
        words, planes = file.ome_metadata, file.asarray()
    tifffile.imwrite(
        slide, planes[:, ::-1, ::-1], description=words.encode(), metadata=None, photometric="minisblack"
    )
    assert "not the one that was measured" in section_figure(tmp_path, ["s"], PLAIN, inset).caption


def test_a_frame_of_a_big_slide_shows_the_same(tmp_path: Path) -> None:
    """A section that was analysed in a frame of its slide is drawn as if the whole slide had been."""
    for name, frame in (("whole", None), ("framed", Window(40, 560, 40, 460))):
        write_section(tmp_path / name, Subject("s", "m", "g"), 1.0, frame)
        (tmp_path / name / "tables").mkdir()
        (tmp_path / name / "tables" / "sections.csv").write_text("section_id\ns\n")
    look = Look(panels=("merge", "outlines"), width_mm=85.0)
    whole, framed = (
        section_figure(tmp_path / name, ["s"], look, [Inset(250.0, 300.0, 60.0)]) for name in ("whole", "framed")
    )
    assert "full resolution" in framed.caption
    for one, other in zip(whole.figure.axes, framed.figure.axes, strict=True):
        first, second = (np.asarray(axes.images[0].get_array()).astype(int) for axes in (one, other))
        assert np.abs(first - second).max() <= 2


def test_one_magnification_for_all(figure_run: Path) -> None:
    drawing = section_figure(figure_run, BOTH, PLAIN)
    shapes = {axes.images[0].get_array().shape for axes in drawing.figure.axes}
    assert len(shapes) == 1
    assert len(bars(drawing)) == 2


@pytest.mark.parametrize("palette", ["field", "safe"])
def test_the_same_figure_is_the_same_bytes(figure_run: Path, tmp_path: Path, palette: str) -> None:
    look = Look(panels=("merge", "outlines"), width_mm=85.0, palette=palette)
    for folder in ("one", "two"):
        save(section_figure(figure_run, ["a2_s1"], look), tmp_path / folder / "f", ("svg", "pdf", "png", "tiff"))
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    name = '<script>alert("x")</script> $\\frac{a}{b}$ & é'
    write_section(tmp_path, Subject("s", "m", name), 1.0)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "sections.csv").write_text("section_id\ns\n")
    drawing = section_figure(tmp_path, ["s"], PLAIN)
    svg = save(drawing, tmp_path / "f.svg")[0]
    tree = fromstring(svg.read_text(encoding="utf-8"))  # noqa: S314  our own
    assert not list(tree.iter("{http://www.w3.org/2000/svg}script"))
    texts = ["".join(node.itertext()) for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert f"{name}, s" in texts


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc", "a2_s1.zarr/..", "", "a2_s1\x00"])
def test_hostile_ids_find_nothing(figure_run: Path, name: str) -> None:
    with pytest.raises(CallError, match="there is no section"):
        section_figure(figure_run, [name], PLAIN)


def test_what_cannot_be_drawn_is_refused_in_words(figure_run: Path, tmp_path: Path) -> None:
    with pytest.raises(CallError, match="did you mean 'a2_s1'"):
        section_figure(figure_run, ["a2_s"], PLAIN)
    with pytest.raises(CallError, match="'broken' could not be measured"):
        section_figure(figure_run, ["broken"], PLAIN)
    with pytest.raises(CallError, match="named twice"):
        section_figure(figure_run, ["a2_s1", "a2_s1"], PLAIN)
    with pytest.raises(CallError, match="has no DAPI"):
        section_figure(figure_run, ["a2_s1"], Look(panels=("dapi",)))
    narrow = Look(panels=("merge", "cd45", "k14", "k8", "outlines"), width_mm=60.0)
    with pytest.raises(CallError, match="too narrow"):
        section_figure(figure_run, ["a2_s1"], narrow)
    with pytest.raises(CallError, match="page holds"):
        section_figure(figure_run, BOTH, Look(panels=("merge",)))
    with pytest.raises(CallError, match="say of which section"):
        section_figure(figure_run, BOTH, PLAIN, [Inset(10.0, 10.0, 50.0)])
    with pytest.raises(CallError, match="runs from 0 to 500 µm in x"):
        section_figure(figure_run, ["a2_s1"], PLAIN, [Inset(900.0, 10.0, 50.0)])
    with pytest.raises(UnreadableError, match="thymusimg run"):
        section_figure(tmp_path, ["a2_s1"], PLAIN)


def test_the_record_says_everything(figure_run: Path, tmp_path: Path) -> None:
    drawing = section_figure(figure_run, ["a2_s1"], PLAIN, [Inset(250.0, 300.0, 60.0)])
    *_, caption, record = save(drawing, tmp_path / "f", ("png",))
    said = json.loads(record.read_text(encoding="utf-8"))
    assert said["synthetic"]
    (section,) = said["sections"]
    assert section["animal"] == "a2"
    assert 0 <= section["clipped_share_of_tissue"]["cd45"] < 0.05
    assert section["insets"][0]["pixels"].startswith("read from the slide")
    text = caption.read_text(encoding="utf-8")
    for word in ("SYNTHETIC", "CD45 red", "Scale bar, 100 µm", "60 µm square", "grey levels"):
        assert word in text


def test_what_people_changed_and_what_was_scaled_before_is_said(figure_run: Path, monkeypatch) -> None:
    from thymusimg.figures import sections as module

    def changed(*arguments):
        return {**real(*arguments), "edited": True, "semi_quantitative": True}

    real = module.section_record
    monkeypatch.setattr(module, "section_record", changed)
    caption = section_figure(figure_run, ["a2_s1"], Look(panels=("outlines",), width_mm=85.0)).caption
    assert "Outlines were corrected by hand in a2_s1" in caption
    assert "Display exports" in caption
    assert "by hand" not in section_figure(figure_run, ["a2_s1"], PLAIN).caption


@pytest.mark.parametrize(
    ("name", "said"),
    [("T1", "CD45"), ("Ch1-T2", "CD45"), ("channel 0", "CD45"), ("red", "CD45"), ("CD3e", "CD3e (as CD45)")],
)
def test_a_name_of_the_microscope_is_no_marker(name: str, said: str) -> None:
    from thymusimg.figures.panels import marker
    from thymusimg.figures.source import Shown

    bundle = type("B", (), {"attributes": {"slide": {"markers": {"cd45": name}}}})()
    assert marker(Shown("s", bundle), "cd45") == said


def test_representatives_follow_the_rule(figure_run: Path) -> None:
    """Medians: 0.22 (a2) and 0.56 (b2); each one's sections are equally far, so the first is taken."""
    run = figure_run.parent / "copied"
    shutil.copytree(figure_run, run, dirs_exist_ok=True)
    write_section(run, Subject("b2_s1", "b2", "CD34"), 1.6)
    drawing = representative_figure(run, Look(panels=("merge", "outlines")))
    assert [one["section_id"] for one in drawing.record["representatives"]] == ["a2_s1", "b2_s1"]
    assert "not by eye" in drawing.caption
    first, second = (section["limits"] for section in drawing.record["sections"])
    assert first == second
    only = representative_figure(run, PLAIN, ["CD34"], "medulla_fraction")
    assert [one["group"] for one in only.record["representatives"]] == ["CD34"]
    with pytest.raises(CallError, match="did you mean 'medulla_fraction'"):
        representative_figure(run, PLAIN, column="medula_fraction")
    with pytest.raises(CallError, match="holds no number"):
        representative_figure(run, PLAIN, column="islet_count")
    with pytest.raises(CallError, match="did you mean 'CD34'"):
        representative_figure(run, PLAIN, ["CD43"])
