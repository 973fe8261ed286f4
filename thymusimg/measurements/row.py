"""The values of one row, why some of them are undefined, and its curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

CURVE_NAMES = ("curve", "compartment", "x", "value", "low", "high", "weight", "reason")


class Row:
    """The values of a section so far, and the reasons of those that are undefined."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.reasons: dict[str, str] = {}
        self._curves: list[pd.DataFrame] = []

    @classmethod
    def joined(cls, rows: Iterable[Row]) -> Row:
        """Return one row of several, in their order."""
        whole = cls()
        for row in rows:
            whole.values |= row.values
            whole.reasons |= row.reasons
            whole._curves += row._curves  # noqa: SLF001  its own kind
        return whole

    def put(self, name: str, value: object, why: str = "the measurement gave no number") -> None:
        """Set a value; ``why`` is kept if it is NaN."""
        self.values[name] = value
        if isinstance(value, float) and math.isnan(value):
            self.reasons[name] = why

    def put_all(self, values: Mapping[str, object], why: str) -> None:
        """Set several values that are undefined for the same reason."""
        for name, value in values.items():
            self.put(name, value, why)

    def curve(
        self,
        name: str,
        x: npt.ArrayLike,
        value: npt.ArrayLike,
        *,
        low: npt.ArrayLike = math.nan,
        high: npt.ArrayLike = math.nan,
        weight: npt.ArrayLike = 1.0,
        compartment: str = "",
        why: str = "",
    ) -> None:
        """Add a declared curve: its value at every x, perhaps with an interval or envelope.

        Parameters
        ----------
        x, value, low, high, weight : (N,) array or scalar
            ``weight`` is what values of an animal's sections are averaged by at the same x.
        compartment : str
            Where it was taken; empty: in the whole parenchyma.
        why : str
            Why values that are NaN are undefined.
        """
        parts = np.broadcast_arrays(*(np.asarray(a, np.float64).ravel() for a in (x, value, low, high, weight)))
        frame = pd.DataFrame(dict(zip(CURVE_NAMES[2:7], parts, strict=True)))
        frame.insert(0, "curve", name)
        frame.insert(1, "compartment", compartment)
        frame["reason"] = np.where(np.isnan(parts[1]), why, "")
        self._curves.append(frame)

    def no_curve(self, name: str, why: str, *, compartment: str = "") -> None:
        """Say why a declared curve is undefined."""
        self.curve(name, math.nan, math.nan, weight=math.nan, compartment=compartment, why=why)

    @property
    def curves(self) -> pd.DataFrame:
        """All curves so far: ``curve, compartment, x, value, low, high, weight, reason``."""
        if not self._curves:
            empty = {name: pd.Series(dtype=object) for name in ("curve", "compartment")}
            empty |= {name: pd.Series(dtype=np.float64) for name in CURVE_NAMES[2:7]}
            return pd.DataFrame({**empty, "reason": pd.Series(dtype=object)})
        return pd.concat(self._curves, ignore_index=True)
