"""The command that hands a run's results to other programs."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations at run time
from typing import Annotated, Optional

import typer


def export(
    folder: Annotated[Path, typer.Argument(help="Folder that a run left.")],
    to: Annotated[str, typer.Option("--to", help="geojson (QuPath), csv (tidy table), anndata or spatialdata.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045  typer reads the annotation at run time
        typer.Option("--out", help="Where to; by default the folder 'export' of the run."),
    ] = None,
    cells: Annotated[bool, typer.Option("--cells/--no-cells", help="Outline every cell too (geojson).")] = True,
) -> None:
    """Write a run's results for other programs: outlines for QuPath, one tidy table, AnnData, SpatialData."""
    from thymusimg.export.write import export_run

    for path in export_run(folder, to, out, cells=cells):
        typer.echo(f"Wrote {path}")
