"""Names and colours of the stains, for every picture that is drawn of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thymusimg.report.picture import Colour

NAMES = {"cd45": "CD45", "k14": "K14", "k8": "K8", "dapi": "DAPI"}

SCREEN: dict[str, Colour] = {"cd45": (255, 38, 38), "k14": (64, 110, 255), "k8": (30, 205, 60)}
"""CD45 red, K14 blue, K8 green as the field prints them; the blue is lightened: pure blue vanishes on a screen."""

SAFE: dict[str, Colour] = {"cd45": (255, 127, 0), "k14": (150, 60, 255), "k8": (0, 255, 255)}
"""Orange, violet and cyan: they stay apart with every common colour blindness (Machado et al., IEEE TVCG 15,
1291-1298, 2009) and add up to white."""

SAFE_WORDS = {"cd45": "orange", "k14": "violet", "k8": "cyan"}
