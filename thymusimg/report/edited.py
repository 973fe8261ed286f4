"""What people edited in a run, in the words of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thymusimg.report.finished_run import as_mapping
from thymusimg.report.words import counted, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.report.finished_run import FinishedRun

STANDING = (
    "Numbers are of the edited masks; what the methods had drawn is kept beside them in every bundle, with who "
    "changed what, when and why."
)


MASKS = ("compartments", "cells")
"""What people edit. Other records of a viewer (a method that was run, a forest that was taught) change no mask."""


def mask_edits(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the edits of masks that a bundle's record holds."""
    edits = [as_mapping(edit) for edit in record.get("edits") or ()]
    return [edit for edit in edits if edit.get("target") in MASKS]


def edited_caveats(run: FinishedRun) -> tuple[tuple[str, str], ...]:
    """Return a head and a text on the sections that people edited, and on those measured in another way."""
    records = {name: run.attributes(name) for name in run.section_ids}
    edited = {name: record for name, record in records.items() if mask_edits(record)}
    found = []
    if edited:
        lines = "; ".join(f"{name}: {_amount(record)}" for name, record in edited.items())
        head = f"{counted(len(edited), 'section')} of {len(records)} edited by hand."
        found.append((head, f"{lines}. {_blinding(list(edited.values()))} {STANDING}"))
    apart = [name for name, record in records.items() if _measured_apart(run, record)]
    if apart:
        text = (
            f"{', '.join(apart)}: settings differ from those of the run. Running the study again makes them equal."
        )
        found.append(("Not all sections were measured alike.", text))
    return tuple(found)


def edited_sentence(run: FinishedRun) -> str:
    """Return the methods' sentence on what people edited; "" where nobody did."""
    records = [run.attributes(name) for name in run.section_ids]
    edited = [record for record in records if mask_edits(record)]
    if not edited:
        return ""
    targets = dict.fromkeys(str(edit.get("target")) for record in edited for edit in mask_edits(record))
    names = " and ".join("CD45⁺ cells" if t == "cells" else t for t in targets)
    return (
        f"{names[:1].upper() + names[1:]} were corrected by hand in {len(edited)} of "
        f"{counted(len(records), 'section')}, and numbers are of the corrected masks. "
        f"{_blinding([as_mapping(record) for record in edited])}"
    )


def _amount(record: Mapping[str, Any]) -> str:
    amount, edits = as_mapping(record.get("edited")), mask_edits(record)
    parts = []
    if amount.get("compartments_mm2") is not None:
        share = amount.get("compartments_share")
        of_tissue = f" ({number(100 * float(share))} % of the tissue)" if share is not None else ""
        parts.append(f"compartments on {number(float(amount['compartments_mm2']))} mm²{of_tissue}")
    if amount.get("cells_before") is not None:
        added, removed = int(amount["cells_added"]), int(amount["cells_removed"])
        parts.append(f"{added} cells drawn and {removed} taken away, of {int(amount['cells_before'])}")
    who = ", ".join(dict.fromkeys(str(edit.get("who", "")) for edit in edits)) or "somebody unnamed"
    return f"{'; '.join(parts) or 'looked at, nothing changed'} (by {who}, {counted(len(edits), 'edit')})"


def _blinding(records: list[Mapping[str, Any]]) -> str:
    blinded = [as_mapping(record.get("edited")).get("blinded") for record in records]
    if all(value is True for value in blinded):
        return "Groups were hidden from who edited."
    known = sum(value is not True for value in blinded)
    return f"In {known} of them groups were not hidden from who edited: edits can lean towards what is expected."


def _measured_apart(run: FinishedRun, record: Mapping[str, Any]) -> bool:
    """Whether a section's numbers come from other settings than the run's; study and computing change none."""
    here, there = as_mapping(record.get("settings")), as_mapping(run.record.get("settings"))
    return any(here[stage] != there[stage] for stage in here.keys() & there.keys() - {"study", "compute"})
