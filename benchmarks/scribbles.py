"""Strokes on two synthetic sections train a forest that divides a third: Dice against truth, before and after.

``python -m benchmarks.scribbles`` prints the figures. A hand is drawn by rule: round one is two strokes a compartment
in the middle of its largest patches; round two adds strokes where the forest was wrong on the two sections that
were scribbled on, as a person does who looks at the overlay. The third section is never painted on.

A correction round does not always help: what the drawn hand chooses to correct decides as much as the forest does.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thymusimg import open_section
from thymusimg.compartments.features import WITHOUT_PLACE
from thymusimg.compartments.looked import segment_looked
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.scribbles import Look, Scribbled, fit_from_sections, look_at
from thymusimg.compartments.shapes import components, depth_px, dilate
from thymusimg.phantom import make_phantom, write_ome_tiff
from thymusimg.phantom.presets import find_preset
from thymusimg.pipeline import prepare_section
from thymusimg.settings import Settings

if TYPE_CHECKING:
    from thymusimg.compartments.forest import Forest
    from thymusimg.compartments.model import Compartments
    from thymusimg.pipeline import Prepared
    from thymusimg.section.model import LabelPlane, Mask

SCORED = (Compartment.CORTEX, Compartment.MEDULLA)
PAINTED = (*SCORED, Compartment.OTHER)
WIDTH_UM, LENGTH_UM = 24.0, 120.0
MOST_MENDS = 6
"""Strokes of a correction round, on each section."""


@dataclass(frozen=True)
class Known:
    """A synthetic section that was looked at, and its true compartments on the coarse grid."""

    prepared: Prepared
    look: Look
    truth: LabelPlane
    name: str


def make_known(preset: str, seed: int, area_mm2: float, pixel_um: float, folder: Path) -> Known:
    """Draw a synthetic section and look at it."""
    spec = find_preset(preset).draw(seed).model_copy(update={"area_mm2": area_mm2})
    phantom = make_phantom(spec, seed, pixel_size_um=pixel_um)
    path = folder / f"{preset}_{seed}.ome.tif"
    write_ome_tiff(phantom, path)
    prepared = prepare_section(open_section(path), Settings())
    grid, truth = prepared.survey.grid, phantom.truth
    if truth.grid != grid:
        raise SystemExit(f"{path}: the truth lies on another grid than the section")
    seen = look_at(prepared.planes, prepared.tissue, grid, prepared.settings.compartments, WITHOUT_PLACE)
    if seen is None:
        raise SystemExit(f"{path}: nothing of it can be judged")
    labels = np.where(truth.artefact, np.uint8(Compartment.ARTEFACT), truth.labels)
    return Known(prepared, seen, labels, path.name)


def stroke(where: Mask, pixel_um: float) -> Mask:
    """Return a horizontal or vertical stroke through the deepest place of a region, clipped to the region."""
    out = np.zeros(where.shape, bool)
    depth = depth_px(np.pad(where, 1))[1:-1, 1:-1]
    row, col = np.unravel_index(int(np.argmax(depth)), where.shape)
    half = round(LENGTH_UM / 2 / pixel_um)
    across = where[row, max(0, col - half) : col + half].sum() >= where[max(0, row - half) : row + half, col].sum()
    if across:
        out[row, max(0, col - half) : col + half] = True
    else:
        out[max(0, row - half) : row + half, col] = True
    return np.asarray(dilate(out, WIDTH_UM / 2 / pixel_um) & where, bool)


def first_strokes(known: Known, strokes: int = 2) -> LabelPlane:
    """Return what a person paints first: in the largest patches of every compartment."""
    painted = np.zeros(known.truth.shape, np.uint8)
    pixel_um = known.prepared.survey.grid.pixel_um
    for code in PAINTED:
        left = (known.truth == code) & known.look.around.judged
        for _ in range(strokes):
            if not left.any():
                break
            number, area = components(left)
            mark = stroke(number == 1 + int(np.argmax(area[1:])), pixel_um)
            painted[mark] = code
            left &= ~dilate(mark, LENGTH_UM / pixel_um)
    return painted


def mended(known: Known, painted: LabelPlane, found: Compartments) -> LabelPlane:
    """Return the strokes with more of them on the widest patches that the forest got wrong.

    Slivers along a border are left alone: nobody sees them, and what lies there is neither.
    """
    out = painted.copy()
    pixel_um = known.prepared.survey.grid.pixel_um
    wrong = known.look.around.judged & np.isin(known.truth, PAINTED) & (found.labels != known.truth)
    for _ in range(MOST_MENDS):
        depth = depth_px(np.pad(wrong, 1))[1:-1, 1:-1]
        row, col = np.unravel_index(int(np.argmax(depth)), depth.shape)
        if depth[row, col] * pixel_um < WIDTH_UM / 2:
            break
        number, _ = components(wrong)
        patch, code = number == number[row, col], known.truth[row, col]
        out[stroke(patch & (known.truth == code), pixel_um)] = code
        wrong &= ~patch
    return out


def apply(known: Known, forest: Forest) -> Compartments:
    """Return what a forest makes of a section."""
    return segment_looked(known.look, forest, known.prepared.survey.grid, known.prepared.settings.compartments)


def dice(known: Known, found: Compartments) -> dict[str, float]:
    """Return the Dice of cortex and medulla against the truth."""
    scores = {}
    for code in SCORED:
        ours, true = found.labels == code, known.truth == code
        both = np.count_nonzero(ours) + np.count_nonzero(true)
        scores[code.name.lower()] = 2 * np.count_nonzero(ours & true) / both if both else float("nan")
    return scores


def two_rounds(learned: list[Known], third: Known) -> tuple[dict[str, float], dict[str, float], int, int]:
    """Return Dice on the third section before and after a correction round, and the painted pixels of each."""
    first = [first_strokes(known) for known in learned]
    forest = _fit(learned, first)
    before = dice(third, apply(third, forest))
    second = [mended(k, painted, apply(k, forest)) for k, painted in zip(learned, first, strict=True)]
    after = dice(third, apply(third, _fit(learned, second)))
    return before, after, *(sum(int(np.count_nonzero(p)) for p in each) for each in (first, second))


def _fit(learned: list[Known], painted: list[LabelPlane]) -> Forest:
    return fit_from_sections([Scribbled(k.look, p, k.name) for k, p in zip(learned, painted, strict=True)])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--area", type=float, default=0.6, help="mm²")
    parser.add_argument("--pixel", type=float, default=1.3, help="µm")
    parser.add_argument("--presets", nargs="+", default=["progenitor_10wk", "cd34_10wk", "wild_type"])
    parser.add_argument("--seeds", nargs=3, type=int, default=[9101, 9102, 9103])
    arguments = parser.parse_args()
    print("preset: Dice on the third section, cortex / medulla; the keratin rule beside it")
    with tempfile.TemporaryDirectory() as folder:
        for preset in arguments.presets:
            known = [
                make_known(preset, seed, arguments.area, arguments.pixel, Path(folder)) for seed in arguments.seeds
            ]
            before, after, few, more = two_rounds(known[:2], known[2])
            rule = dice(known[2], known[2].prepared.compartments)
            rows = [f"{name} {s['cortex']:.3f} / {s['medulla']:.3f}" for name, s in
                    (("before", before), ("after", after), ("rule", rule))]  # fmt: skip
            print(f"{preset}: {', '.join(rows)}; {few} then {more} pixels painted")


if __name__ == "__main__":
    main()
