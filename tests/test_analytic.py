"""Every metric on a shape whose answer is known, as ``docs/analytic.md`` shows them."""

import math

import pytest

from benchmarks.analytic import every_case


@pytest.mark.parametrize("case", every_case(), ids=lambda c: f"{c.metric}: {c.case}")
def test_the_metric_finds_the_known_answer(case):
    found = case.measure()
    if math.isnan(case.expected):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(case.expected, rel=0, abs=case.tolerance)
