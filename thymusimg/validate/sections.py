"""One synthetic section through thymusimg and through the baselines, scored against its truth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import CellsError, TissueError
from thymusimg.evaluate.model import Labelled, Raster
from thymusimg.evaluate.section_scores import Maps, bring_together, cell_row, class_rows
from thymusimg.measurements.families import FAMILIES
from thymusimg.measurements.row import Row
from thymusimg.measurements.view import SectionView
from thymusimg.phantom import PRESETS, CameraSpec, OpticsSpec, Phantom, make_phantom
from thymusimg.phantom.recipe import plan_study
from thymusimg.phantom.section import as_section
from thymusimg.phantom.spec import spec_from
from thymusimg.pipeline import Counted, count_cells, prepare_section
from thymusimg.section.model import Window
from thymusimg.section.store import plain
from thymusimg.settings import Settings
from thymusimg.validate.baselines import mixture_compartments, otsu_cells, otsu_compartments

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom import PhantomSpec
    from thymusimg.section.model import LabelPlane
    from thymusimg.validate.case import Case

OURS, OTSU, MIXTURE = "thymusimg", "Otsu, watershed", "Gaussian mixture"
METHODS = (OURS, OTSU, MIXTURE)
ROW = (
    "medulla_fraction", "segregation_index_50um", "cortical_coverage", "cd45_area_fraction", "cd45_density_per_mm2",
)  # fmt: skip
"""Measured columns that the report looks at on their own."""


def draw(case: Case) -> Phantom:
    """Draw the synthetic section of a case."""
    if case.study:
        return _of_study(case)
    return make_phantom(
        spec_of(case), case.seed, pixel_size_um=case.pixel_size_um, size_mm=case.size_mm, generator=case.generator
    )


def spec_of(case: Case) -> PhantomSpec:
    """Return the spec of a case: its preset's draw, with what the case changes.

    Raises
    ------
    SettingsError
        If the changes are impossible.
    """
    return _changed(PRESETS[case.preset].draw(case.seed), case)


def _changed(spec: PhantomSpec, case: Case) -> PhantomSpec:
    optics = OpticsSpec.hard() if case.optics == "hard" else spec.optics
    values: dict[str, Any] = spec.model_dump() | dict(case.changes)
    values["optics"] = optics.model_dump() | dict(case.optics_changes)
    values["camera"] = CameraSpec().model_dump() | dict(case.camera_changes)
    return spec_from(values)


def _of_study(case: Case) -> Phantom:
    study, group, animal, section = case.study
    groups = PRESETS[study].study or ((group, case.preset),)
    plan = plan_study(
        groups, case.seed, animals=int(animal) + 1, sections=int(section) + 1, pixel_size_um=case.pixel_size_um,
        size_mm=case.size_mm, generator=case.generator,
    )  # fmt: skip
    wanted = [r for r in plan if r.group == group]
    return wanted[-1].make(dict(case.changes))  # the last is the one that was asked for


def run_section(case: Case) -> dict[str, Any]:
    """Return the scores of every method on the section of a case, as plain values."""
    began = time.perf_counter()
    phantom = draw(case)
    drawn = time.perf_counter()
    answer: dict[str, Any] = {"methods": {}, "spec_order": phantom.spec.order, "true": dict(phantom.truth.values)}
    counted = _analyse(phantom, with_cells="cells" in case.want)
    if isinstance(counted, str):
        answer["refused"] = counted
        labels = np.zeros(phantom.truth.labels.shape, np.uint8)
        tissue = labels > 0
    else:
        labels, tissue = counted.prepared.compartments.labels, counted.prepared.compartments.tissue
        if "row" in case.want:
            answer["row"] = measured_row(counted)
    if "compartments" in case.want:
        answer["methods"] |= _compartments(phantom, labels, tissue)
    if "cells" in case.want and not isinstance(counted, str):
        for method, scores in _cells(phantom, counted, labels).items():
            answer["methods"].setdefault(method, {}).update(scores)
    answer["seconds"] = {"draw": drawn - began, "rest": time.perf_counter() - drawn}
    found: dict[str, Any] = plain(answer)
    return found


def _analyse(phantom: Phantom, *, with_cells: bool) -> Counted | str:
    settings = Settings.from_mapping({"cells": {"method": "classical" if with_cells else "none"}})
    try:
        return count_cells(prepare_section(as_section(phantom, "s"), settings))
    except TissueError as error:
        return str(error)


def measured_row(counted: Counted) -> dict[str, object]:
    """Return the columns of :data:`ROW`; only the families of measurements that fill them are worked out."""
    prepared = counted.prepared
    settings = prepared.settings
    view = SectionView(
        prepared.section, prepared.compartments, prepared.planes, settings.measurements, counted.cells,
        prepared.correction, settings.compute,
    )  # fmt: skip
    row = Row()
    for family in FAMILIES:
        if any(column.name in ROW for column in family.COLUMNS):
            family.measure(row, view)
    return {name: row.values.get(name) for name in ROW}


def ours(phantom: Phantom) -> tuple[LabelPlane, npt.NDArray[np.uint32]]:
    """Return what thymusimg makes of a section: labels on the coarse grid, cells at full resolution."""
    counted = _analyse(phantom, with_cells=True)
    if isinstance(counted, str):
        return np.zeros(phantom.truth.labels.shape, np.uint8), np.zeros(phantom.pixels.shape[1:], np.uint32)
    return counted.prepared.compartments.labels, paint_cells(phantom, counted)


def paint_cells(phantom: Phantom, counted: Counted) -> npt.NDArray[np.uint32]:
    """Return the cells that were found as a label image.

    Raises
    ------
    CellsError
        If none could be looked for.
    """
    height, width = phantom.pixels.shape[1:]
    if counted.cells is None:
        raise CellsError(counted.cells_reason)
    return counted.cells.masks.paint(Window(0, height, 0, width))


def maps_of(phantom: Phantom, labels: LabelPlane, tissue: npt.NDArray[np.bool_] | None = None) -> Maps:
    """Return a method's compartments beside the truth; the truth's artefact is not scored."""
    truth = phantom.truth
    pixel, first = truth.grid.pixel_um, truth.grid.translation_um
    sides = [
        Labelled("s", source, Raster(codes, pixel, first), Raster(whole, pixel, first))
        for source, codes, whole in (
            ("result", labels, truth.tissue if tissue is None else tissue),
            ("truth", truth.labels, truth.tissue),
        )
    ]
    maps = bring_together(sides[0], sides[1], score_artefact=False, annotators=False)
    assert isinstance(maps, Maps)  # noqa: S101  both sides have compartments
    return maps


def _compartments(
    phantom: Phantom, labels: LabelPlane, tissue: npt.NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    scores = {OURS: _class_scores(maps_of(phantom, labels, tissue))}
    for method, found in ((OTSU, otsu_compartments(phantom)), (MIXTURE, mixture_compartments(phantom))):
        scores[method] = _class_scores(maps_of(phantom, found)) | {"dice_tissue": float("nan")}  # given to it
    return scores


def _class_scores(maps: Maps) -> dict[str, float]:
    rows = {str(r["class"]): r for r in class_rows(maps)}
    border = rows["cortex-medulla border"]
    scores = {f"dice_{name}": rows[name]["dice"] for name in ("tissue", "medulla", "cortex")}
    scores["medulla_fraction_error"] = rows["medulla"]["fraction_error"]
    scores |= {"border_mean_um": border["boundary_mean_um"], "border_p95_um": border["boundary_p95_um"]}
    return {name: float(str(value)) for name, value in scores.items()}


def _cells(phantom: Phantom, counted: Counted, labels: LabelPlane) -> dict[str, dict[str, Any]]:
    scores = {OTSU: score_cells(phantom, otsu_cells(phantom))}
    if counted.cells is None:
        return {OURS: {"cells_reason": counted.cells_reason}} | scores
    return {OURS: score_cells(phantom, paint_cells(phantom, counted), labels)} | scores


def score_cells(
    phantom: Phantom, cells: npt.NDArray[np.uint32], labels: LabelPlane | None = None
) -> dict[str, Any]:
    """Return the scores of a label image of cells against the truth, as ``thymusimg evaluate`` takes them.

    ``labels`` are the compartments that densities are per; without them they are per true area, as for a method
    that draws no parenchyma.
    """
    pixel = phantom.pixel_size_um
    truth = Labelled("s", "truth", cells=Raster(phantom.truth.instances, pixel))
    maps = maps_of(phantom, phantom.truth.labels if labels is None else labels)
    row = cell_row(Labelled("s", "result", cells=Raster(cells, pixel)), truth, maps)
    return {k: v for k, v in row.items() if k != "reason"}
