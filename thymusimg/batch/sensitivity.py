"""How often the conclusion holds when every threshold is moved: sections measured again, groups compared again."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from thymusimg.batch.executor import default_workers, executor
from thymusimg.batch.folder import RunFolder, writing
from thymusimg.batch.remeasure import Stored, number, slide_of
from thymusimg.batch.slide_again import measure_slide
from thymusimg.batch.variants import DEFAULT, NOT_VARIED, Variant, one_at_a_time
from thymusimg.cells.gate import ControlEvidence
from thymusimg.errors import CallError, ThymusimgError, UnreadableError
from thymusimg.measurements.columns import check_columns, column
from thymusimg.provenance import versions
from thymusimg.section.store import Bundle, plain
from thymusimg.study.robustness import Measured, compare_variants, not_varied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from thymusimg.batch.executor import Executor
    from thymusimg.batch.remeasure import Drawn
    from thymusimg.measurements.schema import Column
    from thymusimg.settings import Settings

Values = dict[str, float]
WHOLE = "__default__"
"""Key of the run's own settings among a section's results."""


@dataclass(frozen=True)
class Again:
    """One section to measure again, with all its variants."""

    section_id: str
    out: Path
    names: tuple[str, ...]
    variants: tuple[Variant, ...]
    controls: tuple[ControlEvidence, ...]
    declared: bool
    """Whether the variants were given by the user; else the bundle says which settings matter."""


@dataclass(frozen=True)
class Seen:
    """A section's values under every variant, by :func:`key_of`; ``faults`` says why there are none.

    ``read`` names the settings that the endpoints read.
    """

    section_id: str
    values: Mapping[str, Values] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    read: frozenset[str] = frozenset()
    fault: str = ""


class Listener(Protocol):
    """Told what a sensitivity analysis does."""

    def start(self, phase: str, total: int) -> None:
        """Hear that a phase of ``total`` sections begins."""

    def step(self, section_id: str, fault: str) -> None:
        """Hear that a section is done, or why not."""


def run_sensitivity(
    out: Path,
    settings: Settings,
    sections: pd.DataFrame,
    *,
    variants: Sequence[Variant] = (),
    workers: int = 0,
    listener: Listener | None = None,
) -> pd.DataFrame:
    """Measure a run's sections again under other thresholds, and write ``tables/sensitivity``.

    What a bundle keeps (coarse planes, tissue, cells) serves for the compartments and the measurements; the tissue,
    the CD45 gate and the cells need the slide, and are varied where it still lies in its place. A section's results
    are kept in the run's cache: a second call goes on where the first stopped.

    Parameters
    ----------
    out : Path
        Folder that a run left.
    settings : Settings
        Those of the run.
    sections : DataFrame
        Its ``sections.csv``.
    variants : sequence of Variant
        What to vary; by default every threshold that the primary endpoints read, one at a time.
    workers : int
        Worker processes; 0: as many as suit the machine. No result depends on it.
    listener : Listener, optional

    Returns
    -------
    DataFrame
        The table ``sensitivity``.

    Raises
    ------
    CallError
        If no primary endpoint is declared.
    UnreadableError
        If the run's intermediates are gone.
    """
    endpoints = [column("sections", name) for name in settings.study.primary]
    if not endpoints:
        raise CallError(
            "a sensitivity analysis needs primary endpoints: write  primary = [COLUMN, …]  in study.toml"
        )
    folder = RunFolder(out)
    ids = [str(name) for name in sections["section_id"]]
    gone = [name for name in ids if not folder.bundle(name).exists()]
    if gone:
        raise UnreadableError(
            f"{out / 'sections'}: the intermediates of {len(gone)} of {len(ids)} sections are gone ({gone[0]} …); "
            "a sensitivity analysis measures them again. Run the study again, or leave --sensitivity out"
        )
    for variant in variants:  # a wrong setting is said before any work
        variant.settings(settings)
    controls = controls_of(out)
    names = _needed(endpoints)
    count = workers or default_workers(len(ids))
    with executor(count) as workforce:
        jobs = [Again(name, out, names, tuple(variants), controls, bool(variants)) for name in ids]
        seen = _gather(workforce, jobs, listener)
    whole = _all_variants(seen, variants, settings, names)
    table = compare_variants(
        [Measured(v.label, v.value, *_values_of(seen, v)) for v in whole], sections, settings.study, endpoints
    )
    rest = not_varied(_left_alone(settings), settings.study)
    table = pd.concat([table, rest], ignore_index=True).astype(table.dtypes.to_dict())
    check_columns("sensitivity", table)
    folder.write_table("sensitivity", table)
    return table


def remeasure(job: Again) -> Seen:
    """Measure one section under every variant, or read what an earlier call measured."""
    folder = RunFolder(job.out)
    try:
        bundle = Bundle.open(folder.bundle(job.section_id))
        stored = Stored.of(bundle)
        read: set[str] = set()
        drawn = stored.draw(stored.settings, read)
        own, faults = _own(bundle, stored, drawn, job, read)
        variants = job.variants
        if not job.declared:
            variants = one_at_a_time(stored.settings, read, job.names)
        kept = folder.cache / "sensitivity" / f"{job.section_id}-{_digest(bundle, job, variants)}.json"
        if kept.exists():
            return _load(kept)
        seen = _measure(bundle, stored, drawn, job, variants, own, faults)
        seen = Seen(job.section_id, seen.values, seen.faults, frozenset(read))
        _keep(kept, seen)
    except (ThymusimgError, OSError, KeyError) as error:
        return Seen(job.section_id, fault=f"{job.section_id}: {error}")
    return seen


def _own(bundle: Bundle, stored: Stored, drawn: Drawn, job: Again, read: set[str]) -> tuple[Values, dict[str, str]]:
    """Return the run's own values, and the columns that the bundle does not give back."""
    own = {name: number(bundle.attributes["section"].get(name)) for name in job.names}
    again = stored.measure(drawn, stored.settings, job.names, read)
    faults = {
        name: f"'{name}' needs the slide's full resolution"
        for name in job.names
        if not (own[name] == again[name] or (math.isnan(own[name]) and math.isnan(again[name])))
    }
    return own, faults


def _measure(
    bundle: Bundle,
    stored: Stored,
    drawn: Drawn,
    job: Again,
    variants: Iterable[Variant],
    own: Values,
    short: Mapping[str, str],
) -> Seen:
    values: dict[str, Values] = {WHOLE: own}
    faults: dict[str, str] = {}
    slides = [v for v in variants if v.needs_slide or short]
    for variant in variants:
        if variant in slides:
            continue
        try:
            settings = variant.settings(stored.settings)
            again = stored.draw(settings) if "compartments" in variant.stages else drawn
            values[key_of(variant)] = stored.measure(again, settings, job.names)
        except ThymusimgError as error:
            faults[key_of(variant)] = str(error)
    if slides:
        gone = [file for file in slide_of(bundle) if not file.exists()]
        if gone:
            faults |= {key_of(v): f"needs the slide, and {gone[0]} is not there" for v in slides}
        else:
            found, missed = measure_slide(bundle, stored.settings, slides, job.names, job.controls, own)
            values |= {key_of(v): found[v] for v in slides if v in found}
            faults |= {key_of(v): missed[v] for v in slides if v in missed}
    return Seen(job.section_id, values, faults)


def key_of(variant: Variant) -> str:
    """Name a variant's results."""
    return f"{variant.label} = {variant.value}"


def _gather(workforce: Executor, jobs: Sequence[Again], listener: Listener | None) -> list[Seen]:
    if listener is not None:
        listener.start("measuring again", len(jobs))
    found: dict[int, Seen] = {}
    for position, result in workforce.run(remeasure, jobs):
        if isinstance(result, BaseException):
            result = Seen(jobs[position].section_id, fault=f"{jobs[position].section_id}: {result}")
        found[position] = result
        if listener is not None:
            listener.step(result.section_id, result.fault)
    return [found[i] for i in sorted(found)]


def _all_variants(
    seen: Sequence[Seen], given: Sequence[Variant], settings: Settings, names: Sequence[str]
) -> list[Variant]:
    """Return the run's own settings and every variant that any section was measured under."""
    read = frozenset[str]().union(*(one.read for one in seen))
    return [Variant(DEFAULT, ""), *(given or one_at_a_time(settings, read, names))]


def _values_of(seen: Sequence[Seen], variant: Variant) -> tuple[dict[str, Values], str]:
    """Return a variant's values by section, or why there are none."""
    key = WHOLE if variant.label == DEFAULT else key_of(variant)
    faults = [one.fault or one.faults[key] for one in seen if one.fault or key in one.faults]
    # a setting that a section never read cannot change it
    values = {one.section_id: one.values.get(key, one.values.get(WHOLE, {})) for one in seen if not one.fault}
    if not faults:
        return values, ""
    return {}, f"in {len(faults)} of {len(seen)} sections: {faults[0]}"


def _left_alone(settings: Settings) -> dict[str, str]:
    """Say which settings are not varied, and why."""
    methods = {
        "compartments.method": "another method is another analysis: run the study with it and compare",
        "cells.method": "another method is another analysis: run the study with it and compare",
    }
    return methods | {f"{table}.*": why for table, why in NOT_VARIED.items() if hasattr(settings, table)}


def _needed(endpoints: Iterable[Column]) -> tuple[str, ...]:
    """Name the endpoints and every column that they are pooled from."""
    names: dict[str, None] = {}
    for endpoint in endpoints:
        parts: Any = endpoint.pool
        weight = getattr(parts, "weight", None)
        names |= dict.fromkeys([endpoint.name, *getattr(parts, "names", ()), *([weight] if weight else [])])
    return tuple(names)


def controls_of(out: Path) -> tuple[ControlEvidence, ...]:
    """Return what the negative controls of a run said about the gate."""
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = record.get("study", {}).get("negative_controls", [])
    known: list[dict[str, Any]] = [{k: math.nan if v is None else v for k, v in one.items()} for one in found]
    return tuple(ControlEvidence(**one) for one in known)


def _digest(bundle: Bundle, job: Again, variants: Sequence[Variant]) -> str:
    record = {
        "key": bundle.attributes["key"],
        "created": bundle.attributes["created"],
        "names": job.names,
        "variants": [asdict(v) for v in variants],
        "controls": [asdict(c) for c in job.controls],
        "slide": [file.exists() for file in slide_of(bundle)],
        "version": versions()["thymusimg"],
    }
    return hashlib.sha256(json.dumps(plain(record), sort_keys=True).encode()).hexdigest()[:16]


def _keep(path: Path, seen: Seen) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "section_id": seen.section_id,
        "values": seen.values,
        "faults": seen.faults,
        "read": sorted(seen.read),
    }
    with writing(path) as partial:
        partial.write_text(json.dumps(plain(record)), encoding="utf-8")


def _load(path: Path) -> Seen:
    record = json.loads(path.read_text(encoding="utf-8"))
    values = {
        key: {name: math.nan if value is None else value for name, value in row.items()}
        for key, row in record["values"].items()
    }
    return Seen(record["section_id"], values, record["faults"], frozenset(record["read"]))
