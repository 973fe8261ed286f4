"""The work on one row of the study table: what a worker is sent, and what it sends back."""

from __future__ import annotations

import json
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from thymusimg.batch.corrections import Corrections, count_corrected, with_corrections
from thymusimg.batch.folder import RunFolder, writing
from thymusimg.batch.record import bundle_content, draw_pictures
from thymusimg.cells.gate import ControlEvidence
from thymusimg.channels.open import open_section
from thymusimg.errors import CancelledError, SectionError, ThymusimgError, UnreadableError
from thymusimg.pipeline import control_evidence, measure_counted, models_of, prepare_section
from thymusimg.progress import Progress, silent
from thymusimg.provenance import result_key, sha256_of
from thymusimg.section.store import Bundle, write_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thymusimg.section.model import Section
    from thymusimg.settings import Settings
    from thymusimg.study.design import SectionRow


@dataclass(frozen=True)
class Failure:
    """Why a section is not among the results: a row of ``failures.csv``."""

    section_id: str
    path: str
    stage: str
    error: str
    message: str
    traceback: str = field(default="", compare=False)


@dataclass(frozen=True)
class Outcome:
    """What became of one section: ``measured``, ``reused``, ``edited`` or ``failed``.

    ``edited``: people corrected it, and their corrections stand; it was measured again where the settings changed.
    """

    section_id: str
    status: str
    inputs: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None


@dataclass(frozen=True)
class Job:
    """One row and everything that a worker needs for it."""

    row: SectionRow
    settings: Settings
    out: Path
    controls: tuple[ControlEvidence, ...] = ()
    gate_refused: str = ""
    """Why no lawful CD45 gate can be set in this study, or ""."""
    restart: bool = False


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
            known, corrections = _known(path)
            if known and not job.restart and known == key_of(job, section, hashing.result()):
                return Outcome(job.row.section_id, "edited" if corrections else "reused", hashing.result())
            prepared = prepare_section(section, job.settings, progress=progress, cache=folder.cache)
            corrected = count_corrected(
                prepared, corrections, controls=job.controls, refused=job.gate_refused, progress=progress
            )
            drawing = pool.submit(draw_pictures, corrected.counted)  # while the numbers are taken
            result = measure_counted(corrected.counted, progress=progress)
            progress("writing", 0.0)
            inputs = hashing.result()
            key = key_of(job, section, inputs)
            content = bundle_content(result, drawing.result(), key=key, inputs=inputs, opened=opened_as(job.row))
            if corrections is not None:
                content = with_corrections(content, corrected, corrections)
            if _saved_meanwhile(path, corrections):  # somebody corrected it while it was measured: theirs stands
                return Outcome(job.row.section_id, "edited", inputs, result.seconds)
            write_bundle(path, content, threads=job.settings.compute.threads)
        finally:
            section.image.close()
    return Outcome(job.row.section_id, "edited" if corrections else "measured", inputs, result.seconds)


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


def hash_inputs(row: SectionRow) -> dict[str, str]:
    """Return the SHA-256 of every file that a row names, by path."""
    files = (*row.files, *((row.roi,) if row.roi else ()))
    return {str(file): sha256_of(file) for file in files}


def key_of(job: Job, section: Section, inputs: Mapping[str, str]) -> str:
    """Return the hash under which the result of a job may be reused."""
    settings = job.settings.model_dump(mode="json", exclude={"study", "compute"})
    request: dict[str, Any] = {
        "settings": settings,
        "subject": asdict(job.row.subject),
        "roles": dict(section.roles),
        "scene": job.row.scene,
        "projection": job.row.projection,
        "pixel_size_um": section.pixel_size_um,
        "controls": [asdict(c) for c in job.controls],
        "gate_refused": job.gate_refused,
    }
    if models := models_of(job.settings):  # other weights under the same name: measured again
        request["models"] = models
    return result_key(sorted(inputs.values()), request)


def _known(path: Path) -> tuple[str, Corrections | None]:
    """Return the key of the bundle that is there, and what people corrected in it."""
    if not path.exists():
        return "", None
    try:
        bundle = Bundle.open(path)
        return str(bundle.attributes.get("key", "")), Corrections.of(bundle)
    except UnreadableError:  # half a bundle from elsewhere: measured again
        return "", None


def control_row(job: Job) -> ControlEvidence | Failure:
    """Return what a negative control says about the CD45 gate, from the cache when nothing has changed."""
    folder = RunFolder(job.out)
    try:
        section = open_row(job.row)
        try:
            key = key_of(job, section, hash_inputs(job.row))
            kept = folder.cache / "controls" / f"{key}.json"
            if kept.exists() and not job.restart:
                return ControlEvidence(**json.loads(kept.read_text(encoding="utf-8")))
            prepared = prepare_section(section, job.settings, cache=folder.cache)
            evidence = control_evidence(prepared)
        finally:
            section.image.close()
        kept.parent.mkdir(parents=True, exist_ok=True)
        with writing(kept) as partial:
            partial.write_text(json.dumps(asdict(evidence)), encoding="utf-8")
    except Exception as error:  # noqa: BLE001  as in analyse_row
        return _failure(job.row, "negative control", error)
    return evidence


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


def failure_rows(failures: list[Failure]) -> list[dict[str, Any]]:
    """Return failures as rows of ``failures.csv``."""
    return [{k: v for k, v in asdict(f).items() if k != "traceback"} for f in failures]
