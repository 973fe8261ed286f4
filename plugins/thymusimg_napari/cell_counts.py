"""How many cells lie in which compartment, now and as the method found them. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thymusimg.cells.edited import EDITED
from thymusimg.compartments.model import PARENCHYMA, Compartment

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments

    Row = tuple[str, int, int | str, str]

NO_AREA = (Compartment.BACKGROUND, Compartment.ARTEFACT)
"""What densities are not stated for."""


def counted_rows(cells: Cells, found: Cells | None, compartments: Compartments) -> list[Row]:
    """Return compartment, cells, cells as found ("" where that is not known), and cells per mm².

    The parenchyma (cortex, medulla, indeterminate) stands last.
    """
    now = cells.table["compartment"].value_counts()
    if found is None and cells.method.endswith(EDITED):
        before = None
    else:
        before = (cells if found is None else found).table["compartment"].value_counts()
    rows: list[Row] = []
    for code in Compartment:
        name = code.name.lower()
        area = 0.0 if code in NO_AREA else compartments.area_mm2(code)
        count = int(now.get(name, 0))
        if area or count:
            rows.append((name, count, "" if before is None else int(before.get(name, 0)), _density(count, area)))
    names = [code.name.lower() for code in PARENCHYMA]
    count = sum(int(now.get(name, 0)) for name in names)
    was = "" if before is None else sum(int(before.get(name, 0)) for name in names)
    rows.append(("parenchyma", count, was, _density(count, compartments.area_mm2())))
    return rows


def _density(count: int, area_mm2: float) -> str:
    return f"{count / area_mm2:,.0f}" if area_mm2 else ""
