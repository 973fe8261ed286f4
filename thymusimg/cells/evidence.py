"""How sure an outline is a human CD45+ cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.cells.contours import EVIDENCE

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.cells.contours import Outlines
    from thymusimg.section.model import FloatPlane

ALONE = {"bias": -4.8, "faint": -29.7, "log_votes": 0.74, "small": -19.7, "large": -2.1, "contrast": 12.8}
"""Weights of an outline's own evidence in the logit of its score."""
AMONG = {
    "bias": 2.6,
    "faint": -10.1,
    "log_votes": 2.5,
    "small": -13.2,
    "large": -2.5,
    "contrast": 12.7,
    "company": 4.3,
}
"""The same where the cells around it are known (see :func:`thymusimg.cells.company.count_company`).

Logistic regressions on 58 synthetic sections (empty to packed, clean to bad optics, 0.25-0.9 µm/px; outlines that
meet a true cell at IoU ≥ 0.5 against all others), in which false outlines on empty and sparse sections count 20 and
8 times: a false cell weighs most where there are no cells. There, most of them lie on the bright capsule.
"""
FEWEST, ENOUGH = 0.05, 0.2
"""Company is judged by its logarithm, from the first value, and no more than the second counts."""

ALIKE, ALIKE_SHARE, ALIKE_PICTURE = 0.1, 0.6, 0.4
"""An outline is autofluorescent where every other stain has this part of CD45's contrast, is brighter inside in
this share of the directions, and correlates with CD45 by this much.

On 19 synthetic sections of both generators (empty to packed, good and bad optics) this takes 94 % of the false
outlines on empty sections and 2 % of the cells. Without the correlation, at 0.3 and 0.7, it took 93 % and 4 %: in
packed tissue, a strand of epithelium crosses many a cell.
"""
LEAST_COVERAGE = 0.7
"""Least share of the directions in which the signal drops; between cells, outlines lean on the neighbours' rims."""
RIM_PART = 0.5
"""The rim is measured at the half height of a membrane's blurred edge: its middle is about twice as high."""


def score_outlines(outlines: Outlines, excess: float, company: npt.NDArray[np.float64] | None = None) -> FloatPlane:
    """Weigh the evidence of every outline to a score in [0, 1].

    The evidence: the drop of the signal across the outline, and that drop as a part of the rim's height over its
    surroundings; the votes of the edges; and whether the outline is too small or too large for a thymocyte.

    Parameters
    ----------
    outlines : Outlines
    excess : float
        How far a human membrane must rise above its surroundings, in units of the floor of the evened-out scale; an
        outline that does not scores 0.
    company : (N,) float64, optional
        Share of its surroundings that other cells fill; without it every outline is judged by itself.

    Returns
    -------
    (N,) float32
    """
    seen = dict(zip(EVIDENCE, outlines.evidence.T.astype(np.float64), strict=True))
    drop, around, rim, radius = seen["drop"], seen["around"], seen["rim"], seen["radius"]
    terms = {
        "faint": _above(0.3 - drop),
        "log_votes": np.log(np.maximum(seen["votes"], 0.01)),
        "small": _above(2.1 - radius),
        "large": _above(radius - 3.7),
        "contrast": drop / np.maximum(rim - around, 0.05),
    }
    weights = ALONE
    if company is not None:
        weights, terms["company"] = AMONG, np.log(FEWEST + np.minimum(company, ENOUGH))
    logit = weights["bias"] + sum(weights[name] * term for name, term in terms.items())
    score = 1 / (1 + np.exp(-np.clip(logit, -50, 50)))
    # the scale is the root of 1 + I/floor, so the difference of squares is one of intensities
    score[seen["coverage"] < LEAST_COVERAGE] = 0
    score[~rises_above(rim**2 - around**2, excess)] = 0
    result: FloatPlane = score.astype(np.float32)
    return result


def rises_above(rise: npt.NDArray[np.float64], excess: float) -> npt.NDArray[np.bool_]:
    """Tell which cells' rims rise enough over their surroundings for a human membrane."""
    enough: npt.NDArray[np.bool_] = rise >= RIM_PART * excess
    return enough


def is_autofluorescent(
    ratio: npt.NDArray[np.float64], share: npt.NDArray[np.float64], correlation: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Tell which outlines look in the other stains as they do in CD45 (see ``autofluorescence.likeness``)."""
    return (ratio > ALIKE) & (share > ALIKE_SHARE) & (correlation > ALIKE_PICTURE)


def _above(value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(value, 0.0)
