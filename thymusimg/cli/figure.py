"""The commands that draw figures for papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

if TYPE_CHECKING:
    from thymusimg.figures.request import Look
    from thymusimg.figures.save import Drawing

figure = typer.Typer(
    name="figure",
    help="Figures for papers from a finished run: exact size, scale bars, shared display limits, captions.",
    no_args_is_help=True,
    add_completion=False,
)

Run = Annotated[Path, typer.Argument(help="Folder that a run left.")]
Out = Annotated[
    Optional[Path],  # noqa: UP045  typer reads the annotation at run time
    typer.Option("--out", help="File (.svg, .pdf, .png, .tiff), or a name without; by default in RUN/figures."),
]
Formats = Annotated[
    str, typer.Option("--format", help="Comma-separated, where --out does not say: svg,pdf,png,tiff.")
]
Width = Annotated[str, typer.Option("--width", help="single (85 mm), middle (114), double (174), or mm.")]
Dpi = Annotated[int, typer.Option("--dpi", help="Pixels an inch at print size: 300, or 600.")]
Letters = Annotated[str, typer.Option("--letters", help="upper, lower or none.")]
Panels = Annotated[
    str,
    typer.Option("--panels", help="Comma-separated: merge, cd45, k14, k8, dapi (grey), outlines."),
]
Outline = Annotated[
    str, typer.Option("--outline", help="What the panel 'outlines' draws: compartments, junction, cells.")
]
Palette = Annotated[
    str, typer.Option("--palette", help="field (CD45 red, K14 blue, K8 green), or safe for colour-blind readers.")
]
Limits = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--limits", help="ROLE=BLACK,WHITE in background-subtracted grey levels; repeatable."),
]
Auto = Annotated[
    bool,
    typer.Option("--auto-contrast", help="Limits of its own for each section: brightness cannot be compared then."),
]
Bar = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--scale-bar", help="Length of the scale bar in µm; a round one without it."),
]


@figure.command("section")
def section(
    run: Run,
    section_id: Annotated[list[str], typer.Argument(help="Sections, a row each.")],
    panels: Panels = "",
    inset: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--inset",
            help="X,Y,SIZE in µm: centre and side of a square to magnify, as in cells.parquet; ID:X,Y,SIZE where "
            "several sections are shown. Repeatable.",
        ),
    ] = None,
    outline: Outline = "compartments,junction,cells",
    palette: Palette = "field",
    limits: Limits = None,
    auto_contrast: Auto = False,
    scale_bar: Bar = None,
    inset_bar: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--inset-bar", help="Length of the insets' scale bars in µm."),
    ] = None,
    width: Width = "double",
    dpi: Dpi = 300,
    letters: Letters = "upper",
    out: Out = None,
    formats: Formats = "pdf,png",
) -> None:
    """Draw sections: merge and single stains, outlines, scale bars, insets; one magnification, shared limits."""
    from thymusimg.figures.request import parse_inset
    from thymusimg.figures.sections import section_figure

    look = _look(
        panels, outline, palette, limits, width, letters,
        auto_contrast=auto_contrast, scale_bar_um=scale_bar, inset_bar_um=inset_bar, dpi=dpi,
    )  # fmt: skip
    name = f"section_{section_id[0]}" if len(section_id) == 1 else "sections"
    wanted = _formats(out, formats)
    drawing = section_figure(run, section_id, look, [parse_inset(text) for text in inset or ()])
    _write(drawing, run, name, out, wanted)


@figure.command("sections")
def sections(
    run: Run,
    groups: Annotated[bool, typer.Option("--groups", help="One section for every group (the default).")] = True,
    group: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--group", help="Only this group; repeatable, and in this order."),
    ] = None,
    by: Annotated[
        str,
        typer.Option("--by", help="Column in which a section is typical; the first primary endpoint without it."),
    ] = "",
    panels: Panels = "merge",
    outline: Outline = "compartments,junction,cells",
    palette: Palette = "field",
    limits: Limits = None,
    scale_bar: Bar = None,
    width: Width = "double",
    dpi: Dpi = 300,
    letters: Letters = "upper",
    out: Out = None,
    formats: Formats = "pdf,png",
) -> None:
    """Draw one section a group, chosen by a rule: the animal nearest its group's median, never the prettiest."""
    from thymusimg.figures.representative import representative_figure

    del groups  # there is one way to choose so far; the option says which
    look = _look(panels, outline, palette, limits, width, letters, scale_bar_um=scale_bar, dpi=dpi)
    wanted = _formats(out, formats)
    drawing = representative_figure(run, look, group or (), by)
    for one in drawing.record["representatives"]:
        typer.echo(f"{one['group']}: {one['section_id']} (animal {one['animal']})")
    _write(drawing, run, "representative", out, wanted)


@figure.command("groups")
def groups(
    run: Run,
    column: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help="Columns of animals.csv, a row each; the primary endpoints without any."),
    ] = None,
    width: Width = "single",
    dpi: Dpi = 600,
    letters: Letters = "upper",
    sentences: Annotated[
        bool, typer.Option("--sentences/--no-sentences", help="What may be said, below each row.")
    ] = True,
    out: Out = None,
    formats: Formats = "pdf,svg",
) -> None:
    """Draw groups: a dot an animal, its sections faint, and the differences with their intervals."""
    from thymusimg.figures.groups import group_figure
    from thymusimg.figures.request import parse_width

    wanted = _formats(out, formats)
    drawing = group_figure(
        run, column or (), width_mm=parse_width(width), dpi=dpi, letters=letters, sentences=sentences
    )
    _write(drawing, run, "groups", out, wanted)


def _look(
    panels: str, outline: str, palette: str, limits: list[str] | None, width: str, letters: str, **more: Any
) -> Look:
    from thymusimg.figures.request import Look, parse_limits, parse_width

    return Look(
        panels=_listed(panels),
        outlines=_listed(outline),
        palette=palette,
        limits=parse_limits(limits or ()),
        width_mm=parse_width(width),
        letters=letters,
        **more,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in text.split(",") if part.strip())


def _formats(out: Path | None, formats: str) -> tuple[str, ...]:
    """Refuse an unknown format before anything is drawn."""
    from thymusimg.figures.save import split_name

    return split_name(out or Path("figure"), _listed(formats))[1]


def _write(drawing: Drawing, run: Path, name: str, out: Path | None, formats: tuple[str, ...]) -> None:
    from thymusimg.figures.save import save

    for file in save(drawing, out or run / "figures" / name, formats):
        typer.echo(f"Wrote {file}")
    width, height = drawing.size_mm
    typer.echo(f"{width:.0f} × {height:.0f} mm at {drawing.dpi} dpi. The caption is the .txt file.")
