"""Annotations in every form that people leave them in come out as the same labels; what is ambiguous is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile

from thymusimg.compartments.model import Compartment
from thymusimg.errors import CallError, SectionError, StudyTableError, UnreadableError
from thymusimg.section.store import Bundle
from thymusimg.train.drawn import most_frequent
from thymusimg.train.folder import find_annotations
from thymusimg.train.reading import read_annotated_cells, read_annotated_compartments

ID = "progenitor_10wk_m1_s1"


def bare(annotated, folder, sections=(ID,), **columns):
    """Write a study table of slides without their truth."""
    folder.mkdir(exist_ok=True)
    table = pd.read_csv(annotated / "study.csv", dtype=str).fillna("")
    table = table[table["section_id"].isin(sections)].copy()
    table["path"] = [str(annotated / path) for path in table["path"]]
    for name, values in columns.items():
        table[name] = values
    table.to_csv(folder / "study.csv", index=False)
    return folder


def truth(annotated, name, section_id=ID):
    return np.asarray(Bundle.open(annotated / "truth" / "sections" / f"{section_id}.zarr").label(name))


def polygon(what, corners):
    ring = [[x, y] for y, x in [*corners, corners[0]]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": what}},
    }


def box(what, y0, y1, x0, x1):
    return polygon(what, [(y0, x0), (y0, x1), (y1, x1), (y1, x0)])


def write_outlines(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}), encoding="utf-8")


def cells_of(folder):
    return read_annotated_cells(find_annotations(folder, "cells"))


def test_synthetic_truth_is_annotated_from_edge_to_edge(annotated):
    found = find_annotations(annotated, "cells")
    assert [a.row.section_id for a in found.annotations] == [
        f"progenitor_10wk_m{a}_s{s}" for a in (1, 2) for s in (1, 2)
    ]
    section = read_annotated_cells(found)[0]
    np.testing.assert_array_equal(section.labels, truth(annotated, "cells"))
    assert section.annotated.all()
    assert section.cells == truth(annotated, "cells").max()
    assert section.animal == "progenitor_10wk_m1"
    # corrected as in an analysis: the glass is at zero
    assert abs(np.median(section.planes["cd45"][:20, :20])) < 10
    assert section.gate.background_sd > 0
    assert not section.notes


def test_a_label_tiff_is_read_as_the_same_cells_and_says_what_it_took_as_looked_at(annotated, tmp_path):
    labels = truth(annotated, "cells")
    tifffile.imwrite(bare(annotated, tmp_path / "t") / f"{ID}_labels.tif", labels.astype(np.uint16))
    (section,) = cells_of(tmp_path / "t")
    y, x = section.corner_px
    height, width = section.labels.shape
    np.testing.assert_array_equal(section.labels, labels[y : y + height, x : x + width])
    rows, columns = np.nonzero(labels)
    inside = np.zeros(labels.shape, bool)
    inside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    np.testing.assert_array_equal(section.annotated, inside[y : y + height, x : x + width])
    assert "region" in section.notes[0]


def test_few_cells_in_a_tiff_are_cells_not_codes_of_compartments(annotated, tmp_path):
    labels = np.zeros(truth(annotated, "cells").shape, np.uint8)
    labels[100:112, 100:112], labels[200:212, 150:162] = 1, 2
    tifffile.imwrite(bare(annotated, tmp_path / "t") / f"{ID}_cells.tif", labels)
    (section,) = cells_of(tmp_path / "t")
    assert section.cells == 2


def test_outlines_with_a_region(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t")
    write_outlines(
        folder / f"{ID}.geojson",
        box("Region*", 100, 200, 50, 250),
        box("cell", 120, 132, 100, 113),
        box("CD45+", 195, 207, 100, 113),  # reaches beyond the region
        box("cell", 300, 312, 100, 113),  # lies off it
    )
    (section,) = cells_of(folder)
    assert section.annotated.sum() == 100 * 200
    assert section.corner_px == (60, 10)  # 20 µm of margin
    assert section.cells == 2
    assert np.count_nonzero(section.labels[120 - 60 : 132 - 60, 100 - 10 : 113 - 10]) == 12 * 13
    assert np.count_nonzero(section.labels[195 - 60 : 207 - 60, 100 - 10 : 113 - 10]) == 12 * 13  # whole
    assert not section.notes


def test_a_region_without_cells_teaches_that_there_are_none(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t", (ID, "progenitor_10wk_m2_s1"))
    write_outlines(folder / f"{ID}.geojson", box("region", 100, 200, 50, 250))
    tifffile.imwrite(
        folder / "progenitor_10wk_m2_s1_labels.tif",
        truth(annotated, "cells", "progenitor_10wk_m2_s1").astype(np.uint16),
    )
    empty, full = cells_of(folder)
    assert empty.cells == 0
    assert full.cells > 0


def test_no_cell_anywhere_is_refused(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t")
    write_outlines(folder / f"{ID}.geojson", box("region", 100, 200, 50, 250))
    with pytest.raises(CallError, match="no cell was drawn"):
        cells_of(folder)


def test_a_region_in_a_file_of_its_own_limits_labels(annotated, tmp_path):
    folder, labels = bare(annotated, tmp_path / "t"), truth(annotated, "cells")
    tifffile.imwrite(folder / f"{ID}_labels.tif", labels.astype(np.uint16))
    y, x = (int(v) for v in np.argwhere(labels)[0])
    write_outlines(folder / f"{ID}_region.geojson", box("region", y, y + 60, x, x + 90))
    (section,) = cells_of(folder)
    assert section.annotated.sum() == 60 * 90
    assert section.cells == len(np.unique(labels[y : y + 60, x : x + 90])) - 1


def test_the_tables_column_wins_over_names(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t", annotation="drawn.geojson")
    write_outlines(folder / "drawn.geojson", box("region", 0, 50, 0, 50), box("cell", 10, 20, 10, 20))
    tifffile.imwrite(folder / f"{ID}_labels.tif", truth(annotated, "cells").astype(np.uint16))
    (section,) = cells_of(folder)
    assert section.cells == 1


def test_an_annotation_that_is_named_and_missing(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t", annotation="gone.geojson")
    with pytest.raises(StudyTableError, match=r"annotation.*gone\.geojson"):
        find_annotations(folder, "cells")


def test_two_annotations_of_one_section_are_ambiguous(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t")
    write_outlines(folder / f"{ID}.geojson", box("cell", 10, 20, 10, 20))
    tifffile.imwrite(folder / f"{ID}_labels.tif", truth(annotated, "cells").astype(np.uint16))
    with pytest.raises(CallError, match=r"geojson and .*labels\.tif; name one"):
        find_annotations(folder, "cells")


def test_sections_without_annotation_are_left_out_and_said(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t", (ID, "progenitor_10wk_m2_s1"))
    with pytest.raises(CallError, match="none of its 2 sections has annotated cells"):
        find_annotations(folder, "cells")
    write_outlines(folder / f"{ID}.geojson", box("cell", 10, 20, 10, 20))
    found = find_annotations(folder, "cells")
    assert [a.row.section_id for a in found.annotations] == [ID]
    assert "progenitor_10wk_m2_s1" in found.notes[0]


def test_labels_of_another_shape_than_the_image(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t")
    tifffile.imwrite(folder / f"{ID}_labels.tif", truth(annotated, "cells").astype(np.uint16)[:-3])
    with pytest.raises(CallError, match="not on one grid") as caught:
        cells_of(folder)
    assert ID in str(caught.value)


def test_outlines_off_the_slide(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t")
    write_outlines(folder / f"{ID}.geojson", box("cell", 9000, 9010, 9000, 9010))
    with pytest.raises(UnreadableError, match="on this section"):
        cells_of(folder)


def test_an_unknown_class_is_not_left_out_in_silence(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t")
    write_outlines(folder / f"{ID}.geojson", box("cell", 10, 20, 10, 20), box("thing", 10, 20, 30, 40))
    with pytest.raises(SectionError, match="unknown class: thing"):
        cells_of(folder)


def test_results_that_nobody_corrected_are_no_annotations(annotated, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(annotated / "truth" / "sections", folder / "sections")
    with pytest.raises(CallError, match="nobody has corrected"):
        find_annotations(folder, "cells")


def test_a_folder_without_a_table(tmp_path):
    with pytest.raises(CallError, match="no study table"):
        find_annotations(tmp_path, "cells")
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n", encoding="utf-8")
    with pytest.raises(CallError, match="2 tables"):
        find_annotations(tmp_path, "cells")


def compartments_of(folder):
    return read_annotated_compartments(find_annotations(folder, "compartments"))


def test_compartments_of_synthetic_truth(annotated):
    section = compartments_of(annotated)[0]
    np.testing.assert_array_equal(section.labels, truth(annotated, "compartments"))
    assert set(section.planes) == {"k14", "k8"}
    assert section.tissue.mask.any()
    assert {Compartment.CORTEX, Compartment.MEDULLA} <= set(section.classes)


def test_a_compartment_tiff_on_the_grid_on_the_slide_and_coarser(annotated, tmp_path):
    codes = truth(annotated, "compartments")
    grid = compartments_of(annotated)[0].grid
    fine = np.repeat(np.repeat(codes, grid.factor, 0), grid.factor, 1)[: grid.slide_shape[0], : grid.slide_shape[1]]
    for number, image in enumerate((codes, fine)):
        folder = bare(annotated, tmp_path / str(number))
        tifffile.imwrite(folder / f"{ID}_compartments.tif", image)
        (section,) = compartments_of(folder)
        np.testing.assert_array_equal(section.labels, codes)


def test_scribbles_in_outlines_leave_the_rest_unknown(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t")
    write_outlines(
        folder / f"{ID}.geojson",
        box("tissue", 0, 400, 0, 400),  # says nothing of what lies in it
        box("Cortex", 100, 140, 100, 140),
        box("medulla", 200, 240, 200, 240),
        box("cell", 10, 20, 10, 20),
    )
    (section,) = compartments_of(folder)
    assert [c.name for c in section.classes] == ["CORTEX", "MEDULLA"]
    assert np.count_nonzero(section.labels) == 2 * (40 // section.grid.factor) ** 2


def test_one_class_only_is_refused(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t")
    write_outlines(folder / f"{ID}.geojson", box("cortex", 100, 140, 100, 140))
    with pytest.raises(CallError, match="only cortex was drawn"):
        compartments_of(folder)


def test_codes_that_are_no_compartments(annotated, tmp_path):
    folder = bare(annotated, tmp_path / "t")
    tifffile.imwrite(
        folder / f"{ID}_compartments.tif", np.full(truth(annotated, "compartments").shape, 9, np.uint8)
    )
    with pytest.raises(SectionError, match="value 9, which is no compartment's code"):
        compartments_of(folder)


def test_most_frequent_keeps_whole_blocks():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (5, 7)).astype(np.uint8)
    np.testing.assert_array_equal(most_frequent(np.repeat(np.repeat(codes, 3, 0), 3, 1), 3), codes)
