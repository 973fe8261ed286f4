"""Captions that are ready to paste: what is shown, n, limits, scale, and whether it is real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thymusimg.figures.palettes import COLOUR_WORDS, NAMES, other_marker
from thymusimg.figures.save import printable
from thymusimg.report.picture import length_words
from thymusimg.report.words import counted, listed, number

if TYPE_CHECKING:
    from collections.abc import Mapping

SYNTHETIC = "SYNTHETIC: these sections were drawn by a program; they prove code, not biology."


def caption_sections(record: Mapping[str, Any]) -> str:
    """Return the caption of a figure of sections, from its record."""
    parts = [
        SYNTHETIC if record["synthetic"] else "",
        _which(record),
        _stains(record),
        _limits(record),
        _outlines(record),
        _scale(record),
        _insets(record),
        _cautions(record),
    ]
    return printable(" ".join(part for part in parts if part))


def _which(record: Mapping[str, Any]) -> str:
    sections = record["sections"]
    named = [
        f"{s['section_id']}" + (f" (animal {s['animal']}, {s['group']})" if s["animal"] else "") for s in sections
    ]
    animals = {(s["group"], s["animal"]) for s in sections if s["animal"]}
    n = f", of {counted(len(animals), 'animal')}" if animals else ""
    return f"Thymus, {counted(len(sections), 'section')}{n}: {listed(named)}."


def _stains(record: Mapping[str, Any]) -> str:
    words, singles = COLOUR_WORDS[record["palette"]], [kind for kind in record["panels"] if kind in NAMES]
    said = []
    if "merge" in record["panels"]:
        said.append(
            "Merge: " + ", ".join(f"{_marker(record, r)} {words[r]}" for r in words if r in record["stains"])
        )
    if singles:
        said.append(f"Grey: {listed([_marker(record, role) for role in singles])} alone")
    return ". ".join(said) + "." if said else ""


def _marker(record: Mapping[str, Any], role: str) -> str:
    other = sorted({other_marker(role, s["markers"].get(role, "")) for s in record["sections"]} - {""})
    return f"{listed(other, 'or')} (in the place of {NAMES[role]})" if other else NAMES[role]


def _limits(record: Mapping[str, Any]) -> str:
    if not record["limits_shared"]:
        each = [f"{s['section_id']} {_pairs(s['limits'], record)}" for s in record["sections"]]
        return (
            "Display limits were set for each section alone, so brightness must not be compared between sections "
            f"(black to white, linear, background-subtracted grey levels): {'; '.join(each)}."
        )
    same = "the same in all panels of a stain; " if len(record["sections"]) > 1 or _has_insets(record) else ""
    return (
        f"Display limits ({same}black to white, linear, background-subtracted grey levels): "
        f"{_pairs(record['sections'][0]['limits'], record)}."
    )


def _pairs(limits: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{_marker(record, role)} {number(limits[role][0])} to {number(limits[role][1])}"
        for role in record["stains"]
        if role in limits
    )


def _outlines(record: Mapping[str, Any]) -> str:
    if "outlines" not in record["panels"]:
        return ""
    words = {
        "compartments": "outlines of the compartments",
        "junction": "the corticomedullary junction",
        "cells": "CD45+ cells",
    }
    cells = "; ".join(f"{s['section_id']} {s['cells']:,}" for s in record["sections"])
    n = f" (cells found: {cells})" if "cells" in record["outlines"] else ""
    return f"Outlines: {listed([words[name] for name in record['outlines']])}, as measured{n}."


def _scale(record: Mapping[str, Any]) -> str:
    one = ", all sections at one magnification" if len(record["sections"]) > 1 else ""
    return f"Scale bar, {length_words(record['scale_bar_um'])}{one}."


def _insets(record: Mapping[str, Any]) -> str:
    said = []
    for section in record["sections"]:
        said += [
            f"Box {inset['box']}: {inset['size_um']:g} µm square of {section['section_id']}, {inset['pixels']}; "
            f"scale bar, {length_words(inset['scale_bar_um'])}."
            for inset in section["insets"]
        ]
    return " ".join(said)


def _has_insets(record: Mapping[str, Any]) -> bool:
    return any(section["insets"] for section in record["sections"])


def _cautions(record: Mapping[str, Any]) -> str:
    said = []
    edited = [s["section_id"] for s in record["sections"] if s["edited"]]
    if edited and "outlines" in record["panels"]:
        said.append(f"Outlines were corrected by hand in {listed(edited)}.")
    exports = [s["section_id"] for s in record["sections"] if s["semi_quantitative"]]
    if exports:
        said.append(f"Display exports, whose intensities were scaled for the eye before: {listed(exports)}.")
    return " ".join(said)
