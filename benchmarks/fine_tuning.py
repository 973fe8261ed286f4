"""Five annotated sections of a style that no network was trained on: what fine-tuning gains, and that a kill costs nothing.

``python -m benchmarks.fine_tuning --out FOLDER [--from MODEL] [--epochs N] [--device cpu]`` draws the style (wide, thick
rings under a dim, noisy camera), runs ``thymusimg train cells`` on five sections of five animals, kills the same
training in its middle with SIGKILL and goes on with it, and prints F1 on four other animals of the style before and
after. It leaves with 1 if F1 does not rise, or the killed training ends with other weights.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from thymusimg.models.card import read_card
from thymusimg.models.find import InstalledModel, find_model
from thymusimg.phantom import CameraSpec, OpticsSpec, PhantomSpec, make_phantom, write_ome_tiff
from thymusimg.phantom.truth_bundle import write_truth
from thymusimg.train.finders import cell_finder
from thymusimg.train.folder import find_annotations
from thymusimg.train.judge import as_text, judge_cells, verdict
from thymusimg.train.reading import read_annotated_cells

STYLE = PhantomSpec(
    area_mm2=0.07, islets=2, medulla_fraction=0.3, indeterminate_fraction=0.05, capsule_um=5,
    cd45_cortex_per_mm2=5500, cd45_medulla_per_mm2=2500, mouse_per_mm2=500,
    cell_diameter_um=9.3, cell_diameter_sd_um=0.7, membrane_um=1.4, cd45_cv=0.3, cd45_strength=0.6,
    optics=OpticsSpec(psf_um=1.3, defocus_um=2.6, defocus_share=0.5),
    camera=CameraSpec(peak_electrons=45, read_noise_e=4),
)  # fmt: skip
"""Cells of 9.3 µm where networks were shown 5.6-7.6, membranes of 1.4 µm (0.25-0.95), blur of 1.3 µm (0.35-1.2)."""
TRAINED_ON, TESTED_ON = range(8801, 8806), range(8901, 8905)


def main() -> int:
    call = _arguments()
    out: Path = call.out
    shown, unseen = (_draw(out / name, seeds) for name, seeds in (("train", TRAINED_ON), ("test", TESTED_ON)))
    start = find_model(call.start, "cells")
    killed, whole = out / "killed", out / "whole"
    for model in (killed, whole):
        shutil.rmtree(model, ignore_errors=True)
    _train(shown, killed, call, kill=True)
    minutes = {"killed and resumed": _train(shown, killed, call), "unbroken": _train(shown, whole, call)}
    same = read_card(killed).sha256 == read_card(whole).sha256
    regions = read_annotated_cells(find_annotations(unseen, "cells"))
    after = InstalledModel(whole, read_card(whole))
    table = judge_cells(cell_finder(start, call.device), cell_finder(after, call.device), regions)
    table.to_csv(out / "fine_tuning.csv", index=False)
    old, new = verdict(table, "cells")
    print(f"\nFour animals that no training saw, '{start.card.name}' before, fine-tuned after:\n{as_text(table)}")
    print(f"\nMinutes: {', '.join(f'{name} {value:.1f}' for name, value in minutes.items())}.")
    print(f"Killed with SIGKILL and gone on with: {'the same weights' if same else 'OTHER WEIGHTS'}.")
    return 0 if same and new > old else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--from", dest="start", default="network")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def _draw(folder: Path, seeds: range) -> Path:
    """Draw one section an animal, with its truth, and the study table; what is there is kept."""
    rows = []
    (folder / "truth" / "sections").mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        name = f"s{seed}"
        slide, answer = folder / f"{name}.ome.tif", folder / "truth" / "sections" / f"{name}.zarr"
        if not answer.exists():
            phantom = make_phantom(STYLE, seed, pixel_size_um=0.5, size_mm=0.32)
            write_ome_tiff(phantom, slide)
            write_truth(phantom, answer, name)
        rows.append({"section_id": name, "path": slide.name, "animal": f"m{seed}", "group": "style"})
    pd.DataFrame(rows).to_csv(folder / "study.csv", index=False)
    return folder


def _train(folder: Path, model: Path, call: argparse.Namespace, *, kill: bool = False) -> float:
    """Run the command; with ``kill`` end it by force once its third epoch has begun."""
    command = [sys.executable, "-m", "thymusimg", "train", "cells", str(folder), "--out", str(model)]
    command += ["--from", call.start, "--epochs", str(call.epochs), "--batch", str(call.batch)]
    began = time.monotonic()
    with subprocess.Popen([*command, "--device", call.device], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            print(line, end="", flush=True)
            if kill and line.startswith("  epoch 2/"):
                time.sleep(1.0)
                os.kill(process.pid, signal.SIGKILL)
                print("  … killed", flush=True)
                break
    if not kill and process.returncode:
        raise SystemExit(process.returncode)
    return (time.monotonic() - began) / 60


if __name__ == "__main__":
    raise SystemExit(main())
