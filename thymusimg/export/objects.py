"""The cells of a run as AnnData, and its sections as SpatialData (the extra ``export``)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from thymusimg.errors import CallError, MissingExtraError
from thymusimg.export.qupath import grid_of
from thymusimg.export.tidy import read_table
from thymusimg.measurements.columns import columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thymusimg.section.store import Bundle

_NOT_NUMBERS = ("x_um", "y_um")


def need(module: str) -> Any:
    """Import a library of the extra ``export``.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"--to {module}: needs the library '{module}' ({error}). Type: pip install 'thymusimg[export]'"
        ) from error


def cells_as_anndata(tables: Path) -> Any:
    """Return the cells of a run as AnnData: cells × stains.

    ``X`` holds the mean intensities (float32, over background), ``obs`` everything else of ``cells.parquet``,
    ``obsm["spatial"]`` the centroids (x, y) in µm, ``var["unit"]`` and ``uns["units"]`` the units.

    Raises
    ------
    MissingExtraError
        If anndata is not installed.
    CallError
        If the run holds no cells.
    """
    anndata = need("anndata")
    cells = read_table(tables, "cells")
    if cells.empty:
        raise CallError(f"{tables / 'cells.parquet'}: holds no cells to export")
    cells = _with_subject(cells, read_table(tables, "sections"))
    stains = [name for name in cells.columns if name.startswith("mean_")]
    units = {c.name: c.unit for c in columns("cells")}
    obs = cells.drop(columns=[*stains, *_NOT_NUMBERS])
    # plain objects: files with pandas' own strings are not read by older anndata
    names = [f"{s}/{c}" for s, c in zip(cells["section_id"], cells["cell_id"], strict=True)]
    obs.index = pd.Index(names, dtype=object)
    for name in obs.select_dtypes(exclude="number"):
        values = obs[name].fillna("").astype(str)
        obs[name] = pd.Categorical(values, categories=pd.Index(sorted(set(values)), dtype=object))
    var = pd.DataFrame(
        {"unit": pd.Series([units.get(s, "intensity") for s in stains], stains, dtype=object)},
        index=pd.Index(stains, dtype=object),
    )
    return anndata.AnnData(
        X=cells[stains].to_numpy(np.float32),
        obs=obs,
        var=var,
        obsm={"spatial": cells[["x_um", "y_um"]].to_numpy(np.float64)},
        uns={"units": {c: units[c] for c in cells.columns if c in units}, "source": "thymusimg"},
    )


def _with_subject(cells: pd.DataFrame, sections: pd.DataFrame) -> pd.DataFrame:
    """Put animal and group of the section beside every cell."""
    known = sections.set_index("section_id")
    for name in ("group", "animal"):
        if name in known and name not in cells:
            cells.insert(1, name, cells["section_id"].map(known[name]))
    return cells


def sections_as_spatialdata(bundles: Sequence[Bundle], tables: Path) -> Any:
    """Return the sections of a run as SpatialData: coarse planes, compartments, cells' centroids and their table.

    Coordinates are µm, a coordinate system a section; the centre of the first full-resolution pixel is 0.

    Raises
    ------
    MissingExtraError
        If spatialdata is not installed.
    """
    spatialdata = need("spatialdata")
    models, transforms = import_module("spatialdata.models"), import_module("spatialdata.transformations")
    images, labels, points = {}, {}, {}
    for bundle in bundles:
        name = str(bundle.attributes["section"]["section_id"])
        place = {name: _to_um(transforms, bundle)}
        roles = list(bundle.attributes["roles"])
        planes = np.stack([bundle.planes[role] for role in roles])
        images[f"{name}_planes"] = models.Image2DModel.parse(
            planes, dims=("c", "y", "x"), c_coords=roles, transformations=place
        )
        labels[f"{name}_compartments"] = models.Labels2DModel.parse(
            np.asarray(bundle.label("compartments")[:]).astype(np.int32), dims=("y", "x"), transformations=place
        )
        if "cells" in bundle.attributes["tables"] and len(cells := bundle.table("cells")):
            frame = cells.rename(columns={"x_um": "x", "y_um": "y"})
            points[f"{name}_cells"] = models.PointsModel.parse(
                frame, coordinates={"x": "x", "y": "y"}, transformations={name: transforms.Identity()}
            )
    table = {"cells": models.TableModel.parse(cells_as_anndata(tables))} if points else {}
    return spatialdata.SpatialData(images=images, labels=labels, points=points, tables=table)


def _to_um(transforms: Any, bundle: Bundle) -> Any:
    record = grid_of(bundle)
    scale = transforms.Scale([record.pixel_um] * 2, axes=("y", "x"))
    # its pixels reach from 0 to 1: their centres lie half a pixel in
    shift = [first - record.pixel_um / 2 for first in record.first_um]
    return transforms.Sequence([scale, transforms.Translation(shift, axes=("y", "x"))])
