"""``python -m benchmarks.patterns``: point patterns beside squidpy, astropy and pointpats; their bias and coverage.

Writes ``docs/benchmarks_patterns.md``. ``--squidpy PYTHON`` names an interpreter that has squidpy; ``--coverage N``
sets the number of null patterns (1,000 by default, 0 leaves them out).
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from scipy import ndimage, stats

from benchmarks.measure import run

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from thymusimg.measurements.pattern.window import Window

    Values = npt.NDArray[np.float64]

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks_patterns.md"
RECTANGLE_UM = 3000.0
SQUIDPY = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, anndata, squidpy
n, simulations = int(sys.argv[1]), int(sys.argv[2])
data = anndata.AnnData(np.zeros((n, 1), np.float32))
data.obsm["spatial"] = np.random.default_rng(0).uniform(0, 3000, (n, 2))
data.obs["kind"] = "cell"
data.obs["kind"] = data.obs["kind"].astype("category")
start, cpu = time.perf_counter(), time.process_time()
squidpy.gr.ripley(data, "kind", mode="L", n_simulations=simulations, n_observations=n, max_dist=100.0, n_steps=40)
print("seconds", time.perf_counter() - start, time.process_time() - cpu)
"""


# --- windows and points


def lobe(side: int = 2048, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A lobe of 9 mm² on a grid of 2 µm: cortex 1, medulla 2, with holes and an irregular outline."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - side / 2
    field = ndimage.gaussian_filter(rng.normal(size=(side, side)), side / 34)
    field /= field.std()
    outline = side * (0.44 + 0.03 * np.sin(3 * np.arctan2(y, x)))
    inside = (np.hypot(y / 0.92, x) < outline) & (field < 2)
    return np.where(inside, np.where(field > 0.5, 2, 1), 0).astype(np.uint8)


def cells_in(labels: npt.NDArray[np.uint8], n: int, seed: int = 1) -> Values:
    """Cells in µm, twice as dense in the medulla as in the cortex."""
    rng = np.random.default_rng(seed)
    pixels = np.argwhere(labels > 0)
    weight = labels[labels > 0].astype(np.float64)
    chosen = pixels[rng.choice(len(pixels), n, p=weight / weight.sum())]
    return (chosen + rng.uniform(-0.5, 0.5, (n, 2))) * 2.0


# --- contests: each in a process of its own, which prints the seconds of its second call (compiled, data in memory)


def ours_pattern(n: int, reach: float, simulations: int) -> Callable[[], object]:
    from thymusimg.measurements.pattern.cells import PatternChoice, measure_pattern
    from thymusimg.measurements.pattern.window import Window

    labels = lobe()
    cells = cells_in(labels, n)
    choice = PatternChoice(reach_um=reach, simulations=simulations)
    return lambda: measure_pattern(cells, Window.of(labels, 2.0), choice, threads=2)


def ours_cross(n: int, reach: float, simulations: int) -> Callable[[], object]:
    from thymusimg.measurements.pattern.cross import measure_cross_pattern
    from thymusimg.measurements.pattern.window import Window

    labels = lobe()
    cells = cells_in(labels, n)
    radii = np.arange(5, reach + 1, 5.0)
    return lambda: measure_cross_pattern(
        cells[::2], cells[1::2], Window.of(labels, 2.0), radii, simulations=simulations, threads=2
    )


def ours_l(n: int, reach: float, simulations: int) -> Callable[[], object]:
    """L, g and Clark-Evans in a rectangle."""
    from thymusimg.measurements.pattern.cells import PatternChoice, measure_pattern
    from thymusimg.measurements.pattern.window import Window

    window, points = Window.of(np.ones((1500, 1500), np.uint8), 2.0), rectangle(n)
    choice = PatternChoice(reach_um=reach, simulations=simulations)
    return lambda: measure_pattern(points, window, choice, threads=2)


def ours_k(n: int, reach: float, _: int) -> Callable[[], object]:
    from thymusimg.measurements.pattern.functions import ripley_k_um2
    from thymusimg.measurements.pattern.window import Window

    window, points = Window.of(np.ones((1500, 1500), np.uint8), 2.0), rectangle(n)
    return lambda: ripley_k_um2(points, window, np.arange(2.5, reach + 1, 2.5))


def astropy_k(n: int, reach: float, _: int) -> Callable[[], object]:
    from astropy.stats import RipleysKEstimator

    points, low, high = rectangle(n), -1.0, RECTANGLE_UM - 1
    estimator = RipleysKEstimator(area=RECTANGLE_UM**2, x_max=high, y_max=high, x_min=low, y_min=low)
    return lambda: estimator.evaluate(points, np.arange(2.5, reach + 1, 2.5), mode="translation")


def pointpats_k(n: int, reach: float, _: int) -> Callable[[], object]:
    import pointpats

    points = rectangle(n)
    return lambda: pointpats.k(points, support=(2.5, reach, round(reach / 2.5)))


def rectangle(n: int) -> Values:
    return np.random.default_rng(0).uniform(-1, RECTANGLE_UM - 1, (n, 2))


CONTESTS = {f.__name__: f for f in (ours_pattern, ours_cross, ours_l, ours_k, astropy_k, pointpats_k)}


def contest(name: str, n: int, reach: float, simulations: int) -> None:
    call = CONTESTS[name](n, reach, simulations)
    if name.startswith("ours"):
        CONTESTS[name](200, 60.0, 19)()  # compile
    start, cpu = time.perf_counter(), time.process_time()
    call()
    print("seconds", time.perf_counter() - start, time.process_time() - cpu)


def timed(command: list[str]) -> tuple[float, float, float]:
    """Return seconds, seconds of CPU and peak GB."""
    cost = run(command)
    line = next(text for text in cost.output.splitlines() if text.startswith("seconds"))
    wall, cpu = (float(word) for word in line.split()[1:])
    return wall, cpu, cost.peak_gb


def row(label: str, command: list[str]) -> str:
    seconds, cpu, peak = timed(command)
    line = f"| {label} | {seconds:.2f} | {cpu:.2f} | {peak:.2f} |"
    print(line, flush=True)
    return line


def own(name: str, n: int, reach: float, simulations: int = 0) -> list[str]:
    return [sys.executable, "-m", "benchmarks.patterns", "--one", name, str(n), str(reach), str(simulations)]


# --- bias and coverage


def bias(simulations: int = 200, n: int = 2000) -> str:
    """Return the table of the mean K over random points in a small irregular lobe, over πr²."""
    from thymusimg.measurements.pattern.covariance import set_covariance
    from thymusimg.measurements.pattern.functions import sum_pairs
    from thymusimg.measurements.pattern.nulls import simulate
    from thymusimg.measurements.pattern.pairs import cell_side, sort_points
    from thymusimg.measurements.pattern.window import Window

    window, radii = Window.of(lobe(400, 3), 2.0), np.array([5, 10, 20, 40, 60, 80, 100.0])
    covariance, side = set_covariance(window.mask, 2.0, 100), cell_side(50)
    draw = window.sampler()
    k = np.array(
        simulate(lambda r: sum_pairs(sort_points(draw(n, r), side), covariance, 100).k_um2(radii), simulations, 7)
    )
    ratio, error = k.mean(axis=0) / (math.pi * radii**2), k.std(axis=0) / math.sqrt(simulations)
    lines = ["| r (µm) | mean K / πr² | standard error |", "|---:|---:|---:|"]
    lines += [
        f"| {r:g} | {q:.4f} | {e / (math.pi * r * r):.4f} |" for r, q, e in zip(radii, ratio, error, strict=True)
    ]
    return "\n".join(lines)


def coverage(runs: int) -> str:
    """Return the table of how often random patterns are called otherwise, at 5 %."""
    from thymusimg.measurements.pattern.window import Window

    window = Window.of(lobe(300, 3), 2.0)
    lines = [
        "| null | cells | simulations | patterns | p ≤ 0.05 | 95 % interval |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for by_part, n, simulations in ((True, 200, 199), (False, 200, 199), (True, 30, 39)):
        hits = _rejections(window, by_part, n, simulations, runs)
        low, high = stats.binomtest(hits, runs).proportion_ci(method="exact")
        name = "compartment-wise" if by_part else "uniform"
        lines.append(f"| {name} | {n} | {simulations} | {runs} | {hits / runs:.3f} | {low:.3f}-{high:.3f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def _rejections(window: Window, by_part: bool, n: int, simulations: int, runs: int) -> int:
    from thymusimg.measurements.pattern.cells import PatternChoice, measure_pattern

    samplers = [window.sampler(1), window.sampler(2)] if by_part else [window.sampler()]
    share = [n * 2 // 3, n // 3] if by_part else [n]

    def one(number: int) -> bool:
        rng = np.random.default_rng([number, n])
        placed = np.concatenate([draw(k, rng) for draw, k in zip(samplers, share, strict=True)])
        choice = PatternChoice(simulations=simulations, seed=number, by_part=by_part)
        return measure_pattern(window.to_image_um(placed), window, choice).l_null.p <= 0.05

    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(one, range(runs)))


# --- the page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.patterns", description=__doc__)
    parser.add_argument("--one", nargs=4, metavar=("NAME", "N", "REACH", "SIMULATIONS"), help=argparse.SUPPRESS)
    parser.add_argument("--squidpy", help="a Python interpreter with squidpy")
    parser.add_argument("--coverage", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    if options.one:
        name, n, reach, simulations = options.one
        contest(name, int(n), float(reach), int(simulations))
        return
    text = page(options.squidpy, options.coverage)
    options.out.write_text(text, encoding="utf-8")
    print(text)


def page(squidpy: str | None, runs: int) -> str:
    head = "| what | seconds | of CPU | peak GB |\n|---|---:|---:|---:|"
    load = os.getloadavg()[0]
    big = [
        row("L, g, Clark-Evans and their envelopes, reach 100 µm (as on every section)", own("ours_pattern", 50_000, 100, 199)),
        row("the same, reach 200 µm", own("ours_pattern", 50_000, 200, 199)),
        row("cross-K of 25,000 and 25,000 with dealt labels, reach 100 µm", own("ours_cross", 50_000, 100, 199)),
        row("the same, reach 200 µm", own("ours_cross", 50_000, 200, 199)),
        row("5,000 cells: L, g, Clark-Evans, reach 100 µm", own("ours_pattern", 5_000, 100, 199)),
    ]  # fmt: skip
    peers = []
    for n in (1000, 5000):
        peers += [
            row(f"{n:,} points: K with translation correction, thymusimg", own("ours_k", n, 100)),
            row(f"{n:,} points: the same, astropy", own("astropy_k", n, 100)),
            row(f"{n:,} points: K without correction, pointpats", own("pointpats_k", n, 100)),
        ]
    peers.append(row("50,000 points: K with translation correction, thymusimg", own("ours_k", 50_000, 100)))
    for n in (2000, 5000):
        peers.append(row(f"{n:,} points: L, g, Clark-Evans, 10 simulations, thymusimg", own("ours_l", n, 100, 10)))
        if squidpy:
            command = [squidpy, "-c", SQUIDPY, str(n), "10"]
            peers.append(row(f"{n:,} points: L without correction, 10 simulations, squidpy", command))
    covered = f"\n\n{coverage(runs)}" if runs else " (left out of this run)"
    return f"""# Point patterns: speed, bias, coverage

Written by `python -m benchmarks.patterns`. {_machine()}; other programs ran beside (load {load:.1f} at the start), so
the seconds are upper bounds; the seconds of CPU, over all threads, say what a free machine needs. Each line is a process
of its own; the time is that of the call, after compilation.

## 50,000 cells in an irregular window

A lobe of 9 mm² with holes, cortex and medulla, on a grid of 2 µm (8192² pixels of 0.5 µm), 199 simulations, 2 threads.

{head}
{chr(10).join(big)}

The work grows with the number of pairs: with the square of the reach and of the density. Nothing is thinned or
approximated; above 200,000 cells (`pattern_max_cells`) a section's pattern is left undefined, with that reason.

## Beside other libraries

Random points in a square of 3 mm, distances up to 100 µm. astropy and pointpats hold all pairs in memory; squidpy's L has
no edge correction and its window is the convex hull{"" if squidpy else " (not installed for this run)"}.

{head}
{chr(10).join(peers)}

## Bias

Mean of K̂ over 200 patterns of 2,000 random points in an irregular lobe with holes (0.3 mm², pixels of 2 µm).

{bias()}

## Coverage

How often patterns drawn from the null itself are called unlike it: the error rate of the global envelope.{covered}
"""


def _machine() -> str:
    cpu = next(
        (
            x.split(":")[1].strip()
            for x in Path("/proc/cpuinfo").read_text().splitlines()
            if x.startswith("model name")
        ),
        platform.processor(),
    )
    version = subprocess.run(
        [sys.executable, "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    return f"Machine: {cpu}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB; {version}"


if __name__ == "__main__":
    main()
