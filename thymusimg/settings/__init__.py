"""Frozen settings of every stage: defaults, TOML in and out, unknown keys refused."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import ValidationError

from thymusimg.errors import SettingsError
from thymusimg.settings.base import Frozen
from thymusimg.settings.cells import CellSettings, GateSettings
from thymusimg.settings.channels import CorrectionSettings, QualitySettings
from thymusimg.settings.compartments import CompartmentSettings, TissueSettings
from thymusimg.settings.compute import ComputeSettings
from thymusimg.settings.measurements import MeasurementSettings
from thymusimg.settings.study import StudySettings

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CellSettings",
    "CompartmentSettings",
    "ComputeSettings",
    "CorrectionSettings",
    "GateSettings",
    "MeasurementSettings",
    "QualitySettings",
    "Settings",
    "StudySettings",
    "TissueSettings",
]


class Settings(Frozen):
    """Every setting of a run, one model a stage; each is a table of ``study.toml``."""

    study: StudySettings = StudySettings()
    quality: QualitySettings = QualitySettings()
    correction: CorrectionSettings = CorrectionSettings()
    tissue: TissueSettings = TissueSettings()
    compartments: CompartmentSettings = CompartmentSettings()
    cells: CellSettings = CellSettings()
    gate: GateSettings = GateSettings()
    measurements: MeasurementSettings = MeasurementSettings()
    compute: ComputeSettings = ComputeSettings()

    @classmethod
    def from_mapping(cls, values: dict[str, Any], where: str = "settings") -> Settings:
        """Build settings from nested tables.

        Raises
        ------
        SettingsError
            If a key is unknown or a value out of range; every fault is named.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            faults = "; ".join(_fault(e) for e in error.errors())
            raise SettingsError(f"{where}: {faults}") from None

    @classmethod
    def from_toml(cls, path: Path) -> Settings:
        """Read settings from a TOML file.

        Raises
        ------
        SettingsError
            If the file is not TOML, or as :meth:`from_mapping`.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise SettingsError(f"{path}: not a TOML file ({error})") from None
        return cls.from_mapping(values, where=str(path))

    def to_toml(self) -> str:
        """Write every setting, defaults included, as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def _fault(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key '{where}'"
    return f"'{where}' = {error['input']!r}: {error['msg'].removeprefix('Value error, ')}"
