"""From the session to the section's bundle, and back: one way to save for every widget. No Qt, no layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from thymusimg.batch.corrections import Corrected, CorrectedCells, Corrections, count_corrected
from thymusimg.batch.edited import save_edited_section
from thymusimg.batch.folder import RunFolder
from thymusimg.batch.sensitivity import controls_of
from thymusimg.errors import CallError, UnreadableError
from thymusimg.pipeline import prepare_section
from thymusimg.section.store import Bundle
from thymusimg.settings import Settings
from thymusimg_napari.controls import control_rows, measure_controls
from thymusimg_napari.edits import EditLog

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.batch.edited import Saved
    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.pipeline import Counted, Prepared
    from thymusimg.progress import Progress
    from thymusimg.study.model import SectionRow, Study
    from thymusimg_napari.session import Session


@dataclass(frozen=True)
class Unsaved:
    """Everything of a session that goes into a bundle, as it was when saving began.

    Attributes
    ----------
    row : SectionRow
        Of the study table: never a code.
    prepared : Prepared
        As the methods drew it.
    counted : Counted or None
        Its cells as the method found them.
    by_controls : bool or None
        Whether the person let the controls set the gate; None: not said, so the study's rule holds.
    """

    row: SectionRow
    prepared: Prepared
    counted: Counted | None
    corrections: Corrections
    study: Study | None
    by_controls: bool | None


def unsaved(session: Session) -> Unsaved:
    """Return what there is to save.

    Raises
    ------
    CallError
        If no section is open.
    """
    prepared, row, hidden = session.prepared, session.row, session.blinding
    if prepared is None or row is None:
        raise CallError("no section is open: there is nothing to save")
    drawn = prepared if session.original is None else replace(prepared, compartments=session.original)
    counted, cells = session.counted, None
    if session.original_cells is not None and counted is not None and counted.cells is not None:
        cells = CorrectedCells.of(counted.cells)
        counted = replace(counted, cells=session.original_cells)
    painted = session.original is not None
    corrections = Corrections(
        tuple(session.edits.as_records()),
        prepared.compartments.labels.copy() if painted else None,
        drawn.compartments.labels if painted else None,
        cells,
        blinded=None if session.study is None else hidden is not None,
    )
    gate = None if counted is None or counted.cells is None else bool(counted.cells.gate.controls)
    return Unsaved(
        hidden.true_row(row) if hidden else row,
        drawn,
        counted,
        corrections,
        hidden.whole if hidden else session.study,
        None if hidden else gate,  # behind codes the controls are not known, and the study's rule holds
    )


def save(what: Unsaved, out: Path, progress: Progress) -> Saved:
    """Measure and write a section; its run's tables and report follow.

    Raises
    ------
    CallError
        If the bundle holds edits that the window does not know of.
    SectionError, OutputError
        As :func:`thymusimg.batch.edited.save_edited_section`.
    """
    _refuse_to_lose(what, out)
    controls = () if what.by_controls is False else study_controls(what, out, progress)
    names = () if what.counted is None or what.counted.cells is None else what.counted.cells.gate.controls
    as_counted = tuple(names) == tuple(one.section_id for one in controls)
    return save_edited_section(
        out, what.row, what.prepared, what.corrections, counted=what.counted if as_counted else None,
        controls=controls, study=what.study, progress=progress,
    )  # fmt: skip


def study_controls(what: Unsaved, out: Path, progress: Progress) -> tuple[ControlEvidence, ...]:
    """Return what the study's negative controls say: as its run measured them, else measured now."""
    if (out / "run.json").is_file():
        found = controls_of(out)
        if found:
            return found
    if what.prepared.settings.cells.method == "none":
        return ()
    return measure_controls(control_rows(what.study), what.prepared.settings, progress)


def _refuse_to_lose(what: Unsaved, out: Path) -> None:
    known, here = saved_edits(out, what.row), list(what.corrections.edits)
    lost = here[: len(known)] != known
    if not lost and known:
        before = corrections_of(out, what.row)
        # a correction that is gone although nobody touched it again was never put back
        for target, then, now in (
            ("compartments", before and before.labels is not None, what.corrections.labels is not None),
            ("cells", before and before.cells is not None, what.corrections.cells is not None),
        ):
            untouched = sum(e["target"] == target for e in here) == sum(e["target"] == target for e in known)
            lost |= bool(then) and not now and untouched
    if lost:
        raise CallError(
            f"{what.row.section_id}: its bundle in {out} holds {len(known)} edit(s) that this window does "
            "not show. Open the section again: they are put back, and yours are kept beside."
        )


def corrections_of(out: Path, row: SectionRow) -> Corrections | None:
    """Return what people corrected in a section's bundle, or None."""
    path = RunFolder(out).bundle(row.section_id)
    return Corrections.of(Bundle.open(path)) if path.is_dir() else None


def bundle_of(session: Session, row: SectionRow) -> Path | None:
    """Return where the results of a section lie, if it has any; ``row`` may be a code."""
    true = session.blinding.true_row(row) if session.blinding else row
    return None if session.out is None else RunFolder(session.out).bundle(true.section_id)


def saved_edits(out: Path | None, row: SectionRow) -> list[dict[str, Any]]:
    """Return the records of the edits in a section's bundle."""
    path = None if out is None else RunFolder(out).bundle(row.section_id)
    if path is None or not path.is_dir():
        return []
    try:
        return list(Bundle.open(path).attributes.get("edits") or ())
    except UnreadableError:
        return []


def saved_records(done: Saved) -> list[dict[str, Any]]:
    """Return the records of the edits in a bundle that was just written."""
    return list(Bundle.open(done.bundle).attributes.get("edits") or ())


@dataclass(frozen=True)
class Reopened:
    """A section with the corrections of its bundle in place, as the engine measures it.

    Attributes
    ----------
    prepared : Prepared
        As the methods drew it.
    corrected : Corrected
    log : EditLog
    """

    prepared: Prepared
    corrected: Corrected
    log: EditLog


def reopen(
    prepared: Prepared, row: SectionRow, out: Path, progress: Progress, study: Study | None = None
) -> Reopened | None:
    """Put the corrections of a section's bundle back; None where it holds none.

    Parameters
    ----------
    prepared : Prepared
        The open section. It is prepared again where the bundle's settings are others.
    row : SectionRow
        Of the study table.
    """
    path = RunFolder(out).bundle(row.section_id)
    if not path.is_dir():
        return None
    bundle = Bundle.open(path)
    corrections = Corrections.of(bundle)
    if corrections is None:
        return None
    settings = Settings.from_mapping(bundle.attributes["settings"], where=str(path))
    settings = settings.model_copy(update={"compute": prepared.settings.compute})
    if settings != prepared.settings:
        again = prepare_section(prepared.section, settings, progress=progress)
        prepared = replace(again, section=prepared.section)
    what = Unsaved(row, prepared, None, corrections, study, None)
    by_controls = bool((bundle.attributes.get("gate") or {}).get("controls"))
    controls = study_controls(what, out, progress) if by_controls else ()
    corrected = count_corrected(prepared, corrections, controls=controls, progress=progress)
    return Reopened(prepared, corrected, EditLog.from_records(corrections.edits))


def take_compartments(session: Session, found: Reopened) -> None:
    """Show the session the compartments alone: what else was edited came from the journal, which is newer."""
    if session.original is None and found.corrected.compartments is not None:
        session.set_compartments(found.corrected.counted.prepared.compartments)
    if not len(session.edits):
        session.edits = found.log


def take(session: Session, found: Reopened) -> None:
    """Show the session what was put back; called in the window's thread."""
    session.set_settings(found.prepared.settings)
    session.set_prepared(found.prepared)
    if found.corrected.compartments is not None:
        session.set_compartments(found.corrected.counted.prepared.compartments)
    counted = found.corrected.counted
    if counted.cells is not None:
        session.set_counted(replace(counted, cells=found.corrected.cells or counted.cells))
        if found.corrected.cells is not None:
            session.set_cells(counted.cells)
    session.edits = found.log
