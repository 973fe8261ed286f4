"""From sections to an organ: only where the sampling is declared to be systematic (P12).

Profiles on sections are no cells of an organ. They become one only with the distance of the sections, their
thickness and the height of the cells; without these declared, everything here is undefined, with the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.study.summarise import kept_sections

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.settings import StudySettings

MIN_SECTIONS = 3
"""The variance of systematic sections is estimated from sections one and two steps apart."""
SMOOTHNESS = {0: 12, 1: 240}
TOTALS = ("tissue_volume_mm3", "tissue_volume_ce", "cd45_cells_per_organ")
ORGAN_NAMES = ("animal", "n_sections", *TOTALS, "reason")


@dataclass(frozen=True)
class Sampling:
    """How sections were taken from the organ; None: not declared.

    Attributes
    ----------
    spacing_um : float or None
        From one measured section to the next.
    thickness_um : float or None
        Of a section, after cutting.
    cell_height_um : float or None
        Mean height of the counted cells across the section.
    systematic : bool
        Whether the sections run at this spacing through the whole organ, from a random start.
    """

    spacing_um: float | None = None
    thickness_um: float | None = None
    cell_height_um: float | None = None
    systematic: bool = False

    @classmethod
    def declared(cls, study: StudySettings) -> Sampling:
        """Return what a study's settings declare."""
        return cls(
            study.section_spacing_um, study.section_thickness_um, study.cell_height_um, study.systematic_sections
        )


def cavalieri_volume_mm3(areas_mm2: npt.ArrayLike, spacing_um: float) -> float:
    """Return the volume of an organ from the areas of its systematic sections: T Σ a (Cavalieri; P12).

    Examples
    --------
    >>> cavalieri_volume_mm3([1.0, 2.0, 1.0], 500.0)
    2.0
    """
    return float(np.asarray(areas_mm2, np.float64).sum() * spacing_um * 1e-3)


def cavalieri_error(areas: npt.ArrayLike, *, smoothness: int = 1) -> float:
    """Return the coefficient of error of a Cavalieri volume (Gundersen & Jensen 1987; Gundersen et al. 1999).

    With A = Σ aᵢ², B = Σ aᵢ aᵢ₊₁ and C = Σ aᵢ aᵢ₊₂, CE = √[(3A − 4B + C) / α] / Σ a, where α = 240 for sections
    whose area changes smoothly along the organ (``smoothness`` 1) and 12 else. The areas themselves are taken as
    exact: pixels are counted, not points.

    Parameters
    ----------
    areas : (N,) array
        In the order of the sections through the organ, those without tissue between others too.

    Returns
    -------
    float
        NaN with fewer than three sections or no area.

    Examples
    --------
    >>> round(cavalieri_error([1.0, 3.0, 4.0, 3.0, 1.0]), 4)  # √(5/240) / 12
    0.012
    """
    a = np.asarray(areas, np.float64)
    if a.size < MIN_SECTIONS or not a.sum() > 0:
        return math.nan
    variance = (3 * (a**2).sum() - 4 * (a[1:] * a[:-1]).sum() + (a[2:] * a[:-2]).sum()) / SMOOTHNESS[smoothness]
    return float(math.sqrt(max(variance, 0.0)) / a.sum())


def organ_cells(profiles: float, sampling: Sampling) -> float:
    """Return an organ's cells from profiles on its systematic sections: Σn T / (t + H) (Abercrombie 1946).

    Sections of thickness t every T hold t / T of the organ; a cell of height H shows a profile on every section
    that it reaches into, (t + H) / t times as many as there are cells. Profiles of cut caps that are not seen make
    this too low.

    Examples
    --------
    >>> organ_cells(120, Sampling(100.0, 10.0, 6.0, systematic=True))  # 120 · 100 / 16
    750.0
    """
    spacing, thickness, height = sampling.spacing_um, sampling.thickness_um, sampling.cell_height_um
    if spacing is None or thickness is None or height is None:
        return math.nan
    return profiles * spacing / (thickness + height)


def organ_totals(sections: pd.DataFrame, sampling: Sampling) -> pd.DataFrame:
    """Return the volume and the cells of every animal's organ (P12), or why they are undefined.

    Parameters
    ----------
    sections : DataFrame
        Rows of ``sections.csv``: ``animal, level`` (a number: the place of the section), ``tissue_area_mm2,
        cd45_count``; the sections of an animal are all those of its organ (both lobes).
    sampling : Sampling

    Returns
    -------
    DataFrame
        One row an animal in order of appearance: ``animal, n_sections, tissue_volume_mm3, tissue_volume_ce,
        cd45_cells_per_organ, reason``.
    """
    rows = [_organ(str(animal), part, sampling) for animal, part in sections.groupby("animal", sort=False)]
    return pd.DataFrame(rows, columns=list(ORGAN_NAMES))


def with_organ_totals(animals: pd.DataFrame, sections: pd.DataFrame, study: StudySettings) -> pd.DataFrame:
    """Add the volume and cells of every animal's organ to ``animals.csv``, with reasons where undefined (P12).

    Parameters
    ----------
    animals : DataFrame
        One row an animal.
    sections : DataFrame
        Rows of ``sections.csv``; those marked ``exclude`` are left out.
    study : StudySettings
        What is declared of the sampling.
    """
    totals = organ_totals(kept_sections(sections), Sampling.declared(study)).set_index("animal")
    placed = totals.reindex(animals["animal"])
    added: dict[str, object] = {}
    for name in TOTALS:
        values = placed[name].to_numpy(np.float64)
        added[name] = values
        added[f"{name}_reason"] = np.where(np.isnan(values), placed["reason"].fillna("").to_numpy(str), "")
    return pd.concat([animals, pd.DataFrame(added, index=animals.index)], axis=1)


def _organ(animal: str, part: pd.DataFrame, sampling: Sampling) -> dict[str, object]:
    row: dict[str, object] = {"animal": animal, "n_sections": len(part), "reason": _refusal(part, sampling)}
    values = dict.fromkeys(TOTALS, math.nan)
    if not row["reason"] and sampling.spacing_um is not None:
        # sections of both lobes at one level are one step through the organ
        by_level = part.assign(level=pd.to_numeric(part["level"])).groupby("level", sort=True)
        areas = by_level["tissue_area_mm2"].sum().to_numpy(np.float64)
        values["tissue_volume_mm3"] = cavalieri_volume_mm3(areas, sampling.spacing_um)
        values["tissue_volume_ce"] = cavalieri_error(areas)
        values["cd45_cells_per_organ"] = organ_cells(float(part["cd45_count"].astype(float).sum()), sampling)
        if math.isnan(values["cd45_cells_per_organ"]):
            row["reason"] = "the cells per organ need the sections' thickness and the cells' height, or a count"
    return row | values


def _refusal(part: pd.DataFrame, sampling: Sampling) -> str:
    if not sampling.systematic:
        return "the sections are not declared to be systematic through the whole organ"
    if sampling.spacing_um is None:
        return "the spacing of the sections is not declared"
    levels = pd.to_numeric(part["level"], errors="coerce").to_numpy(np.float64)
    if np.isnan(levels).any():
        return "column 'level' of the study table must give the place of every section as a number"
    steps = np.diff(np.unique(levels))
    if len(steps) < MIN_SECTIONS - 1:
        return f"{len(steps) + 1} levels; at least {MIN_SECTIONS} are needed"
    if np.ptp(steps) > 1e-6 * steps.max():
        return "the levels are not equally spaced"
    if part["tissue_area_mm2"].isna().any():
        return "the tissue area of a section is undefined"
    return ""
