"""What the methods paragraph rests on, as a list of references; only what was really used is cited."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thymusimg.report.finished_run import FinishedRun

_WELCH = "Welch BL. The generalization of 'Student's' problem when several different population variances are involved. Biometrika 34, 28-35 (1947)."  # noqa: E501
_HEDGES = "Hedges LV. Distribution theory for Glass's estimator of effect size and related estimators. Journal of Educational Statistics 6, 107-128 (1981)."  # noqa: E501
_HOLM = "Holm S. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 65-70 (1979)."  # noqa: E501
_BENJAMINI = "Benjamini Y, Hochberg Y. Controlling the false discovery rate: a practical and powerful approach to multiple testing. Journal of the Royal Statistical Society B 57, 289-300 (1995)."  # noqa: E501
_RIPLEY = "Ripley BD. The second-order analysis of stationary point processes. Journal of Applied Probability 13, 255-266 (1976)."  # noqa: E501
_BESAG = "Besag J. Contribution to the discussion of Dr Ripley's paper. Journal of the Royal Statistical Society B 39, 193-195 (1977)."  # noqa: E501


def references(run: FinishedRun) -> list[str]:
    """Return the references of what this run used, in the order in which the methods use it."""
    found = []
    curves = set(run.tables["group_curves"].get("curve", ()))
    if "cd45_l" in curves:
        found += [_RIPLEY, _BESAG]
    if run.grouped and len(run.tables["comparisons"]):
        found += [_WELCH, _HEDGES]
        adjustments = " ".join(str(a) for a in run.tables["comparisons"].get("adjustment", ()))
        found += [_HOLM] if "Holm" in adjustments else []
        found += [_BENJAMINI] if "Benjamini" in adjustments else []
    version = run.record.get("thymusimg")
    named = f", version {version}" if version else ""
    return [*found, f"thymusimg{named}. Sources of every single measure stand in the dictionary of columns."]
