"""Animals are divided whole; figures before and after are of what was looked at."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thymusimg.cells.model import Gate
from thymusimg.cells.normalise import InputLevels
from thymusimg.errors import CallError
from thymusimg.train.annotated import AnnotatedCells
from thymusimg.train.judge import ALL, as_metrics, as_text, judge_cells, losses, tally_cells, verdict
from thymusimg.train.split import split_animals


@given(st.integers(2, 30), st.integers(0, 1000))
def test_nobody_is_in_two_parts_and_all_are_in_one(count, seed):
    animals = [f"m{i}" for i in range(count)]
    split = split_animals(animals, seed=seed)
    assert split.train
    assert split.held_out
    assert not set(split.train) & set(split.held_out)
    assert not set(split.train) & set(split.stop)
    assert set(split.train) | set(split.stop) | set(split.held_out) == set(animals)
    assert len(split.held_out) == max(1, round(count / 4))
    assert split == split_animals(animals[::-1] * 2, seed=seed)


def test_with_few_animals_the_held_out_ones_choose_and_that_is_said():
    few, many = split_animals("abc", seed=0), split_animals("abcde", seed=0)
    assert few.stop == few.held_out
    assert "too good" in few.note
    assert many.stop != many.held_out
    assert not many.note


def test_refusals():
    with pytest.raises(CallError, match=r"of one animal \(a\).*at least two animals"):
        split_animals(["a", "a"], seed=0)
    with pytest.raises(CallError, match="--hold-out z"):
        split_animals("ab", seed=0, hold_out=["z"])
    with pytest.raises(CallError, match="leave at least one"):
        split_animals("ab", seed=0, hold_out=["a", "b"])


def region(animal, labels, annotated):
    gate = Gate(10.0, 0.0, 1.0, "section")
    planes = {"cd45": np.zeros(labels.shape, np.float32)}
    return AnnotatedCells(animal, animal, planes, 0.5, labels, annotated, gate, InputLevels(0.0, 1.0))


def squares(*places):
    labels = np.zeros((60, 60), np.uint32)
    for number, (y, x) in enumerate(places, start=1):
        labels[y : y + 8, x : x + 8] = number
    return labels


def test_only_what_was_looked_at_counts():
    looked_at = np.zeros((60, 60), bool)
    looked_at[:, :30] = True
    truth = region("a", squares((2, 2), (20, 2), (2, 40)), looked_at)
    tally = tally_cells(squares((2, 2), (40, 2), (40, 40), (20, 40)), truth)
    assert (tally.found, tally.drawn, tally.same) == (2, 2, 1)
    measures = tally.measures()
    assert measures["F1 at IoU 0.5"] == 0.5
    assert measures["precision"] == measures["recall"] == 0.5
    assert measures["count bias"] == 0.0


def test_the_table_has_every_animal_and_all_together():
    everywhere = np.ones((60, 60), bool)
    drawn = squares((2, 2), (20, 2))
    regions = [region("a", drawn, everywhere), region("b", drawn, everywhere), region("b", drawn, everywhere)]
    table = judge_cells(lambda _: squares((2, 2)), lambda r: r.labels, regions)
    assert list(table["animal"].unique()) == ["a", "b", ALL]
    f1 = table[table["measure"] == "F1 at IoU 0.5"].set_index("animal")
    assert f1.loc["b", "sections"] == 2
    assert f1.loc[ALL, "before"] == pytest.approx(2 / 3)
    assert f1.loc[ALL, "after"] == 1.0
    assert verdict(table, "cells") == (pytest.approx(2 / 3), 1.0)
    assert len(as_metrics(table, "cells")) == len(table)
    assert "+0.333" in as_text(table)


def test_undefined_figures_are_left_out_of_the_card_and_never_zero():
    everywhere = np.ones((60, 60), bool)
    table = judge_cells(lambda r: r.labels, lambda _: squares(), [region("a", squares((2, 2)), everywhere)])
    row = table.set_index("measure").loc["precision"]
    assert np.isnan(row["after"])
    assert "precision" not in [metric.name for metric in as_metrics(table, "cells")]


def test_what_fell_is_said_whatever_the_mean_says():
    rows = [("mean Dice", 0.5, 0.6), ("Dice cortex", 0.5, 0.9), ("Dice indeterminate", 0.6, 0.1)]
    table = pd.DataFrame([{"animal": "a", "measure": m, "before": b, "after": a} for m, b, a in rows])
    assert losses(table) == ["Dice indeterminate fell from 0.600 to 0.100"]
