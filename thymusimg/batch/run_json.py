"""What a run did, and how ``run.json`` tells it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from thymusimg.batch.job import Failure, Outcome, failure_rows
from thymusimg.provenance import now, versions

if TYPE_CHECKING:
    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.study.design import Study


@dataclass
class RunRecord:
    """What a run did: the basis of ``run.json`` and of the exit status."""

    outcomes: list[Outcome] = field(default_factory=list)
    controls: list[ControlEvidence] = field(default_factory=list)
    failed_controls: list[Failure] = field(default_factory=list)
    device: str = "cpu"

    @property
    def failures(self) -> list[Failure]:
        """Why each missing section is missing."""
        return [o.failure for o in self.outcomes if o.failure is not None]


def run_record(study: Study, record: RunRecord, command: str, seconds: float) -> dict[str, Any]:
    """Return what ``run.json`` says of a run."""
    from thymusimg.pipeline import models_of as identities

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
        "device": record.device,
        "models": [{"task": task, "model": model} for task, model in identities(study.settings).items()],
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
