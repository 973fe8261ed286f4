"""The family that traces the slide: every column is a number or has its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from thymusimg.channels.correct import Correction
from thymusimg.compartments.model import Compartments
from thymusimg.measurements.families import contact, network
from thymusimg.measurements.row import Row
from thymusimg.measurements.view import SectionView
from thymusimg.section.model import Level, Section, Subject, Window
from thymusimg.settings import MeasurementSettings


@dataclass(frozen=True)
class ArrayImage:
    pixels: np.ndarray

    @property
    def levels(self):
        return (Level(self.pixels.shape[1:], 1.0),)

    def read(self, level: int, channel: int, window: Window) -> np.ndarray:
        return self.pixels[channel][window.slices]


def view(pixel_um: float = 0.5, *, medulla: bool = True) -> SectionView:
    """Return a square net of 12 µm in K8, half of it medulla."""
    size = 480
    at = np.abs((np.arange(size) * pixel_um + 6) % 12 - 6)
    line = np.exp(-4 * math.log(2) * (at / 1.5) ** 2)
    plane = (100 * np.maximum(line[:, None], line[None])).astype(np.float32)
    section = Section(Subject("s"), ArrayImage(plane[None]), {"k8": 0}, {"k8": "K8"}, pixel_um)
    grid = section.grid
    labels = np.full(grid.shape, 1, np.uint8)
    if medulla:
        labels[:, grid.shape[1] // 2 :] = 2
    nothing = np.zeros(grid.shape, np.float32)
    compartments = Compartments(grid, labels, labels > 0, nothing, nothing, nothing, nothing, ())
    f = grid.factor
    coarse = plane.reshape(size // f, f, size // f, f).mean((1, 3)).astype(np.float32)
    correction = Correction(grid, {"k8": 0.0}, {}, None, ("k8",))
    return SectionView(section, compartments, {"k8": coarse}, MeasurementSettings(), None, correction)


def names() -> set[str]:
    return {column.name for column in network.COLUMNS} - {column.name for column in contact.COLUMNS}


def test_every_column_is_put() -> None:
    row = Row()
    network.measure(row, view())
    assert set(row.values) == names()
    assert row.values["network_density_cortex_mm_per_mm2"] == pytest.approx(2e3 / 12, rel=0.05)
    assert row.values["network_density_medulla_mm_per_mm2"] == pytest.approx(2e3 / 12, rel=0.05)
    assert set(row.reasons) == {"epithelium_free_area_mm2", "epithelium_free_fraction"}
    assert set(row.curves["compartment"]) == {"cortex", "medulla"}


def test_without_a_medulla_its_columns_say_so() -> None:
    row = Row()
    network.measure(row, view(medulla=False))
    undefined = {name for name in names() if "medulla" in name}
    assert undefined <= set(row.reasons)
    assert {row.reasons[name] for name in undefined} == {"no medulla was found"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"correction": None}, "full resolution"),
        ({"settings": MeasurementSettings(network=False)}, "switched off"),
        ({"planes": {}}, "no keratin channel"),
    ],
)
def test_what_cannot_be_traced_has_a_reason(change: dict[str, object], reason: str) -> None:
    row = Row()
    network.measure(row, replace(view(), **change))
    assert set(row.values) == names() == set(row.reasons)
    assert all(reason in why for why in row.reasons.values())
    assert row.curves["reason"].str.contains(reason).all()


def test_coarse_slides_have_no_network() -> None:
    row = Row()
    network.measure(row, view(0.65))
    assert set(row.reasons) == names()
    assert all("0.65 µm are too coarse" in why for why in row.reasons.values())
