"""Contact of CD45+ cells with the keratin network (P9); filled by :mod:`.network`, which traces the slide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.families.declare import declare
from thymusimg.measurements.network.trace import DISTANCE_STEP_UM
from thymusimg.measurements.population.contact import CONTACT_UM, Contact, chance_within, measure_contact
from thymusimg.measurements.schema import Column, WeightedMean
from thymusimg.measurements.view import NO_CELLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.measurements.network.trace import Network
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView

_EDGE = "edge (centre less equivalent radius)"


def _columns(where: str) -> tuple[Column, ...]:
    place = where.removeprefix("_") or "parenchyma"
    by_cells = WeightedMean(f"cd45_count{where}")
    chance = "when the cells are laid anywhere within their compartments"
    return (
        declare(
            f"cd45_contact_share{where}", "fraction",
            f"Share of the {place}'s CD45+ cells whose {_EDGE} lies at most {CONTACT_UM:g} µm from the keratin "
            "network; mirrors how much keratin there is", "P9", by_cells, "logit", "0-1",
        ),
        declare(
            f"cd45_contact_ratio{where}", "ratio",
            f"cd45_contact_share{where} over what it would be {chance}: above 1, cells keep to keratin", "P9",
            by_cells, "log",
        ),
        declare(
            f"cd45_contact_ratio{where}_low", "ratio", f"2.5 % quantile of the ratio {chance}, 999 times", "P9",
        ),
        declare(
            f"cd45_contact_ratio{where}_high", "ratio", f"97.5 % quantile of the ratio {chance}, 999 times", "P9",
        ),
    )  # fmt: skip


COLUMNS = (*_columns(""), *_columns("_cortex"), *_columns("_medulla"))


def fill(
    row: Row, view: SectionView, network: Network, places: Mapping[str, Compartment], missing: Mapping[str, str]
) -> None:
    """Fill in the columns of contact."""
    if view.cells is None or view.places is None:
        return
    radius = np.sqrt(view.cells.table["area_um2"].to_numpy(np.float64) / math.pi)
    code = view.places.code
    chance = np.full(len(radius), math.nan)
    for here in (Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE):
        mine = code == here
        chance[mine] = chance_within(radius[mine] + CONTACT_UM, network.distances[here], DISTANCE_STEP_UM)
    masks = {"": view.places.parenchyma} | {f"_{where}": code == here for where, here in places.items()}
    for where, mine in masks.items():
        found = measure_contact(network.at_points_um[mine], radius[mine], chance[mine])
        why = missing.get(where.removeprefix("_"), NO_CELLS)
        _put(row, where, found, why if not mine.any() and not _has(view, where) else NO_CELLS)


def _has(view: SectionView, where: str) -> bool:
    return {"": True, "_cortex": view.cortex_mm2 > 0, "_medulla": view.medulla_mm2 > 0}[where]


def _put(row: Row, where: str, found: Contact, none: str) -> None:
    why = none if found.cells == 0 else "no keratin lies within reach of any cell"
    row.put(f"cd45_contact_share{where}", found.share, why)
    row.put(f"cd45_contact_ratio{where}", found.ratio, why)
    row.put(f"cd45_contact_ratio{where}_low", found.low, why)
    row.put(f"cd45_contact_ratio{where}_high", found.high, why)
