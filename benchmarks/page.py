"""``docs/benchmarks.md`` and its plot, from the rows that were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rows import APART, FLOOR, FULL, LEAN, PEER, PLAIN_APART, STUDY

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.rows import Row, Rows

PLOT = "images/benchmarks_size.svg"
LOOK = {FLOOR: ("#000000", "o", ":"), FULL: ("#0072B2", "s", "-"), LEAN: ("#009E73", "^", "-"),
        PEER: ("#D55E00", "D", "--")}  # fmt: skip
"""Colours after Okabe and Ito; marks and lines differ too."""


def write_page(rows: Rows, docs: Path, machine: str) -> None:
    """Write the page and the plot."""
    sides = sorted({row.side for row in rows.rows.values() if row.side and row.what in LOOK})
    (docs / "images").mkdir(exist_ok=True)
    _plot(rows, sides, docs / PLOT)
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks`. Ratios, not seconds, are the claim.",
        "",
        f"Machine: {machine}.",
        "",
        "## Whole section: 4 × side² uint16, deflate OME-TIFF in, every table, bundle and report out",
        "",
        "Each row is a process of its own, start and imports included; the file is in the page cache. Median time,",
        "highest peak of resident memory. The slide is synthetic (four channels, tissue on most of it, cells of",
        "the preset `progenitor_10wk`). *flat*: no pyramid in the file; *pyramid*: three halved levels beside it.",
        "*lean*: `[measurements] network = false, pattern_simulations = 19`. *CPU s*: of both cores together, which other",
        "work on the machine changes little. *load*: of the machine, before the row.",
        "The plain pipeline is Otsu, distance watershed and `regionprops_table`: no statistics, no report, no bundle.",
        "",
        "| slide | side | what | s | × floor | CPU s | × floor, CPU | Mpx/s | peak GB | load |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|",
        *(_line(rows, row) for side in sides for kind in ("flat", "pyramid") for row in _of(rows, kind, side)),
        "",
        f"![Seconds of one section against the side of its slide, beside floor and peer]({PLOT})",
        "",
        "Aims: at most 5 × the floor, under 1.5 GB. These slides are all tissue, and memory grows with its area: 1.3 GB",
        "for the 17 mm² of 8,192², 3.6 GB for the 67 mm² of 16,384². Glass costs nothing: see",
        "[big slides](benchmarks_memory.md), where the tissue stays as large and the slide grows. The plain pipeline",
        "would need 16 GB at 16,384² and is left out there.",
        "",
        *_workers(rows),
        "## Start",
        "",
        "| what | s |",
        "|---|---:|",
        *(f"| `{row.what}` | {row.seconds:.2f} |" for row in rows.rows.values() if not row.side),
        "",
        "Aims: 0.3 s and 0.5 s.",
        "",
    ]
    (docs / "benchmarks.md").write_text("\n".join(lines), encoding="utf-8")


def _of(rows: Rows, kind: str, side: int) -> list[Row]:
    found = (rows.get(what, kind, side) for what in LOOK)
    return [row for row in found if row is not None]


def _line(rows: Rows, row: Row) -> str:
    floor = rows.get(FLOOR, row.kind, row.side)
    ratio = f"{row.seconds / floor.seconds:.1f}" if floor else "–"
    of_cpu = f"{row.cpu / floor.cpu:.1f}" if floor else "–"
    return (
        f"| {row.kind} | {row.side:,} | {row.what} | {row.seconds:.2f} | {ratio} | {row.cpu:.1f} | {of_cpu} | "
        f"{4e-6 * row.side**2 / row.seconds:.0f} | {row.peak_gb:.2f} | {row.load:.1f} |"
    )


def _workers(rows: Rows) -> list[str]:
    pairs = [_one_and_two(rows, what) for what in (STUDY, APART, PLAIN_APART)]
    measured = [pair for pair in pairs if pair is not None]
    if pairs[0] is None:
        return []
    one = pairs[0][0]
    return [
        f"## Two workers: a study of 8 equal sections of 4 × {one.side}²",
        "",
        "`thymusimg run` from start to report, one thread a worker. *A process each*: one section by one process, and",
        "two sections by two processes at the same time that know nothing of each other: what the machine itself gives.",
        "*Gain*: work a second by two, over that by one.",
        "",
        "| what | workers | s | CPU s | peak GB, all processes | load | gain |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(line for pair in measured for line in _pair_lines(*pair)),
        "",
        f"Two workers are {_gain(*pairs[0]):.2f} × as quick as one. Aim: 1.8.",
        "",
    ]


def _one_and_two(rows: Rows, what: str) -> tuple[Row, Row] | None:
    found = {row.workers: row for row in rows.rows.values() if row.what == what}
    return (found[1], found[2]) if {1, 2} <= found.keys() else None


def _pair_lines(one: Row, two: Row) -> list[str]:
    return [
        f"| {row.what} | {row.workers} | {row.seconds:.1f} | {row.cpu:.1f} | {row.peak_gb:.2f} | {row.load:.1f} | "
        + (f"{_gain(one, two):.2f} × |" if row is two else "|")
        for row in (one, two)
    ]


def _gain(one: Row, two: Row) -> float:
    """Return the work a second by two, over that by one: a study is the same work, processes apart do twice."""
    return (1 if one.what == STUDY else 2) * one.seconds / two.seconds


def _plot(rows: Rows, sides: list[int], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "thymusimg"
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for what, (colour, mark, line) in LOOK.items():
        for kind in ("flat", "pyramid"):
            found = [row for side in sides if (row := rows.get(what, kind, side)) is not None]
            if not found:
                continue
            axes.plot(
                [row.side for row in found], [row.seconds for row in found], line, color=colour, marker=mark,
                fillstyle="full" if kind == "flat" else "none", label=f"{what} ({kind})",
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="side of the slide, px (× 4 channels)", ylabel="seconds")
    axes.set_xticks(sides, [f"{side:,}" for side in sides])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6.5)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
