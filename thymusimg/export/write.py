"""Write a run's results in another program's format."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from thymusimg.batch.folder import RunFolder, writing
from thymusimg.errors import CallError, OutputError, UnreadableError
from thymusimg.export.objects import cells_as_anndata, sections_as_spatialdata
from thymusimg.export.qupath import write_geojson
from thymusimg.export.tidy import tidy_table
from thymusimg.section.store import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = ("geojson", "csv", "anndata", "spatialdata")


def export_run(folder: Path, to: str, out: Path | None = None, *, cells: bool = True) -> Iterator[Path]:
    """Write a run's results, and yield every path as it is whole.

    Parameters
    ----------
    folder : Path
        Folder that a run left.
    to : str
        ``geojson`` (a file a section), ``csv`` (``tidy.csv`` and ``tidy.parquet``), ``anndata`` (``cells.h5ad``) or
        ``spatialdata`` (``sections.zarr``).
    out : Path, optional
        Folder to write to; by default ``folder/export``.
    cells : bool
        Whether GeoJSON outlines the cells too.

    Raises
    ------
    CallError
        If the format is unknown.
    UnreadableError
        If the folder is not one that a run left.
    MissingExtraError
        If a library is needed that is not installed.
    OutputError
        If the output cannot be written.
    """
    if to not in FORMATS:
        raise CallError(f"--to {to}: not a format to export to; choose one of {', '.join(FORMATS)}")
    run = RunFolder(folder)
    bundles = sorted(run.bundle("x").parent.glob("*.zarr"))
    if not bundles:
        raise UnreadableError(f"{folder}: no sections/ID.zarr in it; give a folder that 'thymusimg run' left")
    target = out or folder / "export"
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target}: cannot be made ({error.strerror or error}). Choose another --out") from None
    if to == "geojson":
        yield from _geojson(bundles, target, cells=cells)
    elif to == "csv":
        yield from _tidy(run, target)
    elif to == "anndata":
        content = cells_as_anndata(run.tables)
        with writing(target / "cells.h5ad") as partial:
            content.write_h5ad(partial)
        yield target / "cells.h5ad"
    else:
        yield _spatialdata(run, bundles, target / "sections.zarr")


def _geojson(bundles: list[Path], target: Path, *, cells: bool) -> Iterator[Path]:
    for path in bundles:
        file = target / f"{path.stem}.geojson"
        with writing(file) as partial:
            write_geojson(Bundle.open(path), partial, cells=cells)
        yield file


def _tidy(run: RunFolder, target: Path) -> Iterator[Path]:
    table = tidy_table(run.tables)
    with writing(target / "tidy.csv") as partial:
        table.to_csv(partial, index=False)
    yield target / "tidy.csv"
    with writing(target / "tidy.parquet") as partial:
        table.to_parquet(partial, index=False)
    yield target / "tidy.parquet"


def _spatialdata(run: RunFolder, bundles: list[Path], store: Path) -> Path:
    content = sections_as_spatialdata([Bundle.open(path) for path in bundles], run.tables)
    partial = store.with_name(f".{store.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        content.write(partial)
        shutil.rmtree(store, ignore_errors=True)
        partial.rename(store)
    except OSError as error:
        raise OutputError(f"{store}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return store
