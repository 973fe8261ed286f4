"""One card a section: its pictures, its key numbers and what quality control said of it."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from thymusimg.report.finished_run import PICTURES, FinishedRun, as_mapping, truth
from thymusimg.report.viewer import LayerLimits, island, layer_limits, viewer_data
from thymusimg.report.words import GATE_SOURCES, counted, label, number, stands_in, with_unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from markupsafe import Markup

KEY_NUMBERS = (
    "tissue_area_mm2",
    "medulla_fraction",
    "segregation_index_50um",
    "cortical_coverage",
    "cortical_thickness_um",
    "cmj_width_um",
    "islet_count",
    "largest_islet_share",
    "double_positive_fraction",
    "cd45_count",
    "cd45_density_per_mm2",
    "cd45_density_cortex_per_mm2",
    "cd45_density_medulla_per_mm2",
    "cd45_area_fraction",
    "cd45_log_ratio_cortex_medulla",
    "cd45_empty_tile_fraction",
)

PICTURE_BUDGET = 4_600_000
"""Bytes of all pictures together that a report aims at; a single section is embedded as it is."""
PICTURE_FLOOR = 45_000
"""No picture is made smaller than this to reach the budget: an unreadable picture convinces nobody."""

_MARKERS = {"cd45": "CD45", "k14": "K14", "k8": "K8"}


@dataclass(frozen=True)
class Number:
    """One measured value in words; ``reason`` says why it is undefined."""

    column: str
    title: str
    text: str
    reason: str
    definition: str


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, or, where ``uri`` is empty, that there is none."""

    name: str
    uri: str
    alt: str
    caption: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Check:
    """One quality check: ``pass``, ``warn`` or ``fail`` with its number and reason."""

    status: str
    title: str
    value: str
    reason: str


@dataclass(frozen=True)
class Card:
    """Everything the report says about one section."""

    section_id: str
    animal: str
    group: str
    tags: tuple[str, ...]
    pictures: tuple[Picture, ...]
    numbers: tuple[Number, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    place: int = 0
    layers: Markup | None = None

    @property
    def drawn(self) -> bool:
        """Whether the viewer has something to show."""
        return self.layers is not None or any(p.uri for p in self.pictures)

    @property
    def worst(self) -> str:
        """The worst status of the checks; "" where there are none."""
        seen = {check.status for check in self.checks}
        return next((status for status in ("fail", "warn", "pass") if status in seen), "")

    @property
    def flagged(self) -> tuple[Check, ...]:
        """The checks that did not pass, failures first."""
        return tuple(sorted((c for c in self.checks if c.status != "pass"), key=lambda c: c.status))

    @property
    def passed(self) -> tuple[Check, ...]:
        """The checks that passed."""
        return tuple(c for c in self.checks if c.status == "pass")


def build_cards(run: FinishedRun) -> list[Card]:
    """Return a card for every row of ``sections.csv``, in its order."""
    frame = run.tables["sections"]
    rows = [{str(k): str(v) for k, v in row.items()} for row in frame.to_dict("records")]
    limit = max(PICTURE_FLOOR, PICTURE_BUDGET // max(1, len(rows) * len(PICTURES)))
    layers = layer_limits(len(rows))
    return [_card(run, row, limit, layers, place) for place, row in enumerate(rows, 1)]


@dataclass(frozen=True)
class Family:
    """An animal with the cards of its sections; ``animal`` is "" where none is named."""

    animal: str
    cards: tuple[Card, ...]

    @property
    def words(self) -> str:
        """Its groups and how many sections it has."""
        groups = ", ".join(dict.fromkeys(card.group for card in self.cards if card.group))
        return " · ".join(part for part in (groups, counted(len(self.cards), "section")) if part)


def families(cards: list[Card], grouped: bool) -> list[Family]:
    """Return the cards by animal, in the order in which animals come first; one family without groups."""
    if not grouped:
        return [Family("", tuple(cards))] if cards else []
    found: dict[str, list[Card]] = {}
    for card in cards:
        found.setdefault(card.animal, []).append(card)
    return [Family(animal, tuple(mine)) for animal, mine in found.items()]


def shown_number(run: FinishedRun, row: Mapping[str, str], column: str) -> Number:
    """Return one value of a row in words, with unit, or undefined with its reason."""
    meaning = run.meanings.get(column)
    unit = meaning.unit if meaning else ""
    try:
        value = float(row.get(column, "") or "nan")
    except ValueError:
        value = math.nan
    undefined = math.isnan(value)
    reason = row.get(f"{column}_reason", "") or ("no reason recorded" if undefined else "")
    text = f"{value:,.0f}" if column.endswith("_count") and not undefined else with_unit(value, unit)
    return Number(column, label(column), text, reason if undefined else "", meaning.definition if meaning else "")


def fit_jpeg(data: bytes, limit: int) -> tuple[bytes, int, int]:
    """Return a JPEG of at most about ``limit`` bytes with its width and height; made smaller only if it must be.

    An undecodable picture comes back as it is with size 0.
    """
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        return data, 0, 0
    height, width = picture.shape[:2]
    for _ in range(3):
        if len(data) <= limit:
            break
        factor = max(0.3, 0.95 * math.sqrt(limit / len(data)))
        width, height = max(1, round(width * factor)), max(1, round(height * factor))
        smaller = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        _, encoded = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, 78, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
        data = bytes(encoded.tobytes())
    return data, width, height


def _card(run: FinishedRun, row: Mapping[str, str], limit: int, limits: LayerLimits, place: int) -> Card:
    section_id = row.get("section_id", "")
    layers = viewer_data(run, section_id, limits)
    cells_skipped = row.get("cells_method", "") == "none"
    shown = [c for c in KEY_NUMBERS if c in row and not (cells_skipped and c.startswith("cd45"))]
    return Card(
        section_id,
        row.get("animal", ""),
        row.get("group", ""),
        tuple(_tags(row, as_mapping(run.attributes(section_id).get("slide")))),
        tuple(_picture(run, row, name, limit) for name in PICTURES),
        tuple(shown_number(run, row, column) for column in shown),
        tuple(_checks(run.tables["quality"], section_id)),
        tuple(_notes(run.attributes(section_id))),
        place,
        None if layers is None else island(layers),
    )


def _tags(row: Mapping[str, str], slide: Mapping[str, Any]) -> Iterable[str]:
    if truth(row.get("negative_control", "")):
        yield "negative control"
    if truth(slide.get("semi_quantitative", "")):
        yield "semi-quantitative: display export"
    if slide.get("lossy"):
        yield f"lossy compression ({slide['lossy']})"
    if row.get("cd45_count_reliable", "").casefold() == "false":
        yield "CD45⁺ count saturates: read the area fraction"
    if row.get("cells_method", "") == "none":
        yield "cells not looked for"
    for role, plain in _MARKERS.items():
        marker = row.get(f"{role}_marker", "")
        if stands_in(role, marker):
            yield f"{marker} stands in for {plain}"


def _notes(attributes: Mapping[str, Any]) -> Iterable[str]:
    """Say what was found and decided on the way: about the file, the tissue, the compartments, the gate."""
    yield from _sentences(as_mapping(attributes.get("slide")).get("warnings"))
    yield from _sentences(attributes.get("correction"))
    yield from _sentences(attributes.get("tissue_notes"))
    compartments = as_mapping(attributes.get("compartments"))
    yield from _sentences(as_mapping(compartments.get("reasons")).values())
    cuts = as_mapping(compartments.get("cuts"))
    if cuts:
        yield "Cuts used: " + ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in cuts.items()
                                        if isinstance(value, int | float))  # fmt: skip
    if attributes.get("cells_reason"):
        yield f"Cells: {attributes['cells_reason']}"
    yield from _gate_words(as_mapping(attributes.get("gate")))


def _gate_words(gate: Mapping[str, Any]) -> Iterable[str]:
    numbers = [gate.get(name) for name in ("threshold", "background", "background_sd")]
    if all(isinstance(value, int | float) for value in numbers):
        threshold, background, spread = (float(value) for value in numbers if value is not None)
        source = GATE_SOURCES.get(str(gate.get("source")), str(gate.get("source")))
        yield (
            f"CD45 gate at {number(threshold)}, with the tissue's background at {number(background)} "
            f"(SD {number(spread)}); from {source}."
        )
        if not gate.get("controls"):  # with controls, the quality table says how many
            yield f"False cells at this gate are not known: {gate.get('false_reason') or 'not recorded'}."
    yield from _sentences(gate.get("notes"))


def _sentences(values: object) -> Iterable[str]:
    return (str(v)[:1].upper() + str(v)[1:] for v in values if v) if isinstance(values, Iterable) else ()


def _picture(run: FinishedRun, row: Mapping[str, str], name: str, limit: int) -> Picture:
    section_id = row.get("section_id", "")
    captions = {
        "composite": f"{_stains(row)}; one pair of limits a stain for the whole section.",
        "compartments": "Compartments, junction and cells drawn on the paled composite.",
        "cells": "Full resolution, where CD45 is densest near the junction: a place to check the outlines, "
        "not a typical one.",
    }
    data = run.picture(section_id, name)
    if data is None:
        what = "stains" if name == "composite" else name
        skipped = name == "cells" and row.get("cells_method", "") == "none"
        missing = "Cells were not looked for." if skipped else f"No picture of the {what} was recorded."
        return Picture(name, "", "", missing)
    data, width, height = fit_jpeg(data, limit)
    uri = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    return Picture(name, uri, f"Section {section_id}, {name}. {captions[name]}", captions[name], width, height)


def _stains(row: Mapping[str, str]) -> str:
    colours = {"cd45": "red", "k14": "blue", "k8": "green"}
    known = {role: row.get(f"{role}_marker", "") for role in colours}
    known = {
        r: marker if stands_in(r, marker) else _MARKERS[r] for r, marker in known.items() if marker
    } or _MARKERS
    return ", ".join(f"{known[role]} {colour}" for role, colour in colours.items() if known.get(role))


def _checks(quality: pd.DataFrame, section_id: str) -> Iterable[Check]:
    if "section_id" not in quality:
        return
    for row in quality[quality["section_id"] == section_id].to_dict("records"):
        channel = str(row.get("channel", ""))
        name = str(row.get("check", "")).replace("_", " ")
        try:
            value = with_unit(float(row.get("value", "") or "nan"), str(row.get("unit", "")))
        except ValueError:
            value = str(row.get("value", ""))
        where = str(row.get("where", ""))
        reason = f"{row.get('reason', '')}{f' ({where})' if where else ''}".strip()
        status = str(row.get("status", "")).casefold()
        title = f"{channel.upper()} {name}" if channel else name
        yield Check(status, title, "" if value == number(math.nan) else value, reason)
