"""Examples that a cell network is fitted on: fields at its pixel size, in units of their own background."""

from __future__ import annotations

import hashlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from thymusimg.cells.gate import estimate_gate
from thymusimg.cells.normalise import in_background_sds, in_dapi_range, input_levels
from thymusimg.errors import SectionError
from thymusimg.phantom.section import as_section
from thymusimg.pipeline import prepare_section
from thymusimg.progress import silent
from thymusimg.section.model import Window
from thymusimg.section.resample import Resampling
from thymusimg.settings import Settings
from thymusimg.train.cell_sections import any_section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from thymusimg.cells.normalise import InputLevels
    from thymusimg.phantom import Phantom
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Mask
    from thymusimg.train.annotated import AnnotatedCells

MARGIN_PX = 24
"""Pixels kept around the tissue."""
FORM = 1
"""To be counted up when examples are made otherwise, so that kept ones are drawn anew."""
_SETTINGS: dict[str, Any] = {"cells": {"method": "none"}, "compute": {"threads": 1}}


@dataclass(frozen=True)
class CellExample:
    """A field with every cell in it known.

    Attributes
    ----------
    name, animal : str
        Examples of one animal are all fitted on, or all held out.
    cd45 : (Y, X) float16
        In SDs above the section's negative tissue.
    dapi : (Y, X) float16 or None
        0 and 1 are the section's low and high level.
    labels : (Y, X) int32
        Disjoint cells; 0 is none, -1 is not known.
    """

    name: str
    animal: str
    cd45: npt.NDArray[np.float16]
    dapi: npt.NDArray[np.float16] | None
    labels: npt.NDArray[np.int32]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in the network's pixels."""
        return self.labels.shape[0], self.labels.shape[1]


def example_of(
    planes: Mapping[str, FloatPlane],
    labels: npt.NDArray[Any],
    pixel_um: float,
    levels: InputLevels,
    *,
    name: str,
    animal: str,
    working_um: float,
    known: Mask | None = None,
) -> CellExample:
    """Bring a field to the network's pixel size and units.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        ``cd45`` and, where there is one, ``dapi``; corrected, at ``pixel_um``.
    labels : (Y, X) integer array
        Disjoint cells on the same pixels.
    known : (Y, X) bool, optional
        Where cells were looked for; everywhere if left out.
    """
    grid = Resampling((labels.shape[0], labels.shape[1]), pixel_um, working_um)
    whole, place = Window(0, grid.shape[0], 0, grid.shape[1]), Window(0, labels.shape[0], 0, labels.shape[1])
    small = {role: grid.sample(plane, place, whole) for role, plane in planes.items() if role in ("cd45", "dapi")}
    rows, columns = (
        np.clip(((np.arange(n) + 0.5) * grid.scale).astype(np.intp), 0, full - 1)
        for n, full in zip(grid.shape, labels.shape, strict=True)
    )
    named = labels.astype(np.int32)
    if known is not None:
        named = np.where(known, named, np.int32(-1))
    dapi = in_dapi_range(small["dapi"], levels) if "dapi" in small and levels.has_dapi else None
    return CellExample(
        name, animal, in_background_sds(small["cd45"], levels).astype(np.float16),
        None if dapi is None else dapi.astype(np.float16), named[np.ix_(rows, columns)],
    )  # fmt: skip


def example_of_phantom(phantom: Phantom, name: str, working_um: float) -> CellExample:
    """Send a synthetic section through the pipeline up to its gate, and keep what lies around its tissue.

    Raises
    ------
    SectionError
        If the pipeline finds no tissue, or no CD45 background.
    """
    section, settings = as_section(phantom, name), Settings.from_mapping(_SETTINGS)
    prepared = prepare_section(section, settings)
    gate = estimate_gate(section, prepared.correction, prepared.compartments, settings.gate, threads=1)
    levels = input_levels(gate, prepared.planes.get("dapi"), prepared.tissue.mask)
    whole = Window(0, section.shape[0], 0, section.shape[1])
    roles = [role for role in ("cd45", "dapi") if role in section.roles]
    if prepared.correction.unmixing is not None:
        roles = list(prepared.correction.roles)
    planes = prepared.correction.apply({role: section.read(role, whole) for role in roles}, whole)
    example = example_of(
        planes,
        phantom.truth.instances,
        phantom.pixel_size_um,
        levels,
        name=name,
        animal=name,
        working_um=working_um,
    )
    return _around(example, phantom.truth.tissue)


def example_of_annotation(section: AnnotatedCells, working_um: float) -> CellExample:
    """Return an annotated region as an example, scaled by the levels of its whole section."""
    return example_of(
        section.planes, section.labels, section.pixel_um, section.levels, name=section.section_id,
        animal=section.animal, working_um=working_um, known=section.annotated,
    )  # fmt: skip


def _around(example: CellExample, tissue: Mask) -> CellExample:
    """Cut off the empty glass; ``tissue`` may be on another grid of the same slide."""
    at = []
    for axis, length in enumerate(example.shape):
        inside = np.flatnonzero(tissue.any(axis=1 - axis)) * length / tissue.shape[axis]
        at.append(slice(max(0, int(inside[0]) - MARGIN_PX), int(inside[-1]) + MARGIN_PX + 4))
    y, x = at
    dapi = None if example.dapi is None else example.dapi[y, x].copy()
    return CellExample(example.name, example.animal, example.cd45[y, x].copy(), dapi, example.labels[y, x].copy())


def draw_examples(
    seeds: Sequence[int], cache: Path, working_um: float, *, processes: int = 2, progress: Progress = silent
) -> list[CellExample]:
    """Draw synthetic sections, or take those that an earlier call has left in ``cache``.

    A section that the pipeline refuses (no background to speak of) is left out.

    Parameters
    ----------
    seeds : sequence of int
    cache : Path
        Folder of one file a section; about 5 MB each.
    processes : int
        No example depends on it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    paths = [cache / f"{seed}-{_recipe()}.npz" for seed in seeds]
    missing = [(seed, path, working_um) for seed, path in zip(seeds, paths, strict=True) if not path.exists()]
    if processes > 1 and len(missing) > 1:
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            for done, _ in enumerate(pool.map(_draw, missing, chunksize=4)):
                progress("drawing synthetic sections", (done + 1) / len(missing))
    else:
        for done, job in enumerate(missing):
            _draw(job)
            progress("drawing synthetic sections", (done + 1) / len(missing))
    return [example for example in map(_load, paths) if example is not None]


def _draw(job: tuple[int, Path, float]) -> None:
    seed, path, working_um = job
    cv2.setNumThreads(1)
    try:
        example = example_of_phantom(any_section(seed, pixel_um=working_um).draw(), f"phantom {seed}", working_um)
        arrays: dict[str, Any] = {"cd45": example.cd45, "labels": example.labels.astype(np.uint16)}
        if example.dapi is not None:
            arrays["dapi"] = example.dapi
    except SectionError:
        arrays = {}
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, **arrays)
    part.replace(path)


def _load(path: Path) -> CellExample | None:
    with np.load(path) as content:
        if "cd45" not in content:
            return None
        name = "phantom " + path.name.partition("-")[0]
        return CellExample(
            name, name, content["cd45"], content["dapi"] if "dapi" in content else None,
            content["labels"].astype(np.int32),
        )  # fmt: skip


def _recipe() -> str:
    """Return a hash of the sources that draw the sections: other code, other sections."""
    package = Path(__file__).parents[1]
    files = [*sorted((package / "phantom").rglob("*.py")), package / "train" / "cell_sections.py"]
    digest = hashlib.sha256(f"examples {FORM}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
