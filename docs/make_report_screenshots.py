"""The pictures of the reports and of the figures for papers in this documentation, all from synthetic sections.

``python docs/make_report_screenshots.py`` draws the sample study and a null study, analyses both, and takes the
first screen of each report in headless Chromium (``CHROMIUM`` names another), light, 1280 pixels wide. With
``--demo RUN`` and ``--null RUN`` finished runs are used: their reports are built again first.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from thymusimg.figures import Inset, Look, group_figure, representative_figure, save, section_figure

IMAGES = Path(__file__).resolve().parent / "images"
SIZE = (1280, 960)
LARGEST_BYTES = 250_000
NULL = """[study]
table = "study.csv"
synthetic = true
reference = "CD34"
primary = ["cd45_area_fraction", "segregation_index_50um", "cortical_coverage"]
"""
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--force-prefers-reduced-motion", "--virtual-time-budget=4000",
)  # fmt: skip


def thymusimg(*words: str | Path) -> None:
    """Run a command; its words go to the screen."""
    subprocess.run([sys.executable, "-m", "thymusimg", *map(str, words)], check=True)


def make_null(folder: Path) -> Path:
    """Analyse two groups of six animals that were drawn from one distribution."""
    thymusimg("phantom", "null", "--count", "24", "--pixel-size", "0.65", "--out", folder / "null_study")
    (folder / "null_study" / "study.toml").write_text(NULL, encoding="utf-8")
    thymusimg("run", folder / "null_study" / "study.toml", "--out", folder / "null")
    return folder / "null"


def first_screen(run: Path, out: Path) -> None:
    """Take the first screen of a run's report."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        raise SystemExit("no Chromium found; install it, or name it in CHROMIUM")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        command = [
            browser, *QUIET, f"--user-data-dir={folder}/profile", f"--window-size={SIZE[0]},{SIZE[1]}",
            f"--screenshot={shot}", (run / "report.html").resolve().as_uri(),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=180)
        with Image.open(shot) as picture:
            write_jpeg(picture.convert("RGB"), out)


def write_jpeg(picture: Image.Image, out: Path) -> None:
    """Write a picture with the best quality that stays below the limit."""
    for quality in (88, 80, 70, 60):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() < LARGEST_BYTES:
            break
    out.write_bytes(buffer.getvalue())
    print(f"{out}: {picture.width} × {picture.height} px, {buffer.tell() / 1000:.0f} kB")


def draw_figures(run: Path, folder: Path) -> None:
    """Draw the examples of ``figures.md``."""
    section = section_figure(
        run, ["CD34_m1_s1"], Look(panels=("merge", "cd45", "k14", "k8", "outlines")), [Inset(345.0, 538.0, 120.0)]
    )
    safe = representative_figure(run, Look(palette="safe", panels=("merge", "outlines")))
    groups = group_figure(run, ["cd45_area_fraction"], width_mm=114.0)
    for name, drawing in (("report_figure_section", section), ("report_figure_representative", safe)):
        (png, *_) = save(drawing, folder / name, ("png",))
        with Image.open(png) as picture:
            picture.thumbnail((1600, 1600))
            write_jpeg(picture.convert("RGB"), IMAGES / f"{name}.jpg")
    (png, *_) = save(groups, folder / "groups", ("png",))
    with Image.open(png) as picture:
        picture.thumbnail((1200, 1200))
        picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(
            IMAGES / "report_figure_groups.png", optimize=True
        )


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, help="Folder that 'thymusimg demo' left.")
    parser.add_argument("--null", type=Path, help="Folder that a run of the null study left.")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        demo, null = wanted.demo, wanted.null
        if demo is None:
            demo = folder / "demo"
            thymusimg("demo", "--out", demo)
        if null is None:
            null = make_null(folder)
        for run, name in ((demo, "report_sample"), (null, "report_null")):
            thymusimg("report", run)
            first_screen(run, IMAGES / f"{name}.jpg")
        draw_figures(demo, folder)


if __name__ == "__main__":
    main()
