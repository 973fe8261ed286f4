"""Colours in which stains are laid over one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.report.palette import NAMES, SAFE, SAFE_WORDS
from thymusimg.report.words import stands_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.report.picture import RGB, Colour
    from thymusimg.section.model import FloatPlane

__all__ = ["COLOUR_WORDS", "NAMES", "PALETTES", "grey", "merge", "other_marker"]

PALETTES: dict[str, dict[str, Colour]] = {
    "field": {"cd45": (255, 0, 0), "k14": (51, 92, 255), "k8": (0, 255, 0)},
    "safe": SAFE,
}
"""``field``: red, blue and green as the papers print them (the blue lightened, because pure blue is nearly black in
print); ``safe``: orange, violet and cyan, which stay apart with every common colour blindness and add up to
white."""

COLOUR_WORDS: dict[str, dict[str, str]] = {
    "field": {"cd45": "red", "k14": "blue", "k8": "green"},
    "safe": SAFE_WORDS,
}


def other_marker(role: str, name: str) -> str:
    """Return the marker that stands in for a role, "" where it is the role's own or nobody named it.

    Examples
    --------
    >>> other_marker("k8", "CD205"), other_marker("k8", "KRT8"), other_marker("cd45", "T1"), other_marker("k14", "")
    ('CD205', '', '', '')
    """
    return name if stands_in(role, name) else ""


def merge(levels: Mapping[str, FloatPlane], palette: str) -> RGB:
    """Add stains to one another in the palette's colours.

    Parameters
    ----------
    levels : mapping of str to (H, W) float32
        From 0 (black) to 1 (the full colour); roles without a colour are left out.
    palette : str
        A key of :data:`PALETTES`.

    Returns
    -------
    (H, W, 3) uint8
    """
    colours = PALETTES[palette]
    shape = next(iter(levels.values())).shape
    total = np.zeros((*shape, 3), np.float32)
    for role, colour in colours.items():
        if role in levels:
            total += levels[role][..., None] * np.array(colour, np.float32)
    return np.clip(np.rint(total), 0, 255).astype(np.uint8)


def grey(level: FloatPlane) -> RGB:
    """Return one stain in grey: the eye tells steps of grey better than steps of a colour."""
    plane = np.clip(np.rint(level * 255), 0, 255).astype(np.uint8)
    return np.repeat(plane[..., None], 3, axis=2)
