"""``python -m benchmarks.networks``: how fast cell networks are, beside the classical detector and a foreign giant.

Writes ``docs/benchmarks_networks.md``. What a machine lacks (a GPU, an optional library, the shipped model) is left
out aloud. A row that is written names the machine it was measured on.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.__main__ import machine
from benchmarks.measure import run
from benchmarks.slide import write_slide

if TYPE_CHECKING:
    from thymusimg.networks.engine import Network

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks_networks.md"
SIDES = (512, 1024, 1280, 2048)
Row = tuple[str, str, str, str]
"""What, seconds on the clock, seconds of processor, Mpx a second on the clock."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__)
    parser.add_argument("--model", default="network", help="network, a model's name or folder")
    parser.add_argument("--side", type=int, default=8192, help="side of the slide in px")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cellpose-side", type=int, default=256, help="side of the tile for Cellpose-SAM's class")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    parts = [("The network alone, CPU, single precision", _alone(options.model, "cpu"))]
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder) / "slide.ome.tif"
        write_slide(slide, options.side, pyramid=False)
        jobs = [("classical", "cpu"), (options.model, "cpu")]
        if _has_gpu():
            jobs.append((options.model, "cuda"))
        parts.append(
            (f"Whole job, {options.side}² px at 0.5 µm", _jobs(slide, options.side, jobs, options.threads))
        )
    parts.append(
        ("A foreign network on a tile: Cellpose-SAM's class, random weights", _cellpose(options.cellpose_side))
    )
    parts.append(("GPU", _gpu(options.model)))
    options.out.write_text(_page(parts, options), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))


def _network(model: str, device: str) -> Network:
    from thymusimg.models.find import find_model
    from thymusimg.networks.engine import load_network

    return load_network(find_model(model, "cells"), device)


def _alone(model: str, device: str) -> list[Row]:
    """Time the network on noise, one thread, in CPU seconds: other programs do not count."""
    from thymusimg.networks.engine import torch_threads

    network = _network(model, device)
    rows = []
    for side in SIDES:
        x = np.random.default_rng(0).normal(size=(1, 2, side, side)).astype(np.float32)
        with torch_threads(1):
            seconds = min(_seconds(lambda x=x: network(x)) for _ in range(4))
        rows.append((f"one thread, window of {side}² px", "", f"{seconds:.2f}", f"{side**2 / seconds * 1e-6:.1f}"))
    return rows


def _seconds(call: Any) -> float:
    begun = time.thread_time()
    call()
    return time.thread_time() - begun


def _jobs(slide: Path, side: int, jobs: list[tuple[str, str]], threads: int) -> list[Row]:
    rows = []
    for method, device in jobs:
        with tempfile.TemporaryDirectory() as folder:
            settings = Path(folder) / "settings.toml"
            settings.write_text(f"[compute]\nthreads = {threads}\n", encoding="utf-8")
            out = Path(folder) / "out"
            before = _children_seconds()
            cost = run(
                [sys.executable, "-m", "thymusimg", "section", str(slide), "--out", str(out), "--cells", method,
                 "--device", device, "--settings", str(settings)]
            )  # fmt: skip
            worked = _children_seconds() - before
            cells = _stage_seconds(out)
        rows += [
            _row(f"`thymusimg section --cells {Path(method).name} --device {device}`", side, cost.seconds, worked),
            _row(f"… of which the cells ({Path(method).name}, {device})", side, cells),
        ]
    return rows


def _row(what: str, side: int, seconds: float, worked: float | None = None) -> Row:
    return what, f"{seconds:.1f}", "" if worked is None else f"{worked:.1f}", f"{side**2 / seconds * 1e-6:.2f}"


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _stage_seconds(out: Path) -> float:
    times = json.loads((out / "run.json").read_text(encoding="utf-8"))["times_s"]
    return float(next(v for k, v in times.items() if isinstance(v, dict))["cells"])


def _cellpose(side: int) -> list[Row]:
    if find_spec("cellpose") is None:
        return _skip("cellpose is not installed (pip install 'thymusimg[cellpose]')")
    import torch

    from thymusimg.networks.cellpose_sam import libraries

    module = libraries().vit.CPSAM(dtype=torch.float32).eval()
    x = torch.zeros(1, 3, side, side)
    begun, before = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        module(x)
    seconds, worked = time.perf_counter() - begun, time.process_time() - before
    return [
        (f"one tile of {side}² px, all cores", f"{seconds:.1f}", f"{worked:.1f}", f"{side**2 / seconds * 1e-6:.4f}")
    ]


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _gpu(model: str) -> list[Row]:
    if not _has_gpu():
        return _skip("there is no GPU on this machine")
    import torch

    from thymusimg.models.find import find_model
    from thymusimg.networks.engine import Network, build, fused
    from thymusimg.networks.weights import fill, read_weights

    found = find_model(model, "cells")
    network = _network(model, "cuda")
    module = build(found)
    fill(module, read_weights(found.weights), found.weights)
    exact = Network(fused(module), "cuda:0", stride=network.stride, reach_px=network.reach_px, half=False)
    side = 2048
    x = np.random.default_rng(0).normal(size=(1, 2, side, side)).astype(np.float32)
    batch = network.batch_size((2, side, side))
    resident = torch.from_numpy(np.repeat(x, batch, 0)).cuda().contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
        network._module(resident)  # noqa: SLF001  the data stay on the device, which the public call does not offer
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(10):
            network._module(resident)  # noqa: SLF001
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - begun) / 10
    rows = [_timed(f"resident data, batch of {batch} × {side}² px, bfloat16", seconds, batch * side**2)]
    network(x)
    begun = time.perf_counter()
    network(np.repeat(x, batch, 0))
    rows.append(_timed("the same from and to memory", time.perf_counter() - begun, batch * side**2))
    gap = np.abs(network(x) - exact(x))
    words = f"bfloat16 against float32, outputs: median difference {np.median(gap):.2g}, largest {gap.max():.2g}"
    return [*rows, (words, "", "", "")]


def _timed(what: str, seconds: float, pixels: int) -> Row:
    return what, f"{seconds:.4f}", "", f"{pixels / seconds * 1e-6:.0f}"


def _skip(why: str) -> list[Row]:
    print(f"SKIPPED: {why}", flush=True)
    return [(f"not measured: {why}", "", "", "")]


def _page(parts: list[tuple[str, list[Row]]], options: argparse.Namespace) -> str:
    lines = [
        "# Benchmarks of the networks",
        "",
        f"Written by `python -m benchmarks.networks --side {options.side} --threads {options.threads}`.",
        "",
        f"Machine: {machine()}. Seconds move with what else the machine does; the network alone is timed in CPU "
        "seconds of its thread.",
        "",
        "The job is everything: start, imports, reading, compartments, cells, all measurements, bundle and report.",
        "Mpx are pixels of the slide (one channel). The slide is that of [the other benchmarks](benchmarks.md).",
    ]
    for title, rows in parts:
        lines += ["", f"## {title}", "", "| what | s | processor s | Mpx/s |", "|---|---:|---:|---:|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
