"""What the metrics of reorganisation (R1-R16) measure, each low and high."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from metric_scenes import (
    PIXEL_UM,
    bar,
    bare,
    coarse_stains,
    compartments,
    curve,
    junction,
    number,
    scene,
    show,
    tops,
)
from scipy.ndimage import gaussian_filter

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.network.mesh import mesh_width_px
from thymusimg.measurements.network.plane import scale_keratin
from thymusimg.measurements.network.trace import Tracer
from thymusimg.measurements.stains.anisotropy import measure_anisotropy
from thymusimg.measurements.stains.blobs import find_blobs
from thymusimg.measurements.stains.coexpression import measure_coexpression, otsu
from thymusimg.section.model import Window
from thymusimg.settings.study import Anchor, OrganisationReference
from thymusimg.study.organisation_index import COLUMNS, with_organisation_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thymusimg.pipeline import SectionResult

MIXED = {"order": 0.1, "boundary_fuzz_um": 35.0, "double_positive": 0.45}


def two(low: str, high: str) -> tuple[Figure, tuple[Axes, Axes]]:
    """Return a figure of two panels with these titles."""
    figure, axes = plt.subplots(1, 2, figsize=(6.0, 2.9), layout="constrained")
    axes[0].set_title(low)
    axes[1].set_title(high)
    return figure, (axes[0], axes[1])


def maps(
    pair: tuple[SectionResult, SectionResult], words: Callable[[SectionResult], str], *, line: bool = False
) -> Figure:
    """Draw the compartments of two sections, with the junction if asked."""
    figure, axes = two(*(words(r) for r in pair))
    for ax, result in zip(axes, pair, strict=True):
        show(ax, compartments(result), result)
        if line:
            junction(ax, result)
    return figure


def fractions() -> Figure:
    """R1."""
    pair = scene(medulla_fraction=0.12), scene(medulla_fraction=0.45)
    return maps(pair, lambda r: f"medulla fraction {number(r, 'medulla_fraction'):.2f}")


def islets() -> Figure:
    """R2."""
    pair = scene(islets=1), scene(medulla_fraction=0.12)
    return maps(
        pair,
        lambda r: (
            f"effective number {number(r, 'islet_effective_number'):.1f},\n"
            f"largest islet {number(r, 'largest_islet_share'):.0%} of the medulla"
        ),
    )


def junction_length() -> Figure:
    """R3."""
    pair = scene(islets=1), scene(islets=10)
    return maps(pair, lambda r: f"{number(r, 'cmj_density_mm_per_mm2'):.1f} mm of junction per mm²", line=True)


def winding() -> Figure:
    """R4."""
    pair = scene(islets=1, order=1.0), scene(islets=10, boundary_fuzz_um=30.0)
    return maps(
        pair,
        lambda r: (
            f"tortuosity {number(r, 'cmj_tortuosity'):.2f},\n"
            f"islets' P²/4πA {number(r, 'islet_isoperimetric_ratio'):.1f}"
        ),
        line=True,
    )


def sharpness() -> Figure:
    """R5: K14 along the normal, and the width between 10 and 90 %."""
    pair = scene(boundary_fuzz_um=5.0), scene(boundary_fuzz_um=40.0)
    figure, axes = two(*(f"10-90 % width {number(r, 'cmj_width_um'):.0f} µm" for r in pair))
    for ax, result in zip(axes, pair, strict=True):
        found = curve(result, "k14_profile_cmj")
        half = number(result, "cmj_width_um") / 2
        ax.axvspan(-half, half, color="#e0e0e0", lw=0)
        ax.plot(found["x"], found["value"], color="#d55e00", marker="o", ms=3)
        ax.axvline(0, color="black", lw=0.8)
        ax.set(xlim=(-110, 110), xlabel="µm from the junction (cortex left, medulla right)", ylabel="K14")
        ax.set_yticks([])
    return figure


def coexpression() -> Figure:
    """R6: where both keratins are positive."""
    pair = scene(), scene(**MIXED)
    figure, axes = two(*(f"double-positive {number(r, 'double_positive_fraction'):.0%} of keratin" for r in pair))
    for ax, result in zip(axes, pair, strict=True):
        planes, inside = result.prepared.planes, result.compartments.mask()
        pixel = result.compartments.grid.pixel_um
        found = measure_coexpression(planes["k8"], planes["k14"], inside, result.compartments.tissue, pixel)
        k8 = inside & (gaussian_filter(planes["k8"], 2 / pixel) > found.k8_threshold)
        k14 = inside & (gaussian_filter(planes["k14"], 2 / pixel) > found.k14_threshold)
        picture = np.ones((*inside.shape, 3))
        picture[inside] = 0.93
        for where, colour in ((k8, (0.34, 0.71, 0.91)), (k14, (1.0, 0.67, 0.08)), (k8 & k14, (0, 0, 0))):
            picture[where] = colour
        show(ax, picture, result)
    figure.supxlabel("blue: K8; orange: K14; black: both", fontsize=7)
    return figure


def segregation() -> Figure:
    """R7: the share of K14 in tiles of 50 µm."""
    pair = scene(**MIXED), scene()
    figure, axes = two(*(f"segregation index {number(r, 'segregation_index_50um'):.2f}" for r in pair))
    for ax, result in zip(axes, pair, strict=True):
        planes, inside = result.prepared.planes, result.compartments.mask()
        k8, k14 = (np.maximum(planes[role], 0) / top for role, top in zip(("k8", "k14"), tops(result), strict=True))
        more = gaussian_filter(k14, 2.5) > gaussian_filter(k8, 2.5)
        side = round(50 / result.compartments.grid.pixel_um)
        picture = np.full(inside.shape, np.nan)
        for y in range(0, inside.shape[0], side):
            for x in range(0, inside.shape[1], side):
                tile = slice(y, y + side), slice(x, x + side)
                if inside[tile].mean() >= 0.5:
                    picture[tile] = more[tile][inside[tile]].mean()
        show(ax, plt.get_cmap("cividis")(np.ma.masked_invalid(picture), bytes=False), result)
    figure.supxlabel("share of each 50 µm tile where K14 is above K8: dark 0, yellow 1", fontsize=7)
    return figure


def spots() -> Figure:
    """R8: bodies of K8 and of K14."""
    pair = scene(), scene(**MIXED)
    figure, axes = two(
        *(f"unlike neighbours within 50 µm: {number(r, 'keratin_cross_ratio_50um'):.2f} of chance" for r in pair)
    )
    for ax, result in zip(axes, pair, strict=True):
        grid, inside = result.compartments.grid.pixel_um, result.compartments.mask()
        show(ax, 1 - 0.06 * np.repeat(inside[..., None], 3, 2), result)
        rows, cols = np.nonzero(result.compartments.tissue)
        for role, colour, mark in (("k8", "#0072b2", "o"), ("k14", "#d55e00", "^")):
            plane = result.prepared.planes[role]
            at = find_blobs(plane, inside, otsu(plane[inside]), grid)
            ax.scatter(at[:, 1] - cols.min(), at[:, 0] - rows.min(), s=5, c=colour, marker=mark, lw=0)
    figure.supxlabel("circles: spots of K8; triangles: spots of K14", fontsize=7)
    return figure


def traced(result: SectionResult, compartment: Compartment, side_um: float = 90.0) -> tuple[Any, Any]:
    """Return a window of the keratin network in a compartment, and the window."""
    prepared = result.prepared
    inside = result.compartments.mask()
    keratins = {role: prepared.planes[role] for role in ("k8", "k14")}
    scale = scale_keratin(keratins, inside, result.compartments.grid.pixel_um)
    if scale is None:
        raise ValueError("no keratin on the section")
    tracer = Tracer(result.section, prepared.correction, result.compartments.labels, scale)
    where = result.compartments.labels == compartment
    # the place that lies deepest in the compartment
    deep = gaussian_filter(where.astype(float), side_um / 4 / result.compartments.grid.pixel_um)
    y, x = (int(v) * result.compartments.grid.factor for v in np.unravel_index(deep.argmax(), deep.shape))
    half = round(side_um / 2 / PIXEL_UM)
    halo = tracer.halo_px
    window = Window(
        max(0, y - half - halo),
        min(tracer.shape[0], y + half + halo),
        max(0, x - half - halo),
        min(tracer.shape[1], x + half + halo),
    )
    inner = slice(y - half - window.y0, y + half - window.y0), slice(x - half - window.x0, x + half - window.x0)
    return tracer.trace(window), inner


def network() -> Figure:
    """R9: the middle lines of the strands."""
    pair = scene(mesh_cortex_um=16.0), scene(mesh_cortex_um=7.0)
    figure, axes = two(
        *(f"cortex: {number(r, 'network_density_cortex_mm_per_mm2'):.0f} mm of strands per mm²" for r in pair)
    )
    for ax, result in zip(axes, pair, strict=True):
        window, inner = traced(result, Compartment.CORTEX)
        plane = window.keratin[inner]
        ax.imshow(plane, cmap="gray", vmin=0, vmax=np.percentile(plane, 99.5))
        y, x = np.nonzero(window.skeleton[inner])
        ax.scatter(x, y, s=0.8, c="#ff9a1f", lw=0)
        bar(ax, plane.shape, PIXEL_UM, 20)
        bare(ax)
    return figure


def meshes() -> Figure:
    """R10: the widest disc that holds a place and no keratin."""
    pair = scene(mesh_cortex_um=7.0), scene(mesh_cortex_um=16.0)
    figure, axes = two(*(f"cortex: median mesh {number(r, 'mesh_d50_cortex_um'):.1f} µm" for r in pair))
    for ax, result in zip(axes, pair, strict=True):
        window, inner = traced(result, Compartment.CORTEX)
        width = (
            mesh_width_px(~window.positive & ~window.skeleton & (window.labels > 0), 48 / PIXEL_UM)[inner]
            * PIXEL_UM
        )
        shown = ax.imshow(width, cmap="viridis", vmin=0, vmax=20)
        bar(ax, width.shape, PIXEL_UM, 20)
        bare(ax)
    figure.colorbar(shown, ax=axes, shrink=0.7, label="width of the mesh, µm")
    return figure


def direction() -> Figure:
    """R11, on drawn textures: a lobe has no preferred direction in the generator."""
    rng, pixel = np.random.default_rng(1), 2.0
    grain = gaussian_filter(rng.standard_normal((200, 200)), 3.0)
    y, x = np.mgrid[:200, :200] * pixel
    stripes = np.sin(2 * math.pi * (x * math.cos(0.4) + y * math.sin(0.4)) / 40.0)
    planes = [
        (1 + 0.4 * p / p.std()).clip(0.05).astype(np.float32) for p in (grain, stripes + 0.3 * grain / grain.std())
    ]
    found = [measure_anisotropy(p, np.ones(p.shape, bool), pixel).coherence for p in planes]
    figure, axes = two(*(f"anisotropy {v:.2f}" for v in found))
    for ax, plane in zip(axes, planes, strict=True):
        ax.imshow(plane, cmap="gray")
        bar(ax, plane.shape, pixel, 100)
        bare(ax)
    figure.supxlabel("drawn textures", fontsize=7)
    return figure


def cortex() -> Figure:
    """R12: how thick the cortex is, and along how much of the capsule it lies."""
    pair = scene(7, medulla_fraction=0.72), scene(7, medulla_fraction=0.15)
    return maps(
        pair,
        lambda r: (
            f"cortex {number(r, 'cortical_thickness_um'):.0f} µm thick,\n"
            f"under {number(r, 'cortical_coverage'):.0%} of the capsule"
        ),
    )


def burden() -> Figure:
    """R13."""
    pair = scene(), scene(cyst_fraction=0.12, indeterminate_fraction=0.35, area_mm2=0.4)
    return maps(
        pair,
        lambda r: f"cysts {number(r, 'cyst_share'):.0%}, indeterminate {number(r, 'indeterminate_share'):.0%}",
    )


def topology() -> Figure:
    """R14: pieces less holes of the K14-dense part, level by level."""
    pair = scene(islets=1), scene(islets=14)
    figure, axes = plt.subplots(1, 3, figsize=(6.0, 2.4), layout="constrained")
    for ax, result, name in zip(axes, pair, ("one medulla", "many islets"), strict=False):
        show(ax, coarse_stains(result), result)
        ax.set_title(name)
    for result, colour, style, name in zip(pair, ("#0072b2", "#d55e00"), ("-", "--"), ("one", "many"), strict=True):
        found = curve(result, "k14_euler")
        axes[2].plot(found["x"], found["value"], style, color=colour, label=name)
    axes[2].axhline(0, color="black", lw=0.6)
    axes[2].set(xlabel="level of K14 density", ylabel="pieces − holes per mm²")
    axes[2].legend(frameon=False, fontsize=7)
    return figure


def index() -> Figure:
    """R15: five z-scores against outside references, averaged; made-up animals."""
    anchors = {
        "medulla_fraction": (0.28, 0.05),
        "sharpness": (math.log(25), 0.25),
        "segregation": (0.5, 0.08),
        "coverage": (0.95, 0.06),
        "burden": (0.03, 0.06),
    }
    reference = OrganisationReference(**{k: Anchor(wild_type=m, sd=s) for k, (m, s) in anchors.items()})
    made_up = {
        "animal": ["disordered", "nearly wild type"],
        "medulla_fraction": [0.42, 0.30],
        "cmj_width_um": [60.0, 28.0],
        "segregation_index_50um": [0.22, 0.46],
        "cortical_coverage": [0.6, 0.93],
        "cyst_share": [0.12, 0.01],
        "indeterminate_share": [0.2, 0.03],
    }
    animals = pd.DataFrame(made_up)
    scored = with_organisation_index(animals, reference)
    names = list(COLUMNS.values())
    figure, axes = two(
        *(f"{a}: index {v:.1f} SD" for a, v in zip(scored["animal"], scored["organisation_index"], strict=True))
    )
    for ax, (_, row) in zip(axes, scored.iterrows(), strict=True):
        ax.barh(range(5), [row[n] for n in names], color="#56b4e9")
        ax.axvline(0, color="black", lw=1)
        ax.axvline(row["organisation_index"], color="#d55e00", lw=1.5, ls="--")
        ax.set(xlim=(-8, 1), xlabel="SD from the wild type")
        ax.set_yticks(
            range(5),
            [n.removeprefix("organisation_z_").replace("_", " ") for n in names] if ax is axes[0] else [""] * 5,
        )
        ax.invert_yaxis()
    figure.supxlabel("made-up animals; dashed: the index, mean of the five", fontsize=7)
    return figure


def spectrum() -> Figure:
    """R16: at which size K14 varies."""
    pair = scene(**MIXED, islets=40), scene(islets=1)
    figure, axes = plt.subplots(1, 3, figsize=(6.0, 2.4), layout="constrained")
    for ax, result in zip(axes, pair, strict=False):
        show(ax, coarse_stains(result), result)
        ax.set_title(f"coarse share {number(result, 'k14_coarse_share'):.2f}")
    for result, colour, style, name in zip(
        pair, ("#d55e00", "#0072b2"), ("--", "-"), ("left", "middle"), strict=True
    ):
        found = curve(result, "k14_spectrum").dropna(subset=["value"])
        axes[2].plot(found["x"], found["value"], style, color=colour, label=name)
    axes[2].set(xscale="log", yscale="log", xlabel="wavelength, µm", ylabel="power of K14")
    axes[2].set_xticks([25, 50, 100, 200], ["25", "50", "100", "200"])
    axes[2].xaxis.set_minor_formatter("")
    axes[2].legend(frameon=False, fontsize=7)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "R1": fractions, "R2": islets, "R3": junction_length, "R4": winding, "R5": sharpness, "R6": coexpression,
    "R7": segregation, "R8": spots, "R9": network, "R10": meshes, "R11": direction, "R12": cortex, "R13": burden,
    "R14": topology, "R15": index, "R16": spectrum,
}  # fmt: skip
