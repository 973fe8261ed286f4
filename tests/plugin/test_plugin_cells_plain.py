"""What the Cells and Measure widgets are made of, without a window."""

from __future__ import annotations

import numpy as np
import pandas as pd
from thymusimg_napari.cell_counts import counted_rows
from thymusimg_napari.colouring import UNDEFINED, Colouring
from thymusimg_napari.reviewing import Review, uncertain_first

from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.section.model import Grid


def cells(scores: list[float], method: str = "classical", where: str = "cortex") -> Cells:
    table = pd.DataFrame(
        {
            "cell_id": range(1, len(scores) + 1),
            "y_um": np.arange(len(scores)) * 10.0,
            "x_um": 5.0,
            "score": scores,
            "compartment": where,
        }
    )
    none = CellMasks(np.zeros((0, 4), np.int32), np.zeros(1, np.int64), np.zeros(0, bool))
    return Cells(table, none, np.zeros((2, 2), np.float32), Gate(1.0, 0.0, 1.0, "section"), method)


def test_the_least_sure_cells_come_first_and_unscored_ones_last() -> None:
    assert uncertain_first(cells([0.9, 0.52, float("nan"), 0.3])) == [1, 3, 0, 2]


def test_a_review_goes_on_whatever_is_edited() -> None:
    review, before = Review(), cells([0.9, 0.52, 0.3, 0.75])
    review.start(before)
    assert [review.step(before), review.step(before)] == [2, 3]
    kept = before.table.drop(index=1).reset_index(drop=True)  # cell 2 was deleted: numbers move up
    after = Cells(kept, before.masks, before.positive_fraction, before.gate)
    assert kept["y_um"].iloc[review.step(after) - 1] == 30.0
    assert review.step(after, -1) == 2  # the one at 20 µm, whose number was 3
    assert review.step(after) == 1
    assert review.step(after) == 0
    assert (review.seen, review.total) == (4, 4)


def test_counts_beside_what_the_method_found() -> None:
    grid = Grid((100, 100), 1.0, 2)
    labels = np.full(grid.shape, Compartment.CORTEX, np.uint8)
    labels[25:] = Compartment.MEDULLA
    plane = np.zeros(grid.shape, np.float32)
    drawn = Compartments(grid, labels, labels > 0, plane, plane, plane, plane, ())
    edited = cells([1.0] * 3, "classical, edited", "medulla")
    assert counted_rows(edited, cells([1.0] * 2), drawn) == [
        ("cortex", 0, 2, "0"),
        ("medulla", 3, 0, "600"),
        ("parenchyma", 3, 2, "300"),
    ]
    assert counted_rows(edited, None, drawn)[-1][2] == ""  # what was found is not known


def test_colours_run_between_quantiles_and_undefined_is_grey() -> None:
    table = pd.DataFrame({"depth": [0.0, 1.0, 2.0, float("nan"), 1000.0], "compartment": ["cortex"] * 4 + ["?"]})
    colours = Colouring("depth").of_rows(table)
    assert colours is not None
    assert np.allclose(colours[3], UNDEFINED)
    assert not np.allclose(colours[0], colours[4])
    named = Colouring("compartment").of_rows(table)
    assert named is not None
    assert np.allclose(named[0], named[1])
    assert np.allclose(named[4], UNDEFINED)
    assert Colouring().of_rows(table) is None
