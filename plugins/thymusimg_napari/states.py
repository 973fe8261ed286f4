"""Where every section of a study stands: to do, done, edited, failed, flagged. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import pandas as pd

from thymusimg.batch.folder import RunFolder
from thymusimg.errors import UnreadableError
from thymusimg.report.edited import mask_edits
from thymusimg.section.store import Bundle
from thymusimg_napari.autosave import Journal, journal_folder

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.study.model import SectionRow, Study
    from thymusimg_napari.blinding import Hidden


class Status(StrEnum):
    """Where a section stands."""

    TO_DO = "to do"
    DONE = "done"
    EDITED = "edited"
    FLAGGED = "flagged"
    FAILED = "failed"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class State:
    """A section of a study and where it stands.

    Attributes
    ----------
    row : SectionRow
        As the reader sees it.
    why : str
        What failed, what is flagged, who edited.
    unsaved : bool
        Whether edits wait in the journal.
    """

    row: SectionRow
    status: Status
    why: str = ""
    unsaved: bool = False


def section_states(study: Study, out: Path | None, hidden: Hidden | None = None) -> list[State]:
    """Return the states of a study's sections, in its order; of ``hidden`` where ids and groups are."""
    failed = _failures(out)
    found = []
    for row in study.rows:
        true = hidden.true_row(row) if hidden else row
        status, why = _state(true, out, failed)
        if hidden and status == Status.FAILED:
            why = "it could not be measured"  # the message may name the file
        found.append(State(row, status, why, Journal(journal_folder(row)).pending))
    return found


def next_to_look_at(states: list[State], current: str, step: int = 1) -> int:
    """Return the number of the section after (``step`` 1) or before (-1) the open one; excluded ones are passed."""
    order = [i for i, state in enumerate(states) if state.status != Status.EXCLUDED]
    here = next((k for k, i in enumerate(order) if states[i].row.section_id == current), None)
    if not order:
        return -1
    if here is None:
        return order[0 if step > 0 else -1]
    there = here + step
    return order[there] if 0 <= there < len(order) else -1


def _state(row: SectionRow, out: Path | None, failed: dict[str, str]) -> tuple[Status, str]:
    if row.subject.exclude:
        return Status.EXCLUDED, row.subject.notes
    path = None if out is None else RunFolder(out).bundle(row.section_id)
    if path is None or not path.is_dir():
        if row.section_id in failed:
            return Status.FAILED, failed[row.section_id]
        return Status.TO_DO, ""
    try:
        bundle = Bundle.open(path)
        flags = _flags(bundle)
    except (UnreadableError, OSError) as error:
        return Status.FAILED, str(error)
    edits = mask_edits(bundle.attributes)
    if edits:
        who = ", ".join(dict.fromkeys(str(edit.get("who", "")) for edit in edits))
        return Status.EDITED, "; ".join([f"{len(edits)} edit(s) by {who}", *flags])
    return (Status.FLAGGED, "; ".join(flags)) if flags else (Status.DONE, "")


def _flags(bundle: Bundle) -> list[str]:
    checks = bundle.table("quality")
    bad = checks[checks["status"] == "fail"]
    return [f"{row['channel']} {row['check']}".strip().replace("_", " ") for row in bad.to_dict("records")]


def _failures(out: Path | None) -> dict[str, str]:
    path = None if out is None else RunFolder(out).tables / "failures.parquet"
    if path is None or not path.is_file():
        return {}
    table = pd.read_parquet(path)
    return {str(row["section_id"]): f"{row['stage']}: {row['message']}" for row in table.to_dict("records")}
