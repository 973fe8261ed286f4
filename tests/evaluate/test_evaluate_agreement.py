"""CCC, Bland-Altman and ICC(2,1) against pingouin, hand-worked numbers and simulation."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from thymusimg.evaluate.agreement import bland_altman, concordance, icc_2_1
from thymusimg.evaluate.sets import agreement_table

with warnings.catch_warnings():  # its import warns of what its own dependencies will change
    warnings.simplefilter("ignore")
    pingouin = pytest.importorskip("pingouin")


@pytest.mark.parametrize("seed", range(4))
def test_icc_against_pingouin(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=12)
    y = 0.8 * x + 0.3 + 0.4 * rng.normal(size=12)
    long = pd.DataFrame({
        "section": np.tile(np.arange(12), 2), "rater": np.repeat(["a", "b"], 12), "value": np.concatenate([x, y])
    })  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = pingouin.intraclass_corr(long, targets="section", raters="rater", ratings="value")
    row = table[table["Type"].isin(["ICC2", "ICC(A,1)"])].iloc[0]
    low, high = row[next(c for c in table.columns if c.startswith("CI95"))]
    found = icc_2_1(x, y)
    assert found.estimate == pytest.approx(row["ICC"])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


def test_concordance_and_its_interval_by_simulation():
    rng = np.random.default_rng(8)
    true = 2 * 0.9 / (1 + 1 + 0.3**2)  # unit variances, covariance 0.9, shift 0.3
    held = 0
    for _ in range(400):
        x, y = rng.multivariate_normal([0, 0.3], [[1, 0.9], [0.9, 1]], 40).T
        found = concordance(x, y)
        held += found.low <= true <= found.high
    assert 0.91 <= held / 400 <= 0.985


def test_concordance_at_the_edges():
    x = np.arange(5.0)
    assert concordance(x, x).estimate == 1
    assert concordance(x, -x + 4).estimate == -1
    assert np.isnan(concordance(x[:2], x[:2]).estimate)
    assert "same on both" in concordance(np.ones(5), np.ones(5)).reason
    flat = concordance(np.ones(5), x)
    assert flat.estimate == 0
    assert "does not vary" in flat.reason


def test_bland_altman_limits_hold_what_they_say():
    rng = np.random.default_rng(5)
    x, truth = rng.normal(1, 2, 2000), np.zeros(2000)
    found = bland_altman(x, truth)
    inside = (x > found.lower.estimate) & (x < found.upper.estimate)
    assert inside.mean() == pytest.approx(0.95, abs=0.01)
    assert found.bias.low < 1 < found.bias.high
    assert found.upper.low < 1 + 1.96 * 2 < found.upper.high


def test_agreement_table_takes_what_both_have():
    pairs = [
        ({"a": float(i), "own": 1.0, "name": "x", "cortex_grade": i % 3},
         {"a": i + 0.5, "name": "x", "cortex_grade": (i + i // 5) % 3})
        for i in range(6)
    ]  # fmt: skip
    table = agreement_table(pairs).set_index("column")
    assert list(table.index) == ["a", "cortex_grade"]
    assert table.loc["a", "bias"] == pytest.approx(-0.5)
    assert np.isnan(table.loc["a", "weighted_kappa"])
    assert 0 < table.loc["cortex_grade", "weighted_kappa"] < 1
