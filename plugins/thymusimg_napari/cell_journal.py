"""Cells as the journal keeps them: arrays and plain values, the same cells again to the last bit. No Qt."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from thymusimg.cells.edited import EDITED, PLACED
from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.pipeline import Counted, place_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.pipeline import Prepared
    from thymusimg_napari.session import Session

    Arrays = dict[str, npt.NDArray[Any]]

TABLE, BOXES, BITS, FRACTION = "table", "boxes", "bits", "positive"


def kept(session: Session) -> tuple[Arrays, dict[str, Any]] | None:
    """Return what is to be kept of a session's cells: nothing, until a person changed them; None without any."""
    if session.counted is None:
        return None
    cells = session.counted.cells
    if cells is None or not cells.method.endswith(EDITED):
        return {}, {}
    arrays, values = packed(cells, "cells")
    record = {"edited": values}
    if session.original_cells is not None:
        found, record["found"] = packed(session.original_cells, "cells_found")
        arrays |= found
    return arrays, record


def restore(session: Session, prepared: Prepared) -> bool:
    """Put back the edited cells that a window that was killed left; tell whether there were any."""
    left = session.journal.read() if session.journal is not None else None
    if left is None or not left.values.get("cells"):
        return False
    record, settings = left.values["cells"], prepared.settings.measurements
    known = {"edited": "cells", "found": "cells_found"}
    back = {key: unpacked(left.arrays, record[key], name) for key, name in known.items() if key in record}
    placed = {key: place_cells(cells, prepared.compartments, settings) for key, cells in back.items()}
    session.set_counted(Counted(prepared, placed.get("found", placed["edited"]), "", dict(prepared.seconds)))
    session.set_cells(placed["edited"])
    session.edits = left.log
    from napari.utils.notifications import show_info

    show_info(f"{session.section_id}: {len(placed['edited'].table):,} edited cells that were not saved are back.")
    return True


def packed(cells: Cells, name: str) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays, named ``NAME_…``, and values; what follows from the compartments is left out."""
    table = cells.table.drop(columns=[name for name in PLACED if name in cells.table])
    values = {
        "columns": [str(name) for name in table],
        "gate": asdict(cells.gate),
        "method": cells.method,
        "notes": list(cells.notes),
        "count": len(table),
        "bits": len(cells.masks.bits),
    }
    arrays: Arrays = {FRACTION: cells.positive_fraction}
    if len(table):
        arrays[TABLE] = table.to_numpy(np.float64)
        arrays[BOXES] = cells.masks.boxes
        arrays[BITS] = np.packbits(cells.masks.bits)[None]
    return {f"{name}_{part}": array for part, array in arrays.items()}, values


def unpacked(kept: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any], name: str) -> Cells:
    """Return the cells of :func:`packed`, not yet assigned to compartments."""
    arrays = {part: kept[f"{name}_{part}"] for part in (TABLE, BOXES, BITS, FRACTION) if f"{name}_{part}" in kept}
    columns, count = values["columns"], int(values["count"])
    numbers = arrays[TABLE].reshape(count, len(columns)) if count else np.zeros((0, len(columns)))
    table = pd.DataFrame(np.asarray(numbers, np.float64), columns=columns).astype({"cell_id": np.int64})
    boxes = np.asarray(arrays[BOXES], np.int32).reshape(count, 4) if count else np.zeros((0, 4), np.int32)
    sides = (boxes[:, 1::2] - boxes[:, ::2]).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(sides[:, 0] * sides[:, 1])]).astype(np.int64)
    bits = np.unpackbits(arrays[BITS].ravel(), count=int(values["bits"])) if count else np.zeros(0, np.uint8)
    known: dict[str, Any] = {key: float("nan") if value is None else value for key, value in values["gate"].items()}
    known |= {key: tuple(known[key]) for key in ("controls", "notes")}
    fraction = np.asarray(arrays[FRACTION], np.float32)
    masks = CellMasks(boxes, starts, bits.astype(np.bool_))
    return Cells(table, masks, fraction, Gate(**known), str(values["method"]), tuple(values["notes"]))
