"""Finding the labels behind a path: a run, a bundle, OME-Zarr labels, a label TIFF, or outlines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from thymusimg.compartments.model import Compartment
from thymusimg.errors import CallError, UnreadableError
from thymusimg.evaluate.model import Labelled, Raster
from thymusimg.evaluate.outlines import read_shapes
from thymusimg.section.model import Window
from thymusimg.section.pixel_size import check_pixel_size
from thymusimg.section.readers import open_image
from thymusimg.section.store import Bundle
from thymusimg.study.summarise import read_sections

if TYPE_CHECKING:
    from collections.abc import Mapping

CODES = frozenset(int(c) for c in Compartment)
TABLE = Path("tables") / "sections.csv"
EXPECTED = "Expected the folder of a run, a bundle (ID.zarr), OME-Zarr labels, a label TIFF, or outlines (.geojson)"


def load(path: Path, pixel_size_um: float | None = None, what: str = "") -> list[Labelled]:
    """Return what a path says about its sections, in the order of their names.

    Parameters
    ----------
    path : Path
        A run's folder (also a truth's, or one that holds ``truth/``), a bundle, or a label file.
    pixel_size_um : float, optional
        Side of a label file's pixel, where the file records none.
    what : str
        ``cells`` or ``compartments``: what the labels of a file are that does not say so itself. Without it, they
        are compartments where every value is a compartment's code.

    Raises
    ------
    CallError
        If there is nothing at ``path``, or nothing that can be compared.
    SectionError
        If a file cannot be read.
    """
    if not path.exists():
        raise CallError(f"{path}: there is no such file or folder. {EXPECTED}.")
    if path.suffix.lower() in (".geojson", ".json"):
        return [Labelled("", str(path), shapes=read_shapes(path))]
    if path.is_file():
        return [_from_image(path, pixel_size_um, what)]
    if folder := _run_folder(path):
        rows = _rows(folder)
        bundles = sorted((folder / "sections").glob("*.zarr"))
        return [_from_bundle(p, rows) for p in bundles]
    if (path / "zarr.json").exists() or (path / ".zattrs").exists() or (path / ".zgroup").exists():
        return [_from_zarr(path, what)]
    raise CallError(f"{path}: is none of what can be compared. {EXPECTED}.")


def _run_folder(path: Path) -> Path | None:
    """Return the folder with bundles: the path itself, or the truth that 'thymusimg phantom' left in it."""
    return next((p for p in (path, path / "truth") if any((p / "sections").glob("*.zarr"))), None)


def _rows(folder: Path) -> dict[str, Mapping[str, object]]:
    if not (folder / TABLE).exists():
        return {}
    table = read_sections(folder / TABLE)
    return {str(row["section_id"]): {str(k): v for k, v in row.items()} for row in table.to_dict("records")}


def _from_bundle(path: Path, rows: Mapping[str, Mapping[str, object]]) -> Labelled:
    bundle = Bundle.open(path)
    own = bundle.attributes.get("section") or {}
    name = str(own.get("section_id") or path.stem)
    rasters = {label: _raster(path / "labels" / label) for label in label_names(path)}
    return Labelled(
        name, str(path), rasters.get("compartments"), rasters.get("tissue"), rasters.get("cells"),
        row=rows.get(name, own),
    )  # fmt: skip


def _from_zarr(path: Path, what: str) -> Labelled:
    try:
        group = zarr.open_group(path, mode="r")
        if "thymusimg" in group.attrs:
            return _from_bundle(path, {})
    except (OSError, KeyError, ValueError) as error:
        raise UnreadableError(f"{path}: cannot be read as OME-Zarr ({error}). {EXPECTED}.") from None
    names = label_names(path)
    if not names:
        return _as_compartments_or_cells(path, _raster(path), what)
    rasters = {name: _raster(path / "labels" / name) for name in names}
    known = {k: v for k, v in rasters.items() if k in ("compartments", "tissue", "cells")}
    if not known:
        raise CallError(
            f"{path}: its label images are {', '.join(names)}; name one of them (…/labels/NAME), so that it is "
            "clear which to compare."
        )
    return Labelled("", str(path), known.get("compartments"), known.get("tissue"), known.get("cells"))


def label_names(path: Path) -> list[str]:
    """Return the label images of an OME-Zarr image."""
    labels = path / "labels"
    if not labels.is_dir():
        return []
    attributes: Mapping[str, Any] = zarr.open_group(labels, mode="r").attrs.asdict()
    ome: Mapping[str, Any] = attributes.get("ome", attributes)
    return [str(name) for name in ome.get("labels", [])]


def _raster(path: Path) -> Raster:
    """Read the first scale of an OME-Zarr label image (0.4 or 0.5), lazily."""
    try:
        group = zarr.open_group(path, mode="r")
        attributes: Mapping[str, Any] = group.attrs.asdict()
        scales = attributes.get("ome", attributes)["multiscales"][0]
        dataset = scales["datasets"][0]
        array = group[dataset["path"]]
        place = {t["type"]: t[t["type"]] for t in dataset.get("coordinateTransformations", []) if t["type"] in t}
        side = [float(v) for v in place["scale"][-2:]]
        first = [float(v) for v in place.get("translation", [0.0, 0.0])[-2:]]
        units = {a.get("unit", "") for a in scales["axes"] if a.get("type") == "space"}
    except (OSError, KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise UnreadableError(f"{path}: is no OME-Zarr label image with a scale ({error!r}).") from None
    if array.ndim != 2 or array.dtype.kind not in "iub":
        raise UnreadableError(
            f"{path}: a label image has two axes and whole numbers; this has {array.ndim} axes of {array.dtype}."
        )
    if units != {"micrometer"} or side[0] != side[1] or first[0] != first[1]:
        raise UnreadableError(
            f"{path}: pixels must be square, in micrometer; found a scale of {side} "
            f"{', '.join(sorted(units))} at {first}."
        )
    return Raster(array, side[0], first[0])


def _from_image(path: Path, pixel_size_um: float | None, what: str) -> Labelled:
    image = open_image(path)
    try:
        if len(image.channel_names) != 1 or image.dtype.kind not in "iu":
            raise UnreadableError(
                f"{path}: a label image has one channel of whole numbers; this has {len(image.channel_names)} "
                f"channel(s) of {image.dtype}."
            )
        side = check_pixel_size(image, pixel_size_um)
        height, width = image.levels[0].shape
        labels = image.read(0, 0, Window(0, height, 0, width))
    finally:
        image.close()
    return _as_compartments_or_cells(path, Raster(labels, side, None), what)


def _as_compartments_or_cells(path: Path, raster: Raster, what: str) -> Labelled:
    """Tell class codes from cells: only codes of compartments make a map of compartments."""
    values = set(np.unique(raster.array()).tolist())
    if values <= {0}:
        raise UnreadableError(f"{path}: holds nothing but 0.")
    if what == "compartments" and not values <= CODES:
        raise UnreadableError(
            f"{path}: holds the value {min(values - CODES)}, which is no compartment's code (1 cortex, 2 medulla, "
            "3 indeterminate, 4 cyst, 5 other, 255 artefact)."
        )
    if values <= CODES and what != "cells":
        note = (
            f"{path.name}: read as compartments (1 cortex, 2 medulla, 3 indeterminate, 4 cyst, 5 other, "
            "255 artefact)"
        )
        return Labelled("", str(path), compartments=raster, notes=(note,))
    return Labelled("", str(path), cells=raster, notes=(f"{path.name}: read as cells, one label each",))
