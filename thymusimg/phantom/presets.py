"""Scenarios of a thymus, each a distribution of specs. They are scenarios, not results."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from thymusimg.errors import SettingsError
from thymusimg.phantom.spec import PhantomSpec, spec_from
from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Range = tuple[float, float]

_WHOLE = frozenset({"lobules", "septa", "islets", "vessels"})
_LOGARITHMIC = frozenset({"area_mm2", "cd45_cortex_per_mm2", "cd45_medulla_per_mm2"})
DENSITY_SD = 0.5
"""SD of the logarithm of a density (0.4-0.6 between animals in practice); cut to the preset's range."""


@dataclass(frozen=True)
class Preset:
    """A distribution of specs: a range a field, and fields that are the same in every section.

    ``study`` says which groups a study of this preset has, and from which preset each is drawn; most presets are
    one group of themselves.
    """

    name: str
    summary: str
    ranges: Mapping[str, Range]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    study: tuple[tuple[str, str], ...] = ()

    def draw(self, seed: int, latent: Callable[[str], float] | None = None) -> PhantomSpec:
        """Draw a spec.

        Parameters
        ----------
        seed : int
        latent : callable, optional
            Standard normal number of a field, by its name; sections of one animal share part of theirs. Without it
            every field is drawn on its own.
        """
        values: dict[str, Any] = dict(self.fixed)
        for name, (low, high) in self.ranges.items():
            z = latent(name) if latent else float(stream(seed, "preset", name).standard_normal())
            values[name] = _place(name, low, high, z)
        # ranges of the fractions may add up to more than the whole: indeterminate tissue gives way
        room = 1.0 - values.get("medulla_fraction", 0.0)
        values["indeterminate_fraction"] = min(values.get("indeterminate_fraction", 0.0), room)
        return spec_from(values)


def _place(name: str, low: float, high: float, z: float) -> float | int:
    if name in _LOGARITHMIC and low > 0:
        centre, half = np.log(low * high) / 2, np.log(high / low) / 2
        # the exponential of a logarithm may miss the bound by a rounding
        return float(np.clip(np.exp(centre + np.clip(DENSITY_SD * z, -half, half)), low, high))
    value = low + (high - low) * float(ndtr(z))
    return round(value) if name in _WHOLE else value


def _preset(name: str, summary: str, study: tuple[tuple[str, str], ...] = (), **values: Any) -> Preset:
    ranges = {k: v for k, v in values.items() if isinstance(v, tuple)}
    fixed = {k: v for k, v in values.items() if not isinstance(v, tuple)}
    return Preset(name, summary, MappingProxyType(ranges), MappingProxyType(fixed), study)


_UNTREATED: dict[str, Any] = {
    "area_mm2": (0.3, 1.5), "lobules": (1, 2), "outline_roughness": (0.05, 0.11), "capsule_um": (8, 15),
    "septa": (0, 2), "medulla_fraction": (0.2, 0.45), "indeterminate_fraction": (0.35, 0.65),
    "poor_share": (0.35, 0.65), "islets": (1, 6), "boundary_fuzz_um": (20, 45), "order": (0.0, 0.35),
    "cyst_fraction": (0.03, 0.16), "double_positive": (0.3, 0.55), "vessels": (1, 4), "mesh_cortex_um": (5, 8),
    "mesh_medulla_um": (5, 7), "cd45_cortex_per_mm2": (0, 5), "cd45_medulla_per_mm2": (0, 5), "patchiness": 0.0,
    "clustered": 0.0, "mouse_per_mm2": (1500, 4000), "k8_in_medulla": (0.4, 0.6),
}  # fmt: skip
_CD34: dict[str, Any] = {
    "area_mm2": (0.5, 3), "lobules": (1, 3), "outline_roughness": (0.04, 0.09), "capsule_um": (6, 13),
    "septa": (1, 5), "medulla_fraction": (0.18, 0.34), "indeterminate_fraction": (0.18, 0.42),
    "poor_share": (0.55, 0.85), "islets": (2, 10), "boundary_fuzz_um": (12, 34), "order": (0.3, 0.7),
    "cyst_fraction": (0.01, 0.1), "double_positive": (0.15, 0.38), "vessels": (1, 6), "mesh_cortex_um": (6, 12),
    "mesh_medulla_um": (5, 8), "cd45_cortex_per_mm2": (150, 6000), "cd45_medulla_per_mm2": (60, 2500),
    "patchiness": (0.6, 1.1), "clustered": (0.2, 0.5), "mouse_per_mm2": (1500, 4000), "k8_in_medulla": (0.35, 0.6),
}  # fmt: skip
_PROGENITOR: dict[str, Any] = {
    "area_mm2": (0.8, 5), "lobules": (2, 4), "outline_roughness": (0.04, 0.08), "capsule_um": (5, 12),
    "septa": (2, 8), "medulla_fraction": (0.2, 0.34), "indeterminate_fraction": (0.06, 0.2),
    "poor_share": (0.75, 1.0), "islets": (3, 15), "boundary_fuzz_um": (6, 19), "order": (0.6, 0.95),
    "cyst_fraction": (0.0, 0.05), "double_positive": (0.08, 0.24), "vessels": (2, 8), "mesh_cortex_um": (8, 13),
    "mesh_medulla_um": (5, 9), "cd45_cortex_per_mm2": (2500, 20_000), "cd45_medulla_per_mm2": (900, 8000),
    "patchiness": (0.15, 0.5), "clustered": (0.05, 0.25), "mouse_per_mm2": (800, 2500), "k8_in_medulla": (0.3, 0.6),
}  # fmt: skip
_WILD: dict[str, Any] = {
    "area_mm2": (8, 25), "lobules": (2, 4), "outline_roughness": (0.03, 0.07), "capsule_um": (5, 10),
    "septa": (4, 14), "medulla_fraction": (0.22, 0.35), "indeterminate_fraction": (0.0, 0.045),
    "poor_share": 1.0, "islets": (5, 30), "boundary_fuzz_um": (4, 10), "order": (0.9, 1.0),
    "cyst_fraction": (0.0, 0.008), "double_positive": (0.03, 0.1), "vessels": (6, 20), "mesh_cortex_um": (10, 16),
    "mesh_medulla_um": (6, 9), "cd45_cortex_per_mm2": 0.0, "cd45_medulla_per_mm2": 0.0, "patchiness": 0.2,
    "clustered": 0.0, "mouse_per_mm2": (9000, 14_000), "k8_in_medulla": (0.3, 0.5),
}  # fmt: skip

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        p.name: p
        for p in (
            _preset("untreated_nsg", "untreated NSG: small, mixed keratins, cysts, no human cells", **_UNTREATED),
            _preset("cd34_10wk", "ten weeks after CD34+ cells: half-ordered, patchy human cells", **_CD34),
            _preset("progenitor_10wk", "ten weeks after T progenitors: ordered, dense human cells", **_PROGENITOR),
            _preset("wild_type", "wild-type mouse: ordered and large, no human cells", **_WILD),
            _preset(
                "null", "no difference: both groups of the study are drawn from cd34_10wk",
                (("CD34", "cd34_10wk"), ("progenitors", "cd34_10wk")), **_CD34,
            ),
            _preset(
                "reversed", "the other way round: the group named CD34 is drawn from progenitor_10wk",
                (("CD34", "progenitor_10wk"), ("progenitors", "cd34_10wk")), **_CD34,
            ),
            _preset(
                "no_cells", "the architecture of progenitor_10wk without any human cell",
                **_PROGENITOR | {"cd45_cortex_per_mm2": 0.0, "cd45_medulla_per_mm2": 0.0},
            ),
            _preset(
                "no_architecture", "the human cells of progenitor_10wk on mixed epithelium without compartments",
                **_PROGENITOR
                | {
                    "medulla_fraction": 0.0, "indeterminate_fraction": 1.0, "poor_share": 0.0, "order": 0.0,
                    "double_positive": (0.25, 0.5), "boundary_fuzz_um": 40.0,
                },
            ),
        )
    }
)  # fmt: skip
"""Every scenario by its name."""


def find_preset(name: str) -> Preset:
    """Return a preset by name.

    Raises
    ------
    SettingsError
        If there is none of that name; those that there are get listed.
    """
    if name not in PRESETS:
        raise SettingsError(f"phantom: there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]
