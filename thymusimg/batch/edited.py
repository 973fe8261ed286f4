"""A section that people corrected, measured again and put among the results of a run."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from thymusimg.batch.corrections import count_corrected, with_corrections
from thymusimg.batch.folder import RunFolder
from thymusimg.batch.job import Job, Outcome
from thymusimg.batch.keys import hash_inputs, keys_of
from thymusimg.batch.record import bundle_content, draw_pictures
from thymusimg.batch.run_json import RunRecord, run_record
from thymusimg.batch.stages import with_stages
from thymusimg.batch.tables import write_exclusions, write_tables
from thymusimg.batch.task import opened_as
from thymusimg.errors import OutputError
from thymusimg.pipeline import measure_counted
from thymusimg.progress import Progress, silent
from thymusimg.report.html import write_report
from thymusimg.section.store import write_bundle
from thymusimg.settings import Settings
from thymusimg.study.model import Study

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thymusimg.batch.corrections import Corrections
    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.pipeline import Counted, Prepared, SectionResult
    from thymusimg.study.model import SectionRow


@dataclass(frozen=True)
class Saved:
    """A corrected section on disk.

    Attributes
    ----------
    result : SectionResult
        As it was measured, to the last digit what the bundle holds.
    bundle : Path
    tables_wait : str
        Why tables and report were not written again, or "". They are by the run that holds the folder, at its end.
    """

    result: SectionResult
    bundle: Path
    tables_wait: str = ""


def save_edited_section(
    out: Path,
    row: SectionRow,
    prepared: Prepared,
    corrections: Corrections,
    *,
    counted: Counted | None = None,
    controls: Sequence[ControlEvidence] = (),
    refused: str = "",
    study: Study | None = None,
    progress: Progress = silent,
) -> Saved:
    """Measure a section with what people corrected, write its bundle, and the tables and the report of its run.

    The bundle holds the corrected masks under their names, the method's own beside them
    (``labels/compartments_original``, ``labels/cells_original``, ``tables/cells_original``), every edit (attribute
    ``edits``) and how much they changed (``edited``). ``thymusimg run`` keeps it: the corrections stand whatever is
    run again; only deleting the bundle drops them.

    Parameters
    ----------
    out : Path
        The folder of a run, or a new one.
    row : SectionRow
        How the section is opened; its subject is the one that is written.
    prepared : Prepared
        As the methods drew it, without the corrections.
    corrections : Corrections
    counted : Counted, optional
        Its cells as the method found them under the same settings and controls: where compartments were not
        changed, they are not looked for again.
    controls, refused
        As :func:`thymusimg.pipeline.count_cells`.
    study : Study, optional
        Where ``out`` is no run's folder yet: what it is a run of.

    Raises
    ------
    SectionError
        If the section cannot be measured, or its files changed.
    OutputError
        If the folder cannot be written.
    """
    folder = RunFolder(out)
    folder.make()
    section = replace(prepared.section, subject=row.subject)
    prepared = replace(prepared, section=section)
    with ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(hash_inputs, row)
        known = None if counted is None else replace(counted, prepared=prepared)
        corrected = count_corrected(
            prepared, corrections, controls=controls, refused=refused, found=known, progress=progress
        )
        drawing = pool.submit(draw_pictures, corrected.counted)
        result = measure_counted(corrected.counted, progress=progress)
        progress("writing", 0.0)
        inputs = hashing.result()
        job = Job(row, prepared.settings, out, tuple(controls), refused)
        keys = keys_of(job, section, inputs)
        content = bundle_content(result, drawing.result(), key=keys.result, inputs=inputs, opened=opened_as(row))
        content = with_stages(content, keys.stages, prepared, None)
    path = folder.bundle(row.section_id)
    content = with_corrections(content, corrected, corrections)
    outcome = Outcome(row.section_id, "edited", inputs, result.seconds)
    with ExitStack() as stack:
        # held before anything is written: a run that began in between would sweep away what is half-written
        wait = _hold(folder, stack)
        write_bundle(path, content, threads=prepared.settings.compute.threads)
        if not wait:
            refresh_run(out, outcome, study or Study(prepared.settings, (row,), out))
    return Saved(result, path, wait)


def _hold(folder: RunFolder, stack: ExitStack) -> str:
    """Hold a folder until the stack ends, or say why it cannot be: another run holds it."""
    try:
        stack.enter_context(folder.locked())
    except OutputError as error:
        return str(error)
    return ""


def refresh_run(out: Path, outcome: Outcome, study: Study) -> None:
    """Write the tables, the record and the report of a run again, after one of its sections was corrected.

    The folder must be held. ``study`` is asked only where the folder has no record yet.

    Raises
    ------
    OutputError
    """
    folder = RunFolder(out)
    record = _record(out)
    known = _known_ids(folder)
    if record is None:
        record = run_record(study, RunRecord([outcome]), "", sum(outcome.seconds.values()))
        rows = study.rows
        order = [row.section_id for row in study.analysed]
    else:
        rows, order = (), known
    _note(record, outcome)
    ids = [name for name in dict.fromkeys([*order, *known, outcome.section_id]) if folder.bundle(name).is_dir()]
    settings = Settings.from_mapping(record["settings"], where=str(out / "run.json"))
    failed = [row for row in _read(folder, "failures") if row["section_id"] != outcome.section_id]
    write_tables(folder, ids, failed, settings.study)
    if rows:
        # those that nobody has measured yet are not missing: they are to do
        subjects = [row.subject for row in rows if row.subject.exclude or row.section_id in ids]
        write_exclusions(folder, subjects, ids)
    else:
        _no_longer_missing(folder, outcome.section_id)
    folder.write_json("run.json", record)
    write_report(out)


def _record(out: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((out / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _note(record: dict[str, Any], outcome: Outcome) -> None:
    """Put a section's files and times into the record of a run."""
    others = [one for one in record.get("inputs", ()) if one.get("section_id") != outcome.section_id]
    sizes = {str(one["path"]): one.get("bytes") for one in record.get("inputs", ())}
    record["inputs"] = others + [
        {"section_id": outcome.section_id, "path": path, "sha256": digest, "bytes": sizes.get(path)}
        for path, digest in outcome.inputs.items()
    ]
    times = {k: round(v, 3) for k, v in outcome.seconds.items()}
    record["times_s"] = {**record.get("times_s", {}), outcome.section_id: times}


def _known_ids(folder: RunFolder) -> list[str]:
    path = folder.tables / "sections.parquet"
    return (
        [str(name) for name in pd.read_parquet(path, columns=["section_id"])["section_id"]] if path.exists() else []
    )


def _read(folder: RunFolder, table: str) -> list[dict[str, Any]]:
    path = folder.tables / f"{table}.parquet"
    rows = pd.read_parquet(path).to_dict("records") if path.exists() else []
    return [{str(name): value for name, value in row.items()} for row in rows]


def _no_longer_missing(folder: RunFolder, section_id: str) -> None:
    path = folder.tables / "exclusions.parquet"
    if path.exists():
        table = pd.read_parquet(path)
        kept = table[table["section_id"] != section_id]
        folder.write_table("exclusions", kept.reset_index(drop=True))
