"""The commands that say how right the numbers are: evaluate and validate."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from thymusimg.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.evaluate.section_scores import Maps


def evaluate(
    result: Annotated[Path, typer.Argument(help="Run folder, bundle (ID.zarr), label file or outlines.")],
    truth: Annotated[Path, typer.Argument(help="The same kinds; the truth, or the other annotator.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045  typer reads the annotation at run time
        typer.Option("--out", help="Folder for tables and a picture of every section."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    annotators: Annotated[
        bool, typer.Option("--annotators", help="Two annotators: neither is the truth; kappa, ICC(2,1), CCC.")
    ] = False,
    artefact: Annotated[
        str, typer.Option("--artefact", help="Artefact of the truth: leave-out, or score like any class.")
    ] = "leave-out",
    pixel_size: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--pixel-size", help="µm per pixel of label files and outlines that record none."),
    ] = None,
) -> None:
    """Compare a result with a truth, or two annotators: Dice, distances in µm, cells, agreement."""
    from thymusimg import evaluate as room

    if artefact not in ("leave-out", "score"):
        raise CallError(f"--artefact {artefact}: expected leave-out or score.")
    found = room.evaluate(
        result,
        truth,
        annotators=annotators,
        score_artefact=artefact == "score",
        pixel_size_um=pixel_size,
        picture=None if out is None else _painter(out, annotators),
    )
    typer.echo(room.as_json(found) if as_json else room.as_text(found))
    if out is not None:
        for path in room.write_evaluation(found, out):
            typer.echo(f"Written: {path}", err=True)


def validate(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for validation.md, its pictures and validation.csv.")
    ] = Path("thymusimg-validation"),
    full: Annotated[
        bool,
        typer.Option("--full", help="The whole protocol: half an hour on two free cores. Without: a few minutes."),
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: as many as suit.")] = 0,
    cache: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--cache", help="Folder that keeps every finished case; in --out if left out."),
    ] = None,
) -> None:
    """Run the validation protocol on synthetic sections; goes on where an earlier run stopped."""
    from thymusimg.batch.executor import default_workers
    from thymusimg.validate import validate as run

    many = workers or min(default_workers(1000), 8)
    command = "thymusimg validate" + (" --full" if full else "")
    path = run(out, full=full, workers=many, command=command, watch=_Watch(), cache=cache)
    typer.echo(f"Validation (synthetic sections prove code, not biology): {path}")


class _Watch:
    """Tells how far the validation is: now and then, not at every case."""

    def __init__(self) -> None:
        self._said = float("-inf")

    def __call__(self, done: int, total: int, name: str, seconds_to_go: float) -> None:
        now = time.monotonic()
        if math.isnan(seconds_to_go) or now - self._said > 5 or done == total:
            self._said = now
            left = "" if math.isnan(seconds_to_go) or done == total else f", about {_minutes(seconds_to_go)} to go"
            typer.echo(f"  {done}/{total} {name}{left}", err=True)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


def _painter(out: Path, annotators: bool) -> Callable[[str, Maps], None]:
    from thymusimg.evaluate.picture import draw_agreement

    names = ("annotator A", "annotator B") if annotators else ("result", "truth")

    def paint(section_id: str, maps: Maps) -> None:
        draw_agreement(maps, section_id, out / "pictures" / f"{section_id}.png", names=names)

    return paint
