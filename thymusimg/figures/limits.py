"""One set of display limits for everything that is compared, and what it hides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.cells.model import Gate
from thymusimg.compartments.model import PARENCHYMA
from thymusimg.errors import CallError
from thymusimg.figures.palettes import NAMES
from thymusimg.report.overlays import display_limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thymusimg.figures.source import Shown
    from thymusimg.section.model import FloatPlane, Mask

Limits = dict[str, tuple[float, float]]
"""Black and white of every role, in background-subtracted grey levels."""


def limits_of_all(
    sections: Sequence[Shown], given: Mapping[str, tuple[float, float]], *, own: bool
) -> list[Limits]:
    """Return the limits of every section: the same for all, unless each is to have its own.

    Limits of its own for every panel would make a faint stain look like a bright one (Schmied et al. 2023). Shared
    limits reach from the lowest black to the highest white of the sections, so no section is clipped more than it
    would be alone.

    Parameters
    ----------
    sections : sequence of Shown
    given : mapping of str to (black, white)
        Taken as they are.
    own : bool
        Limits of its own for every section.

    Raises
    ------
    CallError
        If limits are given for a stain that no section has.
    """
    alone = [_limits(section) for section in sections]
    roles = dict.fromkeys(role for limits in alone for role in limits)
    for role in given:
        if role not in roles:
            raise CallError(
                f"--limits {role}: no section of the figure has {NAMES[role]}; there are {', '.join(roles)}"
            )
    if own:
        return alone
    shared: Limits = {}
    for role in roles:
        ends = [limits[role] for limits in alone if role in limits]
        shared[role] = given.get(role, (min(low for low, _ in ends), max(high for _, high in ends)))
    return [shared] * len(sections)


def clipped(plane: FloatPlane, where: Mask, white: float) -> float:
    """Return the share of tissue pixels at or above white: what the figure cannot show."""
    values = plane[where]
    return float(np.count_nonzero(values >= white) / values.size) if values.size else 0.0


def _limits(section: Shown) -> Limits:
    parenchyma = np.isin(section.labels, PARENCHYMA)
    gate = None
    if section.gate is not None:
        known = {name: section.gate[name] for name in ("threshold", "background", "background_sd", "source")}
        gate = Gate(**known) if None not in known.values() else None
    planes = {role: plane for role, plane in section.planes.items() if role in NAMES}
    return display_limits(planes, parenchyma if parenchyma.any() else section.tissue, gate)
