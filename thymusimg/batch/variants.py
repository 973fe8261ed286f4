"""The settings that a sensitivity analysis varies, and to what."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from thymusimg.errors import CallError, SettingsError
from thymusimg.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from thymusimg.cells.gate import ControlEvidence

FACTORS = (0.8, 1.25)
"""A threshold is taken a quarter up and a fifth down, as far as its bounds allow."""
SHIFTS = {"compartments.medulla_cut": (-0.1, -0.05, 0.05, 0.1)}
"""Cuts that lie between two certainties are shifted instead."""
FROM_ZERO = {"measurements.psf_sigma_um": (0.2, 0.4)}
"""What to try for settings that are 0, where no factor leads away from it."""
GATE = "CD45 gate"
GATE_FACTORS = (0.8, 0.9, 1.1, 1.25)
"""The height of the CD45 gate above the background of the tissue, whether SDs or controls set it."""
FROM_STORE = ("compartments", "measurements")
"""Stages that can be run again from what a bundle keeps."""
FROM_SLIDE = ("tissue", "cells")
"""Stages that need the slide."""
NOT_VARIED = {
    "quality": "quality checks flag sections and change no measurement",
    "correction": "the illumination and unmixing are found or given, not thresholds",
    "gate": f"varied as '{GATE}', whatever sets it",
    "study": "what is compared, not how it is measured",
    "compute": "no number depends on it",
}
DEFAULT = "default"


@dataclass(frozen=True)
class Variant:
    """One way to measure: the run's own settings with something changed.

    ``label`` and ``value`` are what ``sensitivity.csv`` shows; ``changes`` the settings that differ, by
    ``table.key``; ``gate_factor`` multiplies the height of the CD45 gate above the tissue's background.
    """

    label: str
    value: str
    changes: tuple[tuple[str, float], ...] = ()
    gate_factor: float = 1.0

    @property
    def needs_slide(self) -> bool:
        """Whether what a bundle keeps is not enough."""
        return self.gate_factor != 1 or any(name.split(".")[0] not in FROM_STORE for name, _ in self.changes)

    @property
    def stages(self) -> frozenset[str]:
        """The stages whose settings differ."""
        return frozenset(name.split(".")[0] for name, _ in self.changes)

    def settings(self, run: Settings) -> Settings:
        """Return the run's settings with the changes.

        Raises
        ------
        SettingsError
            If a setting is unknown or a value out of range.
        """
        values = run.model_dump(mode="python")
        for name, value in self.changes:
            table, _, key = name.partition(".")
            if table not in values or key not in values[table]:
                raise SettingsError(f"'{name}' is no setting; write it as in study.toml: table.key")
            whole = isinstance(values[table][key], int) and not isinstance(values[table][key], bool)
            values[table][key] = int(value) if whole else value
        values["gate"]["deviations"] = min(50.0, max(2.0, values["gate"]["deviations"] * self.gate_factor))
        return Settings.from_mapping(values, where=f"{self.label} = {self.value}")

    def controls(self, found: Sequence[ControlEvidence]) -> tuple[ControlEvidence, ...]:
        """Return the controls as they would set a gate that is higher or lower above the background."""
        k = self.gate_factor
        return tuple(
            replace(c, q995=c.background + k * (c.q995 - c.background), q995_sd=k * c.q995_sd) for c in found
        )


def one_at_a_time(run: Settings, read: Collection[str], names: Iterable[str]) -> tuple[Variant, ...]:
    """Return the variants in which one threshold differs from the run's.

    Parameters
    ----------
    run : Settings
        Those of the run.
    read : collection of str
        Settings (``table.key``) that were read while the endpoints were measured: no other can matter.
    names : iterable of str
        The columns that are measured: those of human CD45 depend on the gate, and counts of it on the cells.
    """
    varied = [name for name in _thresholds(run, FROM_STORE) if name in read]
    varied += _thresholds(run, ("tissue",))
    cd45 = [name for name in names if name.startswith("cd45")]
    if cd45 and not all(name.startswith("cd45_area") for name in cd45):
        varied += _thresholds(run, ("cells",))
    found = [variant for name in varied for variant in _around(run, name)]
    if cd45:
        found += [Variant(GATE, f"{k:g} × its height above the background", (), k) for k in GATE_FACTORS]
    return tuple(found)


def parse_variants(options: Iterable[str], *, product: bool) -> tuple[Variant, ...]:
    """Read ``SETTING=VALUE,VALUE`` options: one at a time, or every combination.

    Raises
    ------
    CallError
        If an option is not of that form.

    Examples
    --------
    >>> [v.value for v in parse_variants(["compartments.medulla_cut=0.4,0.6"], product=False)]
    ['0.4', '0.6']
    >>> [v.value for v in parse_variants(["a.b=1,2", "c.d=3,4"], product=True)]
    ['1 | 3', '1 | 4', '2 | 3', '2 | 4']
    """
    axes = []
    for option in options:
        name, equals, text = option.partition("=")
        try:
            values = [float(value) for value in text.split(",")]
        except ValueError:
            values = []
        if not equals or "." not in name or not values or not all(map(math.isfinite, values)):
            raise CallError(f"--vary {option}: expected SETTING=VALUE,VALUE, as compartments.medulla_cut=0.4,0.6")
        axes.append([(name.strip(), value) for value in values])
    if product:
        return tuple(_named(combination) for combination in itertools.product(*axes)) if axes else ()
    return tuple(_named((change,)) for axis in axes for change in axis)


def _named(changes: tuple[tuple[str, float], ...]) -> Variant:
    return Variant(
        " | ".join(name for name, _ in changes), " | ".join(f"{value:g}" for _, value in changes), changes
    )


def _thresholds(run: Settings, tables: Iterable[str]) -> list[str]:
    """Name the settings that are numbers on a continuous scale."""
    values = run.model_dump(mode="python")
    return [
        f"{table}.{key}" for table in tables for key, value in values[table].items() if isinstance(value, float)
    ]


def _around(run: Settings, name: str) -> list[Variant]:
    table, _, key = name.partition(".")
    own = float(getattr(getattr(run, table), key))
    if name in SHIFTS:
        tried = [own + shift for shift in SHIFTS[name]]
    elif own == 0:
        tried = list(FROM_ZERO.get(name, ()))
    else:
        tried = [own * factor for factor in FACTORS]
    allowed = dict.fromkeys(_clipped(run, table, key, value) for value in tried)
    return [
        Variant(name, f"{value:g}", ((name, value),)) for value in allowed if value is not None and value != own
    ]


def _clipped(run: Settings, table: str, key: str, value: float) -> float | None:
    """Return the value within the setting's bounds; None where even the bound is not allowed."""
    field: Any = type(getattr(run, table)).model_fields[key]
    low = max([-math.inf, *_bounds(field.metadata, "ge", "gt")])
    high = min([math.inf, *_bounds(field.metadata, "le", "lt")])
    kept = float(f"{min(max(value, low), high):.6g}")
    try:
        Variant(table, key, ((f"{table}.{key}", kept),)).settings(run)
    except SettingsError:
        return None
    return kept


def _bounds(metadata: Iterable[object], *names: str) -> list[float]:
    found = [getattr(one, name, None) for one in metadata for name in names]
    return [float(bound) for bound in found if bound is not None]
