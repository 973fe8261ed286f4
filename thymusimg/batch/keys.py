"""Under which hash a section's result, and what each of its stages gave, may be used again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from thymusimg.batch.needs import needs_network
from thymusimg.device import resolve_device
from thymusimg.pipeline import models_of
from thymusimg.provenance import result_key, sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thymusimg.batch.job import Job
    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.models.card import Task
    from thymusimg.section.model import Section
    from thymusimg.settings import Settings
    from thymusimg.study.design import SectionRow

STAGES = ("tissue", "quality", "compartments", "cells", "measurements")
"""What is kept by itself; ``tissue`` stands for the survey, which has no settings, and for the correction too."""


@dataclass(frozen=True)
class Keys:
    """The hashes of a section's stages, each of which holds those of the stages that it rests on.

    Attributes
    ----------
    result : str
        Of everything: the same means that nothing needs to be done.
    stages : mapping of str to str
        By the names of ``STAGES``.
    """

    result: str
    stages: Mapping[str, str]


def hash_inputs(row: SectionRow) -> dict[str, str]:
    """Return the SHA-256 of every file that a row names, by path."""
    files = (*row.files, *((row.roi,) if row.roi else ()))
    return {str(file): sha256_of(file) for file in files}


def keys_of(job: Job, section: Section, inputs: Mapping[str, str]) -> Keys:
    """Return the hashes of a job's result and of its stages."""
    settings = job.settings.model_dump(mode="json", exclude={"study", "compute"})
    runs = _what_runs(job.settings)
    files = sorted(inputs.values())

    def key(**request: Any) -> str:
        return result_key(files, request)

    opened = {
        "roles": dict(section.roles),
        "scene": job.row.scene,
        "projection": job.row.projection,
        "pixel_size_um": section.pixel_size_um,
    }
    gate = {"controls": _plain(job.controls), "gate_refused": job.gate_refused}
    tissue = key(opened=opened, tissue=settings["tissue"], correction=settings["correction"])
    compartments = key(after=tissue, compartments=settings["compartments"], runs=runs["compartments"])
    cells = key(after=compartments, cells=settings["cells"], gate=settings["gate"], runs=runs["cells"], **gate)
    subject = asdict(job.row.subject)
    measurements = key(after=cells, measurements=settings["measurements"], subject=subject)
    quality = key(after=tissue, quality=settings["quality"])
    return Keys(
        key(after=[measurements, quality]),
        dict(zip(STAGES, (tissue, quality, compartments, cells, measurements), strict=True)),
    )


def control_key(job: Job, keys: Keys) -> str:
    """Return the hash under which what a negative control said about the gate may be used again."""
    gate = job.settings.gate.model_dump(mode="json")
    return result_key([keys.stages["compartments"]], {"gate": gate, "control": job.row.section_id})


def _plain(controls: Sequence[ControlEvidence]) -> list[dict[str, Any]]:
    return [asdict(control) for control in controls]


def _what_runs(settings: Settings) -> dict[Task, list[str]]:
    """Return, by task, the model's identity and the kind of device: half precision on a GPU gives other digits."""
    models = models_of(settings)
    wanted: dict[Task, str] = {"compartments": settings.compartments.method, "cells": settings.cells.method}
    runs: dict[Task, list[str]] = {}
    for task, method in wanted.items():
        runs[task] = [models[task]] if task in models else []
        if needs_network(method, task):
            runs[task].append(resolve_device(settings.compute.device).partition(":")[0])
    return runs
