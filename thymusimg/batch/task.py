"""The work on one row of the study table, as a worker does it."""

from __future__ import annotations

import json
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from thymusimg.batch.corrections import Corrections, count_corrected, with_corrections
from thymusimg.batch.folder import RunFolder, writing
from thymusimg.batch.job import Failure, Job, Outcome
from thymusimg.batch.keys import control_key, hash_inputs, keys_of
from thymusimg.batch.record import bundle_content, draw_pictures
from thymusimg.batch.stages import (
    HalfWay,
    Kept,
    as_result,
    found_again,
    measured_again,
    prepare_again,
    with_stages,
)
from thymusimg.cells.gate import ControlEvidence
from thymusimg.channels.open import open_section
from thymusimg.errors import CancelledError, SectionError, ThymusimgError, UnreadableError
from thymusimg.pipeline import control_evidence, measure_counted
from thymusimg.progress import Progress, silent
from thymusimg.report.edited import mask_edits
from thymusimg.section.manifest import damage
from thymusimg.section.store import Bundle, write_bundle
from thymusimg.section.survey_cache import KEPT_FROM_PX

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from thymusimg.batch.keys import Keys
    from thymusimg.pipeline import Prepared
    from thymusimg.section.model import Section
    from thymusimg.section.store import BundleContent
    from thymusimg.study.design import SectionRow


def analyse_row(job: Job, progress: Progress = silent) -> Outcome:
    """Analyse one row and write its bundle, or find that its bundle is there already."""
    stage = ["opening"]

    def noted(name: str, fraction: float) -> None:
        stage[0] = name
        progress(name, fraction)

    try:
        return _analyse(job, noted)
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  one section's unforeseen fault must not end a night's run
        return Outcome(job.row.section_id, "failed", {}, failure=_failure(job.row, stage[0], error))


def _analyse(job: Job, progress: Progress) -> Outcome:
    folder = RunFolder(job.out)
    with ThreadPoolExecutor(1) as pool:
        progress("opening", 0.0)
        section = open_row(job.row)
        try:
            hashing = pool.submit(hash_inputs, job.row)
            path = folder.bundle(job.row.section_id)
            kept, corrections = _known(path)
            if kept is not None and not job.restart:
                keys = keys_of(job, section, hashing.result())
                if kept.bundle is not None and kept.bundle.attributes.get("key") == keys.result:
                    return Outcome(job.row.section_id, "edited" if corrections else "reused", hashing.result())
            work = _Work(job, section, kept, corrections, hashing, folder.cache, progress)
            outcome, content = work.do(pool)
            if _saved_meanwhile(path, corrections):  # somebody corrected it while it was measured: theirs stands
                return replace(outcome, status="edited")
            write_bundle(path, content, threads=job.settings.compute.threads)
            work.half_way.drop()
        finally:
            section.image.close()
    return outcome


@dataclass
class _Work:
    """One section that is not what it should be: as much of it as must be, done again."""

    job: Job
    section: Section
    kept: Kept | None
    corrections: Corrections | None
    hashing: Future[dict[str, str]]
    cache: Path
    progress: Progress

    @cached_property
    def keys(self) -> Keys:
        return keys_of(self.job, self.section, self.hashing.result())

    @property
    def half_way(self) -> HalfWay:
        return HalfWay(self.cache, self.keys.stages)

    def do(self, pool: ThreadPoolExecutor) -> tuple[Outcome, BundleContent]:
        job, progress, corrections = self.job, self.progress, self.corrections
        prepared, reused, saving = self._prepare(pool)
        kept = None if job.restart else self.kept
        found = None if corrections else found_again(prepared, kept, self.keys.stages)
        corrected = count_corrected(
            prepared, corrections, controls=job.controls, refused=job.gate_refused, found=found, progress=progress
        )
        drawing = pool.submit(draw_pictures, corrected.counted)  # while the numbers are taken
        known = None if found is None else measured_again(kept, self.keys.stages)
        if known is None:
            result = measure_counted(corrected.counted, progress=progress)
        else:
            result = as_result(corrected.counted, known)
        progress("writing", 0.0)
        if saving is not None:
            saving.result()
        inputs = self.hashing.result()
        content = bundle_content(
            result, drawing.result(), key=self.keys.result, inputs=inputs, opened=opened_as(job.row)
        )
        content = with_stages(content, self.keys.stages, prepared, None if corrections else corrected.counted)
        if corrections is not None:
            content = with_corrections(content, corrected, corrections)
        done = reused | ({"cells"} if found else set()) | ({"measurements"} if known else set())
        status = "edited" if corrections else "measured"
        return Outcome(job.row.section_id, status, inputs, result.seconds, reused=frozenset(done)), content

    def _prepare(self, pool: ThreadPoolExecutor) -> tuple[Prepared, frozenset[str], Future[None] | None]:
        """Prepare the section, or take it from where it waits; where it must wait, it is put there meanwhile."""
        job, kept = self.job, None if self.job.restart else self.kept
        waits = prod(self.section.shape) >= KEPT_FROM_PX
        may_wait = not job.restart and (waits or job.row.subject.negative_control)
        if kept is None and may_wait and HalfWay.any_in(self.cache):
            kept = self.half_way.load()
        stages = self.keys.stages if kept is not None else {}
        prepared, reused = prepare_again(
            self.section, job.settings, kept, stages, progress=self.progress, cache=self.cache
        )
        if waits and "compartments" not in reused:
            return prepared, reused, pool.submit(self.half_way.save, prepared)
        return prepared, reused, None


def _saved_meanwhile(path: Path, corrections: Corrections | None) -> bool:
    now = _known(path)[1]
    return now is not None and (corrections is None or len(now.edits) > len(corrections.edits))


def open_row(row: SectionRow) -> Section:
    """Open the section of a row of the study table, as :func:`thymusimg.open_section`."""
    return open_section(
        row.path if row.path is not None else row.paths,
        channels=row.channels,
        pixel_size_um=row.pixel_size_um,
        scene=row.scene,
        projection=row.projection,
        roi=row.roi,
        subject=row.subject,
    )


def opened_as(row: SectionRow) -> dict[str, Any]:
    """Return how a row's slide is opened, for its bundle: paths are absolute."""
    return {
        "path": None if row.path is None else str(row.path.resolve()),
        "paths": {role: str(path.resolve()) for role, path in row.paths.items()},
        "channels": dict(row.channels),
        "scene": row.scene,
        "projection": row.projection,
        "roi": None if row.roi is None else str(row.roi.resolve()),
        "pixel_size_um": row.pixel_size_um,
    }


def _known(path: Path) -> tuple[Kept | None, Corrections | None]:
    """Return what an earlier run left of a section, and what people corrected in it.

    Raises
    ------
    UnreadableError
        If the bundle is damaged and holds corrections, which must not be lost in silence.
    """
    if not path.exists():
        return None, None
    lost = damage(path)
    try:
        bundle = Bundle.open(path)
    except UnreadableError:  # half a bundle from elsewhere: measured again
        return None, None
    if not lost:
        return Kept.of(bundle), Corrections.of(bundle)
    if mask_edits(bundle.attributes):
        raise UnreadableError(
            f"{path}: damaged ({lost}), and it holds corrections by people. Put it back from a copy, or move it "
            "away to measure the section without them."
        )
    return None, None


def control_row(job: Job, progress: Progress = silent) -> ControlEvidence | Failure:
    """Return what a negative control says about the CD45 gate, from the cache when nothing has changed."""
    folder = RunFolder(job.out)
    try:
        progress("opening", 0.0)
        section = open_row(job.row)
        try:
            keys = keys_of(job, section, hash_inputs(job.row))
            kept = folder.cache / "controls" / f"{control_key(job, keys)}.json"
            if not job.restart and (known := _evidence(kept)) is not None:
                return known
            evidence = control_evidence(_prepared_control(job, section, keys, folder, progress))
        finally:
            section.image.close()
        kept.parent.mkdir(parents=True, exist_ok=True)
        with writing(kept) as partial:
            partial.write_text(json.dumps(asdict(evidence)), encoding="utf-8")
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  as in analyse_row
        return _failure(job.row, "negative control", error)
    return evidence


def _evidence(file: Path) -> ControlEvidence | None:
    try:
        return ControlEvidence(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # away, or half of it: measured again
        return None


def _prepared_control(job: Job, section: Section, keys: Keys, folder: RunFolder, progress: Progress) -> Prepared:
    """Prepare a control, and keep it until it is analysed as every other section is."""
    half_way = HalfWay(folder.cache, keys.stages)
    kept = None
    if not job.restart:
        kept = _known(folder.bundle(job.row.section_id))[0] or half_way.load()
    prepared, reused = prepare_again(
        section, job.settings, kept, keys.stages, progress=progress, cache=folder.cache
    )
    if "compartments" not in reused:
        half_way.save(prepared)
    return prepared


def _failure(row: SectionRow, stage: str, error: Exception) -> Failure:
    if isinstance(error, MemoryError):
        message = "not enough memory for this section; use fewer workers or a smaller [compute] tile_px"
    elif isinstance(error, ThymusimgError):
        message = str(error)
    elif isinstance(error, OSError):
        message = f"{error.filename or 'the system'}: {error.strerror or error}"
    else:
        message = f"a fault of thymusimg itself ({error}); please report it with the output of --debug"
    kind = type(error).__name__
    path = "; ".join(str(f) for f in row.files)
    trace = "" if isinstance(error, SectionError) else "".join(traceback.format_exception(error))
    return Failure(row.section_id, path, stage, kind, " ".join(message.split()), trace)
