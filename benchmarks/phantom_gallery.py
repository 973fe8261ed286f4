"""``python -m benchmarks.phantom_gallery``: one picture a preset for ``docs/phantoms.md``.

Left a section of the preset, right a piece of it at full resolution: human CD45 red, Keratin 14 blue, Keratin 8
green, scale bars of 500 and 50 µm.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Picture

from thymusimg.compartments.model import Compartment
from thymusimg.phantom import PRESETS, Phantom, PhantomSpec, make_phantom

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIDE_PX = 300
PIECE_UM = 230.0
LARGEST_MM2 = 3.0
SHOWN = ("untreated_nsg", "cd34_10wk", "progenitor_10wk", "wild_type", "no_cells", "no_architecture")
"""``null`` and ``reversed`` are studies of sections like these."""


def middle(name: str) -> PhantomSpec:
    """Return the middle of a preset: every field at the centre of its range."""
    return PRESETS[name].draw(0, lambda _field: 0.0)


def composite(phantom: Phantom) -> np.ndarray:
    """Return the section in colour, (Y, X, 3) blue-green-red, every stain on the same scale in every picture."""
    camera = phantom.spec.camera
    top = 1.2 * camera.peak_electrons * camera.gain_dn_per_e
    # a membrane is thinner than the point spread and dimmer than a strand
    gains = {"k14": 1.0, "k8": 0.9, "cd45": 1.8}
    planes = [gain * (phantom.plane(role) - camera.offset_dn) / top for role, gain in gains.items()]
    return np.clip(np.stack(planes, -1), 0, 1).astype(np.float32)


def whole(colours: np.ndarray, pixel_um: float) -> np.ndarray:
    factor = SIDE_PX / max(colours.shape[:2])
    small = cv2.resize(colours, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    # the mean of a net over a screen pixel is dim
    frame = np.zeros((SIDE_PX, SIDE_PX, 3), np.float32)
    y, x = ((SIDE_PX - s) // 2 for s in small.shape[:2])
    frame[y : y + small.shape[0], x : x + small.shape[1]] = np.clip(2.0 * small, 0, 1)
    return with_bar(frame, 500, pixel_um / factor)


def piece(phantom: Phantom, colours: np.ndarray) -> np.ndarray:
    """Return the surroundings of the place on the border of the medulla that is nearest to the middle."""
    grid, labels = phantom.truth.grid, phantom.truth.labels
    medulla = (labels == Compartment.MEDULLA).astype(np.uint8)
    border = medulla - cv2.erode(medulla, np.ones((3, 3), np.uint8))
    places = np.argwhere(border if border.any() else labels == Compartment.INDETERMINATE)
    centre = places[np.argmin(np.hypot(*(places - np.array(grid.shape) / 2).T))] * grid.factor
    half = round(PIECE_UM / 2 / phantom.pixel_size_um)
    y, x = (int(np.clip(c, half, s - half)) for c, s in zip(centre, colours.shape[:2], strict=True))
    cut = colours[y - half : y + half, x - half : x + half]
    return with_bar(cv2.resize(cut, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), 50, PIECE_UM / SIDE_PX)


def with_bar(picture: np.ndarray, length_um: float, pixel_um: float) -> np.ndarray:
    picture = np.round(picture * 255).astype(np.uint8)
    long = round(length_um / pixel_um)
    picture[-14:-10, -12 - long : -12] = 255
    label = (picture.shape[1] - 12 - long, picture.shape[0] - 18)
    cv2.putText(
        picture, f"{length_um:g} um", label, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA
    )
    return picture


def draw(spec: PhantomSpec, seed: int, generator: str) -> np.ndarray:
    spec = spec.model_copy(update={"area_mm2": min(spec.area_mm2, LARGEST_MM2)})
    phantom = make_phantom(spec, seed, generator=generator)
    colours = composite(phantom)
    gap = np.full((SIDE_PX, 4, 3), 255, np.uint8)
    return np.hstack([whole(colours, phantom.pixel_size_um), gap, piece(phantom, colours)])


def save(path: Path, picture: np.ndarray) -> None:
    # a palette of 96 colours: the noise of a camera does not compress
    Picture.fromarray(picture[..., ::-1].copy()).quantize(96, dither=Picture.Dither.NONE).save(path, optimize=True)
    print(path.name, f"{path.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phantom_gallery", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--generator", default="slab")
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    tail = "" if options.generator == "slab" else f"_{options.generator}"
    for name in SHOWN:
        picture = draw(middle(name), options.seed, options.generator)
        save(options.out / f"phantom_{name}{tail}.png", picture)
    hard = middle("progenitor_10wk").hard()
    hard = hard.model_copy(update={"optics": hard.optics.model_copy(update={"bubbles": 1})})
    save(options.out / f"phantom_hard{tail}.png", draw(hard, options.seed, options.generator))


if __name__ == "__main__":
    main()
