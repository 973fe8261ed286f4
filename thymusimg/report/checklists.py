"""Checklists that journals ask for, filled from the run's record; what it does not know stays "not recorded"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thymusimg.channels.markers import names_stain
from thymusimg.report.edited import mask_edits
from thymusimg.report.finished_run import FinishedRun, as_mapping, truth
from thymusimg.report.methods import write_methods
from thymusimg.report.record import NOT_RECORDED, plain_text
from thymusimg.report.words import counted, label, listed, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

Item = tuple[str, str]
"""What is asked, and what this run says of it."""


@dataclass(frozen=True)
class Checklist:
    """One checklist with its source."""

    title: str
    source: str
    items: tuple[Item, ...]

    @property
    def filled(self) -> int:
        """How many items are filled."""
        return sum(text != NOT_RECORDED for _, text in self.items)


def checklists(run: FinishedRun) -> list[Checklist]:
    """Return every checklist; that of animal studies only where there are groups."""
    found = [
        Checklist(
            "Publishing images, after Schmied et al. (2024)",
            "Schmied et al., Nature Methods 21, 170-181 (2024), doi:10.1038/s41592-023-01987-9: image format, "
            "colours and channels, annotation, availability. In our words, not the paper's; its levels (minimal, "
            "recommended, ideal) are not told apart.",
            _images(run),
        ),
        Checklist(
            "Publishing image analysis, after Schmied et al. (2024)",
            "As above: an established workflow (its version, key settings, example data, manual regions). In our "
            "words; software, models and how to run it again are added.",
            _analysis(run),
        ),
        Checklist(
            "Microscopy metadata, after QUAREP-LiMi and 4DN-BINA-OME",
            "A selection, in our words, of what QUAREP-LiMi (Boehm et al., Nature Methods 18, 1423-1426, 2021) and "
            "the tiered 4DN-BINA-OME specifications (Hammer et al., Nature Methods 18, 1427-1440, 2021) ask to be "
            "reported.",
            _microscopy(run),
        ),
    ]
    if run.grouped:
        found.append(
            Checklist(
                "After the ARRIVE Essential 10",
                "ARRIVE 2.0: Percie du Sert et al., PLoS Biology 18, e3000410 (2020), "
                "doi:10.1371/journal.pbio.3000410. The ten heads are theirs; each asks for more than "
                "the line given here.",
                _arrive(run),
            )
        )
    return found


def _images(run: FinishedRun) -> tuple[Item, ...]:
    drawn = any(run.picture(name, "composite") is not None for name in run.section_ids)
    layered = any(run.layer(name, "layers.json") is not None for name in run.section_ids)

    def shown(text: str) -> str:
        return text if drawn else NOT_RECORDED

    return (
        (
            "Cropped to what matters",
            shown("To the tissue with a margin; no tissue is left out."),
        ),
        ("Examples of the images that were quantified", shown("Every measured section is shown.")),
        ("Place of insets", shown("The rule is given in the inset's caption; its place is not marked.")),
        ("Stains named", _markers(run)),
        (
            "Brightness and contrast",
            shown("Linear; one pair of limits a stain for the whole section, from percentiles of its tissue."),
        ),
        (
            "Same display for images that are compared",
            shown("No: limits are set for every section by itself. Compare numbers, not brightness."),
        ),
        (
            "Colours accessible to the colour-blind",
            "Red, blue and green as the field prints them; the viewer offers orange, violet and cyan."
            if layered
            else shown("Red, blue and green as the field prints them: not accessible to everybody."),
        ),
        (
            "Every channel alone in grey",
            "In the viewer (colours: white)." if layered else NOT_RECORDED,
        ),
        ("Scale", shown("A scale bar below every picture.")),
        ("Annotations explained", shown("In the legend below every picture.")),
        ("Images shared: lossless, in a public image database", NOT_RECORDED),
    )


def _analysis(run: FinishedRun) -> tuple[Item, ...]:
    edited = sum(bool(mask_edits(run.attributes(name))) for name in run.section_ids)
    known = bool(run.record)
    return (
        (
            "Workflow and its version",
            f"thymusimg {plain_text(run.record.get('thymusimg'))}" if known else NOT_RECORDED,
        ),
        ("Key settings", "All settings stand under Provenance." if run.record.get("settings") else NOT_RECORDED),
        ("Software it rests on", _versions(run)),
        ("Trained models", _models(run)),
        (
            "Manual regions and edits",
            f"{counted(edited, 'section')} of {len(run.section_ids)} edited by hand; its bundle keeps every edit."
            if edited
            else "None is recorded in the sections' bundles."
            if any(run.attributes(name) for name in run.section_ids)
            else NOT_RECORDED,
        ),
        ("How to run it again", plain_text(run.record.get("command"))),
        ("Example data and code available", NOT_RECORDED),
    )


def _microscopy(run: FinishedRun) -> tuple[Item, ...]:
    slides = [as_mapping(run.attributes(name).get("slide")) for name in run.section_ids]
    return (
        ("Microscope or scanner, make and model", NOT_RECORDED),
        ("Objective: magnification, NA, immersion", NOT_RECORDED),
        ("Light source", NOT_RECORDED),
        ("Excitation and emission filters", NOT_RECORDED),
        ("Detector", NOT_RECORDED),
        ("Exposure time and gain of every channel", NOT_RECORDED),
        ("Acquisition software and version", NOT_RECORDED),
        ("Channels and what they show", _markers(run)),
        ("Pixel size", _values((_number(s.get("pixel_size_um")) for s in slides), "µm")),
        ("Image size", _values((_size(s.get("shape")) for s in slides), "pixels (height × width)")),
        ("File format", _values((str(s.get("format") or "") for s in slides), "")),
        (
            "Lossy compression",
            _values((str(s.get("lossy") or "none found") for s in slides if "lossy" in s), ""),
        ),
        ("Instrument quality control (illumination, alignment, resolution)", NOT_RECORDED),
    )


def _arrive(run: FinishedRun) -> tuple[Item, ...]:
    frame, animals = run.tables["sections"], run.tables["animals"]
    sizes: dict[str, int] = dict(animals["group"].value_counts()) if "group" in animals else {}
    named = [f"{group}: {counted(int(sizes.get(group, 0)), 'animal')}" for group in run.groups]
    excluded = (run.study or {}).get("exclusions")
    primary = listed([label(name) for name in run.primary])
    edits = [run.attributes(name) for name in run.section_ids]
    touched = [as_mapping(e.get("edited")).get("blinded") for e in edits if mask_edits(e)]
    blind = (
        f"Edits of masks: {sum(b is True for b in touched)} of {len(touched)} edited sections, groups hidden. "
        f"Allocation, conduct and everything else: {NOT_RECORDED}."
        if touched
        else NOT_RECORDED
    )
    failed = len(run.tables["failures"])
    return (
        (
            "1 Study design",
            f"Groups: {', '.join(run.groups)}; reference: {run.reference or NOT_RECORDED}. The unit is the animal.",
        ),
        (
            "2 Sample size",
            f"Analysed: {'; '.join(named) or NOT_RECORDED}. How it was decided: {NOT_RECORDED}.",
        ),
        (
            "3 Inclusion and exclusion criteria",
            f"{counted(len(excluded), 'section')} excluded in the study table; {failed} could not be analysed. "
            f"Criteria set in advance: {NOT_RECORDED}."
            if isinstance(excluded, list)
            else NOT_RECORDED,
        ),
        ("4 Randomisation", NOT_RECORDED),
        ("5 Blinding", blind),
        (
            "6 Outcome measures",
            f"Declared primary endpoints: {primary}." if primary else "No primary was declared.",
        ),
        ("7 Statistical methods", write_methods(run)[-2]),
        (
            "8 Experimental animals (species, strain, sex, age)",
            _given(frame, "timepoint", "Time point in the table"),
        ),
        ("9 Experimental procedures", NOT_RECORDED),
        ("10 Results", "Every animal, the difference, its interval and effect size: Groups and Comparisons."),
    )


def _markers(run: FinishedRun) -> str:
    frame = run.tables["sections"]
    plain = {"cd45": "CD45", "k14": "K14", "k8": "K8"}
    parts = []
    for role, name in plain.items():
        # What a microscope calls a channel that nobody named ("T1") says nothing of the stain.
        markers = {
            str(m) if names_stain(str(m)) else "not named in the file" for m in frame.get(f"{role}_marker", ())
        }
        parts += [f"{name}: {', '.join(sorted(markers))}"] if markers else []
    controls = sum(truth(c) for c in frame.get("negative_control", ()))
    said = f". Negative controls: {counted(controls, 'section')}" if controls else ""
    return "; ".join(parts) + said if parts else NOT_RECORDED


def _versions(run: FinishedRun) -> str:
    versions = run.record.get("versions")
    return ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else NOT_RECORDED


def _models(run: FinishedRun) -> str:
    if "models" not in run.record:
        return NOT_RECORDED
    models = run.record.get("models")
    return "; ".join(plain_text(m) for m in models) if isinstance(models, list) and models else "none used"


def _values(values: Iterable[str], unit: str) -> str:
    seen = sorted({value for value in values if value})
    if not seen:
        return NOT_RECORDED
    shown = ", ".join(seen[:4]) + (f" and {len(seen) - 4} more" if len(seen) > 4 else "")
    return f"{shown} {unit}".strip()


def _number(value: object) -> str:
    return number(float(value)) if isinstance(value, int | float) else ""


def _size(shape: object) -> str:
    return " × ".join(f"{int(v):,}" for v in shape) if isinstance(shape, list) and len(shape) == 2 else ""


def _given(frame: pd.DataFrame, column: str, words: str) -> str:
    values = sorted({str(v) for v in frame.get(column, ()) if str(v)})
    return f"{words}: {', '.join(values)}. Everything else: {NOT_RECORDED}." if values else NOT_RECORDED
