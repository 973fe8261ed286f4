"""The synthetic sections that the pictures of the metrics show, each analysed once, and how to look at them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.phantom import PhantomSpec, make_phantom
from thymusimg.phantom.section import as_section
from thymusimg.pipeline import SectionResult, analyse_section, control_evidence, prepare_section
from thymusimg.report.overlays import COMPARTMENT_COLOURS
from thymusimg.settings import Settings

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.section.model import Section

mpl.use("Agg")

PIXEL_UM = 0.5
BASE = PhantomSpec(
    area_mm2=0.25, lobules=1, septa=0, vessels=0, islets=4, medulla_fraction=0.28, indeterminate_fraction=0.03,
    order=0.95, boundary_fuzz_um=8.0, double_positive=0.08, cyst_fraction=0.0, patchiness=0.1, clustered=0.0,
    cd45_cortex_per_mm2=3000.0, cd45_medulla_per_mm2=1200.0,
)  # fmt: skip
BLUE, ORANGE = np.array((0.16, 0.6, 1.0)), np.array((1.0, 0.5, 0.05))
"""K8 and K14: a pair that is told apart with every common colour blindness, and gives grey where both are."""
INK = "#1a1a1a"


def _section(seed: int, changes: dict[str, Any], *, control: bool = False) -> Section:
    spec = PhantomSpec.model_validate({**BASE.model_dump(), **changes})
    section = as_section(make_phantom(spec, seed, pixel_size_um=PIXEL_UM))
    return replace(section, subject=replace(section.subject, batch="B1", negative_control=control))


@cache
def _control() -> ControlEvidence:
    none = {"cd45_cortex_per_mm2": 0.0, "cd45_medulla_per_mm2": 0.0}
    return control_evidence(prepare_section(_section(1, none, control=True), Settings()))


@cache
def _scene(seed: int, changes: tuple[tuple[str, Any], ...]) -> SectionResult:
    return analyse_section(_section(seed, dict(changes)), controls=[_control()])


def scene(seed: int = 5, **changes: Any) -> SectionResult:
    """Draw and analyse a lobe of a quarter of a square millimetre, with a negative control of its batch."""
    return _scene(seed, tuple(sorted(changes.items())))


def number(result: SectionResult, column: str) -> float:
    """Return one measured number."""
    return float(result.measurements[column])  # type: ignore[arg-type]


def curve(result: SectionResult, name: str) -> pd.DataFrame:
    """Return one curve of the section, by x."""
    rows = result.measured.curves
    return rows[rows["curve"] == name].sort_values("x")


def box(result: SectionResult) -> tuple[slice, slice]:
    """Return the rows and columns of the coarse grid that hold the tissue."""
    rows, cols = np.nonzero(result.compartments.tissue)
    return slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1)


def bare(ax: Axes) -> None:
    """Take the axes off a picture."""
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)


def show(ax: Axes, picture: npt.NDArray[Any], result: SectionResult, um: float = 100.0) -> None:
    """Show a picture of the coarse grid, cut to the tissue, with a bar of ``um``."""
    rows, cols = box(result)
    cut = picture[rows, cols]
    ax.imshow(cut, interpolation="nearest")
    bar(ax, cut.shape[:2], result.compartments.grid.pixel_um, um)
    bare(ax)


def bar(ax: Axes, shape: tuple[int, ...], pixel_um: float, um: float) -> None:
    """Draw a scale bar under a picture."""
    y = shape[0] * 1.05
    ax.plot([0, um / pixel_um], [y, y], color=INK, lw=2, clip_on=False, solid_capstyle="butt")
    ax.text(um / pixel_um * 1.15, y, f"{um:g} µm", va="center", ha="left", fontsize=7, color=INK, clip_on=False)
    ax.set_xlim(-0.5, shape[1] - 0.5)
    ax.set_ylim(shape[0] - 0.5, -0.5)


def compartments(result: SectionResult) -> npt.NDArray[np.float64]:
    """Return the compartments in the report's colours on white."""
    labels = result.compartments.labels
    picture = np.ones((*labels.shape, 3))
    for compartment, colour in COMPARTMENT_COLOURS.items():
        picture[labels == compartment] = np.array(colour) / 255
    return picture


def stains(k8: npt.NDArray[Any], k14: npt.NDArray[Any], tops: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Return K8 blue and K14 orange on black."""
    one, other = (np.clip(p / top, 0, 1)[..., None] for p, top in zip((k8, k14), tops, strict=True))
    picture: npt.NDArray[np.float64] = np.clip(one * BLUE + other * ORANGE, 0, 1)
    return picture


def tops(result: SectionResult) -> tuple[float, float]:
    """Return white of K8 and K14 on the coarse grid."""
    inside = result.compartments.mask(Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE)
    k8, k14 = (float(np.percentile(result.prepared.planes[role][inside], 99)) for role in ("k8", "k14"))
    return k8, k14


def coarse_stains(result: SectionResult) -> npt.NDArray[np.float64]:
    """Return both keratins of the whole section."""
    planes = result.prepared.planes
    return stains(planes["k8"], planes["k14"], tops(result))


def junction(ax: Axes, result: SectionResult, colour: str = INK) -> None:
    """Draw the corticomedullary junction on a picture of :func:`show`."""
    rows, cols = box(result)
    for line in result.compartments.junction_um:
        y, x = (line / result.compartments.grid.pixel_um).T
        ax.plot(x - cols.start, y - rows.start, color=colour, lw=1.2)


def dots(ax: Axes, result: SectionResult, size: float = 1.2) -> None:
    """Draw the cells on a picture of :func:`show`."""
    if result.cells is None:
        return
    rows, cols = box(result)
    at = result.cells.table[["y_um", "x_um"]].to_numpy() / result.compartments.grid.pixel_um
    ax.scatter(at[:, 1] - cols.start, at[:, 0] - rows.start, s=size, c="black", lw=0)
