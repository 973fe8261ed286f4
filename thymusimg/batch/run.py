"""A whole study, from its table to its report; and one section in the same layout."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any, Protocol

from thymusimg.batch.cluster import Placement, workforce
from thymusimg.batch.executor import Serial
from thymusimg.batch.folder import RunFolder
from thymusimg.batch.job import Failure, Job, Outcome, failure_rows
from thymusimg.batch.lease import Lease, leased
from thymusimg.batch.needs import check, models_of, requirement
from thymusimg.batch.run_json import RunRecord, run_record
from thymusimg.batch.telling import tell_control, tell_row
from thymusimg.errors import UnreadableError
from thymusimg.study.design import SectionRow, Study

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from thymusimg.batch.executor import Executor
    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.settings import Settings


LOAD_S = 4.0
"""Workers have the processors to themselves for so long, to load what they need."""


class Watcher(Protocol):
    """Told what a run does, as it does it; one with a method ``progress`` also hears how far each section is."""

    def start(self, phase: str, total: int) -> None:
        """Hear that a phase of ``total`` sections begins."""

    def done(self, outcome: Outcome | Failure | ControlEvidence, position: int) -> None:
        """Hear that a section is done."""

    def say(self, text: str) -> None:
        """Hear one plain line."""


def run_study(
    study: Study,
    out: Path,
    *,
    watcher: Watcher,
    workers: int = 0,
    placement: Placement | None = None,
    restart: bool = False,
    command: str = "",
) -> RunRecord:
    """Analyse every section of a study, compare its groups, and write the report.

    Parameters
    ----------
    workers : int
        Worker processes of this machine; 0: as many as suit it. No result depends on it.
    placement : Placement, optional
        In place of ``workers``: where else the work is done.
    restart : bool
        Measure again what is already there.

    Raises
    ------
    ModelError
        If a method is not installed; nothing is run.
    CallError
        If workers cannot do the work; nothing is run.
    DeviceError
        If the device is not there, or no worker has it; nothing is run.
    OutputError
        If the folder cannot be written or is held by another run.
    """
    check(study.settings)
    placement = placement or Placement(workers)
    placement.check(study.settings.compute.device)
    if placement.elsewhere:
        study = replace(study, rows=tuple(_absolute(row) for row in study.rows))
    folder = RunFolder(out)
    folder.make()
    record = RunRecord()
    begun = False
    start = time.perf_counter()
    with folder.locked():
        try:
            with _workers(study, placement, folder, watcher) as (hands, lease):
                begun = True
                _work(study, hands, lease, record, watcher, restart=restart)
        finally:  # also when interrupted: what is done is put into the tables
            if begun:
                _write(folder, study, record, command, time.perf_counter() - start, watcher)
    return record


@contextmanager
def _workers(
    study: Study, placement: Placement, folder: RunFolder, watcher: Watcher
) -> Iterator[tuple[Executor, Lease]]:
    compute = study.settings.compute
    with leased(folder.path.resolve()) as lease:
        needed = requirement(study.settings, study.analysed, lease.out, lease.token, elsewhere=placement.elsewhere)
        with workforce(
            placement, needed, lease.out, sections=len(study.analysed), device=compute.device,
            threads=compute.threads, say=watcher.say,
        ) as hands:  # fmt: skip
            loading = Timer(LOAD_S, _load_the_end)
            loading.daemon = True
            if not isinstance(hands, Serial):
                loading.start()
            try:
                yield hands, lease
            finally:
                loading.cancel()


def _load_the_end() -> None:
    """Load what writes tables and report, while workers measure and this process only waits."""
    for name in ("thymusimg.batch.tables", "thymusimg.report.html", "matplotlib.figure", "jinja2"):
        import_module(name)


def _absolute(row: SectionRow) -> SectionRow:
    """Name a row's files as other machines know them, where the working folder is another one."""
    return replace(
        row,
        path=None if row.path is None else row.path.resolve(),
        paths={role: path.resolve() for role, path in row.paths.items()},
        roi=None if row.roi is None else row.roi.resolve(),
    )


def _work(
    study: Study, hands: Executor, lease: Lease, record: RunRecord, watcher: Watcher, *, restart: bool
) -> None:
    record.device = hands.device
    settings = study.settings
    compute = settings.compute.model_copy(update={"threads": hands.threads, "device": hands.device})
    settings = settings.model_copy(update={"compute": compute})
    jobs = [Job(row, settings, lease.out, restart=restart) for row in study.analysed]
    _gather_controls(hands, [j for j in jobs if j.row.subject.negative_control], record, watcher, lease)
    refused = _without_controls(record)
    jobs = [replace(job, controls=tuple(record.controls), gate_refused=refused) for job in jobs]
    _analyse(hands, jobs, record, watcher, lease)


def _gather_controls(
    hands: Executor, jobs: Sequence[Job], record: RunRecord, watcher: Watcher, lease: Lease
) -> None:
    if not jobs or jobs[0].settings.cells.method == "none":
        return
    watcher.start("negative controls", len(jobs))
    found: dict[int, ControlEvidence] = {}
    with hands.heard(getattr(watcher, "progress", _unheard)):
        for position, result in hands.run(partial(tell_control, lease=lease), jobs, gpu=_needs_gpu(hands, jobs)):
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


def _needs_gpu(hands: Executor, jobs: Sequence[Job]) -> bool:
    """Whether only workers with a GPU may take the jobs: a network runs, and it runs on one."""
    return hands.device == "cuda" and bool(jobs) and models_of(jobs[0].settings)[1]


def _analyse(hands: Executor, jobs: Sequence[Job], record: RunRecord, watcher: Watcher, lease: Lease) -> None:
    watcher.start("sections", len(jobs))
    found: dict[int, Outcome] = {}
    gpu = _needs_gpu(hands, jobs)
    try:
        with hands.heard(getattr(watcher, "progress", _unheard)):
            for position, result in hands.run(partial(tell_row, lease=lease), jobs, gpu=gpu):
                if isinstance(result, BaseException):
                    failure = _died(jobs[position], result)
                    result = Outcome(failure.section_id, "failed", {}, failure=failure)
                found[position] = result
                watcher.done(result, position)
    finally:
        record.outcomes = [found[i] for i in sorted(found)]


def _unheard(section_id: str, stage: str, fraction: float) -> None:
    """Hear nothing."""


def _died(job: Job, error: BaseException) -> Failure:
    files = "; ".join(str(f) for f in job.row.files)
    return Failure(job.row.section_id, files, "worker", type(error).__name__, " ".join(str(error).split()))


def _write(
    folder: RunFolder,
    study: Study,
    record: RunRecord,
    command: str,
    seconds: float,
    watcher: Watcher,
) -> None:
    from thymusimg.batch.tables import write_exclusions, write_tables
    from thymusimg.report.html import write_report

    watcher.say("Writing tables and report …")
    done = [o.section_id for o in record.outcomes if o.status != "failed"]
    write_tables(folder, done, failure_rows(record.failures), study.settings.study)
    write_exclusions(folder, [row.subject for row in study.rows], done)
    folder.write_json("run.json", run_record(study, record, command, seconds))
    write_report(folder.path)


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
    import pandas as pd

    from thymusimg.batch.tables import write_study_tables

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
    import pandas as pd

    path = RunFolder(out).tables / "sections.parquet"
    try:
        return pd.read_parquet(path)
    except OSError as error:
        raise UnreadableError(
            f"{out}: not a folder that 'thymusimg run' left ({path.name}: {error.strerror or error})"
        ) from None
