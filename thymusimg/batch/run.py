"""A whole study, from its table to its report; and one section in the same layout."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from thymusimg.batch.executor import Executor, default_workers, executor
from thymusimg.batch.folder import RunFolder
from thymusimg.batch.tables import write_exclusions, write_study_tables, write_tables
from thymusimg.batch.task import Failure, Job, Outcome, analyse_row, control_row, failure_rows
from thymusimg.errors import UnreadableError
from thymusimg.pipeline import check_methods
from thymusimg.provenance import now, versions
from thymusimg.report.html import write_report
from thymusimg.study.design import SectionRow, Study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.settings import Settings


class Watcher(Protocol):
    """Told what a run does, as it does it."""

    def start(self, phase: str, total: int) -> None:
        """Hear that a phase of ``total`` sections begins."""

    def done(self, outcome: Outcome | Failure | ControlEvidence, position: int) -> None:
        """Hear that a section is done."""

    def say(self, text: str) -> None:
        """Hear one plain line."""


@dataclass
class RunRecord:
    """What a run did: the basis of ``run.json`` and of the exit status."""

    outcomes: list[Outcome] = field(default_factory=list)
    controls: list[ControlEvidence] = field(default_factory=list)
    failed_controls: list[Failure] = field(default_factory=list)

    @property
    def failures(self) -> list[Failure]:
        """Why each missing section is missing."""
        return [o.failure for o in self.outcomes if o.failure is not None]


def run_study(
    study: Study,
    out: Path,
    *,
    watcher: Watcher,
    workers: int = 0,
    scheduler: str = "",
    restart: bool = False,
    command: str = "",
) -> RunRecord:
    """Analyse every section of a study, compare its groups, and write the report.

    Parameters
    ----------
    workers : int
        Worker processes; 0: as many as suit the machine. No result depends on it.
    scheduler : str
        Address of a Dask scheduler, whose workers see the same files.
    restart : bool
        Measure again what is already there.

    Raises
    ------
    ModelError
        If a method is not installed; nothing is run.
    OutputError
        If the folder cannot be written or is held by another run.
    """
    check_methods(study.settings)
    folder = RunFolder(out)
    folder.make()
    record = RunRecord()
    rows = study.analysed
    count = workers or default_workers(len(rows))
    threads = max(1, study.settings.compute.threads // count) if count > 1 else study.settings.compute.threads
    settings = study.settings.model_copy(
        update={"compute": study.settings.compute.model_copy(update={"threads": threads})}
    )
    start = time.perf_counter()
    with folder.locked(), executor(count, scheduler, threads) as workforce:
        try:
            jobs = [Job(row, settings, out, restart=restart) for row in rows]
            _gather_controls(workforce, [j for j in jobs if j.row.subject.negative_control], record, watcher)
            refused = _without_controls(record)
            jobs = [replace(job, controls=tuple(record.controls), gate_refused=refused) for job in jobs]
            _analyse(workforce, jobs, record, watcher)
        finally:  # also when interrupted: what is done is put into the tables
            _write(folder, study, record, command, time.perf_counter() - start, watcher)
    return record


def _gather_controls(workforce: Executor, jobs: Sequence[Job], record: RunRecord, watcher: Watcher) -> None:
    if not jobs or jobs[0].settings.cells.method == "none":
        return
    watcher.start("negative controls", len(jobs))
    found: dict[int, ControlEvidence] = {}
    for position, result in workforce.run(control_row, jobs):
        if isinstance(result, BaseException):
            result = _died(jobs[position], result)
        if isinstance(result, Failure):
            record.failed_controls.append(result)
        else:
            found[position] = result
        watcher.done(result, position)
    record.controls = [found[i] for i in sorted(found)]  # the table's order, whoever was first


def _without_controls(record: RunRecord) -> str:
    """Say why no gate can be set when controls are declared and none of them can be used."""
    if record.controls or not record.failed_controls:
        return ""
    first = record.failed_controls[0]
    return (
        f"the study declares negative controls and none of them can be used ({first.section_id}: {first.message}); "
        "mend or unmark them"
    )


def _analyse(workforce: Executor, jobs: Sequence[Job], record: RunRecord, watcher: Watcher) -> None:
    watcher.start("sections", len(jobs))
    found: dict[int, Outcome] = {}
    try:
        for position, result in workforce.run(analyse_row, jobs):
            if isinstance(result, BaseException):
                failure = _died(jobs[position], result)
                result = Outcome(failure.section_id, "failed", {}, failure=failure)
            found[position] = result
            watcher.done(result, position)
    finally:
        record.outcomes = [found[i] for i in sorted(found)]


def _died(job: Job, error: BaseException) -> Failure:
    text = (
        "its worker process died twice (most often: out of memory); use fewer workers"
        if type(error).__name__ == "KilledWorker"
        else " ".join(str(error).split())
    )
    files = "; ".join(str(f) for f in job.row.files)
    return Failure(job.row.section_id, files, "worker", type(error).__name__, text)


def _write(
    folder: RunFolder,
    study: Study,
    record: RunRecord,
    command: str,
    seconds: float,
    watcher: Watcher,
) -> None:
    watcher.say("Writing tables and report …")
    done = [o.section_id for o in record.outcomes if o.status != "failed"]
    write_tables(folder, done, failure_rows(record.failures), study.settings.study)
    write_exclusions(folder, [row.subject for row in study.rows], done)
    folder.write_json("run.json", _run_json(study, record, command, seconds))
    write_report(folder.path)


def _run_json(study: Study, record: RunRecord, command: str, seconds: float) -> dict[str, Any]:
    sizes = {str(f): f.stat().st_size for row in study.analysed for f in row.files if f.is_file()}
    return {
        "thymusimg": versions()["thymusimg"],
        "created": now(),
        "command": command,
        "synthetic": study.settings.study.synthetic,
        "settings": study.settings.model_dump(mode="json"),
        "inputs": [
            {"section_id": o.section_id, "path": path, "sha256": digest, "bytes": sizes.get(path)}
            for o in record.outcomes
            for path, digest in o.inputs.items()
        ],
        "versions": versions(),
        "device": "cpu",
        "models": [],
        "times_s": {"total": round(seconds, 2)}
        | {o.section_id: {k: round(v, 3) for k, v in o.seconds.items()} for o in record.outcomes if o.seconds},
        "study": {
            "table": str(study.table or ""),
            "reference": study.settings.study.reference,
            "primary": list(study.settings.study.primary),
            "groups": list(study.groups),
            "exclusions": [
                {
                    "section_id": r.section_id,
                    "animal": r.subject.animal,
                    "group": r.subject.group,
                    "notes": r.subject.notes,
                }
                for r in study.excluded
            ],
            "negative_controls": [asdict(c) for c in record.controls],
            "failed_negative_controls": failure_rows(record.failed_controls),
            "n_sections_total": len(study.rows),
            "warnings": list(study.warnings),
        },
    }


def run_section(
    row: SectionRow, settings: Settings, out: Path, *, watcher: Watcher, restart: bool = False, command: str = ""
) -> RunRecord:
    """Analyse one section without a study, leaving the same layout as :func:`run_study`."""
    study = Study(settings, (row,), Path.cwd())
    return run_study(study, out, watcher=watcher, workers=1, restart=restart, command=command)


def rebuild_tables(out: Path, settings: Settings) -> None:
    """Pool and compare again from ``tables/sections.csv`` alone.

    Raises
    ------
    UnreadableError
        If the folder is not one that a run left.
    """
    folder = RunFolder(out)
    with folder.locked():
        curves = folder.tables / "curves.parquet"
        known = pd.read_parquet(curves) if curves.exists() else None  # of an earlier version: there are none
        write_study_tables(folder, read_sections(out), settings.study, known)


def read_sections(out: Path) -> Any:
    """Read ``tables/sections`` of a run's folder.

    Raises
    ------
    UnreadableError
    """
    path = RunFolder(out).tables / "sections.parquet"
    try:
        return pd.read_parquet(path)
    except OSError as error:
        raise UnreadableError(
            f"{out}: not a folder that 'thymusimg run' left ({path.name}: {error.strerror or error})"
        ) from None
