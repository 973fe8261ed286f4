"""The commands, and how errors leave the program."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn, Optional

import typer
from typer.core import TyperGroup

from thymusimg._version import __version__
from thymusimg.cli import evaluation, export, figure, models, training
from thymusimg.errors import CancelledError, ThymusimgError


class _Commands(TyperGroup):
    """The commands, with one way out for errors."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ThymusimgError as error:
            if "--debug" in sys.argv:
                traceback.print_exception(error)
            else:
                typer.echo(f"thymusimg: {error}", err=True)
            sys.exit(130 if isinstance(error, CancelledError) else 2)
        except KeyboardInterrupt:
            typer.echo("Stopped. What was finished is kept; the same command goes on from there.", err=True)
            sys.exit(130)


app = typer.Typer(
    name="thymusimg",
    cls=_Commands,
    help="Measure the thymus: cortex, medulla and human CD45+ cells, from sections to groups.",
    epilog="Every command takes --debug, which shows a traceback when something goes wrong. "
    "Exit status: 0 all good, 1 some sections failed, 2 the call or the study table is wrong.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Out = Annotated[Path, typer.Option("--out", help="Folder for everything that comes out.")]
Channels = Annotated[
    Optional[list[str]],  # noqa: UP045  typer reads the annotation at run time
    typer.Option("--channel", help="ROLE=NAME or ROLE=INDEX (from 0); roles: cd45, k14, k8, dapi. Repeat it."),
]
PixelSize = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--pixel-size", help="µm per pixel, in place of what the file says."),
]
Scene = Annotated[Optional[str], typer.Option("--scene", help="Which scene of a file with several.")]  # noqa: UP045
Projection = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--projection", help="How to flatten a z-stack: max or mean."),
]
Compartments = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--compartments",
        help="Method for cortex and medulla: keratin, forest, network, or a model's name or folder.",
    ),
]
Cells = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--cells", help="Method for cells: classical, network, cellpose, none, or a model's name or folder."
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Restart = Annotated[bool, typer.Option("--restart", help="Measure again what is already there.")]
SettingsFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--settings", help="TOML file with settings, as the tables of study.toml."),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _slurm_template(wanted: bool) -> None:
    if wanted:
        from thymusimg.cli.studies import print_slurm_template

        print_slurm_template()
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Out = Path("thymusimg-demo"),
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: as many as suit.")] = 0,
) -> None:
    """Run the synthetic sample study, whole job, with a report at the end."""
    from thymusimg.cli.studies import run_demo

    raise typer.Exit(run_demo(out, workers, _command()))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of slides; both files are written into it.")],
    channel: Channels = None,
    subfolders: Annotated[
        bool, typer.Option("--subfolders/--no-subfolders", help="Whether slides in subfolders belong to the study.")
    ] = True,
    semicolon: Annotated[
        bool, typer.Option("--semicolon", help="Semicolons in the table, as a German or French spreadsheet wants.")
    ] = False,
) -> None:
    """Write a commented study.toml and a study table for a folder of slides, and say what is yours to fill in."""
    from thymusimg.cli.studies import write_init

    write_init(folder, channels=channel or [], subfolders=subfolders, semicolon=semicolon)


@app.command()
def inspect(
    slide: Annotated[Path, typer.Argument(help="Slide to look at.")],
    scene: Scene = None,
    projection: Projection = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a slide's size, levels, pixel size, channels, proposed roles and warnings."""
    from thymusimg.cli.inspect import inspect_slide

    typer.echo(inspect_slide(slide, scene=scene, projection=projection, as_json=as_json))


@app.command()
def section(
    slide: Annotated[Path, typer.Argument(help="Slide to analyse.")],
    out: Out,
    channel: Channels = None,
    pixel_size: PixelSize = None,
    scene: Scene = None,
    projection: Projection = None,
    roi: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--roi", help="GeoJSON outline of the section on a shared slide."),
    ] = None,
    compartments: Compartments = None,
    cells: Cells = None,
    settings: SettingsFile = None,
    device: Device = "auto",
    restart: Restart = False,
) -> None:
    """Analyse one section, without a study. Leaves the same layout as 'run'."""
    from thymusimg.cli.studies import run_one, with_methods
    from thymusimg.settings import Settings

    chosen = with_methods(
        Settings() if settings is None else Settings.from_toml(settings), compartments, cells, device
    )
    run_one(
        slide, out, chosen, channels=channel or [], pixel_size_um=pixel_size, scene=scene, projection=projection,
        roi=roi, restart=restart, command=_command(),
    )  # fmt: skip


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="Study table (CSV), or a study.toml that names one.")],
    out: Out,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: as many as suit.")] = 0,
    scheduler: Annotated[str, typer.Option(help="Address of a Dask scheduler (tcp://…) whose workers do it.")] = "",
    slurm: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--slurm", help="Profile (TOML): workers are SLURM jobs, submitted from here."),
    ] = None,
    slurm_template: Annotated[
        bool,
        typer.Option(
            "--slurm-template", callback=_slurm_template, is_eager=True, help="Print a profile to fill in."
        ),
    ] = False,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Serve Dask's dashboard; needs bokeh.")] = False,
    compartments: Compartments = None,
    cells: Cells = None,
    device: Device = "auto",
    restart: Restart = False,
) -> None:
    """Analyse a whole study; goes on where an earlier run stopped."""
    from thymusimg.cli.studies import place, run_table

    raise typer.Exit(
        run_table(
            study,
            out,
            placement=place(workers, scheduler, slurm, dashboard=dashboard),
            compartments=compartments,
            cells=cells,
            device=device,
            restart=restart,
            command=_command(),
        )
    )


@app.command()
def phantom(
    preset: Annotated[
        str, typer.Argument(help="Preset, e.g. untreated_nsg, cd34_10wk, progenitor_10wk, wild_type.")
    ],
    out: Out,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many sections.")] = 1,
    size_mm: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Side of a square slide in mm; without it the slide is the lobe's box."),
    ] = None,
    pixel_size: Annotated[float, typer.Option(help="µm per pixel.")] = 0.5,
    generator: Annotated[
        str, typer.Option(help="slab, or drawn: a second one on other principles, to test what was tuned on slab.")
    ] = "slab",
    icc: Annotated[float, typer.Option(help="Intraclass correlation of an animal's sections, 0-1.")] = 0.65,
) -> None:
    """Write synthetic sections with a known answer."""
    from thymusimg.phantom.study import write_phantoms

    table = write_phantoms(
        preset, out, seed, count, size_mm=size_mm, pixel_size_um=pixel_size, generator=generator, icc=icc
    )
    typer.echo(f"Synthetic sections (they prove code, not biology): {table}")


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder that a run left.")]) -> None:
    """Build the report again from a run's tables and pictures."""
    from thymusimg.batch.run import read_sections
    from thymusimg.report.html import write_report

    read_sections(folder)
    typer.echo(f"Report: {write_report(folder)}")


@app.command()
def compare(
    folder: Annotated[Path, typer.Argument(help="Folder that a run left.")],
    reference: Annotated[str, typer.Option(help="Group that the others are compared with.")] = "",
    primary: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A primary endpoint (a column of sections.csv); at most three."),
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Measure again under other thresholds: does the conclusion hold?")
    ] = False,
    vary: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="With --sensitivity: SETTING=VALUE,VALUE in place of every threshold; repeatable."),
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help="With --vary: every combination of the values.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: as many as suit.")] = 0,
) -> None:
    """Pool and compare again from a run's tables alone."""
    from thymusimg.cli.studies import compare_again, vary_thresholds

    settings = compare_again(folder, reference, primary or [])
    if sensitivity or vary or grid:
        vary_thresholds(folder, settings, vary or [], product=grid, workers=workers)


app.command()(evaluation.evaluate)
app.command()(evaluation.validate)
app.command()(export.export)
app.command()(models.models)
app.add_typer(training.train)
app.add_typer(figure.figure)


def _command() -> str:
    return shlex.join(["thymusimg", *sys.argv[1:]])


def main() -> NoReturn:
    """Run the command line and leave with its exit status."""
    app(args=[a for a in sys.argv[1:] if a != "--debug"], prog_name="thymusimg")
    sys.exit(0)
