"""``python docs/make_metric_pictures.py``: one small picture a metric for ``docs/metrics/``.

Every picture shows the same metric low and high, on synthetic sections that went through the whole analysis; the
numbers in the titles are what was measured. ``--only R5`` draws one of them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import metric_reorganisation
import metric_repopulation
from metric_scenes import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES = Path(__file__).parent / "metrics" / "images"
DPI = 110
COLOURS = 96
"""Of the palette: a camera's noise does not compress."""


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a small PNG with a palette."""
    figure.savefig(path, dpi=DPI, facecolor="white")
    plt.close(figure)
    with Image.open(path) as drawn:
        drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="An id of the catalogue, such as R5.")
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({"font.size": 8, "text.color": INK, "axes.labelcolor": INK, "axes.titlesize": 8})
    for name, draw in (metric_reorganisation.PICTURES | metric_repopulation.PICTURES).items():
        if options.only in ("", name):
            path = options.out / f"{name}.png"
            save(draw(), path)
            print(path.name, f"{path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
