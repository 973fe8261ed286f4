"""The methods paragraph, written from the settings that were really used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thymusimg.report.edited import edited_sentence
from thymusimg.report.finished_run import FinishedRun, as_mapping, numbers, truth
from thymusimg.report.record import NOT_RECORDED, plain_text
from thymusimg.report.words import GATE_SOURCES, counted, label, listed, number, stands_in

if TYPE_CHECKING:
    import pandas as pd


def write_methods(run: FinishedRun) -> list[str]:
    """Return the methods in paragraphs of plain text; a fact that was not recorded is said to be so."""
    paragraphs = [_images(run), _stains(run), _compartments(run), _cells(run)]
    edited = edited_sentence(run)
    paragraphs += [edited] if edited else []
    paragraphs.append(_measurements(run))
    if run.grouped:
        paragraphs.append(_statistics(run))
    return [*paragraphs, _software(run)]


def design_sentences(run: FinishedRun) -> tuple[list[str], list[str]]:
    """Return who is in the study, a sentence a group, and what a study of this size can find."""
    from thymusimg.settings import StudySettings
    from thymusimg.study.overview import overview, subjects_of

    sections = run.tables["sections"]
    if not {"section_id", "animal", "group"} <= set(sections.columns):
        return [], []
    seen = overview(
        subjects_of(sections),
        set(sections["section_id"]),
        StudySettings(reference=run.reference, primary=tuple(dict.fromkeys(run.primary))[:3]),
    )
    return [group.sentence for group in seen.groups], list(seen.caveats)


def gate_sources(run: FinishedRun) -> dict[str, int]:
    """Return how many sections took their CD45 gate from where."""
    gates = [as_mapping(run.attributes(name).get("gate")) for name in run.section_ids]
    kinds = [str(gate["source"]) for gate in gates if gate.get("source")]
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}


def _images(run: FinishedRun) -> str:
    frame = run.tables["sections"]
    animals = frame["animal"][frame["animal"] != ""].nunique() if "animal" in frame else 0
    whose = f" of {counted(animals, 'animal')}" if animals else ""
    return (
        f"{counted(len(frame), 'section')}{whose} {'was' if len(frame) == 1 else 'were'} analysed. Pixels measured "
        f"{_range(frame, 'pixel_size_um')} µm; compartments were drawn on a grid of "
        f"{_range(frame, 'grid_pixel_um')} "
        "µm, cells at full resolution. Intensity limits and thresholds come from the whole section, never "
        "from a tile."
    )


def _stains(run: FinishedRun) -> str:
    frame = run.tables["sections"]
    plain = {"cd45": "human CD45", "k14": "Keratin 14 (medulla)", "k8": "Keratin 8 (cortex and medulla)"}
    parts = []
    for role, words in plain.items():
        markers = sorted({str(m) for m in frame.get(f"{role}_marker", ()) if str(m)})
        same = not any(stands_in(role, marker) for marker in markers)
        if not markers and role == "cd45" and _used(run, "cells_method", ("cells", "method")) == "none":
            parts.append(f"no {words}")
        elif not markers:
            parts.append(f"{words}: marker {NOT_RECORDED}")
        else:
            parts.append(words if same else f"{listed(markers)} standing in for {words}")
    flattened = run.setting("correction", "illumination")
    light = {
        "auto": "per-tile vignetting was flattened where it was found and flattening helped",
        "off": "illumination was not corrected",
    }.get(str(flattened), f"correction of illumination {NOT_RECORDED}")
    unmixing = run.setting("correction", "unmixing")
    mixed = "Channels were unmixed with the given matrix." if unmixing else "Channels were not unmixed."
    return f"Stains: {'; '.join(parts)}. Each channel's background was subtracted; {light}. {mixed}"


def _compartments(run: FinishedRun) -> str:
    method = _used(run, "compartments_method", ("compartments", "method"))
    how = (
        "Medulla is where the local density of the medullary keratin and its share of both keratins are high; "
        "cortex "
        "needs keratin above background with a low medullary share; tissue with evidence for neither is "
        "indeterminate."
        if method == "keratin"
        else "Tissue with evidence for neither cortex nor medulla is indeterminate."
    )
    return (
        f"Cortex, medulla, indeterminate tissue, cysts and other tissue (capsule, septa, vessels) were drawn "
        f"by the "
        f"method '{method}'. {how} Human CD45 took no part in it, so that repopulation cannot create order. "
        f"Folds, tears "
        "and debris were left out as artefact. The corticomedullary junction is the border that cortex and "
        "medulla share."
    )


def _cells(run: FinishedRun) -> str:
    method = _used(run, "cells_method", ("cells", "method"))
    if method == "none":
        return "Human CD45⁺ cells were not looked for, so nothing is said about repopulation."
    sources = [f"{GATE_SOURCES.get(kind, kind)} ({counted(n, 'section')})" for kind, n in gate_sources(run).items()]
    frame = run.tables["sections"]
    controls = [
        str(s)
        for s, c in zip(frame.get("section_id", ()), frame.get("negative_control", ()), strict=False)
        if truth(c)
    ]
    named = (
        f" Negative controls: {', '.join(controls)}."
        if controls
        else " No section was marked as a negative control."
    )
    return (
        f"Human CD45⁺ cells were found by the method '{method}' at full resolution. The threshold of CD45 "
        f"came from "
        f"{listed(sources) or f'a source that was {NOT_RECORDED}'}.{named}"
    )


def _measurements(run: FinishedRun) -> str:
    return (
        "Densities and area fractions are per parenchyma (cortex, medulla and indeterminate). Every column's "
        "definition, unit and source stands in the dictionary at the end. A value that does not exist is left "
        "empty "
        "with its reason; it never becomes 0."
    )


def _statistics(run: FinishedRun) -> str:
    primary = listed([label(c) for c in run.primary])
    declared = f"Declared primary endpoints: {primary}." if primary else "No primary endpoint was declared."
    confidence = float(run.setting("study", "confidence", 0.95))
    adjustments = run.tables["comparisons"].get("adjustment", ())
    family = "; ".join(dict.fromkeys(str(a) for a in adjustments if str(a)))
    return (
        "The animal is the unit: its sections were pooled (ratios as the sum of numerators over the sum of "
        "denominators, means weighted by area) before any comparison. Every group was compared with "
        f"{run.reference or f'a reference that was {NOT_RECORDED}'}. {declared} Differences carry Welch's t "
        f"interval ({confidence:.0%}) on the scale named in the table (log: a ratio of geometric means, logit: an "
        "odds ratio), "
        "Hedges' g with its interval, and a permutation test of the animals. "
        f"Adjustment of p: {family or NOT_RECORDED}."
    )


def _software(run: FinishedRun) -> str:
    versions = run.record.get("versions")
    named = versions if isinstance(versions, dict) else {}
    others = [f"{name} {version}" for name, version in named.items() if name not in {"thymusimg", "platform"}]
    libraries = listed(others) or f"libraries {NOT_RECORDED}"
    return f"Software: thymusimg {plain_text(run.record.get('thymusimg'))} with {libraries}."


def _used(run: FinishedRun, column: str, setting: tuple[str, str]) -> str:
    frame = run.tables["sections"]
    methods = sorted({str(m) for m in frame.get(column, ()) if str(m)})
    return listed(methods) or str(run.setting(*setting, NOT_RECORDED))


def _range(frame: pd.DataFrame, column: str) -> str:
    values = numbers(frame, column).dropna()
    if values.empty:
        return NOT_RECORDED
    low, high = number(float(values.min())), number(float(values.max()))
    return low if low == high else f"{low} to {high}"
