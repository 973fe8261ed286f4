"""How sure an outline is a human CD45+ cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.cells.contours import EVIDENCE

if TYPE_CHECKING:
    from thymusimg.cells.contours import Outlines
    from thymusimg.section.model import FloatPlane


def score_outlines(outlines: Outlines, positive: float) -> FloatPlane:
    """Weigh the evidence of every outline to a score in [0, 1].

    Parameters
    ----------
    outlines : Outlines
    positive : float
        The CD45 gate on the evened-out scale; an outline whose rim lies below it scores 0.
    """
    evidence = dict(zip(EVIDENCE, outlines.evidence.T, strict=True))
    logit = 10 * (evidence["weakest_arc"] - 0.15) + 5 * (evidence["drop"] - 0.25)
    score = 1 / (1 + np.exp(-logit.astype(np.float64)))
    score[evidence["rim"] < positive] = 0
    result: FloatPlane = score.astype(np.float32)
    return result
