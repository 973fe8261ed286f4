"""What the metrics of repopulation (P1-P12) measure, each low and high."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from metric_reorganisation import traced, two
from metric_scenes import PIXEL_UM, bar, bare, box, compartments, curve, dots, number, scene, show
from scipy.ndimage import distance_transform_edt

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.population.contact import measure_contact
from thymusimg.measurements.population.infiltration import Infiltration, classify_infiltration
from thymusimg.settings import MeasurementSettings
from thymusimg.study.stereology import Sampling, cavalieri_error, cavalieri_volume_mm3, organ_cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thymusimg.pipeline import SectionResult

LIMIT_PER_MM2 = 5.0
"""A limit of detection, as negative controls would set it."""
FEW = {"cd45_cortex_per_mm2": 500.0, "cd45_medulla_per_mm2": 200.0}
MANY = {"cd45_cortex_per_mm2": 9000.0, "cd45_medulla_per_mm2": 4000.0}
CLUSTERED = {"clustered": 0.9, "cd45_cortex_per_mm2": 1200.0, "cd45_medulla_per_mm2": 500.0}
RANDOM = {"clustered": 0.0, "patchiness": 0.0, "cd45_cortex_per_mm2": 900.0, "cd45_medulla_per_mm2": 900.0}
PATCHY = {"patchiness": 1.4, "patch_um": 120.0, "cd45_cortex_per_mm2": 1500.0, "cd45_medulla_per_mm2": 700.0}


def places(pair: tuple[SectionResult, SectionResult], words: Callable[[SectionResult], str]) -> Figure:
    """Draw cells on pale compartments."""
    figure, axes = two(*(words(r) for r in pair))
    for ax, result in zip(axes, pair, strict=True):
        show(ax, 0.45 + 0.55 * compartments(result), result)
        dots(ax, result)
    return figure


def window_of(result: SectionResult, side_um: float) -> tuple[slice, slice]:
    """Return the rows and columns of the slide in the middle of the tissue."""
    rows, cols = box(result)
    factor, half = result.compartments.grid.factor, round(side_um / 2 / PIXEL_UM)
    y, x = ((s.start + s.stop) // 2 * factor for s in (rows, cols))
    return slice(y - half, y + half), slice(x - half, x + half)


def cd45(ax: Axes, result: SectionResult, side_um: float, *, outlines: bool) -> None:
    """Show CD45 at full resolution, with what is positive or the cells' outlines on it."""
    part = window_of(result, side_um)
    plane = result.section.image.read(0, result.section.roles["cd45"], _window(part)).astype(float)
    ax.imshow(plane, cmap="gray", vmin=np.percentile(plane, 5), vmax=np.percentile(plane, 99.7))
    if outlines and result.cells is not None:
        painted = result.cells.masks.paint(_window(part))
        for cell in np.unique(painted[painted > 0]):
            ax.contour(painted == cell, levels=[0.5], colors="#ff9a1f", linewidths=0.8)
    bar(ax, plane.shape, PIXEL_UM, 20)
    bare(ax)


def _window(part: tuple[slice, slice]):  # type: ignore[no-untyped-def]
    from thymusimg.section.model import Window

    return Window(part[0].start, part[0].stop, part[1].start, part[1].stop)


def area() -> Figure:
    """P1: the share of the tissue above the gate, cells or not."""
    pair = scene(**FEW), scene(**MANY)
    figure, axes = two(*(f"CD45+ area {number(r, 'cd45_area_fraction'):.1%}" for r in pair))
    for ax, result in zip(axes, pair, strict=True):
        if result.cells is None:
            raise ValueError(result.cells_reason)
        shown = np.ones((*result.compartments.labels.shape, 3))
        shown[result.compartments.mask()] = 0.9
        positive = np.where(result.compartments.mask(), result.cells.positive_fraction, 0)[..., None]
        show(ax, shown * (1 - positive) + positive * np.array((0.83, 0.37, 0)), result)
    return figure


def density() -> Figure:
    """P2."""
    pair = scene(**FEW), scene(**MANY)
    return places(
        pair,
        lambda r: (
            f"{number(r, 'cd45_density_per_mm2'):,.0f} profiles per mm²\n"
            f"(Poisson {number(r, 'cd45_density_low_per_mm2'):,.0f}"
            f" to {number(r, 'cd45_density_high_per_mm2'):,.0f})"
        ),
    )


def ratio() -> Figure:
    """P3."""
    pair = (
        scene(cd45_cortex_per_mm2=500.0, cd45_medulla_per_mm2=4000.0),
        scene(cd45_cortex_per_mm2=4000.0, cd45_medulla_per_mm2=500.0),
    )
    return places(pair, lambda r: f"log ratio cortex / medulla {number(r, 'cd45_log_ratio_cortex_medulla'):+.1f}")


def profile() -> Figure:
    """P4: density by distance to the junction."""
    pair = (
        scene(cd45_cortex_per_mm2=500.0, cd45_medulla_per_mm2=4000.0),
        scene(cd45_cortex_per_mm2=4000.0, cd45_medulla_per_mm2=500.0),
    )
    figure, axes = two("cells in the medulla", "cells in the cortex")
    for ax, result in zip(axes, pair, strict=True):
        found = curve(result, "cd45_profile_cmj")
        ax.bar(found["x"], found["value"], width=20, color=np.where(found["x"] < 0, "#56b4e9", "#e69f00"))
        ax.axvline(0, color="black", lw=1)
        ax.set(xlabel="µm from the junction (cortex left)", ylabel="profiles per mm²", ylim=(0, 5500))
    return figure


def evenness() -> Figure:
    """P5."""
    pair = scene(**RANDOM), scene(**PATCHY)
    return places(
        pair,
        lambda r: (
            f"excess Gini {number(r, 'cd45_excess_gini'):.2f},\n"
            f"largest empty circle {number(r, 'cd45_largest_empty_circle_um'):.0f} µm"
        ),
    )


def ripley() -> Figure:
    """P6: L(r) − r with what chance gives."""
    pair = scene(**RANDOM), scene(**CLUSTERED)
    figure, axes = two(*(f"at 25 µm {number(r, 'cd45_l_excess_25um'):+.1f} µm beyond chance" for r in pair))
    for ax, result in zip(axes, pair, strict=True):
        found = curve(result, "cd45_l")
        ax.fill_between(found["x"], found["low"], found["high"], color="#d0d0d0", lw=0)
        ax.plot(found["x"], found["value"], color="#d55e00")
        ax.axhline(0, color="black", lw=0.6)
        ax.set(xlabel="distance r, µm", ylabel="L(r) − r, µm", ylim=(-6, 40))
    figure.supxlabel("grey: global envelope of cells redrawn within their compartments", fontsize=7)
    return figure


def nearest() -> Figure:
    """P7."""
    pair = scene(**CLUSTERED), scene(**RANDOM)
    return places(pair, lambda r: f"Clark-Evans {number(r, 'cd45_clark_evans'):.2f}")


def infiltration() -> Figure:
    """P8: where the cells got to."""
    pair = (
        scene(cd45_cortex_per_mm2=4000.0, cd45_medulla_per_mm2=0.0, islets=1),
        scene(cd45_cortex_per_mm2=4000.0, cd45_medulla_per_mm2=2500.0, islets=1),
    )
    return places(pair, _verdict)


def _verdict(result: SectionResult) -> str:
    cortex, medulla = (number(result, f"cd45_density_{where}_per_mm2") for where in ("cortex", "medulla"))
    tiles = number(result, "parenchyma_area_mm2") * 100  # of 100 µm
    found = Infiltration(
        number(result, "cd45_density_per_mm2"), LIMIT_PER_MM2, number(result, "cd45_peripheral_share"),
        number(result, "cd45_inner_density_per_mm2"),
        1 / (1 + math.exp(-number(result, "cd45_log_ratio_cortex_medulla"))),
        (number(result, "cd45_empty_tile_fraction") * tiles + 0.5) / (tiles + 1),
    )  # fmt: skip
    verdict = classify_infiltration(found, MeasurementSettings())
    return (
        f"{verdict.name} (× {verdict.margin:.1f} from '{verdict.other}')\n"
        f"cortex {cortex:,.0f}, medulla {medulla:,.0f} per mm²"
    )


def contact() -> Figure:
    """P9, with cells laid by hand: away from strands, and on them."""
    result = scene(mesh_cortex_um=30.0)
    window, inner = traced(result, Compartment.CORTEX)
    thin = window.skeleton[inner]
    far = distance_transform_edt(~thin) * PIXEL_UM
    rng, radius = np.random.default_rng(3), 3.0
    chance = float((far <= radius + 2).mean())
    figure, axes = plt.subplots(1, 2, figsize=(6.0, 2.9), layout="constrained")
    for ax, wanted in zip(axes, (far > radius + 1.5, far < radius), strict=True):
        at = _apart(np.argwhere(wanted), rng, 2 * radius / PIXEL_UM)
        distance = far[at[:, 0], at[:, 1]]
        found = measure_contact(distance, np.full(len(at), radius), np.full(len(at), chance))
        ax.set_title(f"{found.share:.0%} of cells touch, {found.ratio:.1f} of chance")
        ax.imshow(np.where(thin, 0.0, 1.0), cmap="gray")
        for y, x in at:
            ax.add_patch(plt.Circle((x, y), radius / PIXEL_UM, color="#d55e00", alpha=0.7, lw=0))
        bar(ax, thin.shape, PIXEL_UM, 20)
        bare(ax)
    figure.supxlabel("strands as traced; cells laid by hand", fontsize=7)
    return figure


def _apart(choice: np.ndarray, rng: np.random.Generator, least: float) -> np.ndarray:
    chosen: list[np.ndarray] = []
    for at in rng.permutation(choice):
        if len(chosen) == 30:
            break
        if all(math.hypot(*(at - other)) > least for other in chosen):
            chosen.append(at)
    return np.array(chosen)


def clumps() -> Figure:
    """P10: cells that lie alone, and cells that cannot be told apart."""
    pair = scene(**FEW), scene(cd45_cortex_per_mm2=14_000.0, cd45_medulla_per_mm2=9000.0)
    figure, axes = two(
        *(
            f"{number(r, 'cd45_count'):,.0f} outlined, {number(r, 'cd45_estimated_cells'):,.0f} estimated;\n"
            f"{number(r, 'cd45_clumped_share'):.0%} in clumps"
            for r in pair
        )
    )
    for ax, result in zip(axes, pair, strict=True):
        cd45(ax, result, 80.0, outlines=True)
    return figure


def free_epithelium() -> Figure:
    """P11."""
    pair = scene(**MANY), scene(cd45_cortex_per_mm2=300.0, cd45_medulla_per_mm2=100.0)
    return places(
        pair, lambda r: f"{number(r, 'cd45_free_epithelium_fraction'):.0%} of dense epithelium without cells"
    )


def organ() -> Figure:
    """P12: volume and cells from sections at equal steps; a made-up series."""
    spacing, thickness, height = 100.0, 7.0, 6.0
    sampling = Sampling(spacing, thickness, height, systematic=True)
    figure, axes = two("", "")
    for ax, areas in zip(axes, ((0.2, 0.5, 0.6, 0.5, 0.2), (0.6, 1.5, 2.1, 2.3, 2.0, 1.4, 0.6)), strict=True):
        profiles = 3000 * sum(areas)
        ax.bar(range(len(areas)), areas, color="#56b4e9", width=0.5)
        ax.set(xlabel=f"section, every {spacing:g} µm", ylabel="area, mm²", ylim=(0, 2.5))
        ax.set_title(
            f"{cavalieri_volume_mm3(areas, spacing):.2f} mm³ (CE {cavalieri_error(areas):.1%}),\n"
            f"{profiles:,.0f} profiles: {organ_cells(profiles, sampling):,.0f} cells"
        )
    figure.supxlabel("made-up series; 3,000 profiles per mm², sections of 7 µm, cells of 6 µm", fontsize=7)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "P1": area, "P2": density, "P3": ratio, "P4": profile, "P5": evenness, "P6": ripley, "P7": nearest,
    "P8": infiltration, "P9": contact, "P10": clumps, "P11": free_epithelium, "P12": organ,
}  # fmt: skip
