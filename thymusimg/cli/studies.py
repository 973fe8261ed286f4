"""What the commands that analyse do: read the call, hand it to the engine, say where the results lie."""

from __future__ import annotations

import json
import shlex
import sys
import time
from typing import TYPE_CHECKING

import typer

from thymusimg.batch.cluster import Placement
from thymusimg.batch.run import read_sections, rebuild_tables, run_section, run_study
from thymusimg.batch.stop import stopped_by_signals
from thymusimg.channels.open import name_section, open_section
from thymusimg.cli.console import Console
from thymusimg.errors import CallError, OutputError, SectionError
from thymusimg.section.model import ROLES, Subject
from thymusimg.settings import Settings
from thymusimg.study.design import SectionRow, load_study
from thymusimg.study.faults import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thymusimg.batch.run_json import RunRecord


def with_methods(settings: Settings, compartments: str | None, cells: str | None, device: str) -> Settings:
    """Return the settings with what the command line chose in their place.

    Raises
    ------
    SettingsError
        If there is no such method or device.
    """
    chosen = settings.model_dump(mode="python")
    if compartments:
        chosen["compartments"]["method"] = compartments
    if cells:
        chosen["cells"]["method"] = cells
    chosen["compute"]["device"] = device
    return Settings.from_mapping(chosen, where="the command line")


def parse_channels(options: Sequence[str]) -> dict[str, str | int]:
    """Turn ``ROLE=NAME_OR_INDEX`` options into a mapping.

    Raises
    ------
    CallError
        If an option is not of that form, or its role unknown or given twice.
    """
    channels: dict[str, str | int] = {}
    for option in options:
        role, equals, value = option.partition("=")
        role = role.strip().lower()
        if not equals or not value.strip() or role not in ROLES:
            raise CallError(
                f"--channel {option}: expected ROLE=NAME or ROLE=INDEX with a role of {', '.join(ROLES)}."
            )
        if role in channels:
            raise CallError(f"--channel {option}: the role {role} was given twice.")
        channels[role] = int(value) if value.strip().isdigit() else value.strip()
    return channels


def run_one(
    slide: Path,
    out: Path,
    settings: Settings,
    *,
    channels: Sequence[str],
    pixel_size_um: float | None,
    scene: str | None,
    projection: str | None,
    roi: Path | None,
    restart: bool,
    command: str,
) -> None:
    """Analyse one section and say where its results lie.

    Raises
    ------
    SectionError
        If the section cannot be analysed.
    """
    mapped = parse_channels(channels)
    Placement(1).check(settings.compute.device)
    # what is wrong with the call or the file is said before any folder is made
    section = open_section(
        slide, channels=mapped, pixel_size_um=pixel_size_um, scene=scene, projection=projection, roi=roi
    )
    section.image.close()
    row = SectionRow(
        Subject(name_section(str(slide), scene)), slide.resolve(), channels=mapped, scene=scene,
        projection=projection, roi=roi, pixel_size_um=section.pixel_size_um,
    )  # fmt: skip
    with Console(debug=_debug()) as console:
        for warning in section.warnings:
            console.say(f"Note: {warning}")
        record = run_section(row, settings, out, watcher=console, restart=restart, command=command)
    if record.failures:
        failure = record.failures[0]
        if failure.error == OutputError.__name__:
            raise OutputError(failure.message)
        where = "" if slide.name in failure.message else f"{slide}: "
        raise SectionError(where + failure.message)
    _say_result(out, record)


def run_table(
    table: Path,
    out: Path,
    *,
    placement: Placement,
    compartments: str | None,
    cells: str | None,
    device: str,
    restart: bool,
    command: str,
) -> int:
    """Run a study table and return the exit status; a SIGTERM or SIGHUP ends it as Ctrl-C does."""
    study = load_study(table)
    settings = with_methods(study.settings, compartments, cells, device)
    study = type(study)(settings, study.rows, study.folder, study.warnings, study.table)
    with stopped_by_signals(), Console(debug=_debug()) as console:
        for warning in study.warnings:
            console.say(f"Note: {warning}")
        record = run_study(study, out, watcher=console, placement=placement, restart=restart, command=command)
    _say_result(out, record)
    return 1 if record.failures else 0


def place(workers: int, scheduler: str, slurm: Path | None, *, dashboard: bool) -> Placement:
    """Say where the work is done, from the options of the command line.

    Raises
    ------
    SettingsError
        If the SLURM profile is wrong.
    """
    profile = None
    if slurm is not None:
        from thymusimg.batch.profile import SlurmProfile

        profile = SlurmProfile.from_toml(slurm)
    return Placement(workers, scheduler, profile, dashboard)


def print_slurm_template() -> None:
    """Print a SLURM profile to fill in."""
    from thymusimg.batch.profile import SlurmProfile

    typer.echo(SlurmProfile.template(), nl=False)


def run_demo(out: Path, workers: int, command: str) -> int:
    """Write the sample study, run it, and return the exit status."""
    from thymusimg.phantom.sample_study import write_sample_study

    began = time.monotonic()
    with Console(debug=_debug()) as console:
        console.say("thymusimg demo: synthetic sections with a known answer (they prove code, not biology).")
        console.say(f"1. Drawing the sample study into {out / 'sample_study'} (about half a minute) …")
        table = write_sample_study(out / "sample_study")
        study = load_study(table)
        animals = {row.subject.animal for row in study.analysed}
        console.say(
            f"2. Analysing {len(study.analysed)} sections of {len(animals)} animals in {len(study.groups)} groups "
            "(about a minute) …"
        )
        record = run_study(study, out, watcher=console, workers=workers, command=command)
    _say_result(out, record)
    typer.echo(f"Done in {time.monotonic() - began:.0f} s.")
    return 1 if record.failures else 0


def write_init(
    folder: Path, *, channels: Sequence[str] = (), subfolders: bool = True, semicolon: bool = False
) -> None:
    """Write ``study.toml`` and ``study.csv`` into a folder of slides; never over what is there.

    Raises
    ------
    CallError
        If either file is there already, or the folder holds no slides.
    """
    from thymusimg.study.template import init_study

    files = {name: folder / name for name in ("study.csv", "study.toml")}
    for file in files.values():
        if file.exists():
            raise CallError(f"{file} is there already; move it away first, or edit it.")
    template = init_study(folder, subfolders=subfolders, semicolon=semicolon, channels=parse_channels(channels))
    for line in template.said:
        typer.echo(line)
    texts = {"study.csv": (template.table, "utf-8-sig"), "study.toml": (template.toml, "utf-8")}
    for name, (text, encoding) in texts.items():
        try:
            files[name].write_text(text, encoding=encoding, newline="")
        except OSError as error:
            raise OutputError(f"{files[name]}: cannot be written ({error.strerror or error})") from None
    out = folder.resolve().parent / f"{folder.resolve().name}-results"
    typer.echo(f"1. {files['study.csv']}: fill in animal and group in every row, and every ?.")
    typer.echo(f"2. {files['study.toml']}: take the # off reference, and give it the group to compare with.")
    typer.echo(f"3. {shlex.join(['thymusimg', 'run', str(files['study.toml']), '--out', str(out)])}")


def compare_again(folder: Path, reference: str, primary: Sequence[str]) -> Settings:
    """Pool and compare again from the tables, with the run's own declarations unless others are given.

    Returns
    -------
    Settings
        Those of the run, with the declarations that were used.

    Raises
    ------
    UnreadableError
        If the folder is not one that a run left.
    CallError
        If a primary endpoint is no column that can be compared.
    """
    from thymusimg.measurements.columns import columns
    from thymusimg.report.html import write_report

    read_sections(folder)
    recorded = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]
    if reference:
        recorded["study"]["reference"] = reference
    if primary:
        known = [c.name for c in columns("sections") if c.pool is not None]
        for name in primary:
            if name not in known:
                hint = nearest(name, known) or "; see tables/dictionary.csv for the columns"
                raise CallError(f"--primary {name}: no column of sections.csv that can be compared{hint}")
        recorded["study"]["primary"] = list(primary)
    settings = Settings.from_mapping(recorded, where="run.json")
    rebuild_tables(folder, settings)
    typer.echo(f"Comparisons: {folder / 'tables' / 'comparisons.csv'}")
    typer.echo(f"Report: {write_report(folder)}")
    return settings


def vary_thresholds(folder: Path, settings: Settings, vary: Sequence[str], *, product: bool, workers: int) -> None:
    """Measure a run's sections again under other thresholds, and say how often the conclusion held.

    Raises
    ------
    CallError
        If an option is not of its form, or no primary endpoint is declared.
    UnreadableError
        If the run's intermediates are gone.
    """
    from thymusimg.batch.sensitivity import run_sensitivity
    from thymusimg.batch.variants import parse_variants
    from thymusimg.study.robustness import summary_lines

    if product and not vary:
        raise CallError("--grid: name the settings to combine with --vary SETTING=VALUE,VALUE")
    variants = parse_variants(vary, product=product)
    with Console(debug=_debug()) as console:
        table = run_sensitivity(
            folder, settings, read_sections(folder), variants=variants, workers=workers, listener=console
        )
    for line in summary_lines(table):
        typer.echo(line)
    typer.echo(f"Sensitivity: {folder / 'tables' / 'sensitivity.csv'}")


def _say_result(out: Path, record: RunRecord) -> None:
    failed = len(record.failures)
    done = len(record.outcomes) - failed
    typer.echo(f"{done} section{'s' * (done != 1)} measured" + (f", {failed} failed" if failed else "") + ".")
    if failed:
        typer.echo(f"Which and why: {out / 'tables' / 'failures.csv'}")
    typer.echo(f"Report: {out / 'report.html'}")
    typer.echo(f"Tables: {out / 'tables'}")


def _debug() -> bool:
    return "--debug" in sys.argv
